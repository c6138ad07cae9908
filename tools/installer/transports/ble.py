"""Frames over this computer's Bluetooth adapter, with bleak. Pairing, passkey included, is the operating system's."""

import asyncio

import bleak
from bleak.exc import BleakError

from installer.errors import LinkLost, NoConnection, PairingRefused
from installer.transports import INFO, REQUEST, RESPONSE, SERVICE, Found, read_info

FIND_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 30.0
WRITE_TIMEOUT_S = 10.0
# The person types the passkey into the system's own window.
PAIR_TIMEOUT_S = 90.0
# Words of BlueZ, WinRT and CoreBluetooth for an unencrypted or unproven link.
_UNPAIRED = ("authenti", "encrypt", "not permitted", "notpermitted", "access denied", "insufficient", "pair")


class BleTransport:
    """One connection of the adapter; `take` gets the notifications, `ended` the end."""

    def __init__(self):
        self._client: bleak.BleakClient | None = None
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.payload = 0

    def use(self, client: "bleak.BleakClient") -> None:
        """Send through `client` from now on."""
        self._client = client
        request = client.services.get_characteristic(REQUEST)
        if request is None:
            raise NoConnection(f"the wallbox has no characteristic {REQUEST}")
        # BlueZ tells the MTU here only; `mtu_size` would be its smallest value.
        self.payload = request.max_write_without_response_size

    def take(self, _characteristic: object, frame: bytearray) -> None:
        """A notification has come."""
        self._frames.put_nowait(bytes(frame))

    def ended(self, _client: object) -> None:
        """The connection is gone."""
        self._frames.put_nowait(None)

    async def send(self, frame: bytes) -> None:
        """Write one frame and wait for the wallbox to take it; LinkLost when the connection is gone."""
        assert self._client
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._client.write_gatt_char(REQUEST, frame, response=True)
        except (BleakError, OSError, TimeoutError) as error:
            raise LinkLost(f"the wallbox did not take a frame ({error or type(error).__name__})") from error

    async def receive(self) -> bytes:
        """The next frame; LinkLost when the connection is gone."""
        frame = await self._frames.get()
        if frame is None:
            self._frames.put_nowait(None)
            raise LinkLost("the wallbox ended the Bluetooth connection")
        return frame

    async def close(self) -> None:
        """End the connection; one that is gone already needs no ending."""
        if self._client:
            await _disconnect(self._client)


class BleWay:
    """The wallbox with this name or address ("" takes the only one within reach)."""

    def __init__(self, wanted: str):
        self._wanted = wanted

    async def open(self) -> BleTransport:
        """Connect; the first subscription makes the system pair. PairingRefused when it does not."""
        device = await self._find()
        transport = BleTransport()
        client = bleak.BleakClient(device, transport.ended, timeout=CONNECT_TIMEOUT_S, pair=True)
        try:
            await client.connect()
        except (BleakError, OSError, TimeoutError) as error:
            await _disconnect(client)
            raise _failure(error, f"the wallbox {device.address} does not answer") from error
        try:
            async with asyncio.timeout(PAIR_TIMEOUT_S):
                await client.start_notify(RESPONSE, transport.take)
            transport.use(client)
            return transport
        except (BleakError, OSError, TimeoutError) as error:
            await _disconnect(client)
            raise _failure(error, "the wallbox does not offer its service") from error
        except BaseException:
            await _disconnect(client)
            raise

    async def scan(self, seconds: float) -> list[Found]:
        """The wallboxes that advertise within `seconds`, each asked for its `info`."""
        try:
            heard = await bleak.BleakScanner.discover(seconds, return_adv=True, service_uuids=[SERVICE])
        except (BleakError, OSError) as error:
            raise NoConnection(f"this computer's Bluetooth cannot scan ({error})") from error
        found = []
        for device, advertisement in heard.values():
            name = advertisement.local_name or device.name or ""
            found.append(Found(device.address, name, advertisement.rssi, await self._info(device)))
        return found

    async def close(self) -> None:
        """The adapter is the system's."""

    async def _find(self):
        wanted = self._wanted.lower()

        def fits(device, advertisement) -> bool:
            names = ((advertisement.local_name or "").lower(), (device.name or "").lower(), device.address.lower())
            services = [uuid.lower() for uuid in advertisement.service_uuids]
            return SERVICE in services and (not wanted or wanted in names)

        try:
            device = await bleak.BleakScanner.find_device_by_filter(fits, FIND_TIMEOUT_S, service_uuids=[SERVICE])
        except (BleakError, OSError) as error:
            raise NoConnection(f"this computer's Bluetooth cannot scan ({error})") from error
        if device is None:
            named = f" {self._wanted!r}" if self._wanted else ""
            raise NoConnection(f"no wallbox{named} advertises within reach")
        return device

    async def _info(self, device) -> dict:
        client = bleak.BleakClient(device, timeout=FIND_TIMEOUT_S)
        try:
            await client.connect()
            return read_info(bytes(await client.read_gatt_char(INFO)))
        except (BleakError, OSError, TimeoutError):
            # Somebody else is connected to it; it is there all the same.
            return {}
        finally:
            await _disconnect(client)


def _failure(error: Exception, text: str) -> NoConnection | PairingRefused:
    words = str(error).lower()
    if any(word in words for word in _UNPAIRED):
        advice = "pair it in the system's Bluetooth settings with the passkey of the label"
        return PairingRefused(f"pairing was refused ({error}); {advice}")
    return NoConnection(f"{text} ({error or type(error).__name__})")


async def _disconnect(client: "bleak.BleakClient") -> None:
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await client.disconnect()
    except (BleakError, OSError, TimeoutError):
        return
