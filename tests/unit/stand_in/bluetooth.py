"""Stands in for MicroPython's module `bluetooth` on NimBLE, as its documentation and source describe it; a test aid.

Events come synchronously, as on the ESP32 port. `Central` is a phone; where NimBLE's behaviour matters for security it
does what NimBLE does, so that a wrong setting lets the phone in, or keeps it out, as on the chip.
"""

from errno import EINVAL, ENOMEM, ENOTCONN

IRQ_CENTRAL_CONNECT = 1
IRQ_CENTRAL_DISCONNECT = 2
IRQ_GATTS_WRITE = 3
IRQ_MTU_EXCHANGED = 21
IRQ_ENCRYPTION_UPDATE = 28
IRQ_GET_SECRET = 29
IRQ_SET_SECRET = 30
IRQ_PASSKEY_ACTION = 31

FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_READ_ENCRYPTED = 0x0200
FLAG_READ_AUTHENTICATED = 0x0400
FLAG_WRITE_ENCRYPTED = 0x1000
FLAG_WRITE_AUTHENTICATED = 0x2000

DISPLAY_ONLY = 0
DISPLAY_YESNO = 1
KEYBOARD_ONLY = 2
NO_INPUT_OUTPUT = 3
KEYBOARD_DISPLAY = 4

ACTION_INPUT = 2
ACTION_DISPLAY = 3
ACTION_COMPARE = 4

INSUFFICIENT_AUTHENTICATION = 0x05
INSUFFICIENT_ENCRYPTION = 0x0F
NOT_PERMITTED = 0x03

DEFAULT_BUFFER = 20
ADVERTISEMENT_BYTES = 31
# Types of secrets, as in NimBLE: our key, and that of the peer.
SECRETS = (1, 2)

# What the configuration holds after the radio was switched on (modbluetooth_nimble.c, ble_hs.c).
DEFAULTS = {"mtu": 256, "bond": False, "mitm": False, "le_secure": False, "io": NO_INPUT_OUTPUT, "gap_name": "MPY"}
# Which action the box has to do, by its own and the phone's abilities (core specification, table 3.H.2.8, secure
# connections); what is not here is just works.
METHODS = {
    (DISPLAY_ONLY, KEYBOARD_ONLY): ACTION_DISPLAY,
    (DISPLAY_ONLY, KEYBOARD_DISPLAY): ACTION_DISPLAY,
    (DISPLAY_YESNO, KEYBOARD_ONLY): ACTION_DISPLAY,
    (DISPLAY_YESNO, DISPLAY_YESNO): ACTION_COMPARE,
    (DISPLAY_YESNO, KEYBOARD_DISPLAY): ACTION_COMPARE,
    (KEYBOARD_ONLY, DISPLAY_ONLY): ACTION_INPUT,
    (KEYBOARD_ONLY, DISPLAY_YESNO): ACTION_INPUT,
    (KEYBOARD_ONLY, KEYBOARD_ONLY): ACTION_INPUT,
    (KEYBOARD_ONLY, KEYBOARD_DISPLAY): ACTION_INPUT,
    (KEYBOARD_DISPLAY, DISPLAY_ONLY): ACTION_INPUT,
    (KEYBOARD_DISPLAY, KEYBOARD_ONLY): ACTION_DISPLAY,
    (KEYBOARD_DISPLAY, DISPLAY_YESNO): ACTION_COMPARE,
    (KEYBOARD_DISPLAY, KEYBOARD_DISPLAY): ACTION_COMPARE,
}


def UUID(value):  # noqa: N802
    """A UUID of 128 bits; the original is a class with a buffer of these bytes."""
    return bytes(reversed(bytes.fromhex(value.replace("-", ""))))


class Value:
    """One attribute of the server."""

    def __init__(self, uuid, flags):
        self.uuid = uuid
        self.flags = flags
        self.data = b""
        self.room = DEFAULT_BUFFER


