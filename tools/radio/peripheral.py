"""The wallbox as a Bluetooth LE peripheral: advertises, pairs by passkey, and carries frames between GATT and box.

docs/installer-protocol.md is its contract. It decides nothing about pairing but what the stack of the real board
decides: which methods there are. Whether a pairing may begin, and what a failed one costs, is the firmware's (R24).
"""

import asyncio
import hashlib
import json
import logging
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import cast

from bumble import hci, smp
from bumble.att import ATT_UNLIKELY_ERROR_ERROR, ATT_Error, Attribute
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import (
    GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
    GATT_DEVICE_NAME_CHARACTERISTIC,
    Characteristic,
    CharacteristicValue,
    Descriptor,
    Service,
)
from bumble.host import Host
from bumble.keys import JsonKeyStore, MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import AsyncPipeSink

from radio.air import Air, Radio
from radio.box_link import BoxGone, BoxLink, Central, LinkBusy, Profile

SERVICE = "5e2a0001-7c1b-4b64-9f0e-3d6c8a51e7f2"
INFO = "5e2a0002-7c1b-4b64-9f0e-3d6c8a51e7f2"
REQUEST = "5e2a0003-7c1b-4b64-9f0e-3d6c8a51e7f2"
RESPONSE = "5e2a0004-7c1b-4b64-9f0e-3d6c8a51e7f2"
# The largest ATT packet that fits one packet of the air with the data length extension.
MTU = 247
# Opcode and handle in front of a written or notified value.
ATT_HEADER_BYTES = 3
DEFAULT_MTU = 23
# A scan response has 31 bytes, two of them in front of the name.
NAME_BYTES = 29
KEY_BYTES = 16
FLAGS_GENERAL_LE_ONLY = bytes([0x06])
BONDS_FILE = "bonds.json"

# Bumble tells every failed pairing on its log; tests make many, and the firmware's log has them.
logging.getLogger("bumble").setLevel(logging.ERROR)


def device_address(info: bytes) -> hci.Address:
    """A static random address that stays the same for one serial number, since phones know a box by it."""
    serial = str(json.loads(info).get("serial", ""))
    octets = bytearray(hashlib.sha256(serial.encode()).digest()[:6])
    octets[5] |= 0xC0  # the two highest bits of a static random address (core specification, 6.B.1.3.2.1)
    return hci.Address(bytes(octets), hci.Address.RANDOM_DEVICE_ADDRESS)


class PasskeySession(smp.Session):
    """One pairing as responder: LE Secure Connections with the passkey of the label, nothing else.

    A pairing that reached the passkey and did not end in an encrypted link counts as failed, in whatever way it
    ended: who breaks off has learnt as much of the passkey as who was refused.
    """

    _begun = False
    _under_way = False

    @property
    def _link(self) -> "_Link | None":
        return getattr(self.connection, "wallbox_link", None)

    @property
    def proven(self) -> bool:
        """Whether the peer has proven all 20 bits of the passkey."""
        return self.passkey_step == 20

    def on_smp_pairing_request_command(self, command):
        """A second request in one connection begins a new pairing, and ends one that is under way."""
        if self._begun:
            self.on_disconnection(0)
            self.manager.on_smp_pdu(self.connection, bytes(command))
            return
        self._begun = True
        super().on_smp_pairing_request_command(command)

    async def on_smp_pairing_request_command_async(self, command):
        """Refuse other methods, ask the box, then go on."""
        reason = await self._refusal(command)
        if self.manager.sessions.get(self.connection.handle) is not self:
            return
        if reason:
            self.send_pairing_failed(reason)
            return
        self._under_way = True
        await super().on_smp_pairing_request_command_async(command)

    async def _refusal(self, command) -> int:
        method = self.PAIRING_METHODS.get(command.io_capability, {}).get(self.io_capability)
        by_passkey = isinstance(method, tuple) and method[0] == smp.PairingMethod.PASSKEY
        if not command.auth_req & smp.SMP_SC_AUTHREQ or not by_passkey or command.oob_data_flag:
            return smp.SMP_AUTHENTICATION_REQUIREMENTS_ERROR
        if command.maximum_encryption_key_size < KEY_BYTES:
            return smp.SMP_ENCRYPTION_KEY_SIZE_ERROR
        link = self._link
        try:
            allowed = link is not None and (await link.central.may_pair()).allow
        except BoxGone as error:
            print(f"radio: {error}", file=sys.stderr)
            allowed = False
        return 0 if allowed else smp.SMP_REPEATED_ATTEMPTS_ERROR

    def display_passkey(self):
        """The passkey stands on the label and does not change."""
        link = self._link
        if link is None:
            self.send_pairing_failed(smp.SMP_UNSPECIFIED_REASON_ERROR)
            return
        self.passkey = int(link.passkey)
        self.passkey_ready.set()

    def on_connection_encryption_change(self):
        """The pairing has succeeded."""
        if self.connection.is_encrypted:
            self._under_way = False
        super().on_connection_encryption_change()

    def on_pairing_failure(self, reason):
        """Count it, and let the next request begin anew."""
        super().on_pairing_failure(reason)
        self.on_disconnection(0)

    def on_disconnection(self, _):
        """The session is over, by the end of the connection or before; harmless when it was already."""
        self._failed()
        if self.manager.sessions.get(self.connection.handle) is self:
            super().on_disconnection(_)

    def _failed(self) -> None:
        if self._under_way:
            self._under_way = False
            if self._link:
                self._link.central.pairing_failed()


