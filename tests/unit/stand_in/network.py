"""Stands in for the module `network` on the ESP32-S3, as its source says (ports/esp32/network_*.c): for tests.

`world` is what is around the chip: a cable, access points, and the W5500, each as a test sets it. Time is machine's.
"""

import machine

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_BEACON_TIMEOUT = 200
STAT_HANDSHAKE_TIMEOUT = 204
STAT_CONNECT_FAIL = 203
_ASSOC_LEAVE = 8
ETH_INITIALIZED, ETH_STARTED, ETH_STOPPED, ETH_CONNECTED, ETH_DISCONNECTED, ETH_GOT_IP = range(6)
PHY_KSZ8851SNL, PHY_DM9051, PHY_W5500 = 100, 101, 102
_NONE = "0.0.0.0"
_EALREADY = 114


class World:
    """Around the chip. `dns` is lwIP's one list of name servers: that of whoever got an address last."""

    def __init__(self):
        self.chip_there = True
        # Whether the W5500 is out of its reset: 1 or 0.
        self.reset_line = lambda: 0
        self.cable = True
        self.dhcp = True
        # SSID -> [passphrase or None, gives addresses, strength in dBm, how an attempt fails or None].
        self.stations = {}
        self.wifi_works = True
        self.dns = _NONE
        self.lan = None
        self.wlan = None
        self.slow_calls = []


world = World()


def power_on():
    """As after a reset of the chip."""
    world.__init__()


def _later(ms):
    return machine.chip.now_us + ms * 1000


def _due(us):
    return us is not None and machine.chip.now_us >= us


class _Nic:
    """What WLAN and LAN share: addresses."""

    def _addresses(self, name, given, dns):
        self._name = name
        self._given = given
        self._dns = dns
        self._address = (_NONE, _NONE, _NONE)
        self._fixed = False

    def _take(self):
        if not self._fixed:
            self._address = self._given
            world.dns = self._dns

    def expire(self):
        """The lease could not be renewed: ESP-IDF takes the address away, and the driver's state stays."""
        self._address = (_NONE, _NONE, _NONE)

    def ifconfig(self, values=None):
        """(address, mask, gateway, name server); set them, or "dhcp" once."""
        if values is None:
            return self._address + (world.dns,)
        if values == "dhcp":
            if not self._fixed:
                raise RuntimeError("Wifi Unknown Error 0x5004")
            self._fixed = False
            return None
        address, mask, gateway, dns = values
        assert isinstance(mask, int) and 0 < mask < 32
        for text in (address, gateway, dns):
            assert len(text.split(".")) == 4, text
        self._address = (address, "255.255.255.0", gateway)
        world.dns = dns
        self._fixed = True
        return None

    def ipconfig(self, name=None, **values):
        """Only what the hal uses."""
        assert name is None and values == {"dhcp4": True}
        self._fixed = False
        self._address = (_NONE, _NONE, _NONE)

    def config(self, name=None, **values):
        """Query one, or set several."""
        if name == "ifname":
            return self._name
        raise ValueError("unknown config param")


class _Lan(_Nic):
    def __init__(self, options):
        self.options = options
        self._addresses("en1", ("192.168.1.20", "255.255.255.0", "192.168.1.1"), "192.168.1.53")
        self._active = False
        self._since = None
        self.starts = 0

    def active(self, on=None):
        if on is not None and bool(on) != self._active:
            self._active = bool(on)
            self._since = _later(0) if on else None
            self.starts += on
            if not self._fixed:
                self.expire()
        return self._active

    def status(self):
        if not self._active:
            return ETH_STOPPED if self.starts else ETH_INITIALIZED
        if not world.cable:
            self._since = None
            return ETH_DISCONNECTED
        if self._since is None:
            self._since = _later(0)
        if not self._fixed:
            if not world.dhcp or not _due(self._since + 2_000_000):
                return ETH_GOT_IP if self._address[0] != _NONE else ETH_CONNECTED
            if self._address[0] == _NONE and not self._expired():
                self._take()
        return ETH_GOT_IP

    def _expired(self):
        return _due(self._since + 60_000_000)

    def isconnected(self):
        return self.status() == ETH_GOT_IP


def LAN(**options):  # noqa: N802
    """One object; a driver that cannot be installed leaves its handlers behind, so it may not be asked again."""
    if world.lan is not None:
        return world.lan
    assert set(options) == {"spi", "cs", "int", "phy_type", "phy_addr"}, options
    assert options["phy_type"] == PHY_W5500 and options["phy_addr"] == 0
    assert "broken" not in world.slow_calls, "LAN() after a failure"
    world.slow_calls.append("lan")
    if not world.chip_there or world.reset_line() != 1:
        world.slow_calls.append("broken")
        raise OSError("esp_eth_driver_install failed")
    world.lan = _Lan(options)
    return world.lan