class BLE:
    """The radio; one object, whoever asks."""

    _one = None

    def __new__(cls):
        if BLE._one is None:
            BLE._one = object.__new__(cls)
            BLE._one._reset()
        return BLE._one

    def _reset(self):
        self._active = False
        self._handler = lambda _event, _data: None
        self._config = dict(DEFAULTS)
        self.values = {}
        self.advertised = None
        self.data = (b"", b"")
        self.centrals = {}
        # Notifications that find a buffer; None is as many as are sent.
        self.buffers = None

    # -- what the board calls ------------------------------------------------------------------------------

    def active(self, on=None):
        """Switch the radio on or off."""
        if on is not None:
            self._active = bool(on)
        return self._active

    def irq(self, handler):
        """Whom to tell of events."""
        self._handler = handler

    def config(self, name=None, **values):
        """Read one, or set some."""
        if not self._active:
            raise OSError("not active")
        if name is None:
            self._set(values)
            return None
        return self._config[name]

    def _set(self, values):
        for key in values:
            if key not in self._config:
                raise ValueError("unknown config param")
        self._config.update(values)

    def gatts_register_services(self, services):
        """Replace all services; their handles."""
        if self.advertised is not None:
            raise OSError(EINVAL)
        self.values = {}
        handles = []
        for _uuid, characteristics in services:
            row = []
            for characteristic in characteristics:
                handle = 16 + 3 * len(self.values)
                # Flags are 16 bits wide in C.
                self.values[handle] = Value(characteristic[0], characteristic[1] & 0xFFFF)
                row.append(handle)
            handles.append(tuple(row))
        return tuple(handles)

    def gatts_set_buffer(self, handle, size, append=False):
        """How long a write may be."""
        assert not append
        self.values[handle].room = size

    def gatts_write(self, handle, data, send_update=False):
        """Set a value, and its room at least to its size."""
        assert not send_update
        value = self.values[handle]
        value.data = bytes(data)
        value.room = max(value.room, len(value.data))

    def gatts_read(self, handle):
        """A value."""
        return self.values[handle].data

    def gatts_notify(self, connection, handle, data=None):
        """Send a notification, whether the phone has subscribed or not."""
        if connection not in self.centrals:
            raise OSError(ENOTCONN)
        if self.buffers is not None:
            if not self.buffers:
                raise OSError(ENOMEM)
            self.buffers -= 1
        central = self.centrals[connection]
        central.heard.append((handle, bytes(self.values[handle].data if data is None else data)))

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        """Begin or, with None, end."""
        if interval_us is None:
            self.advertised = None
            return
        for part in (adv_data, resp_data):
            if part is not None and len(part) > ADVERTISEMENT_BYTES:
                raise OSError(EINVAL)
        self.data = (bytes(adv_data or self.data[0]), bytes(resp_data or self.data[1]))
        self.advertised = (interval_us, connectable)

    def gap_disconnect(self, connection):
        """End a connection; False when there is none."""
        if connection not in self.centrals:
            return False
        self.centrals[connection].leave()
        return True

    def gap_passkey(self, connection, action, passkey):
        """Answer a passkey action."""
        central = self.centrals.get(connection)
        if central is None or central.action != action:
            raise OSError(EINVAL)
        central.answer(passkey)

    def mtu(self) -> int:
        """The largest MTU that the box agrees to."""
        return self._config["mtu"]

    def io(self) -> int:
        """What the box has to show and to type with."""
        return self._config["io"]

    # -- what a phone does ---------------------------------------------------------------------------------

    def tell(self, event, *data):
        """Raise an event."""
        return self._handler(event, data)

    def find(self, uuid):
        """Handle of a characteristic."""
        for handle, value in self.values.items():
            if value.uuid == UUID(uuid):
                return handle
        raise KeyError(uuid)


