"""The air between virtual Bluetooth controllers; it adds to bumble's what a phone notices of a real one.

A connection begins only with an advertisement, encryption only with the same key on both sides, both sides may end a
connection, and a phone whose process ends is out of reach at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from bumble import hci
from bumble.controller import Controller
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

# As controllers with the data length extension have it; bumble's 27 would cut each frame into ten packets.
ACL_BYTES = 251
# Apple's accessory guidelines ask for 20 ms to 1 s; a virtual phone should not wait.
ADVERTISING_INTERVAL_MS = 50
# What a phone's process has not read yet; above that, senders wait.
UNREAD_HIGH_BYTES = 16 * 1024

KeyOf = Callable[[hci.Address], Awaitable[bytes | None]]


class Radio(Controller):
    """A controller in the air.

    `key_of` asks the host of a peripheral for its long-term key with a central. `ready` is set while the host takes
    what arrives.
    """

    def __init__(self, name: str, air: "Air", key_of: KeyOf | None = None, **sides):
        super().__init__(name, link=air, **sides)
        self.le_acl_data_packet_length = ACL_BYTES
        self.advertising_interval = ADVERTISING_INTERVAL_MS
        self.air = air
        self.key_of = key_of
        # bumble makes the fields of a command at run time.
        self.initiating: Any = None
        self.ready = asyncio.Event()
        self.ready.set()

    # Beginning and end of connections

    def on_hci_le_create_connection_command(self, command):
        """Wait for an advertisement of the peer, as long as it takes."""
        busy = self.initiating is not None
        status = hci.HCI_COMMAND_DISALLOWED_ERROR if busy else hci.HCI_COMMAND_STATUS_PENDING
        self.send_hci_packet(
            hci.HCI_Command_Status_Event(status=status, num_hci_command_packets=1, command_opcode=command.op_code)
        )
        if not busy:
            self.initiating = command

    def on_hci_le_create_connection_cancel_command(self, _command):
        """End the waiting; the host hears of it as of a failed connection."""
        command, self.initiating = self.initiating, None
        if command is None:
            return bytes([hci.HCI_COMMAND_DISALLOWED_ERROR])
        asyncio.get_running_loop().call_soon(
            self.on_link_peripheral_connection_complete, command, hci.HCI_UNKNOWN_CONNECTION_IDENTIFIER_ERROR
        )
        return bytes([hci.HCI_SUCCESS])

    def on_link_central_connected(self, central_address):
        """A connected peripheral does not advertise."""
        self.stop_advertising()
        super().on_link_central_connected(central_address)

    def on_hci_disconnect_command(self, command):
        """End a connection as central or as peripheral."""
        ended = next((c for c in self.peripheral_connections.values() if c.handle == command.connection_handle), None)
        if ended is None:
            super().on_hci_disconnect_command(command)
            return
        self.send_hci_packet(
            hci.HCI_Command_Status_Event(
                status=hci.HCI_COMMAND_STATUS_PENDING, num_hci_command_packets=1, command_opcode=command.op_code
            )
        )
        asyncio.get_running_loop().call_soon(self.air.ended_by_peripheral, self, ended.peer_address, command.reason)

    def on_link_ended(self, peripheral_address: hci.Address, reason: int) -> None:
        """The peripheral has ended the connection."""
        connection = self.central_connections.pop(peripheral_address, None)
        if connection:
            self._tell_end(connection.handle, reason)

    def on_ended_here(self, central_address: hci.Address) -> None:
        """The host of this peripheral has ended the connection."""
        connection = self.peripheral_connections.pop(central_address, None)
        if connection:
            self._tell_end(connection.handle, hci.HCI_CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    def _tell_end(self, handle: int, reason: int) -> None:
        self.send_hci_packet(
            hci.HCI_Disconnection_Complete_Event(status=hci.HCI_SUCCESS, connection_handle=handle, reason=reason)
        )

    # Advertisements and keys

    def on_link_advertising_data(self, sender_address, data):
        """Report an advertisement, and the scan response with its own data."""
        sender = self.air.radio(sender_address)
        if self.le_scan_enable == 0 or sender is None:
            return
        kinds = hci.HCI_LE_Advertising_Report_Event
        reports = ((kinds.ADV_IND, data), (kinds.SCAN_RSP, sender.le_scan_response_data or b""))
        for event_type, payload in reports:
            report = kinds.Report(
                kinds.Report.FIELDS,
                event_type=event_type,
                address_type=sender_address.address_type,
                address=sender_address,
                data=payload,
                rssi=-50,
            )
            self.send_hci_packet(kinds([report]))

    def on_link_not_encrypted(self, peripheral_address: hci.Address) -> None:
        """The peripheral has no such key."""
        connection = self.central_connections.get(peripheral_address)
        if connection:
            self.send_hci_packet(
                hci.HCI_Encryption_Change_Event(
                    status=hci.HCI_PIN_OR_KEY_MISSING_ERROR, connection_handle=connection.handle, encryption_enabled=0
                )
            )


class Air(LocalLink):
    """Where radios hear one another."""

    def __init__(self):
        super().__init__()
        self._tasks: set[asyncio.Task] = set()

    def radio(self, address: hci.Address) -> "Radio | None":
        """The radio with this address, None when there is none in reach."""
        return cast("Radio | None", self.find_controller(address))

    def send_advertising_data(self, sender_address, data):
        """Let scanners hear it, and a central that waits for it connect."""
        super().send_advertising_data(sender_address, data)
        for radio in cast(set[Radio], self.controllers):
            if radio.initiating and radio.initiating.peer_address == sender_address:
                asyncio.get_running_loop().call_soon(self._connect, radio, sender_address)

    def _connect(self, central: Radio, peripheral_address: hci.Address) -> None:
        peripheral = self.radio(peripheral_address)
        command = central.initiating
        if not command or not peripheral or not peripheral.is_advertising or central not in self.controllers:
            return
        central.initiating = None
        central.on_link_peripheral_connection_complete(command, hci.HCI_SUCCESS)
        peripheral.on_link_central_connected(central.random_address)

    def ended_by_peripheral(self, peripheral: Radio, central_address: hci.Address, reason: int) -> None:
        """Tell both sides that the peripheral has ended the connection."""
        central = self.radio(central_address)
        if central:
            central.on_link_ended(peripheral.random_address, reason)
        peripheral.on_ended_here(central_address)

    def on_connection_encrypted(self, central_address, peripheral_address, rand, ediv, ltk):
        """Encrypt when the peripheral holds the same key."""
        task = asyncio.create_task(self._encrypt(central_address, peripheral_address, rand, ediv, ltk))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _encrypt(self, central_address, peripheral_address, rand, ediv, ltk) -> None:
        peripheral = self.radio(peripheral_address)
        key = await peripheral.key_of(central_address) if peripheral and peripheral.key_of else None
        if key is not None and key == ltk:
            super().on_connection_encrypted(central_address, peripheral_address, rand, ediv, ltk)
            return
        central = self.radio(central_address)
        if central:
            central.on_link_not_encrypted(peripheral_address)

    def remove(self, radio: Radio) -> None:
        """Take a radio out of the air: who was connected with it loses it as out of reach."""
        self.remove_controller(radio)
        for address in list(radio.central_connections):
            peripheral = self.radio(address)
            if peripheral:
                peripheral.on_link_central_disconnected(radio.random_address, hci.HCI_CONNECTION_TIMEOUT_ERROR)

    async def delivered(self, address: hci.Address) -> None:
        """Wait until the host at `address` takes what arrives; at once when nobody is there."""
        radio = self.radio(address)
        if radio:
            await radio.ready.wait()


class _Adapter(asyncio.Protocol):
    """The Bluetooth adapter of one virtual phone, as its process sees it: HCI packets over TCP."""

    def __init__(self, air: Air, port: "PhonePort"):
        self._air = air
        self._port = port
        self._parser = PacketParser()
        self._transport: asyncio.WriteTransport | None = None
        self._radio: Radio | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A phone has switched its adapter on."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.set_write_buffer_limits(UNREAD_HIGH_BYTES)
        self._radio = Radio("phone", self._air, host_sink=self)
        self._parser.set_packet_sink(self._radio)
        self._port.adapters.add(self)

    def connection_lost(self, _error) -> None:
        """The phone is gone."""
        self._port.adapters.discard(self)
        if self._radio:
            self._radio.ready.set()
            self._air.remove(self._radio)

    def data_received(self, data: bytes) -> None:
        """HCI packets of the phone's host."""
        try:
            self._parser.feed_data(data)
        except ValueError as error:
            # Where the next packet begins cannot be known.
            print(f"radio: a phone sent no HCI packet ({error}); it is cut off")
            self.close()

    def on_packet(self, packet: bytes) -> None:
        """An HCI packet for the phone's host."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(packet)

    def pause_writing(self) -> None:
        """The phone's process reads too slowly."""
        if self._radio:
            self._radio.ready.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._radio:
            self._radio.ready.set()

    def close(self) -> None:
        """Switch the adapter off."""
        if self._transport:
            self._transport.close()


class PhonePort:
    """A TCP port on 127.0.0.1; each connection is the adapter of one more virtual phone.

    A host connects with bumble's transport `tcp-client:127.0.0.1:PORT`, as often as it likes.
    """

    def __init__(self, air: Air):
        self._air = air
        self._server: asyncio.Server | None = None
        self.adapters: set[_Adapter] = set()

    async def open(self, port: int) -> int:
        """Listen on `port` (0: any free one) and return it; OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Adapter(self._air, self), "127.0.0.1", port)
        return self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and switch all phones off."""
        if self._server:
            self._server.close()
            for adapter in list(self.adapters):
                adapter.close()
            await self._server.wait_closed()
