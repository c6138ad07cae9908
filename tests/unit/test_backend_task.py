"""The task of the backend: what is wrong with a central system's side stops no charge (R25, R30)."""

import asyncio

from storage_help import scratch
from virtual_time import Log, Record

from journal import Journal
from wallbox.backend.backend import Backend
from wallbox.backend.wiring import Wiring
from wallbox.installer.commands_upkeep import COMMANDS
from wallbox.storage.store import Store


class Settings(dict):
    listeners = ()

    def __init__(self, **values):
        super().__init__(values)
        self.listeners = []


def app(name, url="ws://central/"):
    return Record(
        folder=scratch("backend-" + name),
        log=Log(),
        settings=Settings(ocpp_url=url, ocpp_password="", charge_point_id="box"),
        session=Record(listeners=[], held=None),
        access=Record(decide=None),
        clock=Record(listeners=[]),
    )


def test_what_cannot_be_loaded_leaves_the_wallbox_starting():
    box = app("rubbish")
    Store(box.folder, "ocpp_config", 1, box.log).save(["of", "another", "form"])
    backend = Backend(box)
    assert backend.wiring is None and box.access.decide is None
    assert backend.status() == {"connected": False, "url": "ws://central/"}
    assert [entry[:2] for entry in box.log.entries] == [("error", "failed")], box.log.entries


def test_a_session_goes_on_when_telling_of_it_fails():
    box = app("full-heap", "")
    backend = Backend(box)
    failures = []

    def session_changed(begun):
        raise MemoryError(begun)

    backend.wiring = Record(session_changed=session_changed, point=Record(failed=failures.append))
    for begun in (True, False):
        box.session.listeners[0](begun)
    assert [error.args for error in failures] == [(True,), (False,)]


def test_a_firmware_that_is_kept_is_told_once_and_no_failure_of_telling_it_goes_further():
    box = app("events", "")
    backend = Backend(box)
    backend.security_event("InvalidFirmwareSignature", "nobody is there")
    backend.firmware_updated("2.0")
    told, failures = [], []
    upkeep = Record(installing=False)
    security = Record(event=lambda *what: told.append(what))
    backend.wiring = Record(point=Record(upkeep=upkeep, security=security, failed=failures.append))
    backend.security_event("InvalidFirmwareSignature", "wrong")
    backend.firmware_updated("2.0")
    assert told == [("InvalidFirmwareSignature", "wrong"), ("FirmwareUpdated", "2.0")]
    # What the central system has ordered it tells by itself.
    upkeep.installing = True
    backend.firmware_updated("2.0")
    assert len(told) == 2

    def event(*_what):
        raise MemoryError

    security.event = event
    backend.security_event("InvalidFirmwareSignature", "wrong")
    assert len(failures) == 1


class Half(Wiring):
    """The part of a wiring that decides cards."""

    def __init__(self, app, point):
        self._app = app
        self._card = None
        self._uid = None
        self.point = point


def test_a_card_that_is_shown_while_another_is_decided_is_refused_with_a_sound():
    answers = []
    free = asyncio.Event()

    async def card(_uid):
        await free.wait()
        return True, "authorises charging"

    def answer(uid, accepted, text):
        answers.append((uid, accepted, text))

    point = Record(card=card, station_changed=lambda: None)
    wiring = Half(Record(access=Record(answer=answer)), point)

    async def steps():
        wiring.card("A")
        await asyncio.sleep_ms(1)
        wiring.card("A")
        wiring.card("B")
        assert answers == [("B", False, "was refused: another card is being looked at")]
        free.set()
        await asyncio.sleep_ms(1)
        assert answers[1:] == [("A", True, "authorises charging")]
        wiring.card("B")
        await asyncio.sleep_ms(1)
        assert answers[2:] == [("B", True, "authorises charging")]

    asyncio.run(steps())


def test_what_is_let_go_decides_no_card_any_more_and_ends_its_transaction():
    happened = []
    forever = asyncio.Event()

    async def card(_uid):
        await asyncio.sleep_ms(50)
        happened.append("authorised")
        return True, "authorises charging"

    def answer(_uid, accepted, text):
        happened.append((accepted, text))

    point = Record(
        card=card,
        run=forever.wait,
        station_changed=lambda: None,
        end_transaction=lambda reason: happened.append(reason),
    )
    wiring = Half(Record(access=Record(answer=answer), clock=Record(listeners=[])), point)
    wiring._watch = forever.wait

    async def steps():
        changed = asyncio.Event()
        task = asyncio.create_task(wiring.run(changed))
        wiring.card("A")
        await asyncio.sleep_ms(1)
        changed.set()
        await task
        await asyncio.sleep_ms(100)

    asyncio.run(steps())
    assert happened == ["Other", (False, "was refused: the backend begins anew")], happened


def test_a_session_whose_transaction_finds_no_room_begins_it_with_the_next_change():
    found = []
    full = [MemoryError("no room")]

    def session_began(id_tag):
        if full:
            raise full.pop()
        found.append(id_tag)
        point.transactions.current = id_tag

    failed = []
    point = Record(session_began=session_began, transactions=Record(current=None), failed=failed.append)
    session = Record(active=True, recorded=True, authorised=True, id_tag="A")
    wiring = Half(Record(session=session, log=Log()), point)
    wiring.station = Record(began=lambda: None)
    wiring._missed = False
    for tries in ([], ["A"], ["A"]):
        wiring._take_up()
        assert found == tries and len(failed) == 1


def test_what_waits_for_flash_is_kept_before_the_installer_restarts_the_box_and_nothing_stops_the_restart():
    calls = []
    box = app("restart", "")
    box.backend = Backend(box)
    box.snapshot = Record(contactor_commanded=False)
    box.clock = Record(utc_iso=lambda: None, uptime_s=lambda: 0)
    box.security = Journal(box.folder, "security")
    box.restart = calls.append

    def keep():
        calls.append("kept")
        raise MemoryError("no room")

    link = Record(app=box, role="owner", after=None)
    for point in (None, Record(keep=keep, failed=lambda error: calls.append(error.args))):
        box.backend.wiring = point and Record(point=point)
        COMMANDS["restart"][1](link, {"confirm": True})
        link.after()
    restart = "restart by installer"
    assert calls == [restart, "kept", ("no room",), restart]
