"""Files from and to a server by http, https and ftp, piece by piece; loaded for a transfer, and it keeps no file.

An upload to http or https is a PUT. A URL that ends in a name with a dot is the file itself, any other is the folder
to which the file's name is added. Where PUT is not allowed (404, 405, 501) the file is POSTed to the very URL as
multipart/form-data, field `file`. By ftp it is passive mode, EPSV or else PASV, binary, STOR and RETR.
"""

import asyncio
from binascii import b2a_base64, hexlify
from os import urandom

from micropython import const

from ocpp.errors import OcppError
from ocpp.rare import borrow
from ocpp.stream import Pipe
from ocpp.url import UrlError, parse, unescaped

_http = borrow("http")
_SCHEMES = ("http", "https", "ftp")
# Two full TCP segments: few waits, little heap.
_BUFFER_BYTES = const(2920)
_REDIRECTS = const(3)
_TIMEOUT_S = const(30)
# A chunk's length in hex digits; longer ones are an attack.
_CHUNK_DIGITS = const(8)
_FTP_LINES = const(50)
_NO_PUT = (404, 405, 501)
_MOVED = (301, 302, 303, 307, 308)


class TransferError(OcppError):
    """A transfer that failed; the text says why and never shows user or password."""


async def download(
    open_connection, url: str, write, *, tls=None, max_bytes=None, timeout_s: int = _TIMEOUT_S, progress=None
) -> int:
    """Fetch `url` and give it to `write(piece)` (memoryview, valid during the call; may be a coroutine) -> its size.

    `tls()` makes a `tls.Tls` for https; `timeout_s` bounds each wait, not the whole; more than `max_bytes` are refused;
    `progress(done, size or None)` is called after each piece. TransferError, TlsError; what `write` raises passes.
    """
    sink = _Sink(write, max_bytes, progress)

    async def fetch(target, ssl):
        if target.scheme == "ftp":
            await _Ftp(open_connection, target, timeout_s).fetch(sink)
            return None
        return await _get(open_connection, target, ssl, timeout_s, sink)

    await _follow(fetch, url, tls)
    return sink.done


async def upload(open_connection, url: str, pieces, name: str, *, tls=None, timeout_s: int = _TIMEOUT_S) -> None:
    """Send a file called `name` to `url`; `pieces()` gives an iterable of its bytes, each time from the beginning.

    It is gone through once to know the size, and once for each try of sending; what has grown meanwhile is cut.
    `tls` and `timeout_s` as for `download`. TransferError, TlsError.
    """
    source = _Source(pieces)
    await source.measure()

    async def put(target, ssl):
        if target.scheme == "ftp":
            await _Ftp(open_connection, target, timeout_s).store(_file(target, name), source)
            return None
        return await _send(open_connection, target, ssl, timeout_s, name, source)

    await _follow(put, url, tls)


async def _follow(transfer, url: str, tls) -> None:
    """Run `transfer(target, ssl)`, which returns where to go on, None when done; all that fails is a TransferError."""
    secure = False
    try:
        for _ in range(_REDIRECTS + 1):
            target = parse(url, _SCHEMES)
            if secure and not target.secure:
                raise TransferError("a redirect from https to %s is not followed" % target.scheme)
            secure = target.secure
            ssl = tls() if secure and tls else None
            if secure and ssl is None:
                raise TransferError("https is not possible without certificates to trust")

            async def attempt(target=target, ssl=ssl):
                return await transfer(target, ssl)

            url = await _http.trusting(attempt, ssl)
            if url is None:
                return
    except EOFError:
        raise TransferError("the server closed the connection too early")
    except _Told as told:
        raise told.args[0]
    except OSError as error:
        raise TransferError("no connection: %s" % error)
    except (UrlError, ValueError) as error:
        raise TransferError("%s" % error)
    raise TransferError("more than %d redirects" % _REDIRECTS)


class _Told(Exception):
    """Carries what the caller's own `write` or `pieces` has raised past what is made of a server's errors."""


class _Sink:
    """Where a download goes."""

    def __init__(self, write, max_bytes, progress):
        self._write = write
        self._max_bytes = max_bytes
        self._progress = progress
        self.size = None
        self.done = 0

    def announce(self, size: int) -> None:
        """The server says how much will come."""
        self.size = size
        self._check(size)

    def _check(self, size: int) -> None:
        if self._max_bytes is not None and size > self._max_bytes:
            raise TransferError("%d bytes are too many; allowed: up to %d" % (size, self._max_bytes))

    async def take(self, piece) -> None:
        """Give a piece to the caller."""
        self._check(self.done + len(piece))
        try:
            result = self._write(piece)
            if hasattr(result, "send"):
                await result
        except Exception as error:
            raise _Told(error)
        self.done += len(piece)
        if self._progress:
            self._progress(self.done, self.size)


