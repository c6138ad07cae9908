"""The choice among Ethernet, Wi-Fi and 4G in virtual time, with links that a test works by hand (R26)."""

import asyncio
import errno
import os

from storage_help import scratch
from virtual_time import Log, Record, VirtualTime

from wallbox.network import manager as module
from wallbox.network import reach
from wallbox.network.manager import Manager

_URL = "wss://central.example/ocpp"
_NOWHERE_S = 180


def _folder(name):
    """A folder as it was left."""
    return os.getenv("TEST_TMP", "/tmp/wallbox-unit") + "/" + name


class Link:
    """A link that is what a test says it is; `starts` are the times at which it was started, in s."""

    slow_start = False

    def __init__(self, name, time):
        self.name = name
        self.now = "off"
        self.word = "up"
        self.starts = []
        self.stops = 0
        self.fails = None
        self.known = ()
        self._time = time

    def start(self, settings):
        self.starts.append(self._time.now_ms // 1000)
        if self.fails is not None:
            raise self.fails
        self.now = self.word

    def stop(self):
        self.stops += 1
        self.now = "off"

    def becomes(self, word):
        """What it is from now on, and after a start."""
        self.word = word
        if self.now != "off":
            self.now = word

    def state(self):
        return self.now

    def address(self):
        return "192.0.2.1"

    def signal_dbm(self):
        return -60

    def servers(self):
        return self.known


class Net:
    """The board's network: `used` are the links that were taken into use, `connects` what was connected to."""

    def __init__(self, links):
        self.links = links
        self.used = []
        self.connects = []
        self.answer = None

    def use(self, link):
        self.used.append(link and link.name)

    async def open_connection(self, host, port, ssl=None, address=None, link=None):
        self.connects.append((host, port, ssl, address, link.name))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer == "silence":
            await asyncio.Event().wait()
        return self, self

    def close(self):
        self.connects.append("closed")

    async def wait_closed(self):
        pass


class Settings(dict):
    def __init__(self, values):
        super().__init__(values)
        self.listeners = []

    def change(self, **changes):
        self.update(changes)
        for listener in self.listeners:
            listener(tuple(changes))


class Bench:
    """A manager with its links, a central system that is reached over the links in `good`, and time."""

    def __init__(self, flash="", **settings):
        self.time = VirtualTime()
        self.lan, self.wlan, self.modem = [Link(name, self.time) for name in ("lan", "wlan", "modem")]
        self.net = Net((self.lan, self.wlan, self.modem))
        values = {
            "network_order": "lan wlan modem",
            "lan_on": True,
            "wifi_on": True,
            "wifi_ssid": "home",
            "modem_use": "needed",
            "apn": "internet",
            "sim_pin_password": "",
            "ocpp_url": _URL,
            "ntp_servers": "",
        }
        values.update(settings)
        self.settings = Settings(values)
        self.good = {"lan", "wlan", "modem"}
        self.reached = 0
        self.snapshot = Record(contactor_closed=False)
        self.log = Log()
        clock = Record(
            uptime_s=lambda: self.time.now_ms // 1000, ticks_ms=self.time.ticks_ms, poll=self.time.poll, source=0
        )
        self.app = Record(
            settings=self.settings,
            clock=clock,
            log=self.log,
            backend=Record(connected=self.connected, reachable=self.reachable),
            snapshot=self.snapshot,
            folder=_folder("network-" + flash) if flash else scratch("network"),
        )
        self.manager = Manager(self.app, self.net)
        self.task = asyncio.create_task(self.manager.run())

    def connected(self):
        return self.link in self.good

    def reachable(self):
        self.reached += 1

    @property
    def link(self):
        return self.manager.current and self.manager.current.name

    async def uses(self, name, seconds):
        """As `until`, until that link is in use."""
        return await self.until(lambda: self.link == name, seconds)

    def running(self):
        return [link.name for link in self.net.links if link.now != "off"]

    async def passes(self, seconds):
        await asyncio.sleep(seconds)

    async def until(self, condition, seconds):
        """Seconds until `condition()` holds, at most so many."""
        began = self.time.now_ms
        while not condition():
            assert self.time.now_ms - began <= seconds * 1000, (self.link, self.log.entries)
            await asyncio.sleep(1)
        return (self.time.now_ms - began) // 1000

    def states(self):
        return {name: link["state"] for name, link in self.manager.status()["links"].items()}


# The start


async def test_the_first_in_the_order_is_used_at_once_and_no_other_is_started():
    for order in ("lan wlan modem", "wlan modem lan", "modem lan wlan"):
        bench = Bench(network_order=order)
        await bench.passes(1)
        first = order.split()[0]
        assert bench.link == first and bench.running() == [first] and bench.net.used == [first]
        await bench.passes(3600)
        assert bench.running() == [first] and bench.net.used == [first]
        assert bench.reached == 1
        bench.task.cancel()


async def test_without_cable_wifi_is_used_within_seconds_and_the_cable_is_watched():
    bench = Bench()
    bench.lan.becomes("no_cable")
    assert 2 <= await bench.uses("wlan", 10) <= 6
    await bench.passes(300)
    assert bench.running() == ["lan", "wlan"]
    assert bench.modem.starts == []


async def test_what_is_on_its_way_gets_the_time_that_dhcp_takes():
    bench = Bench()
    bench.lan.becomes("connecting")
    await bench.passes(15)
    assert bench.running() == ["lan"]
    assert await bench.uses("wlan", 10) >= 3
    bench = Bench()
    bench.lan.becomes("connecting")
    await bench.passes(10)
    bench.lan.becomes("up")
    await bench.passes(120)
    assert bench.net.used == ["lan"] and bench.wlan.starts == []


async def test_links_that_are_not_set_up_are_left_alone():
    for settings, names in (
        ({"lan_on": False}, "wlan modem"),
        ({"wifi_on": False}, "lan modem"),
        ({"wifi_ssid": ""}, "lan modem"),
        ({"modem_use": "off"}, "lan wlan"),
        ({"apn": ""}, "lan wlan"),
        ({"lan_on": False, "wifi_on": False, "apn": ""}, ""),
    ):
        bench = Bench(**settings)
        for link in bench.net.links:
            link.becomes("connecting")
        await bench.passes(120)
        assert bench.running() == names.split(), settings
        bench.task.cancel()


async def test_the_modem_is_up_only_when_it_is_needed_or_always_if_set_so():
    bench = Bench()
    await bench.passes(600)
    assert bench.modem.starts == []
    bench = Bench(modem_use="always")
    await bench.passes(600)
    assert bench.link == "lan" and bench.running() == ["lan", "modem"]
    assert len(bench.modem.starts) == 1


# Loss and fall-back


async def test_a_link_that_is_lost_gives_way_to_the_next_which_goes_on():
    bench = Bench()
    await bench.passes(100)
    bench.lan.becomes("no_cable")
    assert await bench.uses("wlan", 15) <= 6
    assert bench.net.used == ["lan", None, "wlan"]
    bench.wlan.becomes("no_network")
    assert await bench.uses("modem", 40) <= 30
    assert bench.reached == 3
    await bench.passes(600)
    assert bench.link == "modem" and bench.running() == ["lan", "wlan", "modem"]


async def test_a_short_loss_changes_nothing():
    bench = Bench(lan_on=False)
    await bench.passes(100)
    bench.wlan.becomes("connecting")
    await bench.passes(10)
    bench.wlan.becomes("up")
    await bench.passes(100)
    assert bench.net.used == ["wlan"] and bench.modem.starts == []


async def test_no_link_at_all_is_said_with_its_reason_and_ends_by_itself():
    bench = Bench(wifi_ssid="", apn="")
    await bench.passes(10)
    bench.lan.becomes("no_cable")
    await bench.passes(10)
    assert bench.manager.status()["link"] is None
    assert bench.manager.status()["reason"] == "there is no network: Ethernet has no cable"
    assert ("warning", "no_link", "there is no network: Ethernet has no cable") in bench.log.entries
    bench.lan.becomes("up")
    await bench.passes(2)
    assert bench.link == "lan" and bench.manager.status()["reason"] == ""


async def test_lost_wifi_is_sought_at_first_soon_and_then_less_often():
    bench = Bench(lan_on=False, apn="")
    await bench.passes(100)
    bench.wlan.becomes("no_network")
    await bench.passes(3600)
    starts = bench.wlan.starts
    waits = [starts[i + 1] - starts[i] for i in range(1, len(starts) - 1)]
    assert starts[1] - 100 <= 6, starts
    assert waits[0] <= 10 and waits[-1] >= 110 and max(waits) <= 125, waits
    bench.wlan.becomes("up")
    bench.wlan.now = "no_network"
    assert await bench.uses("wlan", 130) >= 0


async def test_a_wrong_password_is_told_once_and_tried_ever_more_rarely():
    bench = Bench(lan_on=False, apn="")
    bench.wlan.becomes("wrong_password")
    await bench.passes(6 * 3600)
    said = [entry for entry in bench.log.entries if entry[1] == "wrong_password"]
    assert said == [("warning", "wrong_password", "Wi-Fi is refused: the password is wrong")]
    assert 8 <= len(bench.wlan.starts) <= 14, bench.wlan.starts
    assert bench.wlan.starts[1] >= 60
    # A new one is tried at once.
    count = len(bench.wlan.starts)
    bench.wlan.word = "up"
    bench.settings.change(wifi_password="another")
    assert await bench.uses("wlan", 3) <= 2
    assert len(bench.wlan.starts) == count + 1


async def test_a_password_that_has_worked_is_not_taken_for_wrong_because_a_handshake_failed():
    bench = Bench(lan_on=False, apn="")
    await bench.passes(100)
    bench.wlan.becomes("wrong_password")
    await bench.passes(2 * 3600)
    starts = bench.wlan.starts
    assert max([starts[i + 1] - starts[i] for i in range(1, len(starts) - 1)]) <= 125, starts
    bench.settings.change(wifi_password="another")
    count = len(starts)
    await bench.passes(2 * 3600)
    assert len(starts) - count <= 9, "this one has never worked"


async def test_a_network_that_gives_no_address_is_left_for_the_next_and_asked_again():
    bench = Bench()
    await bench.passes(100)
    bench.lan.becomes("no_address")
    assert await bench.uses("wlan", 40) <= 30
    await bench.passes(100)
    assert 1 < len(bench.lan.starts) <= 4


async def test_a_refused_pin_is_never_tried_again():
    scratch("network-pin")
    bench = Bench("pin", lan_on=False, wifi_on=False, sim_pin_password="1234")
    bench.modem.becomes("wrong_pin")
    await bench.passes(24 * 3600)
    assert len(bench.modem.starts) == 1
    assert bench.log.codes().count("wrong_pin") == 1
    bench.task.cancel()
    # Nor after a restart, ...
    bench = Bench("pin", lan_on=False, wifi_on=False, sim_pin_password="1234")
    await bench.passes(3600)
    assert bench.modem.starts == [] and bench.states()["modem"] == "wrong_pin"
    assert bench.log.codes().count("wrong_pin") == 1
    # ... but another one is, and the same when somebody sets it again.
    bench.modem.word = "up"
    bench.settings.change(sim_pin_password="4321")
    await bench.passes(3)
    assert bench.link == "modem"
    bench.modem.word = "wrong_pin"
    bench.settings.change(sim_pin_password="1234")
    await bench.passes(100)
    assert len(bench.modem.starts) == 2


async def test_a_pin_that_was_refused_is_not_forgotten_when_flash_refuses():
    bench = Bench(lan_on=False, wifi_on=False, sim_pin_password="1234")
    bench.app.folder = "/nowhere"
    bench.modem.becomes("wrong_pin")
    await bench.passes(100)
    assert len(bench.modem.starts) == 1 and "not_stored" in bench.log.codes()


async def test_hardware_that_refuses_is_told_and_asked_rarely():
    bench = Bench()
    bench.lan.fails = OSError(5, "chip")
    assert await bench.uses("wlan", 30) <= 25
    await bench.passes(3600)
    assert 3 < len(bench.lan.starts) < 10
    assert ("error", "not_started", "Ethernet cannot be started: chip") in bench.log.entries


async def test_a_link_for_whose_start_there_was_no_room_in_the_heap_is_started_later():
    bench = Bench(wifi_ssid="", apn="")
    bench.lan.fails = MemoryError()
    await bench.passes(10)
    bench.lan.fails = None
    assert await bench.uses("lan", 70) >= 30
    assert "not_started" in bench.log.codes()


async def test_who_waits_for_a_link_has_it_though_there_is_no_room_in_the_heap_to_tell_of_it():
    bench = Bench(wifi_ssid="", apn="")
    bench.task.cancel()
    manager = bench.manager
    waits = asyncio.create_task(manager._chosen.wait())

    def borrow(name):
        raise MemoryError

    manager.borrow = borrow
    try:
        manager.use(manager.ways["lan"], "is up")
    except MemoryError:
        await asyncio.wait_for_ms(waits, 10)
    assert bench.link == "lan" and bench.reached == 1


async def test_a_link_whose_start_takes_long_waits_until_no_car_charges():
    bench = Bench()
    bench.wlan.slow_start = True
    bench.snapshot.contactor_closed = True
    bench.lan.becomes("no_cable")
    await bench.passes(60)
    assert bench.wlan.starts == [] and bench.link == "modem"
    bench.snapshot.contactor_closed = False
    await bench.passes(3)
    assert len(bench.wlan.starts) == 1


# Up, but leading nowhere


async def test_a_link_that_leads_nowhere_gives_way_after_minutes():
    bench = Bench()
    bench.good = {"wlan"}
    took = await bench.uses("wlan", 300)
    assert _NOWHERE_S <= took <= _NOWHERE_S + 10
    text = "Ethernet is up, but the central system was not reached over it for 180 s"
    assert ("warning", "leads_nowhere", text) in bench.log.entries
    assert bench.net.used == ["lan", "wlan"], "the old one is used until another is up"
    assert bench.manager.status()["links"]["lan"]["doubted"]


async def test_a_central_system_that_is_away_for_a_while_changes_nothing():
    bench = Bench()
    await bench.passes(1000)
    bench.good = set()
    await bench.passes(_NOWHERE_S - 10)
    bench.good = {"lan"}
    await bench.passes(1000)
    assert bench.net.used == ["lan"]


async def test_a_central_system_that_is_down_for_all_makes_no_restless_search():
    bench = Bench()
    bench.good = set()
    bench.net.answer = OSError(errno.ECONNREFUSED)
    await bench.passes(12 * 3600)
    assert 3 <= len(bench.net.used) <= 60, len(bench.net.used)
    bench.good = {"lan", "wlan", "modem"}
    bench.net.answer = None
    await bench.uses("lan", 2 * 3600)
    await bench.passes(600)
    assert bench.running() == ["lan"]


async def test_the_only_link_is_started_anew_when_it_leads_nowhere_ever_more_rarely():
    bench = Bench(wifi_on=False, apn="")
    bench.good = set()
    await bench.passes(6 * 3600)
    starts = bench.lan.starts
    assert starts[1] >= _NOWHERE_S and 5 <= len(starts) <= 12, starts
    assert bench.link == "lan"


async def test_without_central_system_nothing_is_asked_of_a_link_but_the_time():
    bench = Bench(ocpp_url="")
    bench.good = set()
    await bench.passes(3600)
    assert bench.net.used == ["lan"]
    bench.manager.time_told = False
    assert await bench.uses("wlan", 200) >= _NOWHERE_S - 5


# Back to the better one


async def test_a_better_link_is_gone_back_to_once_it_has_been_up_for_a_minute_and_leads_there():
    bench = Bench()
    bench.lan.becomes("no_cable")
    await bench.uses("wlan", 10)
    bench.lan.becomes("up")
    took = await bench.uses("lan", 100)
    assert 58 <= took <= 65
    assert bench.net.connects == [("central.example", 443, None, None, "lan"), "closed"]
    assert bench.net.used == ["lan"][:0] + ["wlan", "lan"]
    # What it has taken over from runs on for a while.
    await bench.passes(30)
    assert bench.running() == ["lan", "wlan"]
    await bench.passes(60)
    assert bench.running() == ["lan"]


async def test_a_better_link_is_not_tried_first_when_the_other_leads_nowhere_either():
    for url, reached in ((_URL, False), ("", None), ("", False)):
        bench = Bench(ocpp_url=url)
        bench.good = set()
        bench.manager.time_told = reached
        bench.lan.becomes("no_cable")
        await bench.uses("wlan", 10)
        bench.lan.becomes("up")
        await bench.uses("lan", 70)
        assert bench.net.connects == []
        bench.task.cancel()


async def test_a_better_link_that_leads_nowhere_is_not_taken_and_the_other_not_left():
    for answer in (OSError(errno.EHOSTUNREACH, "no route"), "silence"):
        bench = Bench()
        bench.lan.becomes("no_cable")
        await bench.uses("wlan", 10)
        bench.net.answer = answer
        bench.lan.becomes("up")
        await bench.passes(2 * 3600)
        assert bench.net.used == ["wlan"]
        tries = [connect for connect in bench.net.connects if connect != "closed"]
        assert 3 <= len(tries) <= 8, tries
        bench.net.answer = None
        await bench.uses("lan", 3700)
        bench.task.cancel()


async def test_a_cable_that_comes_and_goes_makes_no_flapping():
    bench = Bench()
    await bench.passes(100)
    for _ in range(40):
        bench.lan.becomes("no_cable")
        await bench.passes(30)
        bench.lan.becomes("up")
        await bench.passes(90)
    # 80 minutes: each time it was lost soon after, the next wait was twice as long.
    assert bench.net.used.count("lan") <= 6, bench.net.used
    await bench.uses("lan", 3700)


async def test_a_trial_that_was_under_way_takes_nothing_that_is_gone():
    bench = Bench()
    bench.lan.becomes("no_cable")
    await bench.uses("wlan", 10)
    bench.lan.becomes("up")

    async def late(host, port, ssl=None, address=None, link=None):
        await asyncio.sleep(5)
        bench.lan.becomes("no_cable")
        return bench.net, bench.net

    bench.net.open_connection = late
    await bench.passes(120)
    assert bench.net.used == ["wlan"]


async def test_a_trial_of_a_link_that_was_set_up_anew_meanwhile_is_not_held_against_it():
    bench = Bench()
    bench.lan.becomes("no_cable")
    await bench.uses("wlan", 10)
    bench.net.answer = "silence"
    bench.lan.becomes("up")
    await bench.until(lambda: len(bench.net.connects) == 1, 100)
    bench.settings.change(lan_address="192.0.2.20/24")
    await bench.passes(20)
    assert not bench.manager.status()["links"]["lan"]["doubted"]


# Settings


async def test_another_order_is_followed():
    bench = Bench()
    await bench.passes(100)
    bench.settings.change(network_order="wlan lan modem")
    await bench.uses("wlan", 100)
    await bench.passes(100)
    assert bench.running() == ["wlan"]


async def test_a_changed_link_is_started_anew_and_others_are_left():
    for key, name in (
        ("lan_address", "lan"),
        ("wifi_ssid", "wlan"),
        ("apn_user", "modem"),
        ("sim_pin_password", "modem"),
        ("modem_use", "modem"),
    ):
        bench = Bench(network_order=name + " " + " ".join([n for n in ("lan", "wlan", "modem") if n != name]))
        await bench.passes(100)
        bench.settings.change(**{key: "always" if key == "modem_use" else "1234"})
        await bench.passes(3)
        link = getattr(bench, name)
        assert link.stops == 1 and len(link.starts) == 2, key
        assert bench.link == name
        bench.task.cancel()


async def test_a_link_that_is_switched_off_is_left_at_once():
    bench = Bench()
    await bench.passes(100)
    bench.settings.change(lan_on=False)
    assert await bench.uses("wlan", 10) <= 4
    assert bench.lan.now == "off"


# Connections


async def test_a_connection_goes_over_the_link_in_use():
    bench = Bench()
    await bench.passes(1)
    await bench.manager.open_connection("192.0.2.9", 443, "context")
    assert bench.net.connects == [("192.0.2.9", 443, "context", "192.0.2.9", "lan")]


async def test_without_name_servers_the_board_looks_names_up_itself():
    bench = Bench()
    await bench.passes(1)
    await bench.manager.open_connection("central.example", 80)
    assert bench.net.connects == [("central.example", 80, None, None, "lan")]


async def test_the_addresses_of_a_name_take_turns():
    bench = Bench()
    await bench.passes(1)

    async def resolve(host, servers, **how):
        return ["192.0.2.1", "192.0.2.2"]

    bench.lan.known = (("192.0.2.53", 53),)
    dns = Record(resolve=resolve, is_address=lambda host: False)
    bench.manager.borrow = lambda name: dns if name == "dns" else module.borrow(name)
    for _ in range(4):
        await bench.manager.open_connection("central.example", 80)
    assert sorted([connect[3][-1] for connect in bench.net.connects]) == ["1", "1", "2", "2"]
    assert bench.net.connects[0][3] != bench.net.connects[1][3]


async def test_a_connection_waits_for_a_link_that_is_on_its_way():
    bench = Bench()
    bench.lan.becomes("connecting")
    await bench.passes(1)
    task = asyncio.create_task(bench.manager.open_connection("192.0.2.9", 80))
    await bench.passes(5)
    assert bench.net.connects == []
    bench.lan.becomes("up")
    await task
    assert bench.net.connects == [("192.0.2.9", 80, None, "192.0.2.9", "lan")]


async def test_a_connection_without_a_link_fails_with_the_reason():
    bench = Bench(wifi_ssid="", apn="")
    bench.lan.becomes("no_cable")
    await bench.passes(30)
    try:
        await bench.manager.open_connection("192.0.2.9", 80)
    except OSError as error:
        assert error.errno == errno.EHOSTUNREACH and "Ethernet has no cable" in str(error), error
    else:
        raise AssertionError("connected to what?")


def test_host_and_port_of_every_url_that_is_allowed_are_found():
    for url, place in (
        ("ws://central", ("central", 80)),
        ("wss://central.example/ocpp/1", ("central.example", 443)),
        ("wss://central.example:8443/ocpp?a=b:c", ("central.example", 8443)),
        ("ws://192.0.2.1:9000", ("192.0.2.1", 9000)),
        ("ws://[fe80::1]:9000/x", ("fe80::1", 9000)),
        ("wss://[fe80::1]", ("fe80::1", 443)),
        ("ws://central?x", ("central", 80)),
    ):
        assert reach.place(url) == place, (url, reach.place(url))


async def test_status_tells_of_each_link():
    bench = Bench()
    bench.lan.becomes("no_cable")
    await bench.passes(60)
    found = bench.manager.status()
    assert found["link"] == "wlan" and found["reason"] == ""
    assert found["links"]["wlan"] == {"state": "up", "address": "192.0.2.1", "signal_dbm": -60, "doubted": False}
    assert found["links"]["lan"] == {"state": "no_cable", "address": "", "signal_dbm": None, "doubted": False}
    assert found["links"]["modem"]["state"] == "off"


# The time


class Ntp:
    """Stands in for the module that asks time servers; `answers` are what it returns or raises."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def set_clock(self, reach):
        self.asked.append((reach.manager.now(), reach.way.name))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _with_time(*answers, **settings):
    bench = Bench(ntp_servers="ntp.example", **settings)
    for link in bench.net.links:
        link.known = (("192.0.2.53", 53),)
    ntp = Ntp(*answers)
    bench.manager.borrow = lambda name: ntp if name == "wallbox.network.ntp" else module.borrow(name)
    return bench, ntp


async def test_the_time_is_asked_for_at_once_and_then_as_the_servers_want():
    bench, ntp = _with_time(21600, 86400, 21600)
    await bench.passes(200_000)
    times = [asked[0] for asked in ntp.asked]
    assert times[0] <= 1 and 21600 <= times[1] <= 21605 and 108000 <= times[2] <= 108010, times
    assert bench.manager.time_told is True


async def test_after_a_failure_it_is_asked_for_ever_more_rarely_and_told_once():
    bench, ntp = _with_time(OSError(113, "nobody"))
    await bench.passes(10_000)
    times = [asked[0] for asked in ntp.asked]
    waits = [times[i + 1] - times[i] for i in range(len(times) - 1)]
    assert 60 <= waits[0] <= 62 and waits[-1] >= 3600 and len(times) < 12, waits
    assert bench.log.entries.count(("info", "no_time", "no time server was reached: nobody")) == 1
    # Another link may know better.
    bench.lan.becomes("no_cable")
    ntp.answers = [21600]
    await bench.uses("wlan", 30)
    await bench.passes(2)
    assert ntp.asked[-1][1] == "wlan" and bench.manager.time_told is True


async def test_without_name_servers_or_with_none_set_nobody_is_asked():
    bench, ntp = _with_time(21600)
    for link in bench.net.links:
        link.known = ()
    await bench.passes(1000)
    assert ntp.asked == []
    bench.task.cancel()
    bench, ntp = _with_time(21600)
    bench.settings.change(ntp_servers="")
    await bench.passes(1000)
    assert ntp.asked == []
    bench.settings.change(ntp_servers="other.example")
    await bench.passes(2)
    assert len(ntp.asked) == 1


async def test_servers_that_are_set_while_others_are_asked_have_their_turn_at_once():
    for answer in (21600, OSError(113, "nobody")):
        bench, ntp = _with_time(21600)
        real = ntp.set_clock

        async def slow(reach, bench=bench, ntp=ntp, real=real, answer=answer):
            ntp.set_clock = real
            await asyncio.sleep(20)
            reach.manager.refused.append("ntp.example")
            if isinstance(answer, Exception):
                raise answer
            return answer

        ntp.set_clock = slow
        await bench.passes(10)
        bench.settings.change(ntp_servers="other.example")
        await bench.passes(13)
        assert len(ntp.asked) == 1, answer
        assert bench.manager.refused == [] and bench.manager.time_told is True
        bench.task.cancel()


async def test_without_central_system_a_better_link_is_tried_by_a_time_server():
    bench, ntp = _with_time(21600, ocpp_url="")
    bench.lan.becomes("no_cable")
    await bench.uses("wlan", 10)
    await bench.passes(2)
    ntp.answers = [OSError(113, "nobody")]
    bench.lan.becomes("up")
    await bench.passes(70)
    assert ntp.asked[-1][1] == "lan" and bench.link == "wlan"
    ntp.answers = [21600]
    await bench.uses("lan", 600)