class WLAN(_Nic):
    """The station; one object."""

    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __new__(cls, interface=0):
        assert interface == cls.IF_STA
        if not world.wifi_works:
            raise OSError("WiFi Out of Memory")
        if world.wlan is None:
            world.wlan = object.__new__(cls)
            world.wlan.start()
            world.slow_calls.append("wlan")
        return world.wlan

    def __init__(self, interface=0):
        pass

    def start(self):
        """As made."""
        self._addresses("st1", ("192.168.7.30", "255.255.255.0", "192.168.7.1"), "192.168.7.53")
        self._active = False
        self.pm = self.PM_PERFORMANCE
        self.reconnects = -1
        self.tries = []
        self._reason = 0
        self._requested = False
        self._ends = None
        self._joined = None

    def active(self, on=None):
        if on is not None:
            self._active = bool(on)
        return self._active

    def config(self, name=None, **values):
        if name is not None:
            return super().config(name)
        if not self._active:
            raise OSError("Wifi Not Started")
        for key, value in values.items():
            assert key in ("pm", "reconnects"), key
            if key == "pm":
                assert value != self.PM_NONE, "the chip aborts: Bluetooth is on"
            setattr(self, key, value)
        return None

    def connect(self, ssid, key=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        assert self._joined is None, "connected already"
        self.tries.append((ssid, key))
        self._requested = True
        self._ends = _later(4_000)

    def disconnect(self):
        if not self._active:
            raise OSError("Wifi Not Started")
        self._requested = False
        self._ends = None
        if self._joined is not None:
            self._leave(_ASSOC_LEAVE)

    def lose(self, reason=STAT_BEACON_TIMEOUT):
        """The access point is gone."""
        self._leave(reason)

    def _leave(self, reason):
        self._joined = None
        self._reason = reason
        self.expire()

    def _look(self):
        if not _due(self._ends):
            return
        self._ends = None
        ssid, key = self.tries[-1]
        station = world.stations.get(ssid)
        if station is None:
            self._reason = STAT_NO_AP_FOUND
        elif station[3] is not None:
            self._reason = station[3]
        elif station[0] != key:
            self._reason = STAT_WRONG_PASSWORD
        else:
            self._joined = station
            if station[1]:
                self._reason = 0
                self._take()

    def isconnected(self):
        self._look()
        # DHCP's loss of the address is not noticed by the module.
        return self._joined is not None and self._joined[1]

    def status(self, name=None):
        self._look()
        if name == "rssi":
            if self._joined is None:
                raise RuntimeError("Wifi Unknown Error 0x300f")
            return self._joined[2]
        assert name is None
        if self.isconnected():
            return STAT_GOT_IP
        if self._reason in (STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD):
            return self._reason
        if self._reason == _ASSOC_LEAVE:
            return STAT_IDLE
        if self._requested and (self._ends is not None or self._joined is not None):
            return STAT_CONNECTING
        return self._reason or STAT_IDLE


class PPP:
    """A PPP over a UART; the modem at its other end is `modem` of the UART's peer, in data mode or not."""

    SEC_NONE = 0
    SEC_PAP = 1
    SEC_CHAP = 2
    _INACTIVE, _ACTIVE, _ERROR, _CONNECTING, _CONNECTED = range(5)

    def __init__(self, stream):
        assert isinstance(stream, machine.UART)
        self._stream = stream
        self._state = self._INACTIVE
        self._since = None
        self._code = 0
        self.connects = []

    def _modem(self):
        return self._stream.peer

    def connect(self, *, security=-1, user=None, key=None):
        if self._state in (self._CONNECTING, self._CONNECTED):
            raise OSError(_EALREADY)
        assert security in (-1, self.SEC_PAP, self.SEC_CHAP)
        if security >= 0:
            assert isinstance(user, str) and isinstance(key, str)
        self.connects.append((user, key))
        self._state = self._CONNECTING
        self._since = _later(1_500)

    def disconnect(self):
        if self._state in (self._CONNECTING, self._CONNECTED):
            self._state = self._ACTIVE
            self._since = _later(600)

    def _look(self):
        modem = self._modem()
        if self._state == self._ACTIVE and _due(self._since):
            self._state = self._INACTIVE
            if modem is not None:
                modem.hang_up()
        elif self._state == self._CONNECTING and _due(self._since) and modem.data:
            if modem.ppp_error:
                self._state, self._code = self._ERROR, modem.ppp_error
            elif modem.ppp:
                self._state = self._CONNECTED
                world.dns = "10.64.64.64"
        elif self._state == self._CONNECTED and not modem.data:
            self._state, self._code = self._ERROR, 5

    def isconnected(self):
        self._look()
        return self._state == self._CONNECTED

    def status(self):
        self._look()
        return -self._code if self._state == self._ERROR else self._state

    def ifconfig(self):
        """Address, peer, mask, name server: not the order of others."""
        if self._state == self._INACTIVE:
            return (None, None, None, None)
        return ("10.1.2.3", "10.64.64.1", "255.255.255.255", world.dns)

    def config(self, name):
        if name != "ifname":
            raise ValueError("unknown config param")
        return None if self._state == self._INACTIVE else "pp1"
