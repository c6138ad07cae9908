"""Takes a container from whoever sends it: what is refused and told, and what cuts, waits and other senders do."""

import asyncio
import json
import os

from storage_help import scratch
from update_help import KEYS, Slots, container, content, head, keep, kept, manifest, put, run, unsigned
from virtual_time import Log, Record, VirtualTime

import loader
from hal import slots
from journal import Journal
from loader import record as records
from loader import start
from loader.header import Refused
from wallbox.backend.image import Place
from wallbox.installer.errors import CommandError
from wallbox.installer.image import Image
from wallbox.update import receiver, service
from wallbox.update.serial import Serial

ROMFS = content(9_000, 2)
FIRST = container(content(5_000, 1), version="1")
SECOND = container(ROMFS, version="2")
PIECE = 1_000


class Clock:
    now_ms = 0

    def ticks_ms(self):
        return self.now_ms

    def uptime_s(self):
        return self.now_ms // 1_000

    def utc_iso(self):
        return None


class Box:
    """A wallbox that runs from slot a; `events` are what the central system would hear."""

    def __enter__(self):
        self.slots = Slots()
        flash = self.slots.__enter__()
        self.flash = flash.flash
        put(0, FIRST)
        keep(good=0, counter=1)
        loader.running = 0
        self._keys = receiver.KEYS
        receiver.KEYS = KEYS
        self.folder = scratch("receiver")
        self.log = Log()
        self.clock = Clock()
        self.events = []
        self.limits = set()
        self.backend = Record(security_event=lambda kind, info: self.events.append(kind))
        self.offer = Record(set=lambda name, *_: self.limits.add(name), clear=lambda name: self.limits.discard(name))
        self.snapshot = Record(updating=False, changed=asyncio.Event())
        self.session = Record(active=False)
        self.security = Journal(self.folder, "security", 4)
        self._load, service.load = service.load, self._module
        self.restart()
        return self

    def _module(self, name):
        """The module with the keys of these tests."""
        assert name == "receiver"
        return receiver

    def restart(self):
        self.flash.power(True)
        self.flash.cut_at_write = 0
        self.update = service.Update(self)

    def __exit__(self, kind, value, trace):
        receiver.KEYS = self._keys
        service.load = self._load
        self.slots.__exit__(kind, value, trace)

    def send(self, data, size=None):
        """Send all of a container -> None, or how it was refused."""
        target = self.update.receive("OCPP", size)
        try:
            for at in range(0, len(data), PIECE):
                run(target.write(data[at : at + PIECE]))
            run(target.finish())
        except Refused as error:
            return error.code
        return None

    def noted(self):
        """The newest entry of the security log."""
        return json.loads(self.security.last())


def failed(call, *arguments):
    """The error of a call."""
    try:
        found = call(*arguments)
        if hasattr(found, "send"):
            run(found)
    except (OSError, ValueError, CommandError) as error:
        return error
    raise AssertionError("it went well")


def test_what_is_refused_stands_in_the_security_log_and_what_is_forged_is_told_to_the_central_system():
    spoilt = SECOND[:-1] + bytes((SECOND[-1] ^ 1,))
    other = head(manifest(ROMFS), 9) + ROMFS
    for data, code, told in (
        (container(ROMFS, unsigned), "signature", True),
        (other, "key", True),
        (spoilt, "damaged", True),
        (container(ROMFS, counter=0), "counter", False),
        (container(ROMFS, board="another"), "board", False),
        (b"no firmware " * 400, "magic", False),
    ):
        with Box() as box:
            assert box.send(data) == code
            assert box.events == (["InvalidFirmwareSignature"] if told else []), code
            entry = box.noted()
            assert (entry["what"], entry["role"]) == ("firmware", "OCPP") and entry["result"].startswith("refused: ")
            assert kept().trial is None and box.update.state == service.IDLE and not box.limits
            assert start.sound(slots, 1) is None


def test_what_is_installed_stands_in_the_security_log():
    with Box() as box:
        assert box.send(SECOND) is None
        assert box.noted()["result"] == "installed 2" and box.events == []
        assert (kept().trial, box.update.state) == (1, service.RESTART)


