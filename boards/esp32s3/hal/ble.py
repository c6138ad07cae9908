"""Bluetooth LE of the chip, by NimBLE and aioble: one connection at a time, the service of docs/installer-protocol.md.

NimBLE calls from a task of its own with a small stack. What it tells is only noted there; questions that the firmware
answers with files or logs are asked in the event loop, while the firmware waits in `Link.receive`.
"""

import asyncio
import os
import time
from errno import EACCES, EAGAIN, ENOMEM, ENOTCONN

import aioble
import bluetooth
from aioble import core
from micropython import const

# Events and values of the module `bluetooth`, which does not hold them (its documentation lists them).
_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)
_IRQ_MTU_EXCHANGED = const(21)
_IRQ_ENCRYPTION_UPDATE = const(28)
_IRQ_SET_SECRET = const(30)
_IRQ_PASSKEY_ACTION = const(31)
_FLAG_WRITE_ENCRYPTED = const(0x1000)
_FLAG_WRITE_AUTHENTICATED = const(0x2000)
_IO_DISPLAY_ONLY = const(0)
_PASSKEY_DISPLAY = const(3)

_SERVICE = bluetooth.UUID("5e2a0001-7c1b-4b64-9f0e-3d6c8a51e7f2")
_INFO = bluetooth.UUID("5e2a0002-7c1b-4b64-9f0e-3d6c8a51e7f2")
_REQUEST = bluetooth.UUID("5e2a0003-7c1b-4b64-9f0e-3d6c8a51e7f2")
_RESPONSE = bluetooth.UUID("5e2a0004-7c1b-4b64-9f0e-3d6c8a51e7f2")

# Bluetooth core specification 5.3, 3.F.3.2.8: before an exchange; 247 fills one packet with the data length extension.
_MTU_DEFAULT = const(23)
_MTU = const(247)
# The largest attribute (3.F.3.2.9): a write above the MTU arrives whole, so that the firmware can refuse it.
_ATTRIBUTE_BYTES = const(512)
# The full strength (3.H.2.3.4); a peer may ask for as little as 7 bytes.
_KEY_BYTES = const(16)
# Apple's accessory design guidelines, 2023: one of the intervals that its phones find quickly.
_ADVERTISING_US = const(152_500)
# 31 bytes of a scan response less length and type, and aioble uses one less than there are.
_NAME_BYTES = const(28)
# What a client may send beyond the last acknowledgement of an upload, and a request.
_WAITING_BYTES = const(12_288)
# NimBLE out of buffers for a notification; one goes out with every connection event, of 7.5 ms or more.
_FULL = (ENOMEM, EAGAIN)
_RETRY_MS = const(10)
# NimBLE does not tell when a notification is out; after this long it is, unless the phone is nearly out of reach.
_AIR_MS = const(100)
# Beside the wallbox's own files.
_BONDS = "bonds.json"


class Link:
    """One connection. `secure` is true once it is encrypted with a key that the passkey has proven."""

    def __init__(self, ble, handle: int, peer: str):
        self.peer = peer
        self.mtu = _MTU_DEFAULT
        self.secure = False
        self.open = True
        self.handle = handle
        self._connection = None
        self._ble = ble
        self._frames = []
        self._bytes = 0
        # Whether the central was given the passkey to prove in this connection.
        self.given = False
        # The passkey action that NimBLE asked for, until it is answered; whether a pairing is under way; how it ended.
        self._action = None
        self._trying = False
        self._proven = None
        self._sent_ms = None
        self._woken = asyncio.ThreadSafeFlag()

    @property
    def queued(self) -> int:
        """Notifications under way: 0, or 1 when there may be some."""
        return int(self._sent_ms is not None and time.ticks_diff(time.ticks_ms(), self._sent_ms) < _AIR_MS)

    def attach(self, connection) -> None:
        """Take aioble's object of this connection, without which nothing can be sent."""
        self._connection = connection

    async def receive(self):
        """The next frame that was written, None when the connection is gone."""
        while True:
            self._settle()
            if not self.open:
                return None
            if self._frames:
                frame = self._frames.pop(0)
                self._bytes -= len(frame)
                return frame
            await self._woken.wait()

    async def send(self, frame: bytes) -> None:
        """Notify, waiting while NimBLE has no room; OSError when the connection is gone or not secure."""
        while self.open:
            if not self.secure:
                # NimBLE notifies everybody who is connected.
                raise OSError(EACCES)
            try:
                self._ble.response.notify(self._connection, frame)
                self._sent_ms = time.ticks_ms()
                return
            except OSError as error:
                if error.errno not in _FULL:
                    raise
            await asyncio.sleep_ms(_RETRY_MS)
        raise OSError(ENOTCONN)

    def disconnect(self) -> None:
        """End the connection; harmless when it is gone."""
        if self.open:
            core.ble.gap_disconnect(self.handle)
        self._settle()

    def _settle(self) -> None:
        """Answer and tell what NimBLE has noted about pairing."""
        action = self._action
        if action is not None and self.open:
            self._action = None
            if action == _PASSKEY_DISPLAY and self._ble.may_pair():
                self._trying = self.given = True
                core.ble.gap_passkey(self.handle, action, self._ble.passkey)
            else:
                core.ble.gap_disconnect(self.handle)
        proven = self._proven
        self._proven = None
        if proven is False and self.open and not self._trying:
            # Just works, a weak key or the bond of such a pairing.
            core.ble.gap_disconnect(self.handle)
        if not self.open and proven is None:
            # Who breaks off has learnt as much of the passkey as who was refused.
            proven = False
        if proven is not None and self._trying:
            self._trying = False
            self._ble.paired(proven)

    async def gone(self) -> None:
        """Wait until the connection has ended."""
        while self.open:
            await self._woken.wait()

    # -- noted in NimBLE's task ----------------------------------------------------------------------------

    def wrote(self, frame: bytes) -> None:
        """A frame; it is dropped when the firmware is too far behind, which the next one's counter shows."""
        if self._bytes + len(frame) <= _WAITING_BYTES:
            self._frames.append(frame)
            self._bytes += len(frame)
        self._woken.set()

    def asked(self, action: int) -> None:
        """Pairing has come to the passkey."""
        self._action = action
        self._woken.set()

    def encryption(self, encrypted: bool, authenticated: bool, key_size: int) -> None:
        """A pairing has ended, well or not, or a bond was used."""
        self.secure = bool(encrypted and authenticated and key_size == _KEY_BYTES)
        self._proven = self.secure
        self._woken.set()

    def ended(self) -> None:
        """The central is gone."""
        self.open = False
        self.secure = False
        self._frames = []
        self._woken.set()


