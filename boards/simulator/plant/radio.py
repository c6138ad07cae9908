"""The Bluetooth radio of the simulated board, and whoever is at its far end: requests of a test, or a real radio.

It outlives the firmware: a reset of the board ends the connection, bonds stay with the radio.
"""

from binascii import unhexlify

from micropython import const

from plant import check

# What the firmware may have under way towards the central (contract of hal/ble.py).
QUEUE = const(8)
# A real central takes what comes; this bounds what a test may leave unread.
_UNREAD = const(4_096)
_MTU = (23, 517)  # ATT of the Bluetooth core specification: default, and the largest of an attribute of 512 bytes
_OVERHEAD = const(3)  # operation and handle in front of what a notification carries
_PEER = "02:00:00:00:00:01"


class Nobody:
    """The far end while neither a firmware nor a central is there."""

    def __getattr__(self, _name):
        return lambda *_arguments: None


class Radio:
    """`box` is the running firmware's `hal.ble.Ble`, or None; `far` a radio process, or None.

    Of `box` it calls connected(peer, mtu, secure), resized(mtu), secured(secure), wrote(frame), sent(), gone(),
    may_pair() -> bool and paired(ok). Of `far`: advertise(name, passkey, info), notify(frame), hang_up(),
    fall_silent(), forget().
    """

    def __init__(self):
        self.box = None
        self.far = None
        self._label = None
        self._bonds = []
        self._peer = None
        self._secure = False
        self._slow = False
        self._unread = []
        self._held = 0

    # -- called by the firmware through hal.ble ------------------------------------------------------------

    def listen(self, box) -> None:
        """The firmware has started."""
        self.box = box

    def advertise(self, name: str, passkey: str, info: bytes) -> None:
        """Show name and info to everybody; `passkey` proves a central that pairs."""
        self._label = (name, passkey, info)
        if self.far is not None:
            self.far.advertise(name, passkey, info)

    @property
    def on_air(self) -> bool:
        """Whether name and info are shown."""
        return self._label is not None

    def notify(self, frame: bytes) -> None:
        """Send one notification; `box.sent()` tells when it is out."""
        if self.far is not None:
            self.far.notify(frame)
            return
        if len(self._unread) < _UNREAD:
            self._unread.append(frame)
        if self._slow:
            self._held += 1
        else:
            self.listener().sent()

    def hang_up(self) -> None:
        """End the connection."""
        if self.far is not None:
            self.far.hang_up()
        if self._peer is not None:
            self._peer = None
            self.listener().gone()

    def forget(self) -> None:
        """Forget the keys of all centrals."""
        self._bonds = []
        if self.far is not None:
            self.far.forget()

    # -- the board -------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """The board resets: the connection is gone and nobody listens any more."""
        box = self.listener()
        self.box = None
        self.hang_up()
        box.gone()
        self._label = None
        if self.far is not None:
            self.far.fall_silent()

    def attach(self, far) -> None:
        """A radio process is there (or, None, gone)."""
        self.far = far
        self._peer = None
        self.listener().gone()
        if far is not None and self._label is not None:
            far.advertise(*self._label)

    def listener(self):
        """The firmware's end, or one that listens to nothing."""
        return Nobody() if self.box is None else self.box

    # -- requests of a test ----------------------------------------------------------------------------------

    def request(self, connect=None, write=None, read=None, disconnect=None, label=None) -> dict:
        """One thing a central does -> what it sees; ValueError when it cannot."""
        given = [value for value in (connect, write, read, disconnect, label) if value is not None]
        if len(given) != 1:
            raise ValueError(
                "ble: %d things asked for; allowed: one of connect, write, read, disconnect, label" % len(given)
            )
        if label is not None:
            check.flag("label", label)
            return self._read_label()
        if self.far is not None:
            raise ValueError("ble: a radio process is attached, which connects centrals itself")
        if connect is not None:
            return self._connect(connect)
        if write is not None:
            self._write(write)
            return {}
        if read is not None:
            check.flag("read", read)
            return self._read()
        check.flag("disconnect", disconnect)
        self.hang_up()
        return {}

    def _read_label(self) -> dict:
        if self._label is None:
            raise ValueError("label: the wallbox does not advertise; it has no supply or is starting")
        name, passkey, info = self._label
        return {"name": name, "passkey": passkey, "info": str(info, "utf-8")}

    def _connect(self, options) -> dict:
        """Connect, and pair when there is a passkey or use the bond when there is one."""
        if not isinstance(options, dict):
            check.refuse("connect", options, 'an object such as {"mtu": 247, "passkey": "123456"}')
        for name in options:
            if name not in ("mtu", "passkey", "peer", "slow"):
                check.refuse("connect", name, "mtu, passkey, peer, slow")
        mtu = options.get("mtu", 247)
        check.number("mtu", mtu, *_MTU, "bytes")
        peer = options.get("peer", _PEER)
        if self._label is None or self.box is None:
            raise ValueError("connect: the wallbox does not advertise; it has no supply or is starting")
        if self._peer is not None:
            raise ValueError("connect: a central is connected, and the wallbox takes one")
        self._peer = peer
        self._slow = bool(options.get("slow", False))
        self._held = 0
        self._unread = []
        self._secure = False
        self.box.connected(peer, mtu, False)
        passkey = options.get("passkey")
        if passkey is not None:
            self._pair(passkey)
        elif peer in self._bonds:
            self._secured()
        return {"paired": self._secure, "mtu": mtu}

    def _pair(self, passkey: str) -> None:
        box = self.listener()
        if not box.may_pair():
            return
        right = passkey == self._label[1]
        box.paired(right)
        if right:
            if self._peer not in self._bonds:
                self._bonds.append(self._peer)
            self._secured()

    def _secured(self) -> None:
        self._secure = True
        self.listener().secured(True)

    def _write(self, text) -> None:
        try:
            frame = unhexlify(text)
        except (TypeError, ValueError):
            check.refuse("write", text, "hexadecimal digits")
        if self._peer is None:
            raise ValueError("write: no central is connected")
        if not self._secure:
            raise ValueError("write: the link is not encrypted with a key proven by passkey")
        self.listener().wrote(frame)

    def _read(self) -> dict:
        frames = self._unread
        self._unread = []
        held = self._held
        self._held = 0
        for _ in range(held):
            self.listener().sent()
        return {"frames": frames, "connected": self._peer is not None}
