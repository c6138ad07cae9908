"""The WebSocket against real peers: the package `websockets`, and raw servers that break every rule (R25)."""

import asyncio
import base64
import http
from collections.abc import Iterator
from typing import Any

import pytest
from transport import Device, accept, frame, read_frame
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    started = Device()
    yield started
    started.close()


class Raw:
    """A raw server that accepts the WebSocket and then does what the test says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self, device: Device, name: str):
        self.device = device
        self.name = name

    async def __aenter__(self) -> "Raw":
        opened = asyncio.Event()
        self.over = asyncio.Event()

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.reader, self.writer = reader, writer
            writer.write(accept(await reader.readuntil(b"\r\n\r\n")))
            opened.set()
            await self.over.wait()

        self.port = await self.device.serve(handler)
        await self.device.do("connect", name=self.name, url=f"ws://127.0.0.1:{self.port}/cp", max_bytes=2000)
        await opened.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.over.set()

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def text(self) -> str:
        return (await self.device.do("recv", name=self.name))["text"]

    async def breach(self, *frames: bytes) -> int:
        """Send what is not allowed -> the code with which the client closes, told to both sides."""
        self.send(*frames)
        waiting = self.device.start("recv", name=self.name)
        first, data = await read_frame(self.reader)
        assert first == 0x80 | CLOSE
        self.writer.write_eof()
        answer = await waiting
        assert answer["error"] == "Closed", answer
        code = int.from_bytes(data[:2], "big")
        assert answer["code"] == code
        assert await self.reader.read() == b"", "nothing may follow a Close"
        return code


# -- a good peer ---------------------------------------------------------------------------------------


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def test_messages_of_every_length_of_header_come_back_as_they_were_sent(device: Device) -> None:
    async def test() -> None:
        async with serve(echo, "127.0.0.1", 0, subprotocols=["ocpp1.6"], max_size=None) as server:  # pyright: ignore
            port = server.sockets[0].getsockname()[1]
            answer = await device.do("connect", name="a", url=f"ws://127.0.0.1:{port}/cp", max_bytes=70000)
            assert answer["protocol"] == "ocpp1.6"
            for size in (1, 125, 126, 1023, 1024, 1025, 3072, 65535, 65536, 70000):
                await device.do("send", name="a", size=size)
                assert (await device.do("recv", name="a", length=True))["length"] == size
            await device.do("send", name="a", text="Ladesäule 充电 🔌")
            assert (await device.do("recv", name="a"))["text"] == "Ladesäule 充电 🔌"
            assert (await device.do("close", name="a"))["code"] == 1000

    device.run(test())


def test_surrogates_out_of_json_are_sent_as_the_characters_that_they_stand_for(device: Device) -> None:
    async def test() -> None:
        async with serve(echo, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # pyright: ignore
            port = server.sockets[0].getsockname()[1]
            await device.do("connect", name="a", url=f"ws://127.0.0.1:{port}/cp")
            for text, expected in (
                ("a🔌ü", "a🔌ü"),
                ("\ud83d", "\ufffd"),
                ("\udd0c\ud83d-", "\ufffd\ufffd-"),
                ("\ud83d\ud83d\udd0c", "\ufffd🔌"),
            ):
                await device.do("send", escaped=True, name="a", text=text)
                assert (await device.do("recv", name="a"))["text"] == expected
            await device.do("close", name="a")

    device.run(test())


def test_pings_go_both_ways_and_a_pong_is_heard(device: Device) -> None:
    async def test() -> None:
        async def ask(connection: ServerConnection) -> None:
            await (await connection.ping(b"are you there"))
            await connection.send("answered")
            await connection.wait_closed()

        async with serve(ask, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # pyright: ignore
            port = server.sockets[0].getsockname()[1]
            await device.do("connect", name="a", url=f"ws://127.0.0.1:{port}/cp")
            assert (await device.do("recv", name="a"))["text"] == "answered"
            waiting = device.start("recv", name="a")
            before = (await device.do("ping", name="a"))["heard"]
            while (await device.do("heard", name="a"))["heard"] == before:
                await asyncio.sleep(0)
            await device.do("close", name="a")
            assert (await waiting)["code"] == 1000

    device.run(test())


def test_the_handshake_carries_identity_login_and_protocol(device: Device) -> None:
    async def test() -> None:
        seen: list[Request] = []

        def look(_connection: ServerConnection, request: Request) -> None:
            seen.append(request)

        async with serve(echo, "127.0.0.1", 0, subprotocols=["ocpp1.6"], process_request=look) as server:  # pyright: ignore
            port = server.sockets[0].getsockname()[1]
            login = "Basic " + base64.b64encode(b"box 1:secret").decode()
            url = f"ws://127.0.0.1:{port}/ocpp/box 1/50%25/ü?x=1#no"
            await device.do("connect", name="a", url=url, headers=[["Authorization", login]])
            await device.do("connect", name="b", url=f"ws://127.0.0.1:{port}")
            for name in "ab":
                await device.do("close", name=name)
        assert seen[0].path == "/ocpp/box%201/50%25/%C3%BC?x=1"
        assert seen[0].headers["Authorization"] == login
        assert seen[0].headers["Host"] == f"127.0.0.1:{port}"
        assert seen[1].path == "/"
        keys = [base64.b64decode(request.headers["Sec-WebSocket-Key"]) for request in seen]
        assert [len(key) for key in keys] == [16, 16]
        assert keys[0] != keys[1]

    device.run(test())


@pytest.mark.parametrize("status", [301, 401, 404, 503])
def test_an_answer_other_than_101_is_named_with_its_status(device: Device, status: int) -> None:
    async def test() -> None:
        def refuse(_connection: ServerConnection, _request: Request) -> Response:
            body = b"no " * 1000
            headers = Headers({"Location": "ws://127.0.0.1:1/", "Content-Length": str(len(body))})
            return Response(status, http.HTTPStatus(status).phrase, headers, body)

        async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            answer = await device.refused("connect", name="a", url=f"ws://127.0.0.1:{port}/cp")
        assert (answer["error"], answer["status"]) == ("HandshakeError", status)

    device.run(test())


# -- bad handshakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: A", "Accept"),
        (b"Sec-WebSocket-Accept", b"X-Accept", "Accept"),
        (b"Sec-WebSocket-Protocol: ocpp1.6\r\n", b"", "sub-protocol"),
        (b"ocpp1.6", b"ocpp2.0.1", "sub-protocol"),
        (b"Upgrade: websocket", b"Upgrade: h2c", "upgrade"),
        (b"Connection: Upgrade", b"Connection: close", "upgrade"),
        (b"Connection:", b"Sec-WebSocket-Extensions: permessage-deflate\r\nConnection:", "extension"),
        (b"HTTP/1.1 101", b"HTTP/2 101", "HTTP"),
        (b"HTTP/1.1 101", b"SSH-2.0-x", "HTTP"),
        (b"Upgrade: websocket", b"Upgrade websocket", "header"),
        (b"Upgrade: websocket", b"X: " + b"y" * 100_000, "line"),
        (b"Upgrade: websocket", b"X: y\r\n" * 1000, "headers"),
        (b"Upgrade: websocket", b"X: \xff\xfe", ""),
    ],
)
def test_a_wrong_handshake_is_refused(device: Device, old: bytes, new: bytes, text: str) -> None:
    async def test() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            good = accept(await reader.readuntil(b"\r\n\r\n"))
            assert old in good
            writer.write(good.replace(old, new, 1))
            assert await reader.read() == b""

        port = await device.serve(handler)
        answer = await device.refused("connect", name="a", url=f"ws://127.0.0.1:{port}/cp")
        assert answer["error"] == "HandshakeError"
        assert text in answer["text"], answer

    device.run(test())


def test_a_handshake_in_other_letters_is_accepted(device: Device) -> None:
    async def test() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            good = accept(await reader.readuntil(b"\r\n\r\n"))
            good = good.replace(b"Upgrade: websocket", b"uPGRADE:\t WebSocket ")
            writer.write(good.replace(b"Connection: Upgrade", b"CONNECTION: keep-alive, upgrade") + frame(TEXT, b"hi"))
            assert (await read_frame(reader))[0] == 0x80 | CLOSE

        port = await device.serve(handler)
        await device.do("connect", name="a", url=f"ws://127.0.0.1:{port}/cp")
        assert (await device.do("recv", name="a"))["text"] == "hi"
        await device.do("close", name="a")

    device.run(test())


def test_a_cut_at_any_byte_of_the_handshake_is_an_error_and_nothing_else(device: Device) -> None:
    async def test() -> None:
        lengths: list[int] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            good = accept(await reader.readuntil(b"\r\n\r\n"))
            lengths.append(len(good))
            writer.write(good[: len(lengths) - 1])

        port = await device.serve(handler)
        cut = 0
        while not lengths or cut < lengths[0]:
            answer = await device.refused("connect", name="a", url=f"ws://127.0.0.1:{port}/cp")
            assert answer["error"] in ("HandshakeError", "OSError"), answer
            cut += 1
        assert cut > 100

    device.run(test())


def test_a_server_that_sends_one_byte_a_second_or_nothing_is_given_up_in_time(device: Device) -> None:
    async def test() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            good = accept(await reader.readuntil(b"\r\n\r\n"))
            for byte in good:
                writer.write(bytes((byte,)))
                await asyncio.sleep(1)

        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == b"", "the client has to close"

        ports = [await device.serve(handler), await device.serve(silent)]
        waiting = [device.start("connect", name="a", url=f"ws://127.0.0.1:{p}/cp", timeout_s=1) for p in ports]
        # Meanwhile nothing else of the device waits.
        began = device.loop.time()
        await device.do("heap")
        assert device.loop.time() - began < 0.5
        for answer in await asyncio.gather(*waiting):
            assert (answer["error"], answer["errno"]) == ("OSError", 110)
        assert device.loop.time() - began < 3

    device.run(test())


def test_nobody_at_the_port_is_an_os_error(device: Device) -> None:
    async def test() -> None:
        port = await device.serve(lambda _reader, _writer: asyncio.sleep(0))
        device.servers.pop().close()
        answer = await device.refused("connect", name="a", url=f"ws://127.0.0.1:{port}/cp")
        assert answer["error"] == "OSError"

    device.run(test())


@pytest.mark.parametrize(
    "url", ["", "http://h/", "ws:/h", "ws://", "ws://:80/", "ws://h:0/", "ws://h:99999/", "ws://h:x/", "ws://h\r\nX:/"]
)
def test_a_url_that_is_none_is_refused(device: Device, url: str) -> None:
    answer = device.run(device.refused("connect", name="a", url=url))
    assert answer["error"] == "UrlError"


def test_headers_cannot_bring_further_headers(device: Device) -> None:
    async def test() -> None:
        async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            assert await reader.read() == b""

        port = await device.serve(handler)
        url = f"ws://127.0.0.1:{port}/cp"
        answer = await device.refused("connect", name="a", url=url, headers=[["X", "a\r\nY: b"]])
        assert answer["error"] == "ValueError"

    device.run(test())


# -- frames --------------------------------------------------------------------------------------------


def test_fragments_with_control_frames_amid_become_one_message(device: Device) -> None:
    async def test() -> None:
        async with Raw(device, "f") as raw:
            raw.send(
                frame(TEXT, b"one ", fin=False),
                frame(PING, b"p"),
                # A character may be split between fragments.
                frame(0, "zw\u00f6"[:3].encode()[:3], fin=False),
                frame(PONG, b"unasked"),
                frame(0, "\u00f6".encode()[1:] + b"lf", fin=False),
                frame(0, b""),
                frame(BINARY, b"two"),
            )
            assert await raw.text() == "one zwölf"
            assert await raw.text() == "two"
            assert await read_frame(raw.reader) == (0x80 | PONG, b"p")

    device.run(test())


def test_every_byte_alone_is_understood(device: Device) -> None:
    async def test() -> None:
        async with Raw(device, "s") as raw:
            waiting = device.start("recv", name="s")
            for byte in frame(TEXT, b"sl", fin=False) + frame(PING, b"x") + frame(0, b"o" * 130):
                raw.send(bytes((byte,)))
                await raw.writer.drain()
                await asyncio.sleep(0)
            assert (await waiting)["text"] == "sl" + "o" * 130

    device.run(test())


BREACHES: dict[str, tuple[int, list[bytes]]] = {
    "masked": (1002, [frame(TEXT, b"x", mask=b"abcd")]),
    "masked empty": (1002, [frame(TEXT, b"", mask=b"abcd")]),
    **{f"reserved {bit}": (1002, [frame(TEXT, b"x", reserved=bit)]) for bit in (1, 2, 4)},
    **{f"opcode {code}": (1002, [frame(code, b"x")]) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "continuation of nothing": (1002, [frame(0, b"x")]),
    "message within a message": (1002, [frame(TEXT, b"x", fin=False), frame(TEXT, b"y")]),
    "fragmented ping": (1002, [frame(PING, b"x", fin=False)]),
    "long ping": (1002, [frame(PING, b"x" * 126)]),
    "close of one byte": (1002, [frame(CLOSE, b"x")]),
    **{
        f"close {c}": (1002, [frame(CLOSE, c.to_bytes(2, "big"))]) for c in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)
    },
    "close reason": (1007, [frame(CLOSE, b"\x03\xe8\xff")]),
    "no utf-8": (1007, [frame(TEXT, b"\xff")]),
    "half a character": (1007, [frame(TEXT, b"a\xe2\x82")]),
    "long form": (1007, [frame(TEXT, b"\xc0\xaf")]),
    "long form of 3": (1007, [frame(TEXT, b"\xe0\x80\xaf")]),
    "long form of 4": (1007, [frame(TEXT, b"\xf0\x80\x80\xaf")]),
    "surrogate": (1007, [frame(TEXT, b"ok \xed\x9f\xbf \xed\xa0\x80")]),
    "beyond unicode": (1007, [frame(TEXT, b"\xf4\x90\x80\x80")]),
    "bad utf-8 over fragments": (1007, [frame(TEXT, b"a\xc3", fin=False), frame(0, b"a")]),
    "16 exabytes": (1009, [b"\x81\x7f" + b"\xff" * 8]),
    "9 MB": (1009, [b"\x81\x7f" + (9_000_000).to_bytes(8, "big")]),
}


@pytest.mark.parametrize("name", BREACHES)
def test_what_breaks_the_protocol_is_closed_with_its_code(device: Device, name: str) -> None:
    code, frames = BREACHES[name]

    async def test() -> None:
        async with Raw(device, "b") as raw:
            raw.send(frame(TEXT, b"before"))
            assert await raw.text() == "before"
            assert await raw.breach(*frames) == code
            assert (await device.refused("send", name="b", text="x"))["code"] == code
            assert (await device.refused("recv", name="b"))["code"] == code

    device.run(test())


def test_valid_utf_8_at_the_edges_passes(device: Device) -> None:
    async def test() -> None:
        text = "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
        async with Raw(device, "u") as raw:
            raw.send(frame(TEXT, text.encode()))
            assert await raw.text() == text

    device.run(test())


def test_what_is_too_long_is_dropped_and_the_connection_goes_on(device: Device) -> None:
    async def test() -> None:
        async with Raw(device, "l") as raw:
            await device.do("heap")
            before = (await device.do("heap"))["bytes"]
            raw.send(frame(TEXT, b"[2,\xc3\xbc" + b"A" * 1996))
            answer = await device.refused("recv", name="l")
            assert (answer["error"], answer["size"]) == ("TooLong", 2001)
            assert answer["head"] == "[2,??" + "A" * 195
            raw.send(frame(TEXT, b"B" * 1500, fin=False), frame(PING, b""), frame(0, b"C" * 501), frame(TEXT, b"next"))
            answer = await device.refused("recv", name="l")
            assert (answer["size"], answer["head"]) == (2001, "B" * 200)
            assert await raw.text() == "next"
            raw.send(frame(TEXT, b"D" * 2000))
            assert await raw.text() == "D" * 2000
            raw.send(frame(TEXT, b"E" * 4 * 1024 * 1024))
            assert (await device.refused("recv", name="l"))["size"] == 4 * 1024 * 1024
            raw.send(frame(TEXT, b"still here"))
            assert await raw.text() == "still here"
            assert (await device.do("heap"))["bytes"] < before + 4000

    device.run(test())


# -- ends ----------------------------------------------------------------------------------------------


def test_a_close_of_the_server_is_answered_with_its_code_and_ends_sending(device: Device) -> None:
    async def test() -> None:
        for data, code in ((b"", 1005), (b"\x03\xe9going", 1001), (b"\x0b\xb8", 3000), (b"\x13\x87", 4999)):
            async with Raw(device, "c") as raw:
                raw.send(frame(CLOSE, data), frame(TEXT, b"never seen"))
                answer = await device.refused("recv", name="c")
                assert (answer["error"], answer["code"], answer["reason"]) == ("Closed", code, data[2:].decode())
                assert await read_frame(raw.reader) == (0x80 | CLOSE, data[:2])
                assert (await device.refused("send", name="c", text="x"))["code"] == code

    device.run(test())


@pytest.mark.parametrize("part", [0, 1, 2, 3, 6])
def test_an_end_without_close_is_1006(device: Device, part: int) -> None:
    async def test() -> None:
        async with Raw(device, "e") as raw:
            raw.send(frame(TEXT, b"x" * 130)[:part])
            raw.writer.write_eof()
            assert (await device.refused("recv", name="e"))["code"] == 1006

    device.run(test())


def test_a_reset_connection_is_1006(device: Device) -> None:
    async def test() -> None:
        async with Raw(device, "r") as raw:
            waiting = device.start("recv", name="r")
            await device.do("send", name="r", text="unread")
            raw.writer.transport.abort()
            assert (await waiting)["code"] == 1006

    device.run(test())


def test_close_waits_a_second_for_an_answer_and_no_longer(device: Device) -> None:
    async def test() -> None:
        for receiving in (False, True):
            async with Raw(device, "w") as raw:
                waiting = device.start("recv", name="w") if receiving else None
                began = device.loop.time()
                assert (await device.do("close", name="w", code=1001))["code"] == 1001
                assert 0.5 < device.loop.time() - began < 3
                assert await read_frame(raw.reader) == (0x80 | CLOSE, b"\x03\xe9")
                assert await raw.reader.read() == b""
                if waiting:
                    assert (await waiting)["code"] == 1001

    device.run(test())


async def deaf(device: Device, timeout_s: int) -> asyncio.Future[dict[str, Any]]:
    """Connect as `h` to a server that reads nothing after the handshake -> a running `recv`."""
    opened = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(accept(await reader.readuntil(b"\r\n\r\n")))
        writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        opened.set()
        await asyncio.Event().wait()

    port = await device.serve(handler, buffer_bytes=4096)
    await device.do("connect", name="h", url=f"ws://127.0.0.1:{port}/cp", timeout_s=timeout_s)
    await opened.wait()
    return device.start("recv", name="h")


def test_a_peer_that_takes_nothing_is_given_up_and_others_are_not_kept_waiting(device: Device) -> None:
    async def test() -> None:
        waiting = await deaf(device, 1)
        began = device.loop.time()
        # More than what the buffers of both kernels take.
        sending = [device.start("send", name="h", size=200_000) for _ in range(3)]
        await asyncio.sleep(0.3)
        asked = device.loop.time()
        await device.do("heard", name="h")
        assert device.loop.time() - asked < 0.5
        assert [answer["code"] for answer in await asyncio.gather(*sending) if not answer["ok"]][-1] == 1006
        assert (await waiting)["code"] == 1006
        assert device.loop.time() - began < 5

    device.run(test())


def test_a_send_that_is_cancelled_amid_a_frame_ends_the_connection(device: Device) -> None:
    async def test() -> None:
        waiting = await deaf(device, 30)
        code = None
        for _ in range(8):
            code = (await device.do("cancelled_send", name="h", size=200_000, after_ms=100))["code"]
            if code is not None and code != "not cancelled":
                break
        assert code == 1006
        assert (await waiting)["code"] == 1006
        assert (await device.refused("send", name="h", text="x"))["code"] == 1006

    device.run(test())


def test_messages_sent_at_once_do_not_mix(device: Device) -> None:
    async def test() -> None:
        async with Raw(device, "m") as raw:
            sending = [device.start("send", name="m", text=letter * 5000) for letter in "abcd"]
            raw.send(*[frame(PING, bytes((i,))) for i in range(20)])
            waiting = device.start("recv", name="m")
            pongs, texts = [], []
            while len(pongs) < 20 or len(texts) < 4:
                first, data = await read_frame(raw.reader)
                (pongs if first == 0x80 | PONG else texts).append(data)
            assert pongs == [bytes((i,)) for i in range(20)]
            assert sorted(texts) == [letter.encode() * 5000 for letter in "abcd"]
            assert all(answer["ok"] for answer in await asyncio.gather(*sending))
            raw.send(frame(TEXT, b"end"))
            assert (await waiting)["text"] == "end"

    device.run(test())
