"""boards/esp32s3/hal/net.py and dial.py against stand-ins of `network`, `machine`, sockets and a modem (R15, R26)."""

import asyncio
import sys
import time as host_time

from esp32s3_help import Board, machine
from virtual_time import Log, Record, VirtualTime

# Before the hal is loaded: its time is the chip's.
chip_time = Record(
    ticks_ms=machine.ticks_ms,
    ticks_diff=host_time.ticks_diff,
    ticks_add=host_time.ticks_add,
    sleep_ms=machine.advance_ms,
)
sys.modules["time"] = chip_time

# isort: split
import cutstream  # noqa: E402
import net  # noqa: E402
import network  # noqa: E402

sys.modules["time"] = host_time

_HOME = {
    "lan_address": "",
    "lan_gateway": "",
    "lan_dns": "",
    "wifi_ssid": "home",
    "wifi_password": "long enough",
    "apn": "internet",
    "apn_user": "",
    "apn_password": "",
    "sim_pin_password": "",
}


class Bench:
    """A board with its links, and time that passes for chip and event loop together."""

    def __init__(self):
        self.time = VirtualTime()
        queue = asyncio.core._io_queue
        wait = queue.wait_io_event

        def wait_io_event(dt):
            if dt > 0:
                machine.advance_us(dt * 1000, 20_000)
            wait(dt)

        queue.wait_io_event = wait_io_event
        self.board = Board()
        network.power_on()
        network.world.reset_line = lambda: self.latch() >> 1 & 1
        network.world.stations["home"] = ["long enough", True, -61, None]
        self.net = net.Net()
        self.lan, self.wlan, self.modem = self.net.links

    def latch(self):
        """What the expander drives at its port B: reader, Ethernet, modem key."""
        return self.board.expander.registers[0x15] & ~self.board.expander.registers[0x01] & 0xFF

    async def passes(self, ms):
        await asyncio.sleep_ms(ms)

    async def becomes(self, link, state, ms):
        """ms until a link has that state."""
        began = self.time.now_ms
        while link.state() != state:
            assert self.time.now_ms - began <= ms, (link.state(), state)
            await asyncio.sleep_ms(100)
        return self.time.now_ms - began


def settings(**changes):
    found = dict(_HOME)
    found.update(changes)
    return found


async def test_nothing_is_started_before_it_is_wanted():
    bench = Bench()
    assert [link.name for link in bench.net.links] == ["lan", "wlan", "modem"]
    assert [link.state() for link in bench.net.links] == ["off", "off", "off"]
    assert [link.address() for link in bench.net.links] == ["", "", ""]
    assert [link.slow_start for link in bench.net.links] == [True, True, False]
    assert network.world.slow_calls == [] and bench.net.module_ok()
    for link in bench.net.links:
        link.stop()
        assert link.state() == "off"


# Ethernet


async def test_ethernet_comes_up_by_dhcp_with_the_wiring_of_the_board():
    bench = Bench()
    bench.lan.start(settings())
    assert not bench.lan.slow_start
    options = network.world.lan.options
    assert (options["cs"].number, options["int"].number) == (16, 39)
    assert isinstance(options["spi"], machine.SPI) and bench.latch() & 2
    assert options["spi"]._lines == (12, 11, 13), "clock, to the chip, from it"
    assert bench.lan.state() == "connecting"
    assert 1000 <= await bench.becomes(bench.lan, "up", 5000) <= 3000
    assert bench.lan.address() == "192.168.1.20" and bench.lan.signal_dbm() is None
    assert bench.lan.servers() == (("192.168.1.53", 53), ("192.168.1.1", 53))
    assert bench.lan.interface() == "en1"


async def test_the_chip_is_reset_before_it_is_spoken_to():
    bench = Bench()
    levels = []
    real = bench.net.links[0]._make
    expander_set = net.Expander.set

    def noted(self, line, on):
        levels.append((line, on, machine.ticks_us()))
        expander_set(self, line, on)

    net.Expander.set = noted
    try:
        real()
    finally:
        net.Expander.set = expander_set
    assert [entry[:2] for entry in levels] == [(2, False), (2, True)]
    assert levels[1][2] - levels[0][2] >= 500


