"""boards/esp32s3/hal/slots.py and what is frozen beside it, on stand-ins of the chip (R29)."""

import sys

import s3_board

_FROZEN = __file__[: -len("tests/unit/test_esp32s3_slots.py")] + "boards/esp32s3/frozen/"
_SLOT_BYTES = 0xC0000


def chip(slots=True, encrypted=False):
    machine, esp32 = s3_board.chip()
    esp32.blank()
    if slots:
        for label in ("slot_a", "slot_b"):
            esp32.partition(label, _SLOT_BYTES, encrypted=encrypted)
    return machine, esp32


def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    raise AssertionError("not refused")


def test_what_is_written_to_a_slot_lies_in_its_partition_and_nowhere_else():
    _, esp32 = chip()
    slots = s3_board.load("slots")
    slots.write(0, 4_096 + 112, b"what in slot a..")
    slots.write(1, 0, b"what in slot b..")
    buf = bytearray(16)
    for slot, label, at, data in ((0, "slot_a", 4_208, b"what in slot a.."), (1, "slot_b", 0, b"what in slot b..")):
        slots.read(slot, at, buf)
        assert buf == data
        esp32.Partition(label).readblocks(at // 4_096, buf, at % 4_096)
        assert buf == data
        assert bytes(slots.map(slot)[at : at + 16]) == data
    slots.read(1, 4_208, buf)
    assert buf == b"\xff" * 16


def test_a_sector_is_erased_alone_and_a_write_erases_nothing():
    chip()
    slots = s3_board.load("slots")
    for at in (0, 4_096, 8_192):
        slots.write(0, at, b"\x0f" * 16)
    slots.write(0, 4_096, b"\xf3" * 16)
    buf = bytearray(1)
    slots.read(0, 4_096, buf)
    assert buf == b"\x03", "NOR flash only clears bits"
    slots.erase(0, 1)
    found = []
    for at in (0, 4_096, 8_192):
        slots.read(0, at, buf)
        found.append(buf[0])
    assert found == [0x0F, 0xFF, 0x0F]


def test_slots_are_as_large_as_their_partitions():
    chip()
    slots = s3_board.load("slots")
    assert slots.SLOT_BYTES == _SLOT_BYTES and len(slots.map(0)) == _SLOT_BYTES
    rows = {}
    with open(_FROZEN + "../partitions.csv") as file:
        for line in file:
            if not line.startswith("#"):
                row = [part.strip() for part in line.split(",")]
                rows[row[0]] = int(row[4], 16)
    assert rows["slot_a"] == rows["slot_b"] == _SLOT_BYTES
    slots.write(1, _SLOT_BYTES - 16, b"x" * 16)
    assert refused(slots.write, 1, _SLOT_BYTES, b"x" * 16)
    assert refused(slots.erase, 1, _SLOT_BYTES // 4_096)


def test_only_whole_units_are_written_as_encrypted_flash_takes_nothing_else():
    for encrypted in (False, True):
        chip(encrypted=encrypted)
        slots = s3_board.load("slots")
        for at, count in ((0, 15), (0, 17), (8, 16), (4_095, 1)):
            try:
                slots.write(0, at, b"x" * count)
            except ValueError as error:
                assert "multiples of 16" in str(error)
            else:
                raise AssertionError((at, count))
        slots.write(0, 4_080, b"y" * 16)
        buf = bytearray(3)
        slots.read(0, 4_085, buf)
        assert buf == b"yyy"


def test_the_stand_in_of_encrypted_flash_is_as_strange_as_a_chip():
    _, esp32 = chip(encrypted=True)
    partition = esp32.Partition("slot_a")
    buf = bytearray(64)
    partition.readblocks(0, buf)
    assert buf.count(b"\xff") < 8, "erased bytes read as anything"
    for offset, count in ((0, 15), (8, 16), (1, 1)):
        assert refused(partition.writeblocks, 0, bytes(count), offset) in (-0x102, -0x104)
    partition.writeblocks(0, b"0123456789abcdef" * 2, 16)
    partition.readblocks(0, buf, 0)
    assert buf[16:48] == b"0123456789abcdef" * 2
    partition.writeblocks(0, b" 123456789abcdef", 16)
    partition.readblocks(0, buf, 0)
    assert buf[16:32] != b" 123456789abcdef" and buf[32:48] == b"0123456789abcdef"


def test_without_partitions_everything_is_refused():
    chip(slots=False)
    slots = s3_board.load("slots")
    for call in ((slots.read, 0, 0, bytearray(1)), (slots.erase, 1, 0), (slots.write, 0, 0, b"x" * 16), (slots.map, 0)):
        assert refused(*call) == 2


def test_the_record_is_kept_over_a_power_cut():
    _, esp32 = chip()
    slots = s3_board.load("slots")
    assert slots.load() == b""
    slots.save(b"record")
    esp32.power_cut()
    assert s3_board.load("slots").load() == b"record"


def run(name, **given):
    with open(_FROZEN + name) as file:
        exec(file.read(), dict(given))


def test_boot_opens_the_contactor_and_offers_nothing_whatever_the_chip_did_before():
    machine, _ = chip()
    import parts

    expander = parts.Expander(21, 40, 47, 37, 0b1001_0111)
    pilot = parts.ControlPilot(7, 1, 2)
    machine.Pin(10).resistor = 1
    machine.Pin(10).drive(0)
    coil = parts.Coil(8, 9, 10, expander, (1, 2, 4), parts.WindowWatchdog(38))
    for number in (8, 9, 36):
        machine.Pin(number, machine.Pin.OUT, value=1)
    s3_board.load("pins")
    run("boot.py")
    for number, level in ((8, 0), (9, 0), (36, 0), (7, 1)):
        assert machine.Pin(number).level() == level, number
    machine.advance_ms(200)
    assert not coil.closed and pilot.level_mv() == 12_000


class Start:
    """Stands in for the loader: `slot` is what it finds."""

    def __init__(self, slot):
        self.slot = slot
        self.asked = None

    def prepare(self, slots):
        self.asked = slots
        return self.slot


def started(slot, main=None):
    """Run the frozen main.py -> (what was imported in order, with whether the board's drivers were forgotten)."""
    import builtins

    import loader
    from loader import start as real

    imported = []
    machine, _ = chip()
    s3_board.load("slots")
    loader.start = slot if isinstance(slot, Start) else Start(slot)
    genuine = builtins.__import__

    def take(name, *rest):
        if name in ("boot", "main"):
            imported.append((name, "hal" in sys.modules))
            if name == "main" and main is not None:
                raise main
            return None
        return genuine(name, *rest)

    builtins.__import__ = take
    try:
        run("main.py")
    except machine.Reset:
        imported.append("reset")
    finally:
        builtins.__import__ = genuine
        loader.start = real
    return imported


def test_a_slot_is_started_with_drivers_of_its_own_and_what_ends_is_reset():
    wanted = [("boot", False), ("main", False), "reset"]
    assert started(1) == wanted
    assert started(0, ValueError("a mistake")) == wanted


def test_garbage_is_collected_before_the_heap_is_full_of_holes():
    import gc

    before = gc.threshold()
    try:
        started(0)
        assert gc.threshold() == 4_096, gc.threshold()
    finally:
        gc.threshold(before)


def test_with_neither_slot_whole_nothing_is_started_and_nothing_reset():
    assert started(None) == []
    import machine

    assert machine.chip.watchdog.timeout_us >= 3_600_000_000, "somebody may be at the service port"


def test_what_fails_or_hangs_before_the_firmware_runs_is_reset_by_the_watchdog():
    seen = []

    class Failing(Start):
        def prepare(self, slots):
            import machine

            seen.append(machine.chip.watchdog.timeout_us)
            raise ValueError("no file system in the slot")

    assert started(Failing(0)) == []
    assert seen == [30_000_000]
    import machine

    assert machine.chip.watchdog.timeout_us == 30_000_000, "and nobody feeds it"


def test_ctrl_c_leaves_the_firmware_for_the_service_port():
    try:
        started(0, KeyboardInterrupt())
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not left")


def test_a_container_is_written_tried_and_kept_on_the_chips_own_flash():
    for encrypted in (False, True):
        _written_tried_and_kept(encrypted)


def _written_tried_and_kept(encrypted):
    from update_help import KEYS, container, content, filled
    from update_help import run as run_now

    from loader import start
    from wallbox.update.container import check
    from wallbox.update.writer import Writer

    _, esp32 = chip(encrypted=encrypted)
    slots = s3_board.load("slots")
    first = container(content(5_000, 1), board="wallbox-s3-1", version="1")
    second = container(content(6_001, 2), board="wallbox-s3-1", version="2", counter=4)
    for at in range(0, len(first), 4_096):
        slots.erase(0, at // 4_096)
        slots.write(0, at, filled(first[at : at + 4_096]))
    started = []
    mount, start.mount = start.mount, lambda _slots, slot, size: started.append((slot, size))
    try:
        assert start.prepare(slots) == 0
        target = Writer(slots, 1, len(second), lambda header: check(header, slots, 1, KEYS))
        run_now(target.write(second[:9_000]))
        # The link was cut.
        esp32.power_cut()
        mark = target.head, target.stored, target.crc
        target = Writer(slots, 1, len(second), lambda header: check(header, slots, 1, KEYS))
        assert run_now(target.go_on(*mark)) and target.offset == 8_192
        run_now(target.write(second[8_192:]))
        run_now(target.finish())
        record = start.read(slots)
        record.begin(1, "2")
        slots.save(record.pack())
        esp32.power_cut()
        assert start.prepare(slots) == 1
        record = start.read(slots)
        assert (record.trial, record.tries) == (1, 1)
        record.commit(4)
        slots.save(record.pack())
        esp32.power_cut()
        assert start.prepare(slots) == 1
    finally:
        start.mount = mount
    assert started == [(0, 5_000), (1, 6_001), (1, 6_001)]
    assert (start.read(slots).good, start.read(slots).counter) == (1, 4)