class Central:
    """A phone. `keys` are its bonds' strength: {"bond": authenticated}."""

    _handles = 0

    def __init__(self, address=b"\xc0\x01\x02\x03\x04\x05", io=KEYBOARD_ONLY, mitm=True):
        self.ble = BLE()
        self.address = address
        self.io = io
        self.mitm = mitm
        self.handle = None
        self.encrypted = self.authenticated = False
        self.key_size = 16
        self.action = None
        self.typed = None
        self.heard = []
        self.results = []

    @property
    def connected(self):
        """Whether the box has this connection."""
        return self.handle in self.ble.centrals

    def connect(self):
        """Connect to a box that advertises."""
        assert self.ble.advertised is not None and self.ble.advertised[1], "the box does not advertise"
        assert not self.ble.centrals, "a second connection"
        Central._handles += 1
        self.handle = Central._handles
        self.encrypted = self.authenticated = False
        self.action = None
        self.ble.advertised = None
        self.ble.centrals[self.handle] = self
        self.ble.tell(IRQ_CENTRAL_CONNECT, self.handle, 1, memoryview(self.address))

    def leave(self):
        """End the connection, or go out of reach."""
        del self.ble.centrals[self.handle]
        self.action = None
        self.ble.tell(IRQ_CENTRAL_DISCONNECT, self.handle, 1, memoryview(self.address))

    def exchange_mtu(self, mtu):
        """Agree upon an MTU."""
        agreed = min(mtu, self.ble.mtu())
        self.ble.tell(IRQ_MTU_EXCHANGED, self.handle, agreed)
        return agreed

    def pair(self, typed=None):
        """Begin pairing; it goes on when the box answers a passkey action. `results` gets "paired" or a reason."""
        self.typed = typed
        if not self.ble.config("le_secure"):
            # NimBLE without secure connections pairs the old way.
            self.results.append("legacy")
            return
        method = METHODS.get((self.ble.io(), self.io))
        if method is None or not (self.mitm or self.ble.config("mitm")):
            self._pass(False)
            return
        self.action = method
        self.ble.tell(IRQ_PASSKEY_ACTION, self.handle, method, 123456 if method == ACTION_COMPARE else 0)

    def answer(self, passkey):
        """The box has answered its action."""
        action = self.action
        self.action = None
        if action == ACTION_DISPLAY and passkey != self.typed or action == ACTION_COMPARE and not passkey:
            self.results.append("wrong passkey")
            self._update()
            return
        self._pass(True)

    def _pass(self, authenticated):
        self.results.append("paired")
        if self.ble.config("bond"):
            # A key's value holds its strength, which the box stores and hands back.
            value = bytes([authenticated, self.key_size])
            stored = [
                self.ble.tell(IRQ_SET_SECRET, kind, memoryview(self.address), memoryview(value)) for kind in SECRETS
            ]
            if not all(stored):
                self.results.append("not stored")
        self.encrypted, self.authenticated = True, authenticated
        self._update()

    def use_bond(self):
        """Encrypt with the key of a former pairing -> whether the box has it."""
        value = self.ble.tell(IRQ_GET_SECRET, SECRETS[0], 0, memoryview(self.address))
        if value is None:
            return False
        self.encrypted, self.authenticated, self.key_size = True, bool(value[0]), value[1]
        self._update()
        return True

    def _update(self):
        size = self.key_size if self.encrypted else 0
        self.ble.tell(IRQ_ENCRYPTION_UPDATE, self.handle, self.encrypted, self.authenticated, self.encrypted, size)

    def write(self, uuid, data, response=True):
        """Write a value -> 0, or the error of the attribute protocol."""
        handle = self.ble.find(uuid)
        value = self.ble.values[handle]
        if not value.flags & (FLAG_WRITE if response else FLAG_WRITE_NO_RESPONSE):
            return NOT_PERMITTED
        if value.flags & FLAG_WRITE_AUTHENTICATED and not self.authenticated:
            return INSUFFICIENT_AUTHENTICATION
        if value.flags & FLAG_WRITE_ENCRYPTED and not self.encrypted:
            return INSUFFICIENT_ENCRYPTION
        value.data = bytes(data[: value.room])
        self.ble.tell(IRQ_GATTS_WRITE, self.handle, handle)
        return 0

    def read(self, uuid):
        """Read a value -> bytes, or the error of the attribute protocol."""
        value = self.ble.values[self.ble.find(uuid)]
        if not value.flags & FLAG_READ:
            return NOT_PERMITTED
        if value.flags & (FLAG_READ_ENCRYPTED | FLAG_READ_AUTHENTICATED) and not self.authenticated:
            return INSUFFICIENT_AUTHENTICATION
        return value.data
