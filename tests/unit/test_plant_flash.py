"""The flash: power cuts in the middle of writes, images kept in a file, file system on top."""

import gc
import os

import vfs
from plant_bench import Bench, refusal

from hal import flash
from plant import board
from plant.board import PowerCut
from plant.flash import BLOCK_BYTES, BLOCKS, FlashDevice

ERASE = 6
FOLDER = os.getenv("TEST_TMP") or "/tmp/wallbox-unit"


def image_path(name):
    try:
        os.mkdir(FOLDER)
    except OSError:
        # It is there already.
        pass
    path = FOLDER + "/" + name
    try:
        os.remove(path)
    except OSError:
        # Not left over from an earlier run.
        pass
    return path


def read(device, block, offset, size):
    buf = bytearray(size)
    device.readblocks(block, buf, offset)
    return bytes(buf)


def test_a_blank_flash_reads_all_ones_and_keeps_what_is_written():
    device = FlashDevice()
    assert read(device, 5, 0, 8) == b"\xff" * 8
    device.writeblocks(5, b"abcd", 2)
    assert read(device, 5, 0, 8) == b"\xff\xffabcd\xff\xff"
    assert device.ioctl(ERASE, 5) == 0
    assert read(device, 5, 0, 8) == b"\xff" * 8
    assert device.ioctl(4, 0) == BLOCKS and device.ioctl(5, 0) == BLOCK_BYTES
    assert device.writes == 2


def test_a_device_counts_the_pages_and_erases_that_keep_a_chip_busy():
    device = FlashDevice()
    told = []
    device.on_busy = lambda pages, erases: told.append((pages, erases))
    device.ioctl(ERASE, 3)
    device.writeblocks(3, b"a" * 128, 0)
    device.writeblocks(3, b"b" * 4, 254)
    device.writeblocks(3, b"c" * 512, 256)
    assert told == [(0, 1), (1, 0), (2, 0), (2, 0)]
    assert (device.pages, device.erases, device.writes) == (5, 1, 4)
    device.fails = True
    device.ioctl(ERASE, 3)
    device.writeblocks(3, b"d", 0)
    assert (device.pages, device.erases) == (5, 1), "what the chip refused took no time"


def test_a_cut_tears_the_page_that_is_being_written():
    device = FlashDevice()
    device.writeblocks(0, b"oldoldol", 0)
    device.cut_at_write = 2
    device.writeblocks(1, b"x", 0)
    try:
        device.writeblocks(0, b"NEWNEWNE", 0)
    except PowerCut:
        assert read(device, 0, 0, 8) == b"NEWNldol", read(device, 0, 0, 8)
    else:
        raise AssertionError("no power cut")