class _Link:
    """One phone's connection, from the box's Central to GATT."""

    def __init__(self, peripheral: "Peripheral", connection: Connection, profile: Profile):
        self._peripheral = peripheral
        self._connection = connection
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._sending: asyncio.Task | None = None
        self.passkey = profile.passkey
        self.central: Central = peripheral.box.connect(
            str(connection.peer_address), DEFAULT_MTU, self._outgoing.put_nowait, self._ended
        )

    def begin(self) -> None:
        """Carry frames until the connection ends."""
        connection = self._connection
        self._sending = asyncio.create_task(self._send())
        connection.on("disconnection", self._disconnected)
        connection.on("connection_att_mtu_update", lambda: self.central.mtu(connection.att_mtu))
        connection.on("connection_encryption_change", lambda: self.central.secure(connection.is_encrypted))

    async def written(self, frame: bytes) -> None:
        """The phone has written a frame."""
        try:
            await self.central.write(frame)
        except BoxGone:
            # The connection is being ended.
            raise ATT_Error(ATT_UNLIKELY_ERROR_ERROR) from None

    async def _send(self) -> None:
        connection = self._connection
        while True:
            frame = await self._outgoing.get()
            if len(frame) > connection.att_mtu - ATT_HEADER_BYTES:
                print(
                    f"radio: the firmware sent a frame of {len(frame)} bytes; the MTU is {connection.att_mtu}",
                    file=sys.stderr,
                )
                await self._peripheral.hang_up(connection)
                return
            if connection.is_encrypted:
                await self._peripheral.notify(connection, frame)
            self.central.sent()

    def _ended(self, _reason: str) -> None:
        self._peripheral.start(self._peripheral.hang_up(self._connection))

    def _disconnected(self, _reason: int) -> None:
        if self._sending:
            self._sending.cancel()
        # A pairing that was under way must count before the box forgets the central.
        self._peripheral.end_pairing(self._connection)
        self.central.close()


