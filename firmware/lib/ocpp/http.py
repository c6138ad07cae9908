"""Lines and headers of HTTP on a Pipe, the attempt to connect and its time limit; loaded for those who connect."""

import asyncio

from micropython import const

# A proxy's error page may bring long lines; what is longer is an attack or no HTTP.
_LINE_BYTES = const(1024)
_HEADER_LINES = const(64)
# All of them are kept until the last has come.
_HEADER_BYTES = const(8192)
_ETIMEDOUT = const(110)


async def line(pipe) -> str:
    """One line without its end; ValueError when it is longer than 1,024 bytes or not printable ASCII."""
    text = b""
    while True:
        if not await pipe.fill():
            raise EOFError
        end = pipe._buffer.find(b"\n", pipe._start, pipe._end)
        stop = pipe._end if end < 0 else end
        text += pipe._view[pipe._start : stop]
        if len(text) > _LINE_BYTES:
            raise ValueError("a line of more than %d bytes" % _LINE_BYTES)
        if end >= 0:
            pipe._start = end + 1
            return _ascii(text)
        pipe._start = stop


def _ascii(line: bytes) -> str:
    text = line.decode()
    if len(text) != len(line):
        raise ValueError("a line that is not ASCII")
    if text[-1:] == "\r":
        text = text[:-1]
    # Parts of it may be logged; a terminal that shows the log must not obey them.
    if any((char < " " and char != "\t") or char == "\x7f" for char in text):
        raise ValueError("a line with a control character")
    return text


async def response(pipe) -> tuple:
    """(status, headers by lower-case name) of an HTTP response; ValueError when it is none (RFC 9112, 4 and 5)."""
    text = await line(pipe)
    parts = text.split(" ", 2)
    if len(parts) < 2 or parts[0][:7] != "HTTP/1." or len(parts[1]) != 3 or not parts[1].isdigit():
        raise ValueError("'%s' is no answer of HTTP/1.1" % text[:40])
    headers = {}
    room = _HEADER_BYTES
    for _ in range(_HEADER_LINES):
        text = await line(pipe)
        room -= len(text)
        if room < 0:
            raise ValueError("headers of more than %d bytes" % _HEADER_BYTES)
        if not text:
            return int(parts[1]), headers
        name, found, value = text.partition(":")
        name = name.lower()
        if not found or not name or name != name.strip():
            raise ValueError("'%s' is no header" % text[:40])
        value = value.strip()
        headers[name] = headers[name] + ", " + value if name in headers else value
    raise ValueError("more than %d headers" % _HEADER_LINES)


async def within(coroutine, timeout_s: int):
    """Wait for `coroutine`; after `timeout_s` it is cancelled and OSError(ETIMEDOUT) raised."""
    try:
        return await asyncio.wait_for(coroutine, timeout_s)
    except asyncio.TimeoutError:
        raise OSError(_ETIMEDOUT, "no answer within %d s" % timeout_s)


async def trusting(attempt, ssl):
    """`await attempt()`, a second time when `ssl` (a `tls.Tls`) asks for it: see `tls.Tls.judge`."""
    if not hasattr(ssl, "judge"):
        return await attempt()
    try:
        return await attempt()
    except (OSError, ValueError) as error:
        if not ssl.judge(error):
            raise
    try:
        return await attempt()
    except (OSError, ValueError) as error:
        ssl.judge(error)
        raise