async def test_a_cable_that_is_pulled_is_seen_and_comes_back_by_itself():
    bench = Bench()
    bench.lan.start(settings())
    await bench.becomes(bench.lan, "up", 5000)
    network.world.cable = False
    assert bench.lan.state() == "no_cable"
    network.world.cable = True
    network.world.lan.expire()
    assert bench.lan.state() == "connecting"
    await bench.becomes(bench.lan, "up", 5000)
    assert network.world.lan.starts == 1


async def test_without_dhcp_it_is_told_that_no_address_comes():
    bench = Bench()
    network.world.dhcp = False
    bench.lan.start(settings())
    assert 29_000 <= await bench.becomes(bench.lan, "no_address", 40_000) <= 31_000


async def test_a_lease_that_ends_is_seen():
    bench = Bench()
    bench.lan.start(settings())
    await bench.becomes(bench.lan, "up", 5000)
    await bench.passes(60_000)
    network.world.lan.expire()
    assert bench.lan.state() == "no_address" and bench.lan.address() == ""
    bench.lan.start(settings())
    await bench.becomes(bench.lan, "up", 5000)


async def test_a_fixed_address_needs_no_dhcp_and_can_be_given_up():
    bench = Bench()
    network.world.dhcp = False
    bench.lan.start(settings(lan_address="192.168.9.20/24", lan_gateway="192.168.9.1"))
    await bench.becomes(bench.lan, "up", 1000)
    assert bench.lan.address() == "192.168.9.20"
    assert bench.lan.servers() == (("192.168.9.1", 53),)
    bench.lan.start(settings(lan_address="192.168.9.21/24", lan_gateway="192.168.9.1", lan_dns="9.9.9.9"))
    assert bench.lan.state() == "up"
    assert bench.lan.servers() == (("9.9.9.9", 53), ("192.168.9.1", 53))
    network.world.dhcp = True
    bench.lan.start(settings())
    await bench.becomes(bench.lan, "up", 5000)
    assert bench.lan.address() == "192.168.1.20"


async def test_a_chip_that_does_not_answer_is_a_defect_and_not_asked_again():
    bench = Bench()
    network.world.chip_there = False
    for _ in range(3):
        try:
            bench.lan.start(settings())
        except OSError:
            assert bench.lan.state() == "broken" and not bench.net.module_ok()
            continue
        raise AssertionError("it was started")
    assert network.world.slow_calls == ["lan", "broken"]
    assert not bench.lan.slow_start


async def test_what_is_stopped_is_off():
    bench = Bench()
    bench.lan.start(settings())
    await bench.becomes(bench.lan, "up", 5000)
    bench.lan.stop()
    assert bench.lan.state() == "off" and bench.lan.address() == "" and not network.world.lan.active()


# Wi-Fi


async def test_wifi_comes_up_with_one_attempt_a_start_and_the_sleep_that_bluetooth_needs():
    bench = Bench()
    bench.wlan.start(settings())
    assert network.world.wlan.pm == network.WLAN.PM_PERFORMANCE and network.world.wlan.reconnects == 0
    assert bench.wlan.state() == "connecting" and bench.wlan.signal_dbm() is None
    await bench.becomes(bench.wlan, "up", 6000)
    assert bench.wlan.address() == "192.168.7.30" and bench.wlan.signal_dbm() == -61
    assert bench.wlan.servers() == (("192.168.7.53", 53), ("192.168.7.1", 53))
    assert network.world.wlan.tries == [("home", "long enough")]
    assert bench.wlan.interface() == "st1" and not bench.wlan.slow_start


