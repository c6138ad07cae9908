"""Frames over the virtual radio: a Bluetooth host of its own at a controller on a TCP port (`tools/radio`)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bumble.core import AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address, HCI_Error
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport as HciTransport

from installer.errors import LinkLost, NoConnection, PairingRefused
from installer.transports import ATT_HEADER_BYTES, INFO, REQUEST, RESPONSE, SERVICE, Found, read_info

# Of this program, not of a wallbox.
OWN_ADDRESS = "F0:11:22:33:44:55"
MTU = 247
FIND_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 10.0
PAIR_TIMEOUT_S = 30.0
WRITE_TIMEOUT_S = 10.0
_NAMES = (AdvertisingData.Type.COMPLETE_LOCAL_NAME, AdvertisingData.Type.SHORTENED_LOCAL_NAME)
_LISTS = (
    AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)

# What goes wrong comes as an exception; without a handler of its own bumble would print it besides.
logging.getLogger("bumble").addHandler(logging.NullHandler())


class _Keyboard(PairingDelegate):
    """Types the passkey; it has no display, so only the passkey of the label can prove anything."""

    def __init__(self, passkey: Callable[[], Awaitable[str]]):
        super().__init__(PairingDelegate.IoCapability.KEYBOARD_INPUT_ONLY)
        self._passkey = passkey

    async def get_number(self) -> int:
        """The passkey as the number that goes into the proof."""
        return int(await self._passkey())


class RadioTransport:
    """One encrypted connection over the virtual radio."""

    def __init__(self, connection: Connection, request: CharacteristicProxy, payload: int):
        self._connection = connection
        self._request = request
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._gone = False
        self.payload = payload
        connection.on("disconnection", self._ended)

    def take(self, frame: bytes) -> None:
        """A notification has come."""
        self._frames.put_nowait(bytes(frame))

    def _ended(self, _reason: int) -> None:
        self._gone = True
        self._frames.put_nowait(None)

    async def send(self, frame: bytes) -> None:
        """Write one frame and wait for the wallbox to take it; LinkLost when the connection is gone."""
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._request.write_value(frame, with_response=True)
        except (BaseBumbleError, HCI_Error, OSError, TimeoutError) as error:
            raise LinkLost(f"the wallbox did not take a frame ({error or type(error).__name__})") from error

    async def receive(self) -> bytes:
        """The next frame; LinkLost when the connection is gone."""
        frame = await self._frames.get()
        if frame is None:
            self._frames.put_nowait(None)
            raise LinkLost("the wallbox ended the radio connection")
        return frame

    async def close(self) -> None:
        """End the connection; one that is gone would never tell of its end again."""
        if not self._gone:
            await _disconnect(self._connection)


async def _disconnect(connection: Connection) -> None:
    """End a connection; one that is gone already needs no ending."""
    try:
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await connection.disconnect()
    except (BaseBumbleError, HCI_Error, OSError, TimeoutError):
        return


class RadioWay:
    """A wallbox near the virtual controller at TCP port `port`; `name` or address chooses one of several."""

    def __init__(self, port: int, passkey: Callable[[], Awaitable[str]], name: str = ""):
        self._port = port
        self._passkey = passkey
        self._name = name
        self._hci: HciTransport | None = None
        self._device: Device | None = None

    async def open(self) -> RadioTransport:
        """Connect and pair; NoConnection when no wallbox is found, PairingRefused when the passkey is not taken."""
        device = await self._power_on()
        found = await self._find(device, FIND_TIMEOUT_S, one=True)
        if not found:
            wanted = f"named {self._name!r} " if self._name else ""
            raise NoConnection(f"no wallbox {wanted}advertises on the virtual radio at port {self._port}")
        connection = await self._dial(device, next(iter(found)))
        try:
            await self._secure(device, connection)
            return await self._use(connection)
        except BaseException:
            await _disconnect(connection)
            raise

    async def scan(self, seconds: float) -> list[Found]:
        """The wallboxes that advertise within `seconds`, each asked for its `info`."""
        device = await self._power_on()
        boxes = []
        for address, (name, rssi) in (await self._find(device, seconds, one=False)).items():
            boxes.append(Found(address, name, rssi, await self._info(device, address)))
        return boxes

    async def close(self) -> None:
        """Leave the controller."""
        if self._hci:
            await self._hci.close()
            self._hci = self._device = None

    async def _power_on(self) -> Device:
        if self._device:
            return self._device
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._hci = await open_transport(f"tcp-client:127.0.0.1:{self._port}")
                config = DeviceConfiguration(name="installer", address=Address(OWN_ADDRESS))
                device = Device.from_config_with_hci(config, self._hci.source, self._hci.sink)
                device.keystore = MemoryKeyStore()
                device.pairing_config_factory = lambda _connection: PairingConfig(
                    sc=True, mitm=True, bonding=True, delegate=_Keyboard(self._passkey)
                )
                await device.power_on()
        except (BaseBumbleError, HCI_Error, OSError, TimeoutError) as error:
            await self.close()
            reason = error or type(error).__name__
            raise NoConnection(f"no virtual radio at port {self._port} ({reason})") from error
        self._device = device
        return device

    async def _find(self, device: Device, seconds: float, one: bool) -> dict[str, tuple[str, int]]:
        """Address -> (name, dBm) of what advertises the service; with `one` the first that fits will do."""
        found: dict[str, tuple[str, int]] = {}
        enough = asyncio.Event()

        def heard(advertisement: Advertisement) -> None:
            data, address = advertisement.data, str(advertisement.address)
            services = [str(uuid).lower() for kind in _LISTS for uuid in data.get(kind) or ()]
            if SERVICE.lower() not in services and SERVICE.replace("-", "").lower() not in services:
                return
            name = next((str(data.get(kind)) for kind in _NAMES if data.get(kind)), "")
            if self._name and self._name.lower() not in (name.lower(), address.lower(), address[:17].lower()):
                return
            found[address] = (name, advertisement.rssi)
            if one:
                enough.set()

        device.on("advertisement", heard)
        try:
            await device.start_scanning(active=True)
            async with asyncio.timeout(seconds):
                await enough.wait()
        except TimeoutError:
            return found
        except (BaseBumbleError, HCI_Error, OSError) as error:
            raise NoConnection(f"the virtual radio cannot scan ({error})") from error
        finally:
            device.remove_listener("advertisement", heard)
            await device.stop_scanning()
        return found

    async def _dial(self, device: Device, address: str) -> Connection:
        try:
            return await device.connect(Address(address), timeout=CONNECT_TIMEOUT_S)
        except (BaseBumbleError, HCI_Error, OSError, TimeoutError) as error:
            raise NoConnection(f"the wallbox {address} does not answer ({error or type(error).__name__})") from error

    async def _secure(self, device: Device, connection: Connection) -> None:
        """Encrypt with the key of an earlier pairing of this run, else pair."""
        known = device.keystore and await device.keystore.get(str(connection.peer_address))
        try:
            async with asyncio.timeout(PAIR_TIMEOUT_S):
                await (connection.encrypt() if known else connection.pair())
        except (BaseBumbleError, HCI_Error, OSError, TimeoutError, asyncio.CancelledError) as error:
            if known:
                # The wallbox has forgotten the key, as after a factory reset: the next try pairs anew.
                await device.keystore.delete(str(connection.peer_address))  # pyright: ignore[reportOptionalMemberAccess]
                raise NoConnection(f"the wallbox does not know the key of the last pairing ({error})") from error
            if isinstance(error, asyncio.CancelledError) and asyncio.current_task().cancelling():  # pyright: ignore
                raise
            reason = error or type(error).__name__
            text = f"pairing was refused: is the passkey that of the label, and was it tried too often? ({reason})"
            raise PairingRefused(text) from error

    async def _use(self, connection: Connection) -> RadioTransport:
        try:
            peer = Peer(connection)
            mtu = await peer.request_mtu(MTU)
            parts = await _characteristics(peer, REQUEST, RESPONSE)
            transport = RadioTransport(connection, parts[REQUEST], mtu - ATT_HEADER_BYTES)
            await parts[RESPONSE].subscribe(transport.take)
            return transport
        except (BaseBumbleError, HCI_Error, OSError, TimeoutError) as error:
            raise NoConnection(f"the wallbox does not offer its service ({error})") from error

    async def _info(self, device: Device, address: str) -> dict:
        try:
            connection = await self._dial(device, address)
        except NoConnection:
            # Somebody else is connected to it; it is there all the same.
            return {}
        try:
            parts = await _characteristics(Peer(connection), INFO)
            return read_info(bytes(await parts[INFO].read_value()))
        except (BaseBumbleError, HCI_Error, OSError, NoConnection):
            return {}
        finally:
            await _disconnect(connection)


async def _characteristics(peer: Peer, *wanted: str) -> dict[str, CharacteristicProxy]:
    """The characteristics of the service; NoConnection when one is missing."""
    parts = {}
    for service in await peer.discover_service(SERVICE):
        for found in await peer.discover_characteristics(wanted, service):
            text = found.uuid.to_hex_str("-").lower()
            parts[text] = found
    missing = [uuid for uuid in wanted if uuid not in parts]
    if missing:
        raise NoConnection(f"the wallbox has no characteristic {', '.join(missing)}")
    return parts
