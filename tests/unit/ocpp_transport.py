"""Drives the package's transports on MicroPython for tests/ocpp: a JSON object a line on stdin, one on stdout for each.

Commands run side by side, answers carry their `id`. Every host is looked for on 127.0.0.1, as if DNS said so.
"""

import asyncio
import gc
import json
import sys
from binascii import a2b_base64

sys.path.insert(0, sys.argv[1])

from ocpp import transfer  # noqa: E402
from ocpp.errors import OcppError  # noqa: E402
from ocpp.tls import Tls, TlsError  # noqa: E402
from ocpp.websocket import Closed, HandshakeError, TooLong, connect  # noqa: E402

sockets = {}

# Linux, asm-generic/socket.h. A small buffer of the kernel is full soon, also where TLS has to fill it.
SOL_SOCKET = 1
SO_SNDBUF = 7
SEND_BYTES = 16384


class Narrow(Tls):
    """TLS over a connection that takes little at once."""

    def wrap_socket(self, sock, **options):
        sock.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BYTES)
        return super().wrap_socket(sock, **options)


async def open_connection(host, port, ssl):
    streams = await asyncio.open_connection("127.0.0.1", port, ssl, host if ssl else None)
    if not ssl:
        streams[1].s.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BYTES)
    return streams


def make_tls(given):
    if given is None:
        return None
    utc_s = given.get("utc_s")
    own = given.get("own")
    authorities = [decoded(text) for text in given["authorities"]]
    own = [decoded(text) for text in own] if own else (None, None)
    return Narrow(authorities, own[0], own[1], lambda: utc_s, given.get("least_s", 0))


def decoded(text):
    return text if text[:5] == "-----" else a2b_base64(text)


async def do_connect(name, url, tls=None, **options):
    ssl = make_tls(tls)
    if "headers" in options:
        options["headers"] = [tuple(header) for header in options["headers"]]
    socket = await connect(open_connection, url, ssl=ssl, **options)
    sockets[name] = socket
    found = {"protocol": socket.protocol}
    if ssl:
        found.update({"dates_checked": ssl.dates_checked, "valid": (ssl.since_s, ssl.until_s)})
    return found


async def do_send(name, text="", size=0):
    await sockets[name].send(text or "x" * size)
    return {}


async def do_cancelled_send(name, size, after_ms):
    task = asyncio.create_task(sockets[name].send("x" * size))
    await asyncio.sleep_ms(after_ms)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return {"code": sockets[name].code}
    return {"code": "not cancelled"}


async def do_recv(name, length=False):
    text = await sockets[name].recv()
    return {"length": len(text)} if length else {"text": text}


async def do_ping(name):
    socket = sockets[name]
    before = socket.last_heard_ms
    await asyncio.sleep_ms(2)
    await socket.ping(b"there?")
    return {"heard": before}


async def do_heard(name):
    return {"heard": sockets[name].last_heard_ms}


async def do_close(name, code=1000):
    await sockets[name].close(code)
    return {"code": sockets[name].code}


async def do_heap():
    gc.collect()
    return {"bytes": gc.mem_alloc()}


async def do_download(url, tls=None, **options):
    received = bytearray()

    async def write(piece):
        received.extend(piece)

    size = await transfer.download(open_connection, url, write, tls=tls and (lambda: make_tls(tls)), **options)
    return {"size": size, "text": bytes(received[:100]).decode(), "sum": sum(received)}


async def do_upload(url, pieces, name, tls=None, **options):
    def again():
        return (piece.encode() for piece in pieces)

    await transfer.upload(open_connection, url, again, name, tls=tls and (lambda: make_tls(tls)), **options)
    return {}


async def answer(command):
    reply = {"id": command.pop("id"), "ok": False}
    try:
        reply.update(await globals()["do_" + command.pop("do")](**command))
        reply["ok"] = True
    except (OcppError, OSError, ValueError) as error:
        reply["error"] = type(error).__name__
        reply["text"] = " ".join(str(part) for part in error.args)
        if isinstance(error, HandshakeError):
            reply["status"] = error.status
        elif isinstance(error, Closed):
            reply["code"] = error.code
            reply["reason"] = error.reason
        elif isinstance(error, TooLong):
            reply["head"] = error.head
            reply["size"] = error.size
        elif isinstance(error, TlsError):
            reply["event"] = error.event
        elif isinstance(error, OSError):
            reply["errno"] = error.errno
    print(json.dumps(reply))


async def main():
    reader = asyncio.StreamReader(sys.stdin.buffer)
    while True:
        line = await reader.readline()
        if not line:
            return
        asyncio.create_task(answer(json.loads(line)))


asyncio.run(main())