class _Source:
    """Where an upload comes from."""

    def __init__(self, pieces):
        self._pieces = pieces
        self.size = 0

    async def measure(self) -> None:
        """Find the size; others run between two pieces."""
        for piece in self._pieces():
            self.size += len(piece)
            await asyncio.sleep_ms(0)

    async def send(self, pipe: Pipe) -> None:
        """Write exactly `size` bytes."""
        left = self.size
        for piece in self._pieces():
            piece = memoryview(piece)[:left]
            left -= len(piece)
            if piece:
                await pipe.write(piece)
            if not left:
                return
        if left:
            raise TransferError("the file got shorter by %d bytes while it was sent" % left)


# -- http --------------------------------------------------------------------------------------------


async def _open(open_connection, target, ssl, timeout_s: int) -> Pipe:
    streams = await _http.within(open_connection(target.host, target.port, ssl), timeout_s)
    return Pipe(streams, timeout_s, buffer_bytes=_BUFFER_BYTES)


def _request(method: str, target, path: str, headers: tuple = ()) -> bytes:
    lines = ["%s %s HTTP/1.1" % (method, path), "Host: " + target.authority(), "Connection: close"]
    if target.user is not None:
        login = "%s:%s" % (target.user, target.password or "")
        lines.append("Authorization: Basic " + b2a_base64(login.encode()).strip().decode())
    return "\r\n".join(lines + list(headers) + ["", ""]).encode()


def _moved(target, status: int, headers: dict):
    """The URL that a redirect leads to; TransferError for any other status than success."""
    place = headers.get("location")
    if status in _MOVED and place:
        if place[:2] == "//":
            return target.scheme + ":" + place
        if place[:1] == "/":
            return "%s://%s%s" % (target.scheme, target.authority(), place)
        return place
    raise TransferError("the server answers HTTP %d" % status)


async def _get(open_connection, target, ssl, timeout_s: int, sink: _Sink):
    """GET -> the URL that it has moved to, None when all has been taken."""
    pipe = await _open(open_connection, target, ssl, timeout_s)
    try:
        await pipe.write(_request("GET", target, target.target))
        status, headers = await _http.within(_final(pipe), timeout_s)
        if status != 200:
            return _moved(target, status, headers)
        await _body(pipe, headers, timeout_s, sink)
    finally:
        await pipe.close()
    return None


async def _body(pipe: Pipe, headers: dict, timeout_s: int, sink: _Sink) -> None:
    coding = headers.get("transfer-encoding", "").lower()
    length = headers.get("content-length")
    if coding == "chunked":
        await _chunks(pipe, timeout_s, sink)
    elif coding:
        raise TransferError("transfer coding %s is not known" % coding[:20])
    elif length is None:
        while await _take(pipe, _BUFFER_BYTES, timeout_s, sink):
            continue
    elif length.isdigit():
        sink.announce(int(length))
        await _take_all(pipe, int(length), timeout_s, sink)
    else:
        raise TransferError("Content-Length %s is no number" % length[:20])


async def _chunks(pipe: Pipe, timeout_s: int, sink: _Sink) -> None:
    """RFC 9112, 7.1; trailers are not looked at."""
    while True:
        digits = (await _http.within(_http.line(pipe), timeout_s)).partition(";")[0].strip()
        if not 1 <= len(digits) <= _CHUNK_DIGITS:
            raise ValueError("a chunk's length is no number")
        size = int(digits, 16)
        if not size:
            return
        await _take_all(pipe, size, timeout_s, sink)
        if await _http.within(_http.line(pipe), timeout_s):
            raise ValueError("a chunk is longer than it says")


async def _take(pipe: Pipe, most: int, timeout_s: int, sink: _Sink) -> int:
    piece = await _http.within(pipe.some(most), timeout_s)
    if piece:
        await sink.take(piece)
    return len(piece)


async def _take_all(pipe: Pipe, size: int, timeout_s: int, sink: _Sink) -> None:
    while size:
        count = await _take(pipe, size, timeout_s, sink)
        if not count:
            raise EOFError
        size -= count


def _file(target, name: str) -> str:
    """The target with the file's name, unless it names a file itself."""
    path = target.target.partition("?")[0]
    if "." in path.rpartition("/")[2]:
        return target.target
    return path.rstrip("/") + "/" + name + target.target[len(path) :]


async def _send(open_connection, target, ssl, timeout_s: int, name: str, source: _Source):
    """PUT, or else POST -> the URL that it has moved to, None when it has been taken."""

    async def exchange(method, path, headers, head, tail):
        pipe = await _open(open_connection, target, ssl, timeout_s)
        try:
            length = "Content-Length: %d" % (len(head) + source.size + len(tail))
            await pipe.write(_request(method, target, path, (headers, length)))
            return await _exchange(pipe, timeout_s, head, source, tail)
        finally:
            await pipe.close()

    kind = "Content-Type: application/octet-stream"
    status, answer = await exchange("PUT", _file(target, name), kind, b"", b"")
    if status in _NO_PUT:
        mark = hexlify(urandom(12)).decode()
        head = '--%s\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n' % (mark, name)
        head = (head + kind + "\r\n\r\n").encode()
        form = "Content-Type: multipart/form-data; boundary=" + mark
        status, answer = await exchange("POST", target.target, form, head, ("\r\n--%s--\r\n" % mark).encode())
    return None if 200 <= status < 300 else _moved(target, status, answer)


