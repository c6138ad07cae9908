"""Reset, entropy and identity of the board."""

import json
import os
from binascii import hexlify

import bluetooth
import esp32
import machine
from micropython import const

# MicroPython tells brown-out as power-on, a watchdog of the chip as such, and a panic as reset() (modmachine.c). The
# external watchdog opens the contactor, it does not reset the chip.
_CAUSES = {machine.PWRON_RESET: "power_on", machine.WDT_RESET: "watchdog"}
_BLOCK_BYTES = const(2048)
_WORD_BYTES = const(4)
_WORD_VALUES = const(1 << 32)
_PARTITION_SIZE = const(3)
# The container's header: behind 4 bytes of magic the length of its manifest.
_LENGTH_AT = const(4)
_MANIFEST_AT = const(6)


def reset_cause() -> str:
    """Why the firmware started: "power_on" (after a brown-out too), "watchdog" or "software"."""
    return _CAUSES.get(machine.reset_cause(), "software")


def reset(reason: str):
    """Restart the board; never returns. All pins are inputs again, so the contactor opens if it has not yet."""
    del reason
    machine.reset()


def random(low: int, high: int) -> int:
    """A number in low..high inclusive, each as likely, less than 2^32 apart; not for secrets.

    The boot loader seeds the generator from noise, so no two wallboxes draw alike, but the radio may be off.
    """
    span = high - low + 1
    limit = _WORD_VALUES - _WORD_VALUES % span
    while True:
        word = int.from_bytes(os.urandom(_WORD_BYTES), "big")
        if word < limit:
            return low + word % span


def random_bytes(count: int) -> bytes:
    """`count` bytes fit for keys; OSError when the radio cannot be switched on.

    The chip's generator is true only while the radio feeds it with noise (ESP-IDF, random number generation), and
    Bluetooth is what a wallbox always has on. At a first start it may not be yet, and that is when keys are drawn.
    """
    radio = bluetooth.BLE()
    if not radio.active():
        radio.active(True)
    return os.urandom(count)


def serial() -> str:
    """Serial number of a board to which production gave none: the chip's MAC address."""
    return "WB-" + str(hexlify(machine.unique_id()), "ascii").upper()


def image():
    """Yield all of the firmware that runs, in blocks of up to 2 KB, always in the same order, for whoever hashes it.

    It is what was sent as a file: the container's header of 4096 bytes, and the firmware. What runs from no slot is
    part of the interpreter; then it is the partition of that.
    """
    from hal import slots

    slot = slots.running()
    if slot is None:
        partition = esp32.Partition(esp32.Partition.RUNNING)  # type: ignore
        yield from _blocks(partition.info()[_PARTITION_SIZE], lambda at, buf: partition.readblocks(0, buf, at))
        return
    head = bytearray(slots.SECTOR)
    slots.read(slot, 0, head)
    end = _MANIFEST_AT + int.from_bytes(head[_LENGTH_AT:_MANIFEST_AT], "big")
    size = json.loads(bytes(head[_MANIFEST_AT:end]))["size"]
    yield from _blocks(slots.SECTOR + size, lambda at, buf: slots.read(slot, at, buf))


def _blocks(size: int, read):
    buf = memoryview(bytearray(_BLOCK_BYTES))
    for at in range(0, size, _BLOCK_BYTES):
        block = buf[: min(_BLOCK_BYTES, size - at)]
        read(at, block)
        yield block
