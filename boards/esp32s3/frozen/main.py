"""Starts the firmware of a slot; with neither slot whole it leaves the outputs safe and the service port open."""

import gc
import sys

import machine
from micropython import const

from hal import slots
from loader import start

# So long choosing a firmware may take, which needs three seconds, and starting it until its own watchdog runs.
_START_MS = const(30_000)
# Without a firmware somebody is at the service port, or flash could not be read and is read again some day.
_WAIT_MS = const(86_400_000)
# Garbage is collected after so many bytes, not when nothing is free any more: by then the heap is full of holes, and
# has grown into what Wi-Fi and TLS need (docs/footprint.md).
_COLLECT_BYTES = const(4_096)


def run() -> None:
    """Run the firmware until a reset; Ctrl-C at the service port ends it."""
    machine.WDT(timeout=_START_MS)
    try:
        slot = start.prepare(slots)
    except Exception as error:
        # One on trial has lost a try. The watchdog resets; until then somebody may come to the service port.
        sys.print_exception(error)
        return
    if slot is None:
        machine.WDT(timeout=_WAIT_MS)
        print("neither slot holds a firmware; send one with tools/flash")
        return
    # The firmware in the slot brings its own drivers.
    for name in list(sys.modules):
        if name.split(".")[0] == "hal":
            del sys.modules[name]
    gc.threshold(_COLLECT_BYTES)
    try:
        __import__("boot")
        __import__("main")
    except Exception as error:
        sys.print_exception(error)
    # One that ends by itself has failed.
    machine.reset()


run()
