"""Reset, entropy and identity of the simulated board."""

import os

from micropython import const

import loader
from plant import board
from plant.board import FirmwareReset

_HERE = "boards/simulator/hal/"
_BLOCK_BYTES = const(2048)
_IS_FOLDER = const(0x4000)


def reset_cause() -> str:
    """Why the firmware started: "power_on", "watchdog" or "software"."""
    return board.plant.reset_cause


def reset(reason: str):
    """Restart the board; never returns (it raises FirmwareReset, which only the simulator catches)."""
    plant = board.plant
    plant.sync()
    plant.restart("software")
    raise FirmwareReset(reason)


def random(low: int, high: int) -> int:
    """A number in low..high inclusive, from hardware entropy on a real board, here from the plant's seed."""
    return board.plant.entropy.between(low, high)


def random_bytes(count: int) -> bytes:
    """`count` bytes fit for keys, from hardware entropy on a real board, here from the plant's seed."""
    return bytes([board.plant.secrets.between(0, 255) for _ in range(count)])


def serial() -> str:
    """Serial number of the board."""
    return "SIM%07d" % board.plant.seed


def image():
    """Yield all of the firmware that runs, in blocks of up to 2 KB, always in the same order, for whoever hashes it.

    It is what was sent as a file when it runs from a slot; from the source tree, path and content of each module.
    """
    if loader.running is not None:
        yield from _slot(loader.running)
        return
    yield from _contents(__file__[: __file__.rindex(_HERE)], "firmware")


def _slot(slot: int):
    from hal import slots
    from loader import start

    end = slots.SECTOR + start.header(slots, slot).size
    for at in range(0, end, _BLOCK_BYTES):
        block = bytearray(min(_BLOCK_BYTES, end - at))
        slots.read(slot, at, block)
        yield block


def _contents(root: str, path: str):
    for entry in sorted(os.ilistdir(root + path)):
        inner = path + "/" + entry[0]
        if entry[1] == _IS_FOLDER:
            yield from _contents(root, inner)
        elif inner.endswith((".py", ".mpy")):
            yield inner.encode()
            with open(root + inner, "rb") as file:
                block = file.read(_BLOCK_BYTES)
                while block:
                    yield block
                    block = file.read(_BLOCK_BYTES)