async def _exchange(pipe: Pipe, timeout_s: int, head: bytes, source: _Source, tail: bytes) -> tuple:
    """Send a body -> (status, headers) of the answer."""
    failed = None
    try:
        await pipe.write(head)
        await source.send(pipe)
        await pipe.write(tail)
    except OSError as error:
        # A server that wants no body may answer and close before it has come.
        failed = error
    try:
        return await _http.within(_final(pipe), timeout_s)
    except (OSError, EOFError):
        if failed is not None:
            raise failed
        raise


async def _final(pipe: Pipe) -> tuple:
    """The response after those that only tell that it is on its way (RFC 9110, 15.2)."""
    while True:
        status, headers = await _http.response(pipe)
        if status >= 200:
            return status, headers


# -- ftp ---------------------------------------------------------------------------------------------


class _Ftp:
    """One transfer by ftp (RFC 959, RFC 2428): commands on one connection, the file on a second."""

    def __init__(self, open_connection, target, timeout_s: int):
        self._open_connection = open_connection
        self._target = target
        self._timeout_s = timeout_s
        self._pipe = None

    async def fetch(self, sink: _Sink) -> None:
        """RETR the target."""
        await self._session("RETR", self._target.target, sink.take)

    async def store(self, path: str, source: _Source) -> None:
        """STOR to `path`."""
        await self._session("STOR", path, source)

    async def _session(self, verb: str, path: str, end) -> None:
        self._pipe = await _open(self._open_connection, self._target, None, self._timeout_s)
        try:
            await self._reply(2)
            await self._log_in()
            await self._ask("TYPE I", 2)
            data = await self._data()
            try:
                # RFC 1738, 3.2.2: the path begins at the folder that one is in after logging in.
                await self._ask("%s %s" % (verb, unescaped(path[1:])), 1)
                await self._move(data, verb, end)
            finally:
                await data.close()
            await self._reply(2)
        finally:
            await self._pipe.close()

    async def _move(self, data: Pipe, verb: str, end) -> None:
        if verb == "STOR":
            await end.send(data)
            return
        while True:
            piece = await _http.within(data.some(_BUFFER_BYTES), self._timeout_s)
            if not piece:
                return
            await end(piece)

    async def _log_in(self) -> None:
        user = self._target.user
        # RFC 1635: who names nobody is "anonymous", and the password is an address.
        code = await self._ask("USER " + ("anonymous" if user is None else user), 2, 3)
        if code // 100 == 3:
            password = self._target.password
            await self._ask("PASS " + ("anonymous@" if password is None else password), 2)

    async def _data(self) -> Pipe:
        """Open the connection for the file; always to the host itself, whatever address it names (RFC 2577, 3)."""
        code, text = await self._command("EPSV")
        if code == 229:
            port = text.rpartition("(")[2].strip("|).")
        else:
            code, text = await self._command("PASV")
            if code != 227:
                raise TransferError("the server has no passive mode: %d" % code)
            numbers = text[text.find("(") + 1 :].partition(")")[0].split(",")
            port = "%d" % (int(numbers[-2]) * 256 + int(numbers[-1])) if len(numbers) == 6 else ""
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise TransferError("the server names no port: %s" % text[:60])
        streams = await _http.within(self._open_connection(self._target.host, int(port), None), self._timeout_s)
        return Pipe(streams, self._timeout_s, buffer_bytes=_BUFFER_BYTES)

    async def _ask(self, command: str, *allowed) -> int:
        await self._write(command)
        return await self._reply(*allowed)

    async def _command(self, command: str) -> tuple:
        await self._write(command)
        return await self._answer()

    async def _write(self, command: str) -> None:
        if any(ord(char) < 0x20 for char in command):
            raise TransferError("a control character in the url is not allowed")
        await self._pipe.write((command + "\r\n").encode())

    async def _reply(self, *allowed) -> int:
        """Wait for an answer whose first digit is allowed -> its code."""
        code, text = await self._answer()
        if code // 100 not in allowed:
            raise TransferError("the ftp server answers %s" % text[:80])
        return code

    async def _answer(self) -> tuple:
        """(code, last line) of an answer of one or several lines (RFC 959, 4.2)."""
        end = ""
        for _ in range(_FTP_LINES):
            line = await _http.within(_http.line(self._pipe), self._timeout_s)
            if not end:
                if not line[:3].isdigit() or len(line) < 3:
                    raise TransferError("this is no ftp server")
                end = line[:3] + " "
            if (line + " ")[:4] == end:
                return int(line[:3]), line
        raise TransferError("the ftp server talks too much")