async def test_an_open_network_is_joined_without_a_key():
    bench = Bench()
    network.world.stations["home"][0] = None
    bench.wlan.start(settings(wifi_password=""))
    await bench.becomes(bench.wlan, "up", 6000)
    assert network.world.wlan.tries == [("home", None)]


async def test_why_wifi_does_not_come_up_is_told():
    for ssid, change, state in (
        ("nobody", {}, "no_network"),
        ("home", {0: "another"}, "wrong_password"),
        ("home", {3: network.STAT_HANDSHAKE_TIMEOUT}, "wrong_password"),
        ("home", {3: network.STAT_CONNECT_FAIL}, "no_network"),
        ("home", {3: 2}, "no_network"),
        ("home", {1: False}, "no_address"),
    ):
        bench = Bench()
        for index, value in change.items():
            network.world.stations["home"][index] = value
        bench.wlan.start(settings(wifi_ssid=ssid))
        await bench.becomes(bench.wlan, state, 40_000)
        assert bench.wlan.address() == ""


async def test_how_the_last_attempt_ended_is_not_told_of_the_next():
    bench = Bench()
    network.world.stations["home"][0] = "another"
    bench.wlan.start(settings())
    await bench.becomes(bench.wlan, "wrong_password", 10_000)
    bench.wlan.start(settings(wifi_password="another"))
    assert network.world.wlan.status() == network.STAT_WRONG_PASSWORD, "as MicroPython has it"
    while bench.wlan.state() != "up":
        assert bench.wlan.state() == "connecting"
        await bench.passes(100)


async def test_an_access_point_that_is_gone_is_told_and_a_new_start_finds_it():
    bench = Bench()
    bench.wlan.start(settings())
    await bench.becomes(bench.wlan, "up", 6000)
    await bench.passes(60_000)
    network.world.wlan.lose()
    assert bench.wlan.state() == "no_network"
    bench.wlan.start(settings())
    await bench.becomes(bench.wlan, "up", 6000)
    bench.wlan.start(settings())
    await bench.becomes(bench.wlan, "up", 6000)


async def test_a_lease_of_wifi_that_ends_is_seen():
    bench = Bench()
    bench.wlan.start(settings())
    await bench.becomes(bench.wlan, "up", 6000)
    network.world.wlan.expire()
    assert bench.wlan.state() == "no_address"


async def test_name_servers_of_one_link_are_not_those_of_another():
    bench = Bench()
    bench.lan.start(settings())
    await bench.becomes(bench.lan, "up", 5000)
    bench.wlan.start(settings())
    await bench.becomes(bench.wlan, "up", 6000)
    assert bench.lan.servers()[0] == ("192.168.1.53", 53)
    assert bench.wlan.servers()[0] == ("192.168.7.53", 53)


async def test_a_radio_that_cannot_be_started_is_a_defect_until_it_can():
    bench = Bench()
    network.world.wifi_works = False
    try:
        bench.wlan.start(settings())
    except OSError as error:
        assert "Out of Memory" in str(error)
    else:
        raise AssertionError("it was started")
    assert bench.wlan.state() == "broken" and not bench.net.module_ok()
    assert bench.wlan.slow_start, "it still has to be, and nothing charges then"
    network.world.wifi_works = True
    bench.wlan.start(settings())
    await bench.becomes(bench.wlan, "up", 6000)
    assert bench.net.module_ok()
    bench.wlan.stop()
    assert bench.wlan.state() == "off" and network.world.wlan.active(), "the radio stays on"


# 4G


