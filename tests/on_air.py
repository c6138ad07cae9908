"""Puts a running simulator on the air for a test: radio and HCI port in the test's own event loop, phones beside it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radio.air import Air, PhonePort
from radio.box_link import BoxLink
from radio.peripheral import ATT_HEADER_BYTES, Peripheral
from radio.phone import Phone

from installer.frames import Cutter, Data, Joiner
from simulator import Simulator

ANNOUNCEMENT = "ble 127.0.0.1:"
TEST_SECONDS = 120.0


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine; TimeoutError when it hangs."""
    asyncio.run(asyncio.wait_for(coroutine, TEST_SECONDS))


@dataclass
class Aired:
    """`port` is the phones' HCI port, `address` the wallbox's, `passkey` that of its label."""

    port: int
    address: str
    passkey: str
    link: BoxLink

    def wrong(self, number: int = 1) -> str:
        """A passkey that is not the right one."""
        return f"{(int(self.passkey) + number - 1) % 999_999 + 1:06}"


@asynccontextmanager
async def on_air(box: Simulator, folder: Path | None = None) -> AsyncIterator[Aired]:
    """Switch the radio of a simulator on, which was started with the option --ble 0."""
    link, air = BoxLink(box.announced(ANNOUNCEMENT)), Air()
    peripheral, phones = Peripheral(link, air, folder), PhonePort(air)
    await link.open()
    try:
        await peripheral.open()
        port = await phones.open(0)
        assert link.profile is not None
        yield Aired(port, peripheral.address, link.profile.passkey, link)
    finally:
        await phones.close()
        await peripheral.close()
        await link.close()


async def until(condition, what: str, seconds: float = 10.0) -> None:
    """Wait until `condition()` holds; AssertionError with `what` when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        await asyncio.sleep(0.01)


@dataclass
class Talk:
    """Requests and answers over one connection of a phone, frame by frame."""

    phone: Phone
    joiner: Joiner = field(default_factory=Joiner)
    events: list[dict] = field(default_factory=list)
    data: list[Data] = field(default_factory=list)
    frames: int = 0
    number: int = 0

    def __post_init__(self):
        self.cutter = Cutter(self.phone.mtu - ATT_HEADER_BYTES)

    async def send(self, do: str, padding: int = 0, **arguments) -> int:
        """Send a request, with so many blanks behind it, and return its id."""
        self.number += 1
        body = json.dumps({"id": self.number, "do": do, **arguments}).encode() + b" " * padding
        for frame in self.cutter.message(body):
            await self.phone.write(frame)
        return self.number

    async def answer(self, number: int) -> dict:
        """The answer to request `number`, events and data before it kept; ConnectionError when the link ends."""
        while True:
            message = await self.receive()
            if isinstance(message, Data):
                self.data.append(message)
            elif "event" in message:
                self.events.append(message)
            else:
                assert message["id"] == number, message
                return message

    async def receive(self) -> dict | Data:
        """The next message or piece of data; ConnectionError when the link ends."""
        while True:
            frame = await self.phone.receive()
            if frame is None:
                raise ConnectionError("the wallbox has ended the connection")
            assert len(frame) <= self.cutter.payload
            self.frames += 1
            taken = self.joiner.feed(bytes(frame))
            if isinstance(taken, Data):
                return taken
            if taken is not None:
                return json.loads(taken)

    async def message(self) -> dict:
        """The next message, an answer or an event; AssertionError for data."""
        message = await self.receive()
        assert isinstance(message, dict), message
        return message

    async def ask(self, do: str, padding: int = 0, **arguments) -> dict:
        """Send a request and return its answer, refused or not."""
        return await self.answer(await self.send(do, padding, **arguments))


@asynccontextmanager
async def paired(aired: Aired, mtu: int = 247, **phone_options) -> AsyncIterator[Talk]:
    """A phone that has paired and listens."""
    async with Phone(aired.port, **phone_options) as phone:
        await phone.connect(aired.address, mtu)
        await phone.pair(aired.passkey)
        await phone.subscribe()
        yield Talk(phone)