class Ble:
    """The radio. Before the first `configure` nobody can connect.

    `may_pair()` is asked before a central may try the passkey; `paired(ok)` is told how it went. Neither may wait.
    """

    def __init__(self):
        self.may_pair = lambda: False
        self.paired = lambda _ok: None
        self.passkey = 0
        self.response = None
        self._info = None
        self._request = None
        self._name = ""
        self._link = None
        self._configured = asyncio.Event()
        self._advertising = None
        self._renew = False

    def configure(self, name: str, passkey: str, info: bytes) -> None:
        """Advertise under `name` from now on, with `info` to read before pairing and `passkey`, six digits."""
        self.passkey = int(passkey)
        self._name = _shortened(name)
        if self.response is None:
            self._start()
        aioble.config(gap_name=self._name)
        self._info.write(info)
        self._configured.set()
        if self._advertising is not None:
            # It begins anew with the new name.
            self._renew = True
            self._advertising.cancel()

    @property
    def on_air(self) -> bool:
        """Whether a central can find the box, or is connected."""
        return self._advertising is not None or (self._link is not None and self._link.open)

    async def accept(self):
        """Wait until a central is connected -> its Link."""
        await self._configured.wait()
        if self._link is not None:
            await self._link.gone()
        connection = None
        while connection is None:
            self._renew = False
            # As bytes: aioble takes the length of what it gets, which for text counts characters.
            advertise = aioble.advertise(_ADVERTISING_US, name=self._name.encode(), services=[_SERVICE])
            self._advertising = asyncio.create_task(advertise)
            try:
                connection = await self._advertising
            finally:
                self._advertising = None
            if connection is None and not self._renew:
                # asyncio hands the cancellation of this task on to the one it waits for, and aioble swallows it.
                raise asyncio.CancelledError
        self._link.attach(connection)
        return self._link

    def forget_bonds(self) -> None:
        """Forget the keys of all centrals; each has to pair again."""
        try:
            os.remove(_BONDS)
        except OSError:
            # There is none.
            pass
        from aioble import security

        security.load_secrets(_BONDS)

    def _start(self) -> None:
        """Switch the radio on and register the service."""
        # In front of aioble's own, which stores every bond and registers when it is imported.
        core.register_irq_handler(self._irq, None)
        from aioble import security

        security.load_secrets(_BONDS)
        aioble.config(mtu=_MTU, bond=True, mitm=True, le_secure=True, io=_IO_DISPLAY_ONLY)
        service = aioble.Service(_SERVICE)
        self._info = aioble.Characteristic(service, _INFO, read=True)
        self._request = aioble.BufferedCharacteristic(
            service, _REQUEST, write=True, write_no_response=True, max_len=_ATTRIBUTE_BYTES
        )
        # aioble has no words for these.
        self._request.flags |= _FLAG_WRITE_ENCRYPTED | _FLAG_WRITE_AUTHENTICATED
        self.response = aioble.Characteristic(service, _RESPONSE, notify=True)
        aioble.register_services(service)

    def _irq(self, event: int, data):
        """NimBLE's events, in its own task; None lets aioble have them too."""
        if event == _IRQ_CENTRAL_CONNECT:
            handle, _, address = data
            self._link = Link(self, handle, ":".join(["%02x" % byte for byte in bytes(address)]))
            return None
        link = self._link
        if event == _IRQ_SET_SECRET:
            # Only who has proven the passkey may fill the store; a value of None deletes.
            return None if data[2] is None or link is not None and link.given else False
        if link is None or data[0] != link.handle:
            return None
        if event == _IRQ_GATTS_WRITE:
            # Now, since the next write will overwrite it.
            link.wrote(bytes(self._request.read()))
        elif event == _IRQ_MTU_EXCHANGED:
            link.mtu = data[1]
        elif event == _IRQ_PASSKEY_ACTION:
            link.asked(data[1])
        elif event == _IRQ_ENCRYPTION_UPDATE:
            link.encryption(data[1], data[2], data[4])
        elif event == _IRQ_CENTRAL_DISCONNECT:
            link.ended()
        return None


def _shortened(name: str) -> str:
    """As much of `name` as an advertisement holds."""
    while len(name.encode()) > _NAME_BYTES:
        name = name[:-1]
    return name