class Modem:
    """A modem at the UART: answers as 3GPP TS 27.007 has it; a test sets what it finds."""

    def __init__(self, bench, on=True):
        self.on = on
        self.uart = None
        self.boots_us = 0
        self.data = False
        self.pin = None
        self.tries = []
        self.sim = "READY"
        self.left = None
        self.registered = "0,1"
        self.rssi = 20
        self.dials = True
        self.ppp = True
        self.ppp_error = 0
        self.context = None
        self.seen = []
        self._line = b""
        self._pressed_us = None
        self._later = []
        bench.modem_there = self
        self.bench = bench
        machine.plug(self)

    def attach(self):
        self.uart = machine.chip.uarts[2]
        assert (self.uart.tx, self.uart.rx, self.uart.baudrate) == (41, 42, 115_200)
        self.uart.peer = self

    def step(self, _us):
        """The key, and answers whose time has come."""
        key = self.bench.latch() & 4
        if key and self._pressed_us is None:
            self._pressed_us = machine.ticks_us()
        elif not key and self._pressed_us is not None:
            if machine.ticks_us() - self._pressed_us >= 500_000:
                self.on = not self.on
                self.boots_us = machine.ticks_us() + 8_000_000
            self._pressed_us = None
        while self._later and self._later[0][0] <= machine.ticks_us():
            self.uart.arrive(self._later.pop(0)[1])

    def hang_up(self):
        """PPP is closed."""
        self.data = False

    def __call__(self, data):
        if not self.on or machine.ticks_us() < self.boots_us:
            return
        if data == b"+++":
            self.data = False
            self._say("OK")
            return
        if self.data:
            return
        self._line += data
        while b"\r" in self._line:
            line, _, self._line = self._line.partition(b"\r")
            self.seen.append(line.decode())
            self._command(line.decode())

    def _say(self, *lines):
        text = "".join(["\r\n%s\r\n" % line for line in lines])
        self._later.append((machine.ticks_us() + 30_000, text.encode()))

    def _command(self, line):
        if line in ("AT", "ATE0", "ATH"):
            self._say("OK")
        elif line == "AT+CPIN?":
            if self.sim is None:
                self._say("+CME ERROR: 10")
            else:
                self._say("+CPIN: " + self.sim, "OK")
        elif line == 'AT+CPINR="SIM PIN"' and self.left is not None:
            self._say("+CPINR: SIM PIN," + self.left, "OK")
        elif line.startswith("AT+CPIN="):
            self.tries.append(line[9:-1])
            good = self.tries[-1] == self.pin
            self.sim = "READY" if good else self.sim
            self._say("OK" if good else "+CME ERROR: 16")
        elif line.startswith("AT+CGDCONT="):
            self.context = line[11:]
            self._say("OK")
        elif line == "AT+CEREG?":
            self._say("*PSUTTZ: news", "+CEREG: " + self.registered, "OK")
        elif line == "AT+CGREG?":
            self._say("+CGREG: 0,2", "OK")
        elif line == "AT+CSQ":
            self._say("+CSQ: %d,99" % self.rssi, "OK")
        elif line.startswith("ATD"):
            self.data = self.dials
            self._say("CONNECT 115200" if self.dials else "NO CARRIER")
        else:
            self._say("ERROR")


def with_modem(on=True):
    bench = Bench()
    modem = Modem(bench, on)
    start = bench.modem.start

    def begin(values):
        start(values)
        modem.attach()

    bench.begin = begin
    sys.modules["time"] = chip_time
    return bench, modem


async def test_a_modem_that_is_on_is_brought_up_by_the_book():
    bench, modem = with_modem()
    bench.begin(settings())
    assert bench.modem.state() == "connecting"
    await bench.becomes(bench.modem, "up", 20_000)
    assert modem.context == '1,"IP","internet"'
    assert [line for line in modem.seen if line[:3] == "ATD"] == ["ATD*99***1#"]
    assert bench.modem.address() == "10.1.2.3" and bench.modem.signal_dbm() == -73
    assert bench.modem.servers() == (("10.64.64.64", 53),)
    assert bench.modem.interface() == "pp1"
    assert network.PPP is type(bench.modem._nic) and bench.modem._nic.connects == [(None, None)]
    assert not bench.latch() & 4 and bench.net.module_ok()
    assert "hal.dial" not in sys.modules


async def test_user_and_password_of_the_access_point_are_used():
    bench, _ = with_modem()
    bench.begin(settings(apn_user="me", apn_password="secret"))
    await bench.becomes(bench.modem, "up", 20_000)
    assert bench.modem._nic.connects == [("me", "secret")]