def test_what_runs_comes_back_though_the_record_names_the_other_slot():
    with Box() as box:
        keep(good=1, counter=1)
        box.restart()
        assert box.send(SECOND) is None
        assert (kept().good, kept().trial) == (0, 1)


def test_without_a_record_nothing_is_taken_since_it_may_be_too_old():
    with Box() as box:
        load = slots.load

        def fails():
            raise OSError(5)

        slots.load = fails
        try:
            box.restart()
            before = box.flash.writes
            target = box.update.receive("OCPP", None)
            assert "cannot be read" in str(failed(target.write, SECOND[:4_096]))
            assert box.flash.writes == before and box.update.state == service.IDLE
        finally:
            slots.load = load
        # It can be read again: the counter in it counts.
        assert box.send(container(ROMFS, counter=0)) == "counter"


def test_nor_does_the_service_port_take_anything_without_a_record():
    with Box():
        assert Serial(slots, len(SECOND), KEYS).take("") == 0
        slots.save(b"")
        slots.save(b"damaged")
        assert "cannot be read" in str(failed(Serial, slots, len(SECOND), KEYS))


def test_an_update_that_a_cut_ends_before_it_is_installed_has_not_ended_as_the_one_before():
    with Box() as box:
        keep(good=0, counter=1, ended=records.COMMITTED, version="1")
        box.restart()
        assert box.update.result() == (True, "")
        target = box.update.receive("OCPP", None)
        run(target.write(SECOND))
        box.restart()
        assert box.update.result() == (False, "no new firmware was started")
        assert kept().good == 0 and kept().counter == 1


def test_what_comes_after_a_silence_is_not_written_as_a_car_may_charge_by_then():
    with Box() as box:
        target = box.update.receive("OCPP", None)
        run(target.write(SECOND[:5_000]))
        box.clock.now_ms += 119_999
        run(target.write(SECOND[5_000:6_000]))
        box.clock.now_ms += 120_000
        before = box.flash.writes
        assert "given up" in str(failed(target.write, SECOND[6_000:]))
        assert box.flash.writes == before
        assert box.update.state == service.IDLE and not box.limits and "silent" in box.log.codes()


class Restarted(Exception):
    pass


def test_the_restart_waits_for_the_answer_and_for_the_session_and_keeps_what_is_not_on_flash():
    with Box() as box:
        assert box.send(SECOND) is None
        box.session.active = True
        box.done = []
        box.backend.keep = lambda: box.done.append("kept")

        def restart(_reason):
            box.done.append(time.now_ms)
            raise Restarted

        box.restart = restart
        time = VirtualTime()
        box.clock.poll = time.poll

        async def unplug():
            await asyncio.sleep_ms(60_000)
            assert box.done == []
            box.session.active = False

        async def both():
            task = asyncio.create_task(unplug())
            try:
                await receiver.watch(box, box.update)
            except Restarted:
                await task

        asyncio.run(both())
        assert box.done[0] == "kept" and 60_000 <= box.done[1] < 71_000, box.done


def test_a_second_update_waits_for_the_first():
    with Box() as box:
        box.update.receive("Bluetooth", len(SECOND))
        assert "over Bluetooth" in str(failed(box.update.receive, "OCPP", None))
        place = Place(box)
        run(place.write(SECOND[:100]))
        run(place.write(SECOND[100:]))
        assert "over Bluetooth" in str(failed(place.install))
        place.discard()
        assert box.update.state == service.RECEIVING and start.sound(slots, 1) is None


# -- from the central system -------------------------------------------------------------------------


def placed(box):
    """All of a firmware downloaded, and a wait that is longer than cars have to wait."""
    place = Place(box)
    for at in range(0, len(SECOND), PIECE):
        run(place.write(SECOND[at : at + PIECE]))
    box.clock.now_ms += 3_600_000
    assert not box.update.receiver.look()
    assert not box.limits
    return place


