"""How fast the installer's link is over the virtual radio, beside a bare GATT loop over the same stack.

`make bench ARGS=link` prints it. Firmware and radio are two processes; the phone shares the radio's. The bare loop has
no firmware, no encryption and no box behind it: it is what the two Bluetooth stacks can do on this machine.
"""

import asyncio
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from statistics import median

from bumble.att import Attribute
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink
from radio.air import Air, PhonePort, Radio
from radio.box_link import BoxLink
from radio.peripheral import ATT_HEADER_BYTES, MTU, REQUEST, RESPONSE, SERVICE, Peripheral
from radio.phone import Phone
from reaction import Simulator

from installer.frames import Cutter, Data, Joiner

ROUND_TRIPS = 300
TRANSFER_BYTES = 1 << 20
READ_BYTES = 16_384
WINDOW_BYTES = 8_192
PAYLOAD = MTU - ATT_HEADER_BYTES
RUNS = 3
BARE_ADDRESS = "F2:00:00:00:00:01"
# What costs the firmware least to make shows the link; the log is made line by line from flash.
DOWNLOAD = "settings-schema"
MADE = "log.csv"
MADE_BYTES = TRANSFER_BYTES // 4
UPLOAD = "firmware"
# The simulated flash has room for a third of a megabyte.
UPLOADS = 3


@dataclass
class Figures:
    """Rates in bytes per second of data, one a run; round trips in milliseconds, of all runs."""

    round_trips_ms: list[float] = field(default_factory=list)
    download: list[float] = field(default_factory=list)
    made: list[float] = field(default_factory=list)
    upload: list[float] = field(default_factory=list)
    bare_download: list[float] = field(default_factory=list)
    bare_upload: list[float] = field(default_factory=list)


class LinkError(Exception):
    """The wallbox did not do what is measured; the text is its own."""