async def test_a_modem_that_is_off_is_switched_on_by_its_key():
    bench, modem = with_modem(on=False)
    bench.begin(settings())
    await bench.becomes(bench.modem, "up", 40_000)
    assert modem.on and not bench.latch() & 4


async def test_a_modem_in_a_connection_of_before_the_restart_is_called_back_and_not_switched_off():
    bench, modem = with_modem()
    modem.data = True
    bench.begin(settings())
    await bench.becomes(bench.modem, "up", 30_000)
    assert modem.on and "ATH" in modem.seen


async def test_no_modem_is_a_defect_until_one_answers():
    bench, modem = with_modem(on=False)
    modem.boots_us = 1 << 50
    modem.step = lambda us: None
    bench.begin(settings())
    await bench.becomes(bench.modem, "no_modem", 60_000)
    assert not bench.net.module_ok() and not bench.latch() & 4
    modem.on, modem.boots_us = True, 0
    del modem.step
    bench.begin(settings())
    await bench.becomes(bench.modem, "up", 30_000)
    assert bench.net.module_ok()


async def test_a_pin_is_entered_once_and_only_if_one_is_asked_for():
    bench, modem = with_modem()
    modem.sim, modem.pin = "SIM PIN", "1234"
    bench.begin(settings(sim_pin_password="1234"))
    await bench.becomes(bench.modem, "up", 20_000)
    assert modem.tries == ["1234"]
    for sim, pin, tries in (("SIM PIN", "9999", ["9999"]), ("SIM PIN", "", []), ("SIM PUK", "1234", [])):
        bench, modem = with_modem()
        modem.sim, modem.pin = sim, "1234"
        bench.begin(settings(sim_pin_password=pin))
        await bench.becomes(bench.modem, "wrong_pin", 20_000)
        assert modem.tries == tries, sim
        assert modem.context is None
    bench, modem = with_modem()
    bench.begin(settings(sim_pin_password="1234"))
    await bench.becomes(bench.modem, "up", 20_000)
    assert modem.tries == []


async def test_the_last_try_of_a_card_is_never_taken():
    # However often power fails between a wrong PIN and the note that it was refused.
    for left, tries, state in (("3,3", 1, "up"), ("2", 1, "up"), ("1,3", 0, "wrong_pin"), ("0", 0, "wrong_pin")):
        bench, modem = with_modem()
        modem.sim, modem.pin, modem.left = "SIM PIN", "1234", left
        bench.begin(settings(sim_pin_password="1234"))
        await bench.becomes(bench.modem, state, 20_000)
        assert len(modem.tries) == tries, left


async def test_a_modem_for_which_there_was_no_room_in_the_heap_is_not_on_its_way_for_ever():
    for raised in (MemoryError(), ValueError("PPP not active")):
        bench, modem = with_modem()
        up = network.PPP.connect

        def connect(self, raised=raised, **_options):
            raise raised

        network.PPP.connect = connect
        try:
            bench.begin(settings())
            await bench.becomes(bench.modem, "no_network", 20_000)
        finally:
            network.PPP.connect = up
        bench.begin(settings())
        await bench.becomes(bench.modem, "up", 40_000)


async def test_a_card_that_is_not_there_or_not_ready_is_waited_for_a_while():
    bench, modem = with_modem()
    modem.sim = None
    bench.begin(settings())
    assert await bench.becomes(bench.modem, "no_network", 30_000) >= 9_000
    bench, modem = with_modem()
    modem.sim = None
    bench.begin(settings())
    await bench.passes(5_000)
    modem.sim = "READY"
    await bench.becomes(bench.modem, "up", 20_000)


