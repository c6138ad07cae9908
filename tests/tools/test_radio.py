"""tools/radio against a firmware that misbehaves: lost connections, senseless packets, frames above the MTU (R24)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from on_air import run, until
from radio.air import Air, PhonePort
from radio.box_link import HEADER, BoxGone, BoxLink, LinkBusy
from radio.peripheral import Peripheral
from radio.phone import Phone

PASSKEY = "123456"
PROFILE = {"name": "Wallbox", "passkey": PASSKEY, "info": {"protocol": 1, "serial": "S1"}}


class Box:
    """The firmware's radio port; `got` are the packets that came."""

    def __init__(self):
        self.got: list[tuple[str, bytes]] = []
        self.writer: asyncio.StreamWriter | None = None
        self.server: asyncio.Server | None = None
        self.port = 0
        self.answers = True

    async def open(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self.server
        self.server.close()
        if self.writer:
            self.writer.close()
            await self.writer.wait_closed()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.send("A", json.dumps(PROFILE).encode())
        try:
            while True:
                kind, size = HEADER.unpack(await reader.readexactly(HEADER.size))
                self.got.append((chr(kind), await reader.readexactly(size)))
                if chr(kind) == "Q" and self.answers:
                    self.send("P", b'{"allow": true}')
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def send(self, kind: str, payload: bytes = b"") -> None:
        assert self.writer
        self.writer.write(HEADER.pack(ord(kind), len(payload)) + payload)

    def count(self, kind: str) -> int:
        return [found for found, _ in self.got].count(kind)


@asynccontextmanager
async def boxed() -> AsyncIterator[tuple[Box, BoxLink]]:
    box = Box()
    await box.open()
    link = BoxLink(box.port)
    await link.open()
    try:
        yield box, link
    finally:
        await link.close()
        await box.close()


@asynccontextmanager
async def aired(link: BoxLink, air: Air | None = None) -> AsyncIterator[tuple[Peripheral, int]]:
    air = air or Air()
    peripheral, phones = Peripheral(link, air), PhonePort(air)
    await peripheral.open()
    try:
        yield peripheral, await phones.open(0)
    finally:
        await phones.close()
        await peripheral.close()


def test_a_lost_firmware_ends_the_central_and_is_found_again():
    async def test():
        async with boxed() as (box, link):
            ends: list[str] = []
            link.connect("peer", 247, lambda _frame: None, ends.append)
            with pytest.raises(LinkBusy):
                link.connect("other", 247, lambda _frame: None, ends.append)
            await box.close()
            await until(lambda: ends == ["the wallbox is gone"], "the central hears of the end")
            with pytest.raises(BoxGone):
                link.connect("peer", 247, lambda _frame: None, ends.append)
            await box.open()
            await until(lambda: link.profile is not None, "the link is back")
            link.connect("peer", 247, lambda _frame: None, ends.append).close()
            await until(lambda: box.count("D") == 1, "the box hears of the end")

    run(test())


@pytest.mark.parametrize(
    ("kind", "payload"), [("Z", b""), ("A", b"{"), ("A", b"[]"), ("A", b'{"name": "x"}'), ("P", b"")]
)
def test_a_senseless_packet_is_passed_over(kind, payload):
    async def test():
        async with boxed() as (box, link):
            box.send(kind, payload)
            frames: list[bytes] = []
            link.connect("peer", 247, frames.append, lambda _reason: None)
            await until(lambda: box.count("C") == 1, "the central is told")
            box.send("N", b"one")
            await until(lambda: frames == [b"one"], "the next packet is understood")
            assert link.profile and link.profile.passkey == PASSKEY

    run(test())


def test_a_question_that_nobody_answers_refuses_the_pairing():
    async def test():
        async with boxed() as (box, link):
            central = link.connect("peer", 247, lambda _frame: None, lambda _reason: None)
            box.answers = False
            asking = asyncio.create_task(central.may_pair())
            await until(lambda: box.count("Q") == 1, "the box is asked")
            await box.close()
            with pytest.raises(BoxGone):
                await asking
            await box.open()

    run(test())


def test_a_frame_above_the_mtu_ends_the_connection_instead_of_being_cut():
    async def test():
        async with boxed() as (box, link), aired(link) as (peripheral, port), Phone(port) as phone:
            await phone.connect(peripheral.address, mtu=100)
            await phone.pair(PASSKEY)
            await phone.subscribe()
            box.send("N", bytes(97))
            assert await phone.receive() == bytes(97)
            box.send("N", bytes(98))
            assert await phone.receive() is None
            await until(lambda: box.count("D") == 1, "the box hears of the end")

    run(test())


def test_each_notification_gives_one_credit_also_when_nobody_listens():
    async def test():
        async with boxed() as (box, link), aired(link) as (peripheral, port), Phone(port) as phone:
            await phone.connect(peripheral.address)
            box.send("N", b"nobody is paired")
            await until(lambda: box.count("K") == 1, "a credit")
            await phone.pair(PASSKEY)
            await phone.subscribe()
            for number in range(20):
                box.send("N", bytes([number]))
            assert [await phone.receive() for _ in range(20)] == [bytes([number]) for number in range(20)]
            await until(lambda: box.count("K") == 21, "all credits")

    run(test())


def test_garbage_at_the_phones_port_cuts_that_phone_alone():
    async def test():
        async with boxed() as (_box, link), aired(link) as (peripheral, port), Phone(port) as phone:
            await phone.connect(peripheral.address)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            await writer.wait_closed()
            assert json.loads(await phone.read_info())["serial"] == "S1"

    run(test())


def test_a_phone_may_switch_its_adapter_off_and_on_as_often_as_it_likes():
    async def test():
        air = Air()
        async with boxed() as (box, link), aired(link, air) as (peripheral, port):
            for turn in range(5):
                async with Phone(port) as phone:
                    await phone.connect(peripheral.address)
                    assert json.loads(await phone.read_info())["serial"] == "S1"
                    if turn % 2:
                        await phone.vanish()
                await until(lambda turn=turn: box.count("D") == turn + 1, "the box hears of the end")
            assert [radio.name for radio in air.controllers] == ["wallbox"]

    run(test())


def test_a_box_keeps_its_address_as_long_as_its_serial_number():
    async def test():
        async with boxed() as (box, link):
            async with aired(link) as (peripheral, _port):
                before = peripheral.address
            box.send("A", json.dumps({**PROFILE, "name": "New", "info": {"version": "2", "serial": "S1"}}).encode())
            await until(lambda: link.profile is not None and link.profile.name == "New", "the new profile")
            async with aired(link) as (peripheral, _port):
                assert peripheral.address == before
            box.send("A", json.dumps({**PROFILE, "info": {"serial": "S2"}}).encode())
            await until(lambda: link.profile is not None and link.profile.name == "Wallbox", "the other profile")
            async with aired(link) as (peripheral, _port):
                assert peripheral.address != before

    run(test())