class Peripheral:
    """The wallbox's side of the air. `folder` keeps the bonds between runs, None keeps them in memory."""

    def __init__(self, box: BoxLink, air: Air, folder: Path | None = None):
        self.box = box
        self._air = air
        self._folder = folder
        self._device: Device | None = None
        self._radio: Radio | None = None
        self._response: Characteristic | None = None
        self._name: Characteristic | None = None
        self._shown: Profile | None = None
        self._changed = asyncio.Event()
        self._closing = False
        self._running: asyncio.Task | None = None
        self._tasks: set[asyncio.Task] = set()

    async def open(self) -> None:
        """Switch the radio on and advertise; the box must have told its profile."""
        profile = self.box.profile
        if profile is None:
            raise BoxGone("the wallbox has not told its name yet")
        address = device_address(profile.info)
        self._radio = Radio("wallbox", self._air, self._key_of)
        host = Host(self._radio, AsyncPipeSink(self._radio))
        config = DeviceConfiguration(name=profile.name, address=address, le_privacy_enabled=False)
        self._device = Device(config=config, host=host)
        self._device.keystore = self._key_store(address)
        self._device.smp_session_proxy = PasskeySession
        self._device.pairing_config_factory = self._pairing_config
        self._add_service(self._device)
        self._device.on("connection", self._connected)
        await self._device.power_on()
        self.box.on_change.append(self._changed.set)
        self.box.on_forget.append(self._forget)
        self._running = asyncio.create_task(self._advertise())
        self._changed.set()

    async def close(self) -> None:
        """Switch the radio off."""
        if self._running:
            self.box.on_change.remove(self._changed.set)
            self.box.on_forget.remove(self._forget)
            # Not cancelled: bumble may be at a command, in which a cancellation can get lost.
            self._closing = True
            self._changed.set()
        tasks = [task for task in (self._running, *self._tasks) if task]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._device:
            for connection in list(self._device.connections.values()):
                await self.hang_up(connection)
        if self._radio:
            self._radio.stop_advertising()
            self._air.remove_controller(self._radio)

    @property
    def address(self) -> str:
        """The address under which phones find it."""
        return str(self._device.random_address) if self._device else ""

    def start(self, work: Awaitable) -> None:
        """Run something that a callback may not wait for, until close()."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def hang_up(self, connection: Connection) -> None:
        """End a connection; harmless when it has ended."""
        if self._device and connection.handle in self._device.connections:
            await connection.disconnect(hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)

    def end_pairing(self, connection: Connection) -> None:
        """End the pairing that may be under way in a connection."""
        session = self._device.smp_manager.sessions.get(connection.handle) if self._device else None
        if session:
            session.on_disconnection(0)

    async def notify(self, connection: Connection, frame: bytes) -> None:
        """Notify a phone that has subscribed, and wait until it takes more."""
        assert self._device and self._response
        await self._device.gatt_server.notify_subscriber(connection, self._response, frame)
        await self._air.delivered(connection.peer_resolvable_address or connection.peer_address)

    # What the device is made of

    def _key_store(self, address: hci.Address):
        if self._folder is None:
            return MemoryKeyStore()
        return JsonKeyStore(str(address), str(self._folder / BONDS_FILE))

    def _pairing_config(self, _connection) -> PairingConfig:
        # A display that is a label: passkey entry with every peer that has a keyboard, and no other method.
        delegate = PairingDelegate(io_capability=PairingDelegate.IoCapability.DISPLAY_OUTPUT_ONLY)
        return PairingConfig(sc=True, mitm=True, bonding=True, delegate=delegate)

    def _add_service(self, device: Device) -> None:
        kinds = Characteristic.Properties
        proven = Attribute.WRITE_REQUIRES_AUTHENTICATION
        info = Characteristic(INFO, kinds.READ, Attribute.READABLE, CharacteristicValue(read=self._read_info))
        request = Characteristic(
            REQUEST,
            kinds.WRITE | kinds.WRITE_WITHOUT_RESPONSE,
            Attribute.WRITEABLE | proven,
            CharacteristicValue(write=self._written),
        )
        server = device.gatt_server
        server.max_mtu = MTU
        subscription = Descriptor(
            GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
            Attribute.READABLE | Attribute.WRITEABLE | proven,
            CharacteristicValue(
                read=lambda connection: server.read_cccd(connection, response),
                write=lambda connection, value: server.write_cccd(cast(Connection, connection), response, value),
            ),
        )
        response = Characteristic(RESPONSE, kinds.NOTIFY, Attribute.Permissions(0), b"", [subscription])
        device.add_service(Service(SERVICE, [info, request, response]))
        self._response = response
        self._name = next(
            attribute
            for attribute in server.attributes
            if isinstance(attribute, Characteristic) and attribute.uuid == GATT_DEVICE_NAME_CHARACTERISTIC
        )

    # What happens

    def _read_info(self, _connection) -> bytes:
        return self.box.profile.info if self.box.profile else b"{}"

    async def _written(self, connection: Connection | None, value: bytes) -> None:
        link = getattr(connection, "wallbox_link", None)
        if link is None:
            raise ATT_Error(ATT_UNLIKELY_ERROR_ERROR)
        await link.written(bytes(value))

    def _connected(self, connection: Connection) -> None:
        profile = self.box.profile
        connection.on("disconnection", lambda _reason: self._changed.set())
        try:
            if profile is None:
                raise BoxGone("the wallbox is not there")
            link = _Link(self, connection, profile)
        except (LinkBusy, BoxGone):
            # It came in the moment in which another did.
            self.start(connection.disconnect(hci.HCI_REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_LOW_RESOURCES_ERROR))
            return
        connection.wallbox_link = link  # pyright: ignore[reportAttributeAccessIssue]
        link.begin()

    async def _key_of(self, central_address: hci.Address) -> bytes | None:
        device = self._device
        if not device:
            return None
        for connection in device.connections.values():
            if central_address in (connection.peer_address, connection.peer_resolvable_address):
                return await self._key(device, connection)
        return None

    async def _key(self, device: Device, connection: Connection) -> bytes | None:
        session = device.smp_manager.sessions.get(connection.handle)
        if isinstance(session, PasskeySession) and session.proven and not session.completed:
            return session.ltk
        keys = await device.keystore.get(str(connection.peer_address)) if device.keystore else None
        return keys.ltk.value if keys and keys.ltk and keys.ltk.authenticated else None

    def _forget(self) -> None:
        if self._device and self._device.keystore:
            self.start(self._device.keystore.delete_all())

    async def _advertise(self) -> None:
        """Advertise whenever the box is there and free, with its newest name."""
        device = self._device
        assert device
        while not self._closing:
            await self._changed.wait()
            self._changed.clear()
            profile = self.box.profile
            if self._closing or profile is None or self.box.central is not None or device.connections:
                self._shown = None
                await device.stop_advertising()
            elif profile != self._shown:
                self._shown = profile
                await self._show(device, profile)

    async def _show(self, device: Device, profile: Profile) -> None:
        name = profile.name.encode()
        shown = name if len(name) <= NAME_BYTES else name[:NAME_BYTES].decode(errors="ignore").encode()
        kind = AdvertisingData.COMPLETE_LOCAL_NAME if shown == name else AdvertisingData.SHORTENED_LOCAL_NAME
        if self._name:
            self._name.value = name
        await device.start_advertising(
            advertising_data=bytes(
                AdvertisingData(
                    [
                        (AdvertisingData.FLAGS, FLAGS_GENERAL_LE_ONLY),
                        (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(UUID(SERVICE))),
                    ]
                )
            ),
            scan_response_data=bytes(AdvertisingData([(kind, shown)])),
        )