def test_a_cut_leaves_an_erase_half_done():
    device = FlashDevice()
    device.writeblocks(0, b"a" * BLOCK_BYTES)
    device.cut_at_write = 1
    try:
        device.ioctl(ERASE, 0)
    except PowerCut:
        assert read(device, 0, BLOCK_BYTES // 2 - 1, 2) == b"\xffa"
    else:
        raise AssertionError("no power cut")


def test_no_write_gets_through_until_power_is_back():
    device = FlashDevice()
    device.cut_at_write = 1
    for _ in range(3):
        try:
            device.writeblocks(0, b"ab", 0)
        except PowerCut:
            continue
        raise AssertionError("no power cut")
    assert read(device, 0, 0, 2) == b"a\xff"
    device.power(True)
    device.writeblocks(0, b"ab", 0)
    assert read(device, 0, 0, 2) == b"ab"


def test_no_handler_of_the_firmware_swallows_a_power_cut():
    assert not issubclass(PowerCut, Exception)


def test_a_cut_takes_the_supply_of_the_whole_board():
    bench = Bench()
    flash.mount()
    bench.charge()
    bench.plant.flash_device.cut_at_write = 1
    try:
        with open("/data/a", "w") as file:
            file.write("a" * 1000)
    except PowerCut:
        assert not bench.plant.powered and bench.amps == [0, 0, 0] and bench.sense()[1] == 0
    else:
        raise AssertionError("no power cut")
    finally:
        flash.unmount()


def test_a_failing_flash_gives_an_io_error():
    Bench()
    flash.mount()
    try:
        board.plant.fault("flash_error")
        try:
            with open("/data/a", "w") as file:
                file.write("a" * 1000)
        except OSError as error:
            assert error.errno == 5, error
        else:
            raise AssertionError("no error")
        board.plant.clear("flash_error")
        with open("/data/a", "w") as file:
            file.write("b")
        with open("/data/a") as file:
            assert file.read() == "b"
    finally:
        flash.unmount()


def test_mounting_formats_a_blank_flash_and_keeps_a_formatted_one():
    Bench()
    assert flash.mount() == "/data"
    with open("/data/a", "w") as file:
        file.write("kept")
    flash.unmount()
    flash.mount()
    try:
        with open("/data/a") as file:
            assert file.read() == "kept"
    finally:
        flash.unmount()


def test_mounting_formats_a_flash_full_of_garbage():
    Bench()
    for block in range(4):
        board.plant.flash_device.writeblocks(block, bytes(range(256)) * 16)
    flash.mount()
    try:
        assert os.listdir("/data") == []
    finally:
        flash.unmount()


def test_unmounting_what_is_not_mounted_does_nothing():
    Bench()
    flash.unmount()
    assert "data" not in os.listdir("/")


def test_a_cut_at_any_write_leaves_the_old_or_the_new_file():
    Bench()
    device = board.plant.flash_device
    flash.mount()
    with open("/data/a", "w") as file:
        file.write("old")
    flash.unmount()
    cuts = 0
    while True:
        flash.mount()
        cuts += 1
        device.cut_at_write = cuts
        try:
            with open("/data/new", "w") as file:
                file.write("new" * 100)
            os.rename("/data/new", "/data/a")
        except PowerCut:
            flash.unmount()
            board.plant.power_on()
            gc.collect()
            flash.mount()
            with open("/data/a") as file:
                text = file.read()
            assert text == "old" or text == "new" * 100, (cuts, text)
            with open("/data/a", "w") as file:
                file.write("old")
            flash.unmount()
            continue
        break
    device.cut_at_write = 0
    flash.unmount()
    assert cuts > 4, cuts


def leave_a_file_open():
    file = open("/data/open", "w")  # noqa: SIM115 that is the point
    file.write("x" * 5000)


def test_a_file_left_open_by_an_ended_firmware_never_reaches_the_flash():
    Bench()
    flash.mount()
    leave_a_file_open()
    flash.unmount()
    flash.mount()
    writes = board.plant.flash_device.writes
    gc.collect()
    [bytearray(16) for _ in range(1000)]
    gc.collect()
    try:
        assert board.plant.flash_device.writes == writes
        with open("/data/b", "w") as file:
            file.write("b")
    finally:
        flash.unmount()


def test_an_image_in_a_file_is_kept_between_runs():
    path = image_path("flash.img")
    device = FlashDevice(path)
    vfs.VfsLfs2.mkfs(device)  # type: ignore
    volume = vfs.VfsLfs2(device, mtime=False)  # type: ignore
    with volume.open("/a", "w") as file:
        file.write("kept")
    assert os.stat(path)[6] == BLOCKS * BLOCK_BYTES
    again = vfs.VfsLfs2(FlashDevice(path), mtime=False)  # type: ignore
    with again.open("/a", "r") as file:
        assert file.read() == "kept"
    os.remove(path)


def test_a_file_that_is_no_image_is_refused_and_left_alone():
    path = image_path("other.img")
    with open(path, "w") as file:
        file.write("something else")
    text = refusal(FlashDevice, path)
    assert path in text and "14 bytes" in text and "524288" in text, text
    with open(path) as file:
        assert file.read() == "something else"
    os.remove(path)
