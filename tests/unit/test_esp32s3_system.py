"""boards/esp32s3/hal/system.py on stand-ins of `machine`, `bluetooth` and `esp32`."""

import hashlib
import json
import os
import sys

import s3_board
from virtual_time import Record


class _Slots:
    """Stands in for the board's slots."""

    SECTOR = 4096

    def __init__(self, contents, slot):
        self._contents = contents
        self._slot = slot

    def running(self):
        return self._slot

    def read(self, slot, offset, buf):
        buf[:] = self._contents[slot][offset : offset + len(buf)]


def _fresh(slots=None):
    """The module after a start of the chip."""
    global machine, esp32, bluetooth
    machine, esp32 = s3_board.chip()
    import bluetooth

    import hal

    hal.slots = sys.modules["hal.slots"] = slots or _Slots((), None)
    __import__("hal.system")
    return hal.system


def _container(firmware, version):
    manifest = json.dumps({"size": len(firmware), "version": version}).encode()
    head = b"WBX1" + len(manifest).to_bytes(2, "big") + manifest
    head += b"\x00" + bytes(range(64))
    return head + b"\xff" * (4096 - len(head)) + firmware


def test_causes_of_a_reset_are_those_that_the_firmware_knows():
    system = _fresh()
    for cause, name in (
        # Brown-out too (ports/esp32/modmachine.c).
        (machine.PWRON_RESET, "power_on"),
        (machine.WDT_RESET, "watchdog"),
        # machine.reset() and a panic.
        (machine.HARD_RESET, "software"),
        (machine.SOFT_RESET, "software"),
        (machine.DEEPSLEEP_RESET, "software"),
        (0, "software"),
    ):
        machine.power_on(cause)
        assert system.reset_cause() == name


def test_a_reset_restarts_the_chip_and_is_told_as_one_of_software():
    system = _fresh()
    try:
        system.reset("because")
    except machine.Reset:
        pass
    else:
        raise AssertionError("it went on")
    assert system.reset_cause() == "software"


def test_random_numbers_reach_both_ends_and_nothing_beyond():
    system = _fresh()
    assert {system.random(1, 6) for _ in range(400)} == {1, 2, 3, 4, 5, 6}
    assert system.random(7, 7) == 7
    assert {system.random(-1, 1) for _ in range(200)} == {-1, 0, 1}


def test_no_random_number_is_more_likely_than_another():
    system = _fresh()
    # Three values do not divide 2^32: the one word left over must be drawn again.
    words = [b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe"]
    system.os = Record(urandom=lambda count: words.pop(0) if count == 4 else None)
    assert system.random(10, 12) == 10 + 0xFFFFFFFE % 3
    assert words == []


def test_random_bytes_are_drawn_with_the_radio_on():
    system = _fresh()
    radio = bluetooth.BLE()
    seen = []

    def urandom(count):
        seen.append(radio.active())
        return os.urandom(count)

    system.os = Record(urandom=urandom)
    assert not radio.active()
    first = system.random_bytes(32)
    second = system.random_bytes(32)
    assert len(first) == len(second) == 32
    assert first != second
    assert seen == [True, True]


def test_a_radio_that_fails_gives_no_weak_keys():
    system = _fresh()

    def fail(on=None):
        if on:
            raise OSError(110)
        return False

    system.bluetooth = Record(BLE=lambda: Record(active=fail))
    try:
        system.random_bytes(32)
    except OSError:
        return
    raise AssertionError("bytes without noise")


def test_switching_the_radio_on_before_does_not_disturb_the_bluetooth_of_the_wallbox():
    system = _fresh()
    system.random_bytes(1)
    for name in [name for name in sys.modules if name.startswith("aioble")]:
        del sys.modules[name]
    ble = s3_board.load("ble")
    ble._BONDS = os.getenv("TEST_TMP") + "/bonds.json"
    ble.Ble().configure("Garage", "000042", b"{}")
    radio = bluetooth.BLE()
    assert radio.active()
    assert radio.config("le_secure") and radio.config("gap_name") == "Garage"


def test_a_board_without_an_identity_has_a_serial_number_that_a_label_can_carry():
    system = _fresh()
    text = system.serial()
    assert text == "WB-348518123456"
    assert 4 <= len(text) <= 20
    assert not text.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def test_the_image_is_the_file_that_was_sent():
    for size in (1, 2047, 2048, 5000):
        files = [_container(bytes([i]) * size, "1.%d.0" % i) for i in range(2)]
        for slot in range(2):
            # As in flash: blank up to the end.
            system = _fresh(_Slots([file + b"\xff" * 9000 for file in files], slot))
            digest = hashlib.sha256()
            for block in system.image():
                assert 0 < len(block) <= 2048
                digest.update(block)
            assert digest.digest() == hashlib.sha256(files[slot]).digest()


def test_without_a_slot_the_image_is_the_interpreter_that_holds_the_firmware():
    system = _fresh()
    esp32.partition("ota_0", 3 * 4096, esp32.Partition.TYPE_APP)
    esp32.partition("ota_1", 3 * 4096, esp32.Partition.TYPE_APP)
    code = bytes(range(256)) * 48
    for block in range(3):
        esp32.Partition("ota_1").writeblocks(block, code[4096 * block : 4096 * block + 4096])
    esp32.running = "ota_1"
    assert b"".join([bytes(block) for block in system.image()]) == code
