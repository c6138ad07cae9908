"""Measures the heap of the firmware with a central system set up, as `footprint` does without (footprint.mjs)."""

import asyncio
import sys

import footprint
import inert_board
from ocpp_host import Network, provide

FIGURES = footprint.FIGURES
STEPS = (("modules", "load", False), ("objects", "build", False), ("tasks", "start", True), ("online", "online", True))
_network = Network()
note = footprint.note
load = footprint.load


def build() -> None:
    """Make the objects of the wallbox, and set a central system up."""
    inert_board.MODULES["net"].Net.open_connection = staticmethod(_network.open_connection)
    footprint.build()
    sys.modules["footprint"]._APPS[0].settings.update({"ocpp_url": "ws://127.0.0.1:9000/ocpp/"})


def start() -> None:
    """Start every task, and the central system."""
    asyncio.create_task(_network.run())
    footprint.start()


def online() -> None:
    """The wallbox must have registered."""
    assert _network.registered


provide()
