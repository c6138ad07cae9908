"""The time by NTP: what a server may say, whom to believe of several, and what the clock does with it (RFC 4330)."""

import asyncio
import struct

from virtual_time import Log, VirtualTime

from plant import board
from plant.plant import Plant
from wallbox.clock import APP, CENTRAL, NTP, Clock
from wallbox.network import ntp

_TO_1970_S = 2_208_988_800
_NOW_S = 1_800_000_000


def packet(
    request, utc_ms=_NOW_S * 1000, first=0x24, stratum=2, delay=0x800, dispersion=0x800, name=b"GPS\0", took_ms=0
):
    """An answer of a server whose time is `utc_ms` when it leaves."""

    def stamp(ms):
        return struct.pack(">II", (ms // 1000 + _TO_1970_S) & 0xFFFFFFFF, (ms % 1000 << 32) // 1000)

    head = struct.pack(">BBbbiI", first, stratum, 6, -20, delay, dispersion) + name
    return head + stamp(utc_ms) + request[40:48] + stamp(utc_ms - took_ms) + stamp(utc_ms)


class HalClock:
    ticker = poll = None

    def __init__(self, time):
        self.time = time
        self.utc = None
        self.ticks_ms = time.ticks_ms

    def utc_ms(self):
        return None if self.utc is None else self.utc + self.time.now_ms

    def set_utc_ms(self, ms):
        self.utc = ms - self.time.now_ms


class Manager:
    """Way and manager of the network as the module sees them; `servers` are {host: function of a request}."""

    def __init__(self, servers, names=True):
        board.plant = Plant()
        self.manager = self
        self.time = VirtualTime()
        self.hal = HalClock(self.time)
        self.clock = Clock(self.hal)
        self.log = Log()
        self.servers = servers
        self.refused = []
        self.asked = []
        self.delay_ms = 0
        self.names = names

    def time_servers(self):
        return sorted(self.servers)

    async def look_up(self, host):
        return [host] if self.names else []

    async def ask(self, address, port, request, accept):
        self.asked.append((address, port))
        await asyncio.sleep_ms(self.delay_ms // 2)
        server = self.servers[address if address in self.servers else "%s:%d" % (address, port)]
        answer = server(request)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        await asyncio.sleep_ms(self.delay_ms // 2)
        accepted = accept(answer)
        if accepted is None:
            await asyncio.Event().wait()
        return accepted


def says(offset_s=0, **how):
    return lambda request: packet(request, (_NOW_S + offset_s) * 1000, **how)


async def outcome(manager):
    """What comes of asking: seconds, or the words of the error."""
    try:
        return await ntp.set_clock(manager)
    except OSError as error:
        return error.args[-1]


async def test_the_request_is_one_of_a_client_and_tells_nothing_of_itself():
    seen = []

    def server(request):
        seen.append(request)
        return packet(request)

    manager = Manager({"a": server})
    await ntp.set_clock(manager)
    await ntp.set_clock(manager)
    for request in seen:
        assert len(request) == 48 and request[0] == 0x23 and request[1:40] == bytes(39)
    assert seen[0][40:] != seen[1][40:]
    assert manager.asked[0] == ("a", 123)


async def test_the_clock_is_set_and_trusted():
    manager = Manager({"a": says()})
    assert await outcome(manager) == 21600
    assert manager.clock.utc_s() == _NOW_S and manager.clock.source == NTP
    assert manager.log.entries == [("info", "clock_set", "time servers have set the clock")]
    assert manager.clock.set_utc_s(5, CENTRAL) is False


async def test_half_of_the_way_is_added_less_what_the_server_took():
    manager = Manager({"a": says(took_ms=400)})
    manager.delay_ms = 1400
    await outcome(manager)
    # Time stamps are fractions of two.
    assert 499 <= manager.hal.utc_ms() - _NOW_S * 1000 <= 501, manager.hal.utc_ms() - _NOW_S * 1000


async def test_another_port_can_be_set():
    manager = Manager({"127.0.0.1:12300": says()})
    assert await outcome(manager) == 21600
    assert manager.asked == [("127.0.0.1", 12300)]


async def test_the_era_after_2036_is_known():
    later_s = 2_200_000_000
    manager = Manager({"a": lambda request: packet(request, later_s * 1000)})
    await outcome(manager)
    assert manager.clock.utc_s() == later_s


async def test_what_a_server_may_not_say_is_not_believed():
    for how, words in (
        ({"first": 0x23}, "no answer"),  # mode 3
        ({"first": 0x25}, "no answer"),  # broadcast
        ({"first": 0x14}, "no answer"),  # version 2
        ({"first": 0x2C}, "no answer"),  # version 5
        ({"first": 0xE4}, "does not know"),  # leap indicator 3
        ({"stratum": 16}, "does not know"),
        ({"stratum": 255}, "does not know"),
        ({"delay": -1}, "too far"),
        ({"delay": 131072}, "too far"),
        ({"dispersion": 65536}, "too far"),
        ({"delay": 65536, "dispersion": 32768}, "too far"),
    ):
        manager = Manager({"a": says(**how)})
        found = await outcome(manager)
        assert isinstance(found, str) and found.startswith("a: ") and words in found, (how, found)
        assert manager.clock.utc_s() is None
    for how in ({"first": 0x1C}, {"first": 0x64}, {"stratum": 15}, {"delay": 65534, "dispersion": 32768}):
        assert await outcome(Manager({"a": says(**how)})) == 21600, how


async def test_answers_that_are_cut_off_or_empty_of_time_are_refused():
    for change, words in (
        (lambda data: data[:47], "too short"),
        (lambda data: data[:40] + bytes(8), "does not tell"),
    ):
        found = await outcome(Manager({"a": lambda request, change=change: change(packet(request))}))
        assert words in found, found


async def test_an_answer_to_another_request_is_not_heard():
    manager = Manager({"a": lambda request: packet(bytes(48))})
    assert await outcome(manager) == "a does not answer"
    assert manager.clock.utc_s() is None


async def test_an_answer_that_comes_too_late_tells_no_time():
    manager = Manager({"a": says()})
    manager.delay_ms = 3200
    assert "too long" in await outcome(manager)
    manager.delay_ms = 2800
    assert await outcome(manager) == 21600


async def test_a_silent_server_costs_a_few_seconds_and_the_others_are_asked():
    manager = Manager({"a": lambda request: None, "b": lambda request: OSError(113, "no route"), "c": says()})
    assert await outcome(manager) == 21600
    assert manager.time.now_ms == 8000
    manager = Manager({"a": lambda request: OSError(113, "no route")})
    assert await outcome(manager) == "a: no route"


async def test_no_more_than_four_servers_are_asked():
    manager = Manager({name: says() for name in "abcdef"})
    await outcome(manager)
    assert len(manager.asked) == 4


async def test_who_refuses_is_left_alone():
    for code in (b"DENY", b"RSTR"):
        manager = Manager({"a": says(stratum=0, name=code), "b": says()})
        assert await outcome(manager) == 21600
        assert manager.refused == ["a"]
        assert await outcome(manager) == 21600
        assert [address for address, _ in manager.asked] == ["a", "b", "b"]
    manager = Manager({"a": says(stratum=0, name=b"DENY")})
    assert await outcome(manager) == "a: DENY"
    assert await outcome(manager) == "a wants to be left alone"


async def test_who_has_just_started_is_asked_again():
    # After a power cut in the house the router's time server answers so until it knows the time itself.
    for code in (b"INIT", b"STEP", b"\0\0\0\0"):
        answers = [{"first": 0xE4, "stratum": 0, "name": code}, {}]
        manager = Manager({"a": lambda request, answers=answers: packet(request, **answers.pop(0))})
        assert (await outcome(manager)).startswith("a: ") and manager.refused == []
        assert await outcome(manager) == 21600, code


async def test_who_wants_to_be_asked_less_often_is():
    manager = Manager({"a": says(stratum=0, name=b"RATE"), "b": says()})
    assert await outcome(manager) == 86400
    assert manager.refused == []


async def test_a_server_that_is_off_by_more_than_the_others_is_told_of_and_not_heard():
    for wrong in (-5, 7, 90_000):
        manager = Manager({"a": says(wrong), "b": says(), "c": says(1)})
        assert await outcome(manager) == 21600
        assert _NOW_S <= manager.clock.utc_s() <= _NOW_S + 1
        told = [entry for entry in manager.log.entries if entry[1] == "wrong_time"]
        assert len(told) == 1 and "server a is off" in told[0][2], told


async def test_two_that_disagree_are_believed_only_where_the_clock_sides_with_one():
    manager = Manager({"a": says(600), "b": says()})
    assert await outcome(manager) == "the time servers do not agree"
    assert manager.clock.utc_s() is None
    manager.clock.set_utc_s(_NOW_S + 1, CENTRAL)
    assert await outcome(manager) == 21600
    assert manager.clock.utc_s() == _NOW_S and manager.clock.source == NTP
    manager = Manager({"a": says(600), "b": says()})
    manager.clock.set_utc_s(_NOW_S, APP)
    assert await outcome(manager) == "the time servers do not agree", "a phone is no judge"


async def test_one_server_alone_does_not_move_a_clock_by_a_quarter_of_an_hour_that_was_told_the_time():
    manager = Manager({"a": says(1001)})
    manager.clock.set_utc_s(_NOW_S, CENTRAL)
    assert "off by 1001 s" in await outcome(manager)
    assert manager.clock.utc_s() == _NOW_S
    manager = Manager({"a": says(1001), "b": says(1001)})
    manager.clock.set_utc_s(_NOW_S, CENTRAL)
    assert await outcome(manager) == 21600
    assert manager.clock.utc_s() == _NOW_S + 1001
    manager = Manager({"a": says(999)})
    manager.clock.set_utc_s(_NOW_S, CENTRAL)
    assert await outcome(manager) == 21600
    manager = Manager({"a": says(90_000)})
    manager.clock.set_utc_s(_NOW_S, APP)
    assert await outcome(manager) == 21600


async def test_one_server_alone_is_believed_once_nobody_has_told_the_time_for_a_day():
    # A time server that was wrong once, as one that starts with the date of its firmware, must not lock itself out.
    manager = Manager({"a": says(-5_000_000)})
    assert await outcome(manager) == 21600
    manager.servers["a"] = says()
    assert "off by" in await outcome(manager)
    await asyncio.sleep(90_000)
    assert "off by" in await outcome(manager)
    await asyncio.sleep(4_000)
    assert await outcome(manager) == 21600
    assert manager.clock.utc_s() == _NOW_S and manager.clock.source == NTP


async def test_a_time_that_no_clock_can_keep_is_not_believed():
    # 2100, 2160, and what a router says that was never told the time: 2020, which would be of the era after 2036.
    for utc_s in (4_102_444_800, 6_000_000_000, 1_600_000_000):
        manager = Manager({"a": lambda request, utc_s=utc_s: packet(request, utc_s * 1000)})
        assert await outcome(manager) == "a: the server does not tell the time"
        assert manager.clock.utc_s() is None
    manager = Manager({"a": lambda request: packet(request, 4_102_444_799_000)})
    assert await outcome(manager) == 21600


async def test_two_against_two_agree_on_nothing_but_with_the_clock():
    servers = {"a": says(600), "b": says(600), "c": says(), "d": says(1)}
    manager = Manager(servers)
    assert await outcome(manager) == "the time servers do not agree"
    assert manager.clock.utc_s() is None
    manager.clock.set_utc_s(_NOW_S + 1, CENTRAL)
    assert await outcome(manager) == 21600
    assert _NOW_S <= manager.clock.utc_s() <= _NOW_S + 1


async def test_a_clock_that_is_right_goes_on_and_nothing_is_told():
    manager = Manager({"a": says()})
    manager.hal.set_utc_ms(_NOW_S * 1000 + 900)
    await outcome(manager)
    assert manager.hal.utc_ms() == _NOW_S * 1000 + 900
    assert manager.clock.source == NTP and manager.log.entries == []
    manager.hal.set_utc_ms(_NOW_S * 1000 + 3500)
    await outcome(manager)
    assert manager.hal.utc_ms() == _NOW_S * 1000
    assert manager.log.entries[-1][2] == "time servers have set the clock, which was off by -4 s"


async def test_without_servers_or_names_it_says_so():
    assert await outcome(Manager({})) == "no time server is set"
    assert await outcome(Manager({"a": says()}, names=False)) == "a: no name server is known"


def test_any_bytes_are_judged_without_another_error():
    base = packet(bytes(48))
    ends = {"good": 0, "bad": 0}
    for at in range(48):
        for value in (0, 1, 0x7F, 0x80, 0xFF):
            try:
                received, sent = ntp.checked(base[:at] + bytes((value,)) + base[at + 1 :])
            except (OSError, ValueError):
                ends["bad"] += 1
                continue
            assert received > 0 and sent > 0
            ends["good"] += 1
    assert ends["good"] > 100 and ends["bad"] > 10, ends