async def test_registration_is_waited_for_but_not_for_ever():
    bench, modem = with_modem()
    modem.registered = "0,2"
    bench.begin(settings())
    await bench.passes(60_000)
    assert bench.modem.state() == "connecting"
    modem.registered = "0,5"
    await bench.becomes(bench.modem, "up", 20_000)
    bench, modem = with_modem()
    modem.registered = "0,2"
    bench.begin(settings())
    assert await bench.becomes(bench.modem, "no_network", 220_000) >= 175_000
    bench, modem = with_modem()
    modem.registered = "0,3"
    bench.begin(settings())
    await bench.becomes(bench.modem, "no_network", 20_000)


async def test_a_call_or_a_negotiation_that_fails_is_told():
    for change, state, most in (
        ({"dials": False}, "no_network", 20_000),
        ({"ppp_error": 7}, "no_network", 20_000),
        ({"ppp": False}, "no_address", 90_000),
    ):
        bench, modem = with_modem()
        for name, value in change.items():
            setattr(modem, name, value)
        bench.begin(settings())
        await bench.becomes(bench.modem, state, most)
        for name in change:
            setattr(modem, name, name in ("dials", "ppp"))
        bench.begin(settings())
        await bench.becomes(bench.modem, "up", 30_000)


async def test_an_unknown_strength_is_none():
    bench, modem = with_modem()
    modem.rssi = 99
    bench.begin(settings())
    await bench.becomes(bench.modem, "up", 20_000)
    assert bench.modem.signal_dbm() is None


async def test_a_call_that_ends_is_seen_and_can_be_made_again():
    bench, modem = with_modem()
    bench.begin(settings())
    await bench.becomes(bench.modem, "up", 20_000)
    modem.data = False
    assert bench.modem.state() == "no_network" and bench.modem.signal_dbm() is None
    bench.begin(settings())
    await bench.becomes(bench.modem, "up", 30_000)


async def test_a_modem_that_is_stopped_hangs_up_whatever_it_does():
    for ms in (50, 700, 3_000, 20_000):
        bench, modem = with_modem()
        bench.begin(settings())
        await bench.passes(ms)
        bench.modem.stop()
        assert bench.modem.state() == "off" and bench.modem.address() == ""
        await bench.passes(2_000)
        assert bench.modem._nic.status() == 0 and not bench.latch() & 4
        bench.begin(settings())
        await bench.becomes(bench.modem, "up", 30_000)


# Sockets


class Sock:
    """A socket that notes what is done to it; `fails` names a call that fails."""

    fails = None
    made = []

    def __init__(self, family, kind):
        self.calls = [("socket", family, kind)]
        Sock.made.append(self)

    def _note(self, *call):
        self.calls.append(call)
        if call[0] == Sock.fails:
            raise OSError(5)

    def setblocking(self, on):
        self._note("setblocking", on)

    def setsockopt(self, level, option, value):
        self._note("setsockopt", level, option, value)

    def connect(self, where):
        self._note("connect", where)

    def close(self):
        self._note("close")


def with_sockets():
    """The board's sockets on the chip, as a stand-in of that module."""
    bench = Bench()
    Sock.made, Sock.fails = [], None
    stand_in = Record(
        socket=Sock,
        SOCK_STREAM=1,
        SOCK_DGRAM=2,
        SOL_SOCKET=0xFFF,
        SO_BINDTODEVICE=0x100B,
        getaddrinfo=lambda address, port, family, kind: [(2, kind, 0, "", (address, port))],
    )
    net.socket = cutstream.socket = stand_in
    bench.lan.start(settings())
    return bench


async def test_a_connection_is_bound_to_the_interface_of_its_link_before_it_is_made():
    bench = with_sockets()
    reader, writer = await bench.net.open_connection("central", 443, None, "192.0.2.9", bench.lan)
    assert Sock.made[0].calls == [
        ("socket", 2, 1),
        ("setblocking", False),
        ("setsockopt", 0xFFF, 0x100B, "en1"),
        ("connect", ("192.0.2.9", 443)),
    ]
    await writer.wait_closed()
    assert Sock.made[0].calls[-1] == ("close",)


