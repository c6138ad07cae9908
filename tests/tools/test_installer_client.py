"""The installer's client against a wallbox that cuts, drops, repeats, reorders, delays and stays silent."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from contract_box import ContractBox

from installer.client import WINDOW_BYTES, Client, is_reading
from installer.errors import InstallerError, LinkLost, NoConnection, Refused

LIMIT_S = 20


def play(box: ContractBox, story: Callable[[Client], Awaitable], **options):
    """Run a story with a connected client."""

    async def run():
        async with asyncio.timeout(LIMIT_S):
            async with Client(box.connect, pause_s=0.01, **{"reconnect_s": 0.5, **options}) as client:
                return await story(client)

    return asyncio.run(run())


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_it_says_hello_first_and_knows_the_wallbox():
    box = ContractBox()

    async def story(client):
        return client.hello["serial"]

    assert play(box, story) == "W1"


def test_another_version_of_the_protocol_ends_it():
    box = ContractBox()
    box.protocol = 2
    with pytest.raises(InstallerError, match="version 2 of the protocol, this program 1"):
        play(box, None)  # type: ignore[arg-type]
    assert box.connections == 1


def test_a_wallbox_out_of_reach_is_no_connection_at_once():
    async def nobody():
        raise NoConnection("nobody")

    async def run():
        async with Client(nobody):
            pass

    with pytest.raises(NoConnection, match="nobody"):
        asyncio.run(run())


def test_an_error_answer_keeps_code_field_and_text():
    async def story(client):
        await client.login("expert", "1916")
        with pytest.raises(Refused) as error:
            await client.request("settings", set={"rated_a": 17})
        return error.value

    error = play(ContractBox(), story)
    assert (error.code, error.field, error.exit_code) == ("bad_value", "rated_a", 5)
    assert str(error) == "rated_a: 17 is not allowed; allowed: 0, 6, 16, 32 A"


def test_requests_at_the_same_time_get_their_own_answers():
    async def story(client):
        return await asyncio.gather(client.request("why"), client.request("faults"), client.request("hello"))

    why, faults, hello = play(ContractBox(), story)
    assert (list(why), "clearable" in faults, hello["product"]) == (["why"], True, "wallbox")


def test_an_answer_that_does_not_come_is_an_error_after_the_timeout():
    box = ContractBox()
    box.deaf.add("service")

    async def story(client):
        await client.login("expert", "1916")
        with pytest.raises(LinkLost, match="'service' in 0.05 s; whether 'service' was done is not known"):
            await client.request("service", confirm=True, timeout_s=0.05)

    play(box, story)
    assert [request for request in box.requests if request == {"confirm": True}] == [{"confirm": True}]


def test_a_question_is_repeated_over_a_new_connection_with_the_role_regained():
    box = ContractBox()

    async def story(client):
        await client.login("owner", "")
        box.cut_in.add(box.frames_in + 1)
        cards = await client.request("cards")
        return cards["charging"][0]["name"]

    assert play(box, story) == "Ann"
    assert box.connections == 2


def test_a_change_is_not_repeated_when_nobody_knows_whether_it_was_done():
    box = ContractBox()

    async def story(client):
        await client.login("expert", "1916")
        box.cut_out.add(box.frames_out + 1)
        with pytest.raises(LinkLost, match="look before you repeat it"):
            await client.request("settings", set={"rated_a": 16})
        return await client.request("settings")

    assert play(box, story)["settings"]["rated_a"] == 16
    assert sum("set" in request for request in box.requests) == 1


@pytest.mark.parametrize(
    ("do", "arguments", "reading"),
    [
        ("status", {}, True),
        ("settings", {}, True),
        ("settings", {"set": {}}, False),
        ("wizard", {}, True),
        ("wizard", {"confirm": True}, False),
        ("scan", {}, True),
        ("scan", {"start": True}, False),
        ("restart", {"confirm": True}, False),
        ("card", {"uid": "0"}, False),
    ],
)
def test_only_questions_count_as_reading(do, arguments, reading):
    assert is_reading(do, arguments) is reading


def test_it_gives_up_when_the_wallbox_does_not_come_back():
    box = ContractBox()

    async def story(client):
        box.refuse_connections = 1_000_000
        box.cut_in.add(box.frames_in + 1)
        with pytest.raises(LinkLost, match="did not come back: out of reach"):
            await client.request("why")

    play(box, story, reconnect_s=0.1)


def test_it_comes_back_after_some_failed_tries_and_tells_of_both():
    box = ContractBox()
    notices = []

    async def story(client):
        box.refuse_connections = 3
        box.cut_in.add(box.frames_in + 1)
        return await client.request("why")

    assert play(box, story, on_notice=notices.append)["why"]["code"] == "no_car"
    assert [notice.split(" (")[0] for notice in notices] == ["connection lost", "connected again"]


# -- frames that go wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", range(1, 6))
def test_a_lost_frame_of_a_request_makes_it_send_the_request_again(lost):
    box = ContractBox()

    async def story(client):
        await client.login("owner", "")
        box.drop_in.add(box.frames_in + lost)
        return await client.request("settings", set={"name": "n" * 1000})

    # The last frame of a request may be lost without a trace: nothing follows that would show it.
    if lost == 5:
        with pytest.raises(LinkLost, match="did not answer"):
            play(box, lambda client: _timed(client, box))
        return
    assert play(box, story)["settings"]["name"] == "n" * 1000
    assert box.connections == 1
    assert sum("set" in request for request in box.requests) == 1


async def _timed(client, box):
    await client.login("owner", "")
    box.drop_in.add(box.frames_in + 5)
    await client.request("settings", set={"name": "n" * 1000}, timeout_s=0.3)


@pytest.mark.parametrize("which", range(1, 6))
def test_a_frame_that_arrives_twice_changes_nothing(which):
    box = ContractBox()

    async def story(client):
        await client.login("owner", "")
        box.twice_in.add(box.frames_in + which)
        box.twice_out.update(range(box.frames_out + 1, box.frames_out + 20))
        first = await client.request("settings", set={"name": "n" * 1000})
        return first, await client.request("why")

    first, why = play(box, story)
    assert first["settings"]["name"] == "n" * 1000
    assert why["why"]["code"] == "no_car"
    assert sum("set" in request for request in box.requests) == 1


@pytest.mark.parametrize("trouble", ["drop_out", "swap_out"])
def test_a_gap_in_what_the_wallbox_sends_leads_to_a_new_connection(trouble):
    box = ContractBox()
    box.settings["name"] = "n" * 1000

    async def story(client):
        getattr(box, trouble).add(box.frames_out + 2)
        return await client.request("settings")

    assert play(box, story)["settings"]["name"] == "n" * 1000
    assert box.connections == 2


# -- downloads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 236, 237, 238, 16_383, 16_384, 16_385, 50_000])
def test_a_download_of_any_size_comes_whole(size):
    box = ContractBox()
    box.files["log.csv"] = content(size)
    seen = []

    async def story(client):
        return await client.download("log.csv", progress=lambda done, of: seen.append((done, of)))

    assert play(box, story) == content(size)
    assert seen[0] == (0, size) and seen[-1] == (size, size)
    assert all(a <= b for (a, _), (b, _) in zip(seen, seen[1:], strict=False))
    assert box.requests[-1] == {"transfer": 0}


def test_an_empty_download_is_empty():
    box = ContractBox()
    box.files["log.csv"] = b""

    async def story(client):
        return await client.download("log.csv")

    assert play(box, story) == b""


@pytest.mark.parametrize("after", [1, 2, 30, 69, 70, 71, 72, 150, 215, 216, 217, 218])
def test_a_download_goes_on_after_a_cut_where_it_was(after):
    box = ContractBox()
    box.files["history.csv"] = content(50_000)

    async def story(client):
        box.cut_out.add(box.frames_out + after)
        return await client.download("history.csv", {"of": "all"})

    assert play(box, story) == content(50_000)
    assert box.connections == 2
    # Before the cut one frame answered `get`, and each read brought 70 frames of data and one of an answer.
    reads, frames = divmod(max(0, after - 2), 71)
    got = min(50_000, reads * 16_384 + min(16_384, frames * 237))
    again = [request["offset"] for request in box.requests if "offset" in request and "name" in request]
    assert again == ([got] if got else [])
    assert box.frames_out <= 50_000 // 237 + 30


def test_a_download_whose_content_changed_meanwhile_begins_anew():
    box = ContractBox()
    box.files["log.csv"] = content(40_000)

    async def story(client):
        box.cut_out.add(box.frames_out + 100)
        fetching = asyncio.create_task(client.download("log.csv"))
        while box.connections < 2:
            box.files["log.csv"] = content(39_000) if box.frames_out > 100 else box.files["log.csv"]
            await asyncio.sleep(0)
        return await fetching

    assert play(box, story) == content(39_000)


def test_a_download_that_shrank_below_what_was_there_begins_anew():
    box = ContractBox()
    box.files["log.csv"] = content(40_000)

    async def story(client):
        box.cut_out.add(box.frames_out + 100)
        fetching = asyncio.create_task(client.download("log.csv"))
        while box.connections < 2:
            box.files["log.csv"] = b"short" if box.frames_out > 100 else box.files["log.csv"]
            await asyncio.sleep(0)
        return await fetching

    assert play(box, story) == b"short"


def test_a_download_that_is_cut_again_and_again_still_arrives():
    box = ContractBox()
    box.files["log.csv"] = content(60_000)

    async def story(client):
        box.cut_out.update(range(box.frames_out + 50, box.frames_out + 400, 40))
        return await client.download("log.csv")

    assert play(box, story) == content(60_000)
    assert box.connections >= 7


def test_a_download_that_gets_nowhere_is_given_up():
    box = ContractBox()
    box.files["log.csv"] = content(60_000)

    async def story(client):
        box.deaf.add("read")
        with pytest.raises(LinkLost, match="given up after 5 cuts without progress"):
            await client.download("log.csv")

    import installer.client as module

    timeout, module.REQUEST_TIMEOUT_S = module.REQUEST_TIMEOUT_S, 0.05
    try:
        play(box, story)
    finally:
        module.REQUEST_TIMEOUT_S = timeout


@pytest.mark.parametrize(("changes", "arrives"), [(1, True), (5, True), (6, False)])
def test_a_download_that_changes_while_it_is_read_is_opened_again_but_not_for_ever(changes, arrives):
    box = ContractBox()
    box.files["history.csv"] = content(20_000)
    box.changes_while_read = changes

    async def story(client):
        if arrives:
            return await client.download("history.csv")
        with pytest.raises(Refused, match="the content has changed"):
            await client.download("history.csv")
        return content(20_000)

    assert play(box, story) == content(20_000)
    assert box.connections == 1


def test_repeated_data_frames_do_not_double_the_data():
    box = ContractBox()
    box.files["log.csv"] = content(5_000)

    async def story(client):
        box.twice_out.update(range(1, 100))
        return await client.download("log.csv")

    assert play(box, story) == content(5_000)


# -- uploads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 237, 4095, 4096, 4097, 8192, 8193, 60_000])
def test_an_upload_of_any_size_arrives_within_the_window(size):
    box = ContractBox()
    seen = []

    async def story(client):
        return await client.upload("restore", content(size), lambda done, of: seen.append((done, of)), apply=False)

    assert play(box, story) == {"taken": size}
    assert box.taken["restore"] == (content(size), {"apply": False})
    assert box.most_unstored <= WINDOW_BYTES
    assert seen[0] == (0, size) and seen[-1] == (size, size)


def test_the_window_is_kept_while_nothing_is_stored():
    box = ContractBox()
    sent = []

    async def story(client):
        real = client._event
        client._event = lambda event: None if event["event"] == "received" else real(event)
        client._connection._on_event = client._event
        upload = asyncio.create_task(client.upload("firmware", content(60_000)))
        before = -1
        while box.frames_in != before:
            before = box.frames_in
            await asyncio.sleep(0.05)
        sent.append(sum(1 for _ in range(before)))
        upload.cancel()
        await asyncio.gather(upload, return_exceptions=True)

    play(box, story)
    # hello and put, then data frames of 237 bytes up to the window.
    assert sent == [2 + WINDOW_BYTES // 237]


@pytest.mark.parametrize("after", [1, 2, 3, 17, 18, 19, 35, 36, 37, 100, 255])
def test_an_upload_goes_on_after_a_cut_from_what_is_stored(after):
    box = ContractBox()

    async def story(client):
        box.cut_in.add(box.frames_in + after)
        return await client.upload("firmware", content(60_000))

    assert play(box, story) == {"taken": 60_000}
    assert box.taken["firmware"][0] == content(60_000)
    assert box.connections == 2
    assert box.frames_in <= 60_000 // 237 + WINDOW_BYTES // 237 + 20


@pytest.mark.parametrize("after", [2, 3, 20, 40, 100, 254])
def test_a_lost_data_frame_is_sent_again(after):
    box = ContractBox()

    async def story(client):
        box.drop_in.add(box.frames_in + after)
        return await client.upload("firmware", content(60_000))

    assert play(box, story, stored_timeout_s=0.3) == {"taken": 60_000}
    assert box.taken["firmware"][0] == content(60_000)


def test_data_that_is_stored_before_it_counts_as_sent_is_not_left_out():
    box = ContractBox()
    box.ack_s = 0.001

    async def story(client):
        return await client.upload("firmware", content(30_000))

    assert play(box, story, stored_timeout_s=0.3) == {"taken": 30_000}
    # hello, put, 127 pieces and done, each once.
    assert (box.connections, box.frames_in) == (1, 130)


def test_data_that_the_wallbox_misses_is_sent_again_without_a_new_connection():
    box = ContractBox()
    box.lose_data = {237 * 5, 237 * 60}

    async def story(client):
        return await client.upload("firmware", content(30_000))

    assert play(box, story) == {"taken": 30_000}
    assert box.taken["firmware"][0] == content(30_000)
    assert box.connections == 1


def test_an_upload_that_the_wallbox_gives_up_says_why():
    box = ContractBox()
    box.upload_error = {"code": "flash", "text": "the flash memory refused"}

    async def story(client):
        with pytest.raises(Refused, match="the flash memory refused") as error:
            await client.upload("firmware", content(30_000))
        return error.value.exit_code

    assert play(box, story) == 7


def test_data_frames_that_arrive_twice_do_no_harm():
    box = ContractBox()

    async def story(client):
        box.twice_in.update((box.frames_in + 5, box.frames_in + 50, box.frames_in + 51))
        return await client.upload("firmware", content(60_000))

    assert play(box, story, stored_timeout_s=0.3) == {"taken": 60_000}
    assert box.taken["firmware"][0] == content(60_000)


def test_a_wallbox_that_stores_nothing_any_more_is_connected_anew():
    box = ContractBox()

    async def story(client):
        # The event that tells of the first 4096 bytes gets lost in a way that leaves no gap.
        box.cut_out.add(box.frames_out + 3)
        return await client.upload("firmware", content(20_000))

    assert play(box, story, stored_timeout_s=0.2) == {"taken": 20_000}


# -- live data --------------------------------------------------------------------------------------------


def test_live_data_goes_on_over_a_cut_and_is_ended_in_the_end():
    box = ContractBox()
    box.live_left = 1000

    async def story(client):
        times = []
        events = client.live(200)
        async for event in events:
            times.append(event["t_ms"])
            if len(times) == 5:
                box.cut_out.add(box.frames_out + 1)
            if len(times) == 12:
                break
        await events.aclose()
        return times

    times = play(box, story)
    assert times == sorted(times) and len(set(times)) == 12
    assert box.connections == 2
    assert box.requests[-1] == {"period_ms": 0}
    assert box.live_left == 0


def test_live_data_that_nobody_fetches_keeps_the_newest():
    box = ContractBox()
    box.live_left = 300

    async def story(client):
        events = client.live(200)
        first = await anext(events)
        while box.live_left:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        second = await anext(events)
        await events.aclose()
        return first, second

    first, second = play(box, story)
    assert first["t_ms"] == 701
    assert second["t_ms"] >= 1000 - 65


def test_a_slow_link_is_no_lost_link():
    box = ContractBox()
    box.delay_s = 0.02
    box.settings["name"] = "n" * 1000

    async def story(client):
        return await client.request("settings")

    assert play(box, story)["settings"]["name"] == "n" * 1000
    assert box.connections == 1
