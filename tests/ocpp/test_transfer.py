"""Files by http, https and ftp between MicroPython and small servers (R25)."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from test_tls import AUTHORITY, BOX, Certificate
from transport import Device

BODY = bytes(range(128)) * 300


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    started = Device()
    yield started
    started.close()


@pytest.fixture(autouse=True)
def quiet_loop(device: Device) -> None:
    # The server's side of a refused handshake is no error of the test.
    device.loop.set_exception_handler(lambda _loop, _context: None)


class Http:
    """An HTTP server whose `answers` (request line -> bytes) are sent after the whole request has come."""

    def __init__(self, device: Device, answer: Callable[[str], bytes], ssl: Any = None, early: bool = False):
        self.device = device
        self.answer = answer
        self.ssl = ssl
        self.early = early
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def start(self) -> int:
        self.port = await self.device.serve(self._handle, ssl=self.ssl)
        return self.port

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:-2])
        body = b"" if self.early else await reader.readexactly(int(headers.get("Content-Length", "0")))
        self.requests.append((lines[0], headers, body))
        writer.write(self.answer(lines[0]))
        await writer.drain()
        if self.early:
            # Closed with bytes unread, TCP would reset the answer away.
            await reader.read()


def ok(body: bytes = BODY, *headers: str, length: bool = True) -> bytes:
    lines = ["HTTP/1.1 200 OK", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def status(code: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {code} No", "Content-Length: 0", *headers, "", ""]).encode()


def chunked(*sizes: int, end: bytes = b"0\r\n\r\n") -> bytes:
    body, at = b"", 0
    for size in sizes:
        body += b"%x;x=y\r\n%s\r\n" % (size, BODY[at : at + size])
        at += size
    return ok(body + end, "Transfer-Encoding: chunked", length=False)


def got(answer: dict[str, Any], body: bytes = BODY) -> bool:
    return answer["size"] == len(body) and answer["sum"] == sum(body) and answer["text"] == body[:100].decode()


# -- downloads by http ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        ok(),
        ok(length=False),
        ok(b""),
        chunked(1, 15, 16, 30000, 8368),
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(),
    ],
    ids=["length", "until the end", "empty", "chunks", "early hints"],
)
def test_a_file_comes_whole_whatever_frames_it(device: Device, answer: bytes) -> None:
    async def test() -> None:
        http = Http(device, lambda _line: answer)
        port = await http.start()
        got_it = await device.do("download", url=f"http://me:s%20x@127.0.0.1:{port}/fw 1.bin")
        assert got(got_it, b"" if answer == ok(b"") else BODY)
        line, headers, _ = http.requests[0]
        assert line == "GET /fw%201.bin HTTP/1.1"
        assert headers["Authorization"] == "Basic " + base64.b64encode(b"me:s x").decode()
        assert headers["Host"] == f"127.0.0.1:{port}"

    device.run(test())


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (status(404), "404"),
        (status(302), "302"),
        (ok()[:-1], "too early"),
        (chunked(100, 200, end=b""), "too early"),
        (chunked(100)[:-50], "too early"),
        (ok(b"zz\r\n", "Transfer-Encoding: chunked", length=False), ""),
        (ok(b"fffffffff\r\n", "Transfer-Encoding: chunked", length=False), "no number"),
        (ok(b"1\r\nab\r\n", "Transfer-Encoding: chunked", length=False), "longer"),
        (ok(b"", "Transfer-Encoding: gzip", length=False), "gzip"),
        (ok(b"", "Content-Length: -1", length=False), "no number"),
        (ok(BODY * 2), "too many"),
        (ok(BODY * 2, length=False), "too many"),
        (b"", "too early"),
        (b"garbage\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000, "line"),
    ],
)
def test_what_is_wrong_with_a_download_is_told(device: Device, answer: bytes, text: str) -> None:
    async def test() -> None:
        port = await Http(device, lambda _line: answer).start()
        refused = await device.refused("download", url=f"http://127.0.0.1:{port}/f", max_bytes=len(BODY))
        assert refused["error"] == "TransferError"
        assert text in refused["text"], refused

    device.run(test())


def test_redirects_are_followed_three_times_and_never_from_https_to_http(device: Device) -> None:
    async def test() -> None:
        def answer(line: str) -> bytes:
            number = int(line.split()[1].strip("/"))
            place = f"/{number - 1}" if number % 2 else f"http://127.0.0.1:{port}/{number - 1}"
            return status(307, "Location: " + place) if number else ok()

        http = Http(device, answer)
        port = await http.start()
        assert got(await device.do("download", url=f"http://127.0.0.1:{port}/3"))
        assert len(http.requests) == 4
        refused = await device.refused("download", url=f"http://127.0.0.1:{port}/4")
        assert "redirects" in refused["text"]
        secure = Http(device, answer, ssl=Certificate(AUTHORITY, BOX).server())
        tls = {"authorities": [AUTHORITY.der]}
        refused = await device.refused("download", url=f"https://csms.example:{await secure.start()}/2", tls=tls)
        assert "not followed" in refused["text"]

    device.run(test())


def test_https_is_checked_and_needs_something_to_trust(device: Device) -> None:
    async def test() -> None:
        port = await Http(device, lambda _line: ok(), ssl=Certificate(AUTHORITY, BOX).server()).start()
        url = f"https://csms.example:{port}/f"
        assert got(await device.do("download", url=url, tls={"authorities": [AUTHORITY.der]}))
        refused = await device.refused("download", url=url, tls={"authorities": [Certificate(None).der]})
        assert (refused["error"], refused["event"]) == ("TlsError", "InvalidCentralSystemCertificate")
        refused = await device.refused("download", url=url)
        assert "certificates" in refused["text"]
        expired = Certificate(AUTHORITY, BOX, first=-20, last=-10).server()
        url = f"https://csms.example:{await Http(device, lambda _line: ok(), ssl=expired).start()}/f"
        assert got(await device.do("download", url=url, tls={"authorities": [AUTHORITY.der]}))

    device.run(test())


def test_a_server_that_falls_silent_is_given_up(device: Device) -> None:
    async def test() -> None:
        async def silent_after(count: int) -> int:
            async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(ok()[:count])
                await asyncio.Event().wait()

            return await device.serve(handler)

        urls = [f"{kind}://127.0.0.1:{await silent_after(n)}/f" for kind in ("http", "ftp") for n in (0, 10, 100)]
        began = device.loop.time()
        waiting = [device.refused("download", url=url, timeout_s=1) for url in urls]
        assert {refused["error"] for refused in await asyncio.gather(*waiting)} == {"TransferError"}
        assert device.loop.time() - began < 3

    device.run(test())


@pytest.mark.parametrize("url", ["sftp://h/f", "file:///etc/passwd", "nothing", "http://", "http://a:%zz@h/"])
def test_a_url_of_another_kind_is_refused(device: Device, url: str) -> None:
    refused = device.run(device.refused("download", url=url))
    assert refused["error"] == "TransferError"


def test_a_login_is_in_no_error(device: Device) -> None:
    async def test() -> None:
        port = await Http(device, lambda _line: status(401)).start()
        for url in (f"http://user:hidden@127.0.0.1:{port}/f", "http://user:hidden@127.0.0.1:1/f", "http://hidden@:1/"):
            refused = await device.refused("download", url=url)
            assert "hidden" not in refused["text"]

    device.run(test())


# -- uploads by http -----------------------------------------------------------------------------------

PIECES = ["one ", "", "two " * 1000, "end"]
FILE = "".join(PIECES).encode()


@pytest.mark.parametrize(
    ("path", "put"),
    [("/logs/", "/logs/box.log"), ("/logs", "/logs/box.log"), ("", "/box.log"), ("/a.txt?k=v", "/a.txt?k=v")],
)
def test_an_upload_is_a_put_of_the_file(device: Device, path: str, put: str) -> None:
    async def test() -> None:
        http = Http(device, lambda _line: status(201))
        url = f"http://127.0.0.1:{await http.start()}{path}"
        await device.do("upload", url=url, pieces=PIECES, name="box.log")
        line, _, body = http.requests[0]
        assert (line, body) == (f"PUT {put} HTTP/1.1", FILE)

    device.run(test())


@pytest.mark.parametrize("early", [False, True])
def test_where_put_is_not_allowed_the_file_is_posted_as_a_form(device: Device, early: bool) -> None:
    async def test() -> None:
        http = Http(device, lambda line: status(405) if line.startswith("PUT") else status(204))
        url = f"http://127.0.0.1:{await http.start()}/upload"
        if early:
            # A server that answers before the body has come.
            http.early = True
            await device.do("upload", url=url, pieces=["x" * 1000] * 200, name="box.log")
            assert [line.split()[0] for line, _, _ in http.requests] == ["PUT", "POST"]
            return
        await device.do("upload", url=url, pieces=PIECES, name="box.log")
        line, headers, body = http.requests[1]
        assert line == "POST /upload HTTP/1.1"
        mark = headers["Content-Type"].partition("boundary=")[2].encode()
        head, _, rest = body.partition(b"\r\n\r\n")
        assert head.startswith(b"--" + mark + b"\r\n")
        assert b'name="file"; filename="box.log"' in head
        assert rest == FILE + b"\r\n--" + mark + b"--\r\n"

    device.run(test())


def test_a_refused_upload_and_one_to_https_without_trust_fail(device: Device) -> None:
    async def test() -> None:
        http = Http(device, lambda _line: status(403))
        url = f"http://127.0.0.1:{await http.start()}/"
        assert "403" in (await device.refused("upload", url=url, pieces=PIECES, name="b"))["text"]
        assert len(http.requests) == 1
        refused = await device.refused("upload", url="https://h/", pieces=PIECES, name="b")
        assert refused["error"] == "TransferError"

    device.run(test())


# -- ftp -----------------------------------------------------------------------------------------------


class Ftp:
    """An ftp server for one file; `answers` replaces its answer to a command."""

    def __init__(self, device: Device, answers: dict[str, str] | None = None, content: bytes = BODY):
        self.device = device
        self.answers = answers or {}
        self.content = content
        self.commands: list[str] = []
        self.stored = b""

    async def start(self) -> int:
        return await self.device.serve(self._control)

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        verb = await self.verb
        if verb == "RETR":
            writer.write(self.content)
            await writer.drain()
        elif verb == "STOR":
            self.stored = await reader.read()
        self.moved.set()

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.verb: asyncio.Future[str] = self.device.loop.create_future()
        self.moved = asyncio.Event()
        port = await self.device.serve(self._data)
        usual = {
            "USER": "331 Password",
            "PASS": "230-Welcome\r\n in\r\n230 In",
            "TYPE": "200 Binary",
            "EPSV": f"229 Entering (|||{port}|)",
            # The address is another machine's: it must not be used.
            "PASV": f"227 Entering (10,9,8,7,{port // 256},{port % 256}).",
            "RETR": "150 Here",
            "STOR": "150 Go",
            "END": "226 Done",
        }
        writer.write((self.answers.get("HELLO", "220-Hello\r\n220 there") + "\r\n").encode())
        while line := (await reader.readline()).decode().rstrip():
            self.commands.append(line)
            verb = line.partition(" ")[0]
            answer = self.answers.get(verb, usual[verb])
            writer.write((answer + "\r\n").encode())
            if verb in ("RETR", "STOR"):
                self.verb.set_result(verb if answer.startswith("1") else "")
                if answer.startswith("1"):
                    await self.moved.wait()
                    writer.write((self.answers.get("END", usual["END"]) + "\r\n").encode())


def test_a_file_comes_by_ftp(device: Device) -> None:
    async def test() -> None:
        ftp = Ftp(device)
        port = await ftp.start()
        assert got(await device.do("download", url=f"ftp://me:p%40ss@127.0.0.1:{port}/dir/fw%201.bin"))
        assert ftp.commands == ["USER me", "PASS p@ss", "TYPE I", "EPSV", "RETR dir/fw 1.bin"]

    device.run(test())


def test_a_file_goes_by_ftp_and_by_pasv_where_there_is_no_epsv(device: Device) -> None:
    async def test() -> None:
        ftp = Ftp(device, {"EPSV": "500 What?", "USER": "230 Come in"})
        port = await ftp.start()
        await device.do("upload", url=f"ftp://127.0.0.1:{port}/logs", pieces=PIECES, name="box.log")
        assert ftp.stored == FILE
        assert ftp.commands == ["USER anonymous", "TYPE I", "EPSV", "PASV", "STOR logs/box.log"]

    device.run(test())


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ({"HELLO": "SSH-2.0"}, "no ftp"),
        ({"HELLO": "421 Busy"}, "421"),
        ({"HELLO": "220-x\r\n" * 60}, "too much"),
        ({"PASS": "530 No"}, "530"),
        ({"TYPE": "504 No"}, "504"),
        ({"EPSV": "500 No", "PASV": "500 No"}, "passive"),
        ({"EPSV": "229 (|||99999|)"}, "no port"),
        ({"EPSV": "500 No", "PASV": "227 (1,2)"}, "no port"),
        ({"RETR": "550 No such file"}, "550"),
        ({"END": "426 Broken"}, "426"),
    ],
)
def test_what_is_wrong_with_ftp_is_told(device: Device, answers: dict[str, str], text: str) -> None:
    async def test() -> None:
        port = await Ftp(device, answers).start()
        refused = await device.refused("download", url=f"ftp://me:hidden@127.0.0.1:{port}/f")
        assert refused["error"] == "TransferError"
        assert text in refused["text"], refused
        assert "hidden" not in refused["text"]

    device.run(test())


def test_a_line_break_in_an_ftp_path_is_no_second_command(device: Device) -> None:
    async def test() -> None:
        ftp = Ftp(device)
        refused = await device.refused("download", url=f"ftp://127.0.0.1:{await ftp.start()}/a%0d%0aDELE%20b")
        assert "control character" in refused["text"]
        assert not any("DELE" in command for command in ftp.commands)

    device.run(test())
