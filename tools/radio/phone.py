"""A virtual phone: a second Bluetooth stack that finds the wallbox, pairs and exchanges frames.

Tests and benchmarks use it; the installer's command line has a stack of its own.
"""

import asyncio
import logging
from typing import Self

from bumble import hci
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host
from bumble.keys import KeyStore, MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport

from radio.peripheral import INFO, MTU, REQUEST, RESPONSE, SERVICE

logging.getLogger("bumble").setLevel(logging.ERROR)

IoCapability = PairingDelegate.IoCapability
KEYBOARD = IoCapability.KEYBOARD_INPUT_ONLY
TIMEOUT_S = 10.0


class Typist(PairingDelegate):
    """A person who types the passkey of the label; None presses cancel."""

    def __init__(self, passkey: str | None, io_capability: IoCapability = KEYBOARD):
        super().__init__(io_capability)
        self.passkey = passkey

    async def get_number(self):
        """What is typed."""
        return None if self.passkey is None else int(self.passkey)


class Phone:
    """A phone at the HCI port `port` of tools/simulate.py --radio; an async context manager.

    `keys` are its bonds, to be handed to the next Phone of the same address.
    """

    def __init__(self, port: int, address: str = "F1:00:00:00:00:01", keys: KeyStore | None = None):
        self._port = port
        self._config = DeviceConfiguration(name="phone", address=hci.Address(address))
        self.keys = keys or MemoryKeyStore()
        self._transport = None
        self._device: Device | None = None
        self._connection: Connection | None = None
        self._peer: Peer | None = None
        self._handles: dict[str, CharacteristicProxy] = {}
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._pairings: list[asyncio.Task] = []
        self.typist = Typist(None)
        self.secure_connections = True

    async def __aenter__(self) -> Self:
        self._transport = await open_transport(f"tcp-client:127.0.0.1:{self._port}")
        self._device = Device(config=self._config, host=Host(self._transport.source, self._transport.sink))
        self._device.keystore = self.keys
        self._device.pairing_config_factory = lambda _connection: PairingConfig(
            sc=self.secure_connections, mitm=True, bonding=True, delegate=self.typist
        )
        await self._device.power_on()
        return self

    async def __aexit__(self, *_error) -> None:
        await self.disconnect()
        await self.vanish()
        for task in self._pairings:
            task.cancel()
        await asyncio.gather(*self._pairings, return_exceptions=True)

    @property
    def device(self) -> Device:
        """Its Bluetooth stack."""
        assert self._device
        return self._device

    @property
    def connection(self) -> Connection:
        """The connection it has, or had last."""
        assert self._connection
        return self._connection

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None and self._connection.handle in self.device.connections

    @property
    def mtu(self) -> int:
        """The MTU agreed upon."""
        return self.connection.att_mtu

    async def vanish(self) -> None:
        """Go out of reach without a word."""
        if self._transport:
            await self._transport.close()
            self._transport = None

    async def scan(self, timeout_s: float = TIMEOUT_S) -> tuple[str, str]:
        """Find the wallbox by its service: address and name."""
        found = asyncio.get_running_loop().create_future()

        def heard(advertisement) -> None:
            services = advertisement.data.get(AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS) or []
            name = advertisement.data.get(AdvertisingData.COMPLETE_LOCAL_NAME)
            if UUID(SERVICE) in services and name and not found.done():
                found.set_result((str(advertisement.address), name))

        self.device.on("advertisement", heard)
        await self.device.start_scanning(active=True)
        try:
            async with asyncio.timeout(timeout_s):
                return await found
        finally:
            self.device.remove_listener("advertisement", heard)
            await self.device.stop_scanning()

    async def connect(self, address: str, mtu: int = MTU, timeout_s: float = TIMEOUT_S) -> None:
        """Connect and agree upon the MTU; bumble's TimeoutError when the wallbox does not advertise."""
        self._connection = await self.device.connect(address, timeout=timeout_s)
        self._connection.on("disconnection", lambda _reason: self.frames.put_nowait(None))
        self._peer = Peer(self._connection)
        self._handles = {}
        if mtu > self._connection.att_mtu:
            await self._peer.request_mtu(mtu)

    async def pair(self, passkey: str | None, io_capability: IoCapability = KEYBOARD) -> None:
        """Pair with what a person types; bumble's ProtocolError when the wallbox refuses."""
        self.typist = Typist(passkey, io_capability)
        async with asyncio.timeout(TIMEOUT_S):
            await self.connection.pair()

    def begin_pairing(self) -> None:
        """Ask for a pairing in the middle of another, as no honest phone does."""
        session = self.device.smp_manager.sessions.pop(self.connection.handle, None)
        if session:
            session.on_disconnection(0)
        task = asyncio.ensure_future(self.connection.pair())
        self._pairings.append(task)

    async def encrypt(self) -> None:
        """Use the bond; bumble's HCI_Error when the wallbox has no such key."""
        async with asyncio.timeout(TIMEOUT_S):
            await self.connection.encrypt()

    async def read_info(self) -> bytes:
        """What the wallbox tells everybody."""
        return bytes(await (await self._characteristic(INFO)).read_value())

    async def subscribe(self) -> None:
        """Let notifications go to `frames`; bumble's ATT_Error before pairing."""
        response = await self._characteristic(RESPONSE)
        async with asyncio.timeout(TIMEOUT_S):
            await response.subscribe(self.frames.put_nowait)

    async def write(self, frame: bytes, with_response: bool = True) -> None:
        """Write a frame; bumble's ATT_Error when the link may not."""
        request = await self._characteristic(REQUEST)
        await request.write_value(frame, with_response=with_response)

    async def receive(self, timeout_s: float = TIMEOUT_S) -> bytes | None:
        """The next frame, None once when the connection has ended."""
        async with asyncio.timeout(timeout_s):
            return await self.frames.get()

    async def disconnect(self) -> None:
        """End the connection; harmless without one."""
        if self._transport and self.connected:
            await self.connection.disconnect()

    async def _characteristic(self, uuid: str) -> CharacteristicProxy:
        if uuid not in self._handles:
            assert self._peer
            services = await self._peer.discover_service(UUID(SERVICE))
            for characteristic in await services[0].discover_characteristics():
                self._handles[str(characteristic.uuid).lower()] = characteristic
        return self._handles[uuid]
