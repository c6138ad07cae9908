"""boards/esp32s3/hal/flash.py with the real littlefs on a stand-in of the chip's flash (R30)."""

import os

import s3_board
import vfs
from virtual_time import Log

# 0x25E000 less: the tests need not fill it.
_SIZE = 64 * 4096
# A file of a bare name that the file system does not get stays among what tests leave.
_HERE = os.getenv("TEST_TMP")


def _fresh(label="vfs"):
    global esp32
    os.chdir(_HERE)
    _, esp32 = s3_board.chip()
    esp32.partition(label, _SIZE)
    return s3_board.load("flash")


def _leave(flash):
    flash.unmount()
    os.chdir(_HERE)


def _leave_with(flash, name, text):
    _write(flash.mount() + "/" + name, text)
    _leave(flash)


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def _read(path):
    with open(path) as file:
        return file.read()


def test_a_blank_flash_is_formatted_and_holds_files_over_a_restart():
    flash = _fresh()
    folder = flash.mount()
    try:
        _write(folder + "/settings", "kept")
    finally:
        _leave(flash)
    flash = s3_board.load("flash")
    assert flash.mount() == folder
    try:
        assert _read(folder + "/settings") == "kept"
    finally:
        _leave(flash)


def test_a_file_by_its_bare_name_lies_beside_the_others():
    flash = _fresh()
    folder = flash.mount()
    try:
        _write("bonds.json", "{}")
        assert _read(folder + "/bonds.json") == "{}"
    finally:
        _leave(flash)


def test_nobody_else_has_it_mounted_meanwhile():
    flash = _fresh()
    # As MicroPython's _boot.py and flashbdev.py do, at another place.
    device = esp32.Partition("vfs")
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(vfs.VfsLfs2(device), "/start")
    _write("/start/settings", "kept")
    for _ in range(2):
        folder = flash.mount()
        mounted = [path for volume, path in vfs.mount() if isinstance(volume, vfs.VfsLfs2)]
        assert mounted == [folder]
        assert _read(folder + "/settings") == "kept"
    _leave(flash)


def test_a_flash_that_holds_something_else_is_formatted():
    flash = _fresh()
    device = esp32.Partition("vfs")
    for block in range(4):
        device.writeblocks(block, b"rubbish!" * 512)
    folder = flash.mount()
    try:
        assert os.listdir(folder) == []
    finally:
        _leave(flash)


def test_a_first_start_that_is_cut_off_while_it_formats_is_made_up_for_by_the_next():
    for left in range(1, 40):
        flash = _fresh()
        whole = esp32.Partition.writeblocks
        writes = [left]

        def cut(self, block, buf, offset=None, whole=whole, writes=writes):
            writes[0] -= 1
            if writes[0] <= 0:
                whole(self, block, memoryview(buf)[: len(buf) // 2], offset)
                raise OSError(-0x103)
            return whole(self, block, buf, offset)

        esp32.Partition.writeblocks = cut
        try:
            flash.mount()
            done = True
        except OSError:
            done = False
        finally:
            os.chdir(_HERE)
            esp32.Partition.writeblocks = whole
        if done:
            _leave(flash)
            assert left > 1
            return
        folder = flash.mount()
        _write(folder + "/settings", "works")
        _leave(flash)
    raise AssertionError("formatting never ended")


def test_a_flash_that_cannot_be_read_is_not_formatted():
    flash = _fresh()
    folder = flash.mount()
    _write(folder + "/settings", "kept")
    _leave(flash)
    whole = esp32.Partition.readblocks

    def fail_once(self, block_num, buf, offset=0):
        esp32.Partition.readblocks = whole
        raise OSError(-0x103)

    esp32.Partition.readblocks = fail_once
    try:
        flash.mount()
    except OSError:
        pass
    else:
        raise AssertionError("mounted")
    folder = flash.mount()
    try:
        assert _read(folder + "/settings") == "kept"
    finally:
        _leave(flash)


def _identity():
    """What production writes, as its file."""
    from wallbox.storage.store import Store

    folder = os.getenv("TEST_TMP")
    log = Log()
    Store(folder, "identity", 1, log).save({"serial": "WB2648-0001", "passkey": "012345", "key": "5a" * 32})
    with open(folder + "/identity.0", "rb") as file:
        return file.read()


def test_an_identity_of_production_outlives_the_file_system():
    from wallbox.installer import identity

    flash = _fresh()
    s3_board.load("nvs").save("identity", _identity())
    for _ in range(2):
        # A second time after the first sectors are lost.
        esp32.partition("vfs", _SIZE)
        folder = flash.mount()
        try:
            log = Log()
            found = identity.load(folder, log)
            assert (found["serial"], found["passkey"]) == ("WB2648-0001", "012345")
            assert log.entries == []
            assert os.listdir(folder) == ["identity.0"]
        finally:
            _leave(flash)


def test_an_identity_that_is_there_is_not_written_again():
    flash = _fresh()
    s3_board.load("nvs").save("identity", b"of production")
    _leave_with(flash, "identity.0", "newer")
    folder = flash.mount()
    try:
        assert _read(folder + "/identity.0") == "newer"
    finally:
        _leave(flash)


def test_a_wallbox_without_an_identity_of_production_gets_no_file():
    flash = _fresh()
    folder = flash.mount()
    try:
        assert os.listdir(folder) == []
    finally:
        _leave(flash)


def test_without_its_partition_there_is_no_file_system():
    flash = _fresh("ffat")
    try:
        flash.mount()
    except OSError:
        return
    raise AssertionError("mounted")


def test_unmounting_what_is_not_mounted_is_harmless():
    flash = _fresh()
    _leave(flash)
