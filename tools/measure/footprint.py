"""Measures the heap that the firmware takes, on the interpreter that imports it (footprint.mjs: 32-bit objects)."""

import asyncio
import gc
import json
import sys

import inert_board

FIGURES = {}
# (figure, or "" for none; function that is called before it; whether time passes between)
STEPS = (
    ("modules", "load", False),
    ("objects", "build", False),
    ("tasks", "start", True),
    ("app", "call", True),
    ("left", "leave", True),
    ("", "call", True),
    ("again", "leave", True),
)
_APPS = []
# An installer's app that has looked at everything and follows the live data.
_REQUESTS = (
    {"do": "hello"},
    {"do": "login", "role": "expert", "password": "1916"},
    {"do": "status"},
    {"do": "settings"},
    {"do": "wizard"},
    {"do": "cards"},
    {"do": "scan"},
    {"do": "service"},
    {"do": "log", "security": True},
    {"do": "schema"},
    {"do": "read", "transfer": 0, "offset": 0, "count": 200},
    {"do": "live", "period_ms": 200},
)

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


def call() -> None:
    """Let an app come near and send its requests."""
    frames = []
    for number in range(len(_REQUESTS)):
        text = json.dumps(dict(_REQUESTS[number], id=number)).encode()
        frames.append(bytes((0x30, number)) + text)
    inert_board.Ble.link = inert_board.Link(frames)
    inert_board.Ble.near.set()


def leave() -> None:
    """Let it go; it must have been answered."""
    link = inert_board.Ble.link
    assert not link.frames and link.answers >= len(_REQUESTS), (link.frames, link.answers)
    link.gone.set()


def note(name: str) -> None:
    """Keep the heap in use, in bytes, under `name`. Collect before, in a call of its own from outside.

    This interpreter collects only when no Python runs, since it cannot look at the host's stack.
    """
    FIGURES[name] = gc.mem_alloc()
