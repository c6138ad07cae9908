"""The installer's link and app beside the panel: WebSocket, pairing by its first message, files, foreign pages."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Coroutine
from typing import Any

import panel_server
import pytest
from radio.phone import Phone
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from installer.frames import Cutter, Joiner

PAYLOAD = 244
ANSWER_SECONDS = 15


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 60))


def url(simulator) -> str:
    return f"ws://127.0.0.1:{simulator.web}/installer"


def passkey(simulator) -> str:
    return simulator.found(r"passkey (\d{6})$")


def wrong(simulator) -> str:
    return f"{int(passkey(simulator)) % 999_999 + 1:06}"


async def pair(socket: ClientConnection, key: str) -> dict:
    await socket.send(json.dumps({"passkey": key}))
    return json.loads(await asyncio.wait_for(socket.recv(), ANSWER_SECONDS))


class Talk:
    """Requests over a paired socket."""

    def __init__(self, socket: ClientConnection):
        self.socket = socket
        self.cutter = Cutter(PAYLOAD)
        self.joiner = Joiner()
        self.sizes: list[int] = []

    async def ask(self, do: str, padding: int = 0) -> dict:
        for frame in self.cutter.message(json.dumps({"id": 5, "do": do}).encode() + b" " * padding):
            await self.socket.send(frame)
        return await self.receive()

    async def receive(self) -> dict:
        while True:
            frame = await asyncio.wait_for(self.socket.recv(), ANSWER_SECONDS)
            assert isinstance(frame, bytes)
            self.sizes.append(len(frame))
            message = self.joiner.feed(frame)
            if isinstance(message, bytes):
                return json.loads(message)


def test_the_passkey_opens_the_same_frames_as_over_bluetooth(launch):
    simulator = launch()

    async def test():
        async with connect(url(simulator)) as socket:
            assert await pair(socket, passkey(simulator)) == {"paired": True, "mtu": 247}
            talk = Talk(socket)
            hello = await talk.ask("hello")
            assert (hello["id"], hello["ok"], hello["role"], hello["mtu"]) == (5, True, "paired", 247)
            assert (await talk.ask("settings", padding=3000))["settings"]["rated_a"] == 32
            assert max(talk.sizes) == PAYLOAD

    run(test())


def test_wrong_passkeys_count_as_failed_pairings_and_lock_the_right_one_out(launch):
    simulator = launch()

    async def test():
        for _ in range(3):
            async with connect(url(simulator)) as socket:
                answer = await pair(socket, wrong(simulator))
                assert not answer["paired"] and "passkey is wrong" in answer["text"]
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
        async with connect(url(simulator)) as socket:
            answer = await pair(socket, passkey(simulator))
            assert not answer["paired"] and "locked" in answer["text"]

    run(test())


@pytest.mark.parametrize("message", ["123456", "{", '{"passkey": 123456}', b'{"passkey": null}', b"\xff\x00"])
def test_a_first_message_without_a_passkey_is_refused_and_costs_no_try(launch, message):
    simulator = launch()

    async def test():
        for _ in range(4):
            async with connect(url(simulator)) as socket:
                await socket.send(message)
                answer = json.loads(await asyncio.wait_for(socket.recv(), ANSWER_SECONDS))
                assert not answer["paired"] and "first message" in answer["text"]
        async with connect(url(simulator)) as socket:
            assert (await pair(socket, passkey(simulator)))["paired"]

    run(test())


def test_a_second_app_is_told_that_the_first_is_connected(launch):
    simulator = launch("--radio", "0")
    port = int(simulator.found(r"radio tcp-client:127\.0\.0\.1:(\d+)"))

    async def test():
        async with connect(url(simulator)) as first, connect(url(simulator)) as second, Phone(port) as phone:
            address, _ = await phone.scan()
            assert (await pair(first, passkey(simulator)))["paired"]
            answer = await pair(second, passkey(simulator))
            assert not answer["paired"] and "another app" in answer["text"]
            await first.close()
            await phone.connect(address)
            async with connect(url(simulator)) as third:
                answer = await pair(third, passkey(simulator))
                assert not answer["paired"] and "another app" in answer["text"]
            await phone.pair(passkey(simulator))

    run(test())


def test_a_frame_above_the_mtu_is_refused_by_the_wallbox_itself(launch):
    simulator = launch()

    async def test():
        async with connect(url(simulator)) as socket:
            assert (await pair(socket, passkey(simulator)))["paired"]
            await socket.send(b"\x30\x00" + b" " * (PAYLOAD - 1))
            event = await Talk(socket).receive()
            assert (event["event"], event["expected"]) == ("frame_error", 0)

    run(test())


@pytest.mark.parametrize(("message", "code"), [("text", 1003), (bytes(513), 1009)])
def test_what_no_radio_carries_ends_the_connection(launch, message, code):
    simulator = launch()

    async def test():
        async with connect(url(simulator)) as socket:
            assert (await pair(socket, passkey(simulator)))["paired"]
            await socket.send(message)
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(socket.recv(), ANSWER_SECONDS)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == code
        async with connect(url(simulator)) as socket:
            assert (await pair(socket, passkey(simulator)))["paired"]

    run(test())


def test_twenty_bad_frames_end_the_connection(launch):
    simulator = launch()

    async def test():
        async with connect(url(simulator)) as socket:
            assert (await pair(socket, passkey(simulator)))["paired"]
            with pytest.raises(ConnectionClosed) as closed:
                for _ in range(30):
                    await socket.send(b"\x30\x63?")
                    await asyncio.wait_for(socket.recv(), ANSWER_SECONDS)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001

    run(test())


def test_a_page_of_another_origin_is_refused_and_a_program_is_not(launch):
    simulator = launch()

    async def test():
        for origin in ("http://evil.example", f"https://127.0.0.1:{simulator.web}", "null"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url(simulator), additional_headers={"Origin": origin}).__aenter__()
            assert refused.value.response.status_code == 403
        own = f"http://127.0.0.1:{simulator.web}"
        async with connect(url(simulator), additional_headers={"Origin": own}) as socket:
            assert not (await pair(socket, wrong(simulator)))["paired"]

    run(test())


def test_in_virtual_time_there_is_no_link_and_the_client_is_told(launch):
    simulator = launch("--virtual")

    async def test():
        async with connect(url(simulator)) as socket:
            answer = json.loads(await asyncio.wait_for(socket.recv(), ANSWER_SECONDS))
            assert not answer["paired"] and "--virtual" in answer["text"]

    run(test())


# Files of the app


def get(address: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(address) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


FILES = {
    "index.html": "text/html; charset=utf-8",
    "sw.js": "text/javascript; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "app.webmanifest": "application/manifest+json",
    "icon.svg": "image/svg+xml",
    "icon.png": "image/png",
    "part/more.js": "text/javascript; charset=utf-8",
}


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The app's folder, with files of every kind, behind a server of its own."""
    for name in (*FILES, "secret.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(panel_server, "WEBAPP", tmp_path)
    return tmp_path


def test_the_app_s_files_have_their_types(app):
    for name, content_type in FILES.items():
        file = panel_server.file_behind("/app/" + name)
        assert file is not None and file == app / name
        assert panel_server.CONTENT_TYPES[file.suffix] == content_type
    assert panel_server.file_behind("/app/") == app / "index.html"
    assert panel_server.file_behind("/app/?source=pwa") == app / "index.html"


@pytest.mark.parametrize(
    "path", ["/app/secret.txt", "/app/../panel_server.py", "/app/%2e%2e/panel/app.js", "/app/part", "/app/none.js"]
)
def test_nothing_else_is_served_below_the_app(app, path):
    assert panel_server.file_behind(path) is None


def test_the_app_s_folder_is_reached_with_a_slash_and_guarded_like_the_panel(launch):
    simulator = launch()
    address = simulator.found(r"app (http://\S+/app/)$")

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_arguments):
            return None

    with pytest.raises(urllib.error.HTTPError) as moved:
        urllib.request.build_opener(Stay).open(address.rstrip("/"))
    with moved.value as answer:
        assert (answer.code, answer.headers["Location"]) == (308, "/app/")
    _, headers, _ = get(address)
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert headers["X-Content-Type-Options"] == "nosniff"