async def test_datagrams_are_bound_too_and_a_failure_leaves_no_socket_open():
    bench = with_sockets()
    bench.net.open_udp("192.0.2.53", 53, bench.lan)
    assert Sock.made[0].calls == [
        ("socket", 2, 2),
        ("setblocking", False),
        ("setsockopt", 0xFFF, 0x100B, "en1"),
        ("connect", ("192.0.2.53", 53)),
    ]
    for fails in ("setsockopt", "connect"):
        Sock.fails = fails
        try:
            bench.net.open_udp("192.0.2.53", 53, bench.lan)
        except OSError:
            assert Sock.made[-1].calls[-1] == ("close",)
        else:
            raise AssertionError(fails)
        try:
            await bench.net.open_connection("192.0.2.9", 80, None, None, bench.lan)
        except OSError:
            assert Sock.made[-1].calls[-1] == ("close",) and bench.net._open == []
        else:
            raise AssertionError(fails)


async def test_a_name_is_refused_since_looking_it_up_here_would_block():
    bench = with_sockets()
    for opens in (
        lambda: bench.net.open_connection("central.example", 443, None, None, bench.lan),
        lambda: _later(bench.net.open_udp, "ntp.example", 123, bench.lan),
    ):
        try:
            await opens()
        except OSError as error:
            assert "no name server is known" in str(error)
        else:
            raise AssertionError("a name was taken")
    assert Sock.made == []


async def _later(function, *arguments):
    return function(*arguments)


async def test_a_link_that_was_never_up_carries_nothing():
    bench = with_sockets()
    try:
        await bench.net.open_connection("192.0.2.9", 80, None, None, bench.modem)
    except OSError as error:
        assert "modem is not there" in str(error)
    else:
        raise AssertionError("connected over nothing")
    assert bench.net._open == []


async def test_another_link_cuts_what_goes_over_the_former_one():
    bench = with_sockets()
    bench.wlan.start(settings())
    one, _ = await bench.net.open_connection("192.0.2.9", 80, None, None, bench.lan)
    two, _ = await bench.net.open_connection("192.0.2.9", 80, None, None, bench.wlan)
    bench.net.use(bench.wlan)
    assert bench.net._open == [two]
    assert Sock.made[0].calls[-1] == ("close",) and Sock.made[1].calls[-1] != ("close",)
    try:
        one.write(b"x")
    except OSError:
        pass
    else:
        raise AssertionError("it was written")
    bench.net.use(None)
    assert bench.net._open == []


# With the manager


async def test_the_manager_works_these_links():
    from wallbox.network.manager import Manager

    bench, modem = with_modem()

    class Settings(dict):
        listeners = []

    values = Settings(settings(network_order="lan wlan modem", lan_on=True, wifi_on=True, modem_use="needed"))
    values.update({"ocpp_url": "", "ntp_servers": ""})
    app = Record(
        settings=values,
        clock=Record(uptime_s=lambda: bench.time.now_ms // 1000, poll=bench.time.poll),
        log=Log(),
        snapshot=Record(contactor_closed=False),
        backend=Record(connected=lambda: False, reachable=lambda: None),
        folder="/nowhere",
    )
    started = bench.modem.start

    def start(found):
        started(found)
        modem.attach()

    bench.modem.start = start
    manager = Manager(app, bench.net)
    asyncio.create_task(manager.run())

    async def used(name, seconds):
        for _ in range(seconds):
            if manager.current and manager.current.name == name:
                return
            await asyncio.sleep(1)
        raise AssertionError((name, manager.status(), app.log.entries))

    await used("lan", 10)
    network.world.cable = False
    await used("wlan", 30)
    del network.world.stations["home"]
    network.world.wlan.lose()
    await used("modem", 90)
    network.world.cable = True
    await used("lan", 200)
    await asyncio.sleep(100)
    assert {name: link["state"] for name, link in manager.status()["links"].items()} == {
        "lan": "up",
        "wlan": "off",
        "modem": "off",
    }
