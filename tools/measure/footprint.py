"""Measures the heap that the firmware takes, on the interpreter that imports it (footprint.mjs: 32-bit objects)."""

import asyncio
import gc
import sys

import inert_board

FIGURES = {}
_APPS = []

assert inert_board.MODULES["pilot"] is sys.modules["hal.pilot"]


def load() -> None:
    """Import every module."""
    __import__("wallbox.app")


def build() -> None:
    """Make the objects of the wallbox."""
    _APPS.append(sys.modules["wallbox.app"].App())


def start() -> None:
    """Start every task."""
    asyncio.create_task(_APPS[0].run())


def note(name: str) -> None:
    """Keep the heap in use, in bytes, under `name`. Collect before, in a call of its own from outside.

    This interpreter collects only when no Python runs, since it cannot look at the host's stack.
    """
    FIGURES[name] = gc.mem_alloc()
