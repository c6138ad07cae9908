"""History, logs and trips as downloads: complete, in order, from any offset, and told apart when they change."""

import json

from installer_help import App, Link, fetched
from storage_help import Clock, Log, scratch

from wallbox.events import EventLog
from wallbox.installer import history, logs, trips
from wallbox.installer.errors import CommandError
from wallbox.installer.streams import Stream, cell, row
from wallbox.storage.sessions import SessionStore

UID = "04A1B2C3D4E5F6"


class Cards:
    names = {UID: '=HYPERLINK("x")'}


def with_sessions(folder, count, role="expert"):
    store = SessionStore(scratch(folder), Log())
    for number in range(count):
        store.open({"id_tag": UID if number % 2 else None, "start_utc": 1767225600 + number * 86400})
        store.close('pulled, "hard"' if number == 1 else "unplugged", 5000 + number, 3600)
    return Link(App(store=store, cards=Cards()), role)


class Recorder:
    """Two trips of three samples."""

    def __init__(self):
        self.trips = [{"sequence": 8, "utc": None, "uptime_ms": 5, "fault": "weld"}]
        self.trips.append({"sequence": 7, "utc": "2026-01-01T00:00:00Z", "uptime_ms": 4, "fault": "pe"})

    def status(self):
        return [dict(trip) for trip in self.trips]

    def samples(self, index):
        for ms in (-20, 0, 20):
            yield (ms, 9000, -12000, 10, 20, 1, 2, 3, 16000, 1 << 4 | 8 | 5)


def lines(data):
    assert data.endswith(b"\r\n")
    return data.decode()[:-2].split("\r\n")


async def refused(download, offset):
    try:
        await download.read(offset, 100)
    except CommandError as error:
        assert error.answer["code"] == "not_now"
        return error.answer["text"]
    raise AssertionError("read although the content changed")


def test_a_cell_is_quoted_when_it_must_be_and_never_a_formula():
    assert row((1, None, True, "a", "b c")) == "1,,true,a,b c\r\n"
    assert cell('say "x", please') == '"say ""x"", please"'
    assert cell("two\nlines") == '"two\nlines"'
    for formula in ("=1+1", "+1", "-1", "@SUM", "\tx"):
        assert cell(formula) == "'" + formula
    assert cell("=A1,B1") == '"\'=A1,B1"'
    assert cell(-5) == "-5"


async def test_a_history_of_160_sessions_comes_whole_as_csv():
    link = with_sessions("downloads-csv", 160)
    kept = link.app.store.history(999)
    assert len(kept) >= 150
    download = history.Csv(link, {})
    found = lines(await fetched(download))
    assert found[0] == "id,start,duration_s,energy_wh,card,card_name,stop_reason"
    assert [line.split(",")[0] for line in found[1:]] == [str(record["id"]) for record in reversed(kept)]
    assert found[-1] == '160,2026-06-09T00:00:00Z,3600,5159,%s,"\'=HYPERLINK(""x"")",unplugged' % UID, found[-1]


async def test_the_history_as_json_tells_the_same_as_the_csv():
    link = with_sessions("downloads-json", 3)
    sessions = json.loads(await fetched(history.Json(link, {})))["sessions"]
    assert [session["id"] for session in sessions] == [1, 2, 3]
    assert sessions[0]["card"] is None and sessions[0]["start"] == "2026-01-01T00:00:00Z"
    assert sessions[1] == {
        "id": 2,
        "start": "2026-01-02T00:00:00Z",
        "duration_s": 3600,
        "energy_wh": 5001,
        "card": UID,
        "card_name": '=HYPERLINK("x")',
        "stop_reason": 'pulled, "hard"',
    }, sessions[1]
    assert b'"pulled, ""hard"""' in await fetched(history.Csv(link, {}))


async def test_an_empty_history_is_a_header_or_an_empty_list():
    link = with_sessions("downloads-empty", 0)
    assert len(lines(await fetched(history.Csv(link, {})))) == 1
    assert json.loads(await fetched(history.Json(link, {}))) == {"sessions": []}


async def test_only_an_expert_sees_whole_card_numbers():
    link = with_sessions("downloads-masked", 4)
    expert = history.Csv(link, {})
    link.role = "owner"
    owner = history.Csv(link, {})
    assert UID.encode() in await fetched(expert)
    data = await fetched(owner)
    assert UID.encode() not in data and b"...E5F6" in data
    assert expert.etag != owner.etag


async def test_a_download_is_the_same_from_any_offset_and_in_any_pieces():
    link = with_sessions("downloads-offsets", 30)
    whole = await fetched(history.Csv(link, {}))
    for count in (1, 7, 1000, 16384):
        assert await fetched(history.Csv(link, {}), count) == whole
    for offset in (1, 500, len(whole) - 1, len(whole)):
        download = history.Csv(link, {})
        assert await fetched(download, offset=offset) == whole[offset:]
        assert await fetched(download, offset=3) == whole[3:]
    assert await history.Csv(link, {}).read(len(whole) + 5, 10) == b""