def test_a_firmware_that_waits_for_its_time_is_installed_then():
    with Box() as box:
        place = placed(box)
        run(place.install())
        assert kept().trial == 1 and start.sound(slots, 1).version == "2"
    with Box() as box:
        # Nobody has looked yet whether it is silent.
        place = Place(box)
        run(place.write(SECOND))
        box.clock.now_ms += 3_600_000
        run(place.install())
        assert kept().trial == 1


def test_a_firmware_that_waits_for_its_time_is_judged_again_and_must_be_there_still():
    with Box() as box:
        place = placed(box)
        box.session.active = True
        assert "charging" in str(failed(place.install))
        box.session.active = False
        run(place.install())
        assert kept().trial == 1
    with Box() as box:
        place = placed(box)
        target = box.update.receive("Bluetooth", None)
        run(target.write(container(content(9_000, 5), version="3")))
        target.close()
        assert "written over" in str(failed(place.install))
        assert kept().trial is None and box.update.state == service.IDLE and not box.limits
    with Box() as box:
        place = placed(box)
        keep(good=0, counter=2)
        assert "older" in str(failed(place.install))
        assert kept().trial is None


# -- from an app -------------------------------------------------------------------------------------


def digest(data):
    from binascii import hexlify
    from hashlib import sha256

    return hexlify(sha256(data).digest()).decode()


def opened(box, data):
    upload = Image(Record(app=box), len(data), digest(data), {})
    run(upload.begin())
    return upload


LARGE = container(content(80_000, 3), version="4")


def test_an_upload_goes_on_after_a_cut_of_the_supply_and_loses_32_kb_at_most():
    with Box() as box:
        upload = opened(box, LARGE)
        while upload.offset < 79_000:
            run(upload.write(LARGE[upload.offset : upload.offset + PIECE]))
        had = upload.stored
        box.restart()
        upload = opened(box, LARGE)
        assert had - 32_768 <= upload.offset <= had and upload.offset % slots.SECTOR == 0
        assert upload.stored == upload.offset
        while upload.offset < len(LARGE):
            run(upload.write(LARGE[upload.offset : upload.offset + PIECE]))
        assert run(upload.finish({}))["installed"]
        assert start.sound(slots, 1).version == "4"


def test_an_upload_goes_on_after_a_cut_of_the_link_and_loses_less_than_a_sector():
    with Box() as box:
        upload = opened(box, LARGE)
        while upload.offset < 79_000:
            run(upload.write(LARGE[upload.offset : upload.offset + PIECE]))
        upload.close()
        assert opened(box, LARGE).offset == 79_000 // 4_096 * 4_096


def test_an_upload_begins_anew_where_another_was_written_over_it():
    other = container(content(70_000, 9), version="5")
    for restarts in (False, True):
        with Box() as box:
            upload = opened(box, LARGE)
            while upload.offset < 79_000:
                run(upload.write(LARGE[upload.offset : upload.offset + PIECE]))
            upload.close()
            target = box.update.receive("OCPP", None)
            run(target.write(other[:20_000]))
            target.close()
            if restarts:
                box.restart()
            upload = opened(box, LARGE)
            assert upload.offset == 0
            while upload.offset < len(LARGE):
                run(upload.write(LARGE[upload.offset : upload.offset + PIECE]))
            assert run(upload.finish({}))["installed"]


def test_a_mark_of_another_form_is_none():
    from wallbox.storage.store import Store

    with Box() as box:
        upload = opened(box, LARGE)
        run(upload.write(LARGE[:9_000]))
        for mark in (5, [], [digest(LARGE)], [digest(LARGE), "5", 0], {"firmware": 1}, [digest(LARGE), 8_192, None]):
            Store(box.folder, "firmware", 1, box.log).save(mark)
            box.restart()
            upload = opened(box, LARGE)
            assert upload.offset == 0, mark
            upload.close()


def test_no_flash_for_the_mark_ends_the_upload_and_nothing_is_started():
    with Box() as box:
        upload = opened(box, LARGE)
        os.mkdir(box.folder + "/firmware.head")
        try:
            error = failed(upload.write, LARGE[:5_000])
            assert isinstance(error, CommandError) and error.answer["code"] == "flash"
        finally:
            os.rmdir(box.folder + "/firmware.head")
        assert box.update.state == service.IDLE and kept().trial is None