class Talk:
    """Requests and transfers over one connection of a phone."""

    def __init__(self, phone: Phone):
        self._phone = phone
        self._cutter = Cutter(phone.mtu - ATT_HEADER_BYTES)
        self._joiner = Joiner()
        self._number = 0
        self._data_bytes = 0
        self._stored = 0

    async def ask(self, do: str, **arguments) -> dict:
        """The answer to a request; LinkError when it is refused."""
        self._number += 1
        for frame in self._cutter.message(json.dumps({"id": self._number, "do": do, **arguments}).encode()):
            await self._phone.write(frame)
        while "id" not in (message := await self._next()):
            continue
        if not message["ok"]:
            raise LinkError(f"{do}: {message['error']['text']}")
        return message

    async def download(self, name: str, size: int) -> None:
        """Read a file, again and again from its beginning, until `size` bytes have come."""
        opened = await self.ask("get", name=name)
        self._data_bytes = offset = 0
        while self._data_bytes < size:
            answer = await self.ask("read", transfer=opened["transfer"], offset=offset, count=READ_BYTES)
            offset = 0 if answer["end"] else answer["offset"]
        await self.ask("done", transfer=opened["transfer"])

    async def upload(self, name: str, content: bytes) -> None:
        """Send a file as fast as the wallbox stores it, and throw it away."""
        opened = await self.ask("put", name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        offset = self._stored = opened["offset"]
        room = self._cutter.data_room()
        while self._stored < len(content):
            while offset < len(content) and offset + room - self._stored <= WINDOW_BYTES:
                piece = content[offset : offset + room]
                await self._phone.write(self._cutter.data(opened["transfer"], offset, piece))
                offset += len(piece)
                # What has come in the meantime.
                while not self._phone.frames.empty():
                    await self._next()
            if self._stored < len(content):
                await self._next()
        await self.ask("done", transfer=opened["transfer"], cancel=True)

    async def _next(self) -> dict:
        """The next message; data and what was stored are counted."""
        while True:
            frame = await self._phone.receive()
            if frame is None:
                raise LinkError("the wallbox has ended the connection")
            taken = self._joiner.feed(bytes(frame))
            if isinstance(taken, Data):
                self._data_bytes += len(taken.data)
            elif taken is not None:
                return self._noted(json.loads(taken))

    def _noted(self, message: dict) -> dict:
        if message.get("event") == "received":
            self._stored = message["offset"]
        elif message.get("event") == "frame_error":
            raise LinkError(message["text"])
        return message


class Bare:
    """A peripheral with the same service and nothing behind it."""

    def __init__(self, air: Air):
        self._radio = Radio("bare", air)
        self._air = air
        kinds = Characteristic.Properties
        self._response = Characteristic(RESPONSE, kinds.NOTIFY, Attribute.READABLE, b"")
        request = Characteristic(
            REQUEST, kinds.WRITE, Attribute.WRITEABLE, CharacteristicValue(write=lambda _connection, _value: None)
        )
        config = DeviceConfiguration(name="bare", address=Address(BARE_ADDRESS))
        self.device = Device(config=config, host=Host(self._radio, AsyncPipeSink(self._radio)))
        self.device.gatt_server.max_mtu = MTU
        self.device.add_service(Service(SERVICE, [request, self._response]))

    async def open(self) -> None:
        """Advertise."""
        await self.device.power_on()
        await self.device.start_advertising()

    async def notify(self, frame: bytes) -> None:
        """Send one notification to the phone that is connected."""
        for connection in self.device.connections.values():
            await self.device.gatt_server.notify_subscriber(connection, self._response, frame)
            await self._air.delivered(connection.peer_address)

    def close(self) -> None:
        """Leave the air."""
        self._radio.stop_advertising()
        self._air.remove_controller(self._radio)


async def _bare(air: Air, port: int, figures: Figures) -> None:
    """What the two stacks do without a wallbox."""
    bare = Bare(air)
    await bare.open()
    count = TRANSFER_BYTES // PAYLOAD
    frame = bytes(PAYLOAD)
    try:
        async with Phone(port) as phone:
            await phone.connect(BARE_ADDRESS)
            await phone.subscribe()
            begin = time.monotonic()
            sending = asyncio.create_task(_repeat(bare.notify, frame, count))
            for _ in range(count):
                await phone.receive()
            await sending
            figures.bare_download.append(count * PAYLOAD / (time.monotonic() - begin))
            begin = time.monotonic()
            await _repeat(phone.write, frame, count)
            figures.bare_upload.append(count * PAYLOAD / (time.monotonic() - begin))
    finally:
        bare.close()


async def _repeat(send, frame: bytes, count: int) -> None:
    for _ in range(count):
        await send(frame)


async def _wallbox(talk: Talk, figures: Figures, content: bytes) -> None:
    """What the wallbox does over the same stacks."""
    for _ in range(ROUND_TRIPS):
        begin = time.monotonic()
        await talk.ask("status")
        figures.round_trips_ms.append((time.monotonic() - begin) * 1000)
    await talk.ask("login", role="expert", password="1916")
    for name, size, rates in ((DOWNLOAD, TRANSFER_BYTES, figures.download), (MADE, MADE_BYTES, figures.made)):
        begin = time.monotonic()
        await talk.download(name, size)
        rates.append(size / (time.monotonic() - begin))
    begin = time.monotonic()
    for _ in range(UPLOADS):
        await talk.upload(UPLOAD, content)
    figures.upload.append(UPLOADS * len(content) / (time.monotonic() - begin))


async def _run(box: Simulator, figures: Figures) -> None:
    link, air = BoxLink(box.announced("ble 127.0.0.1:")), Air()
    peripheral, phones = Peripheral(link, air), PhonePort(air)
    await link.open()
    try:
        await peripheral.open()
        port = await phones.open(0)
        assert link.profile
        for _ in range(RUNS):
            await _bare(air, port, figures)
            async with Phone(port) as phone:
                await phone.connect(peripheral.address)
                await phone.pair(link.profile.passkey)
                await phone.subscribe()
                await _wallbox(Talk(phone), figures, secrets.token_bytes(TRANSFER_BYTES // UPLOADS))
    finally:
        await phones.close()
        await peripheral.close()
        await link.close()


def measure() -> Figures:
    """Measure everything; LinkError when the wallbox refuses."""
    figures = Figures()
    with Simulator(virtual=False, options=("--ble", "0")) as box:
        asyncio.run(_run(box, figures))
    return figures


def spread(values: list[float], scale: float = 1.0) -> str:
    """The runs beside their median, as text."""
    return " ".join(f"{value / scale:.3g}" for value in values)


def share(ours: list[float], bare: list[float]) -> float:
    """How much of the bare loop's rate the link reaches, in percent: the median over the runs."""
    return round(median(100 * one / other for one, other in zip(ours, bare, strict=True)), 1)