async def test_a_session_that_ends_changes_the_etag_and_ends_the_reading():
    link = with_sessions("downloads-changed", 10)
    download = history.Csv(link, {})
    assert download.etag == history.Csv(link, {}).etag
    assert download.etag != history.Json(link, {}).etag
    await download.read(0, 100)
    link.app.store.open({"id_tag": None})
    await download.read(100, 100)
    link.app.store.close("unplugged", 1, 1)
    assert "open it again" in await refused(download, 200)
    assert download.etag != history.Csv(link, {}).etag


async def test_the_log_as_csv_has_all_entries_of_when_it_was_opened():
    log = EventLog(Clock())
    log.attach(scratch("downloads-log"))
    log.add("error", "rcm", "trip", "=cmd|' /C calc'!A0", value=9)
    log.add("info", "pilot", "state", 'A1 -> B1, "quoted"\nand more')
    log.flush()
    link = Link(App())
    link.app.log = log
    download = logs.Log(link, {})
    await download.read(0, 10)
    log.add("info", "later", "later", "later")
    data = await fetched(download, offset=10)
    assert b"later" not in data
    found = (await fetched(logs.Log(link, {}))).decode().split("\r\n")
    assert found[0] == "seq,utc,uptime_ms,level,source,code,text,context"
    assert found[1] == '1,,0,error,rcm,trip,\'=cmd|\' /C calc\'!A0,"{""value"": 9}"', found[1]
    assert found[2] == '2,,0,info,pilot,state,"A1 -> B1, ""quoted""\nand more",', found[2]
    assert found[3].startswith("3,,0,info,later") and found[4:] == [""]


async def test_the_log_cannot_be_read_again_when_it_has_grown():
    log = EventLog(Clock())
    log.add("info", "a", "a", "a")
    link = Link(App())
    link.app.log = log
    download = logs.Log(link, {})
    whole = await fetched(download)
    assert await fetched(download) == whole
    etag = download.etag
    log.add("info", "b", "b", "b")
    assert "open it again" in await refused(download, 0)
    assert logs.Log(link, {}).etag != etag


async def test_a_trip_as_csv_has_a_line_for_each_sample():
    link = Link(App(recorder=Recorder()))
    found = lines(await fetched(trips.Csv(link, {"index": 1})))
    assert found[0] == ",".join(trips.COLUMNS)
    assert found[1] == "-20,9000,-12000,10,20,1,2,3,16000,1,5,A2", found[1]
    assert len(found) == 4


async def test_a_new_trip_changes_the_etag_and_ends_the_reading():
    recorder = Recorder()
    link = Link(App(recorder=recorder))
    newest = trips.Csv(link, {})
    older = trips.Csv(link, {"index": 1})
    assert newest.etag != older.etag
    recorder.trips.insert(0, {"sequence": 9, "utc": None, "uptime_ms": 6, "fault": "weld"})
    assert "open it again" in await refused(newest, 0)
    assert trips.Csv(link, {"index": 1}).etag == newest.etag
    recorder.trips = []
    assert "open it again" in await refused(older, 0)


def test_trips_are_listed_newest_first_with_index_and_code():
    found = trips.listed(Recorder())
    assert found[0] == {"index": 0, "code": "weld", "sequence": 8, "utc": None, "uptime_ms": 5}, found
    assert found[1]["index"] == 1 and found[1]["code"] == "pe"


def test_a_trip_that_is_not_there_is_refused_with_what_is_allowed():
    recorder = Recorder()
    for wrong in (2, -1, "0", True, None):
        try:
            trips.index_of(recorder, {"index": wrong})
        except CommandError as error:
            assert error.answer["field"] == "index" and "0..1" in error.answer["text"], error.answer
        else:
            raise AssertionError("took %r" % (wrong,))
    recorder.trips = []
    try:
        trips.index_of(recorder, {})
    except CommandError as error:
        assert error.answer["code"] == "not_now" and "no trip is recorded" in error.answer["text"]
    else:
        raise AssertionError("took a trip of none")


async def test_the_event_loop_has_its_turn_while_pieces_are_made():
    import asyncio

    class Long(Stream):
        def mark(self):
            return 0

        def pieces(self):
            for number in range(100):
                self.made = number
                yield "x"

    turns = []

    async def watch(download):
        while True:
            turns.append(download.made if hasattr(download, "made") else 0)
            await asyncio.sleep_ms(0)

    download = Long()
    task = asyncio.create_task(watch(download))
    assert len(await download.read(0, 1000)) == 100
    task.cancel()
    steps = [after - before for before, after in zip(turns, turns[1:])]
    assert len(turns) > 20 and max(steps) <= 4, turns
