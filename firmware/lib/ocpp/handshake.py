"""Opens a WebSocket (RFC 6455, 4.1): the HTTP before its first frame; borrowed by `websocket.connect` for that."""

from binascii import b2a_base64
from hashlib import sha1
from os import urandom

from ocpp.rare import borrow
from ocpp.stream import Pipe
from ocpp.websocket import HandshakeError, WebSocket

_http = borrow("http")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def connect(open_connection, url: str, protocols, headers, ssl, max_bytes: int, timeout_s: int, ticks_ms):
    """As `websocket.connect`."""
    target = borrow("url").parse(url, ("ws", "wss"))
    if target.secure and ssl is None:
        raise ValueError("ssl: None is not allowed for wss")
    if not target.secure:
        ssl = None

    async def attempt():
        streams = await open_connection(target.host, target.port, ssl)
        pipe = Pipe(streams, timeout_s, ticks_ms)
        made = None
        try:
            made = WebSocket(pipe, await _shake_hands(pipe, target, protocols, headers), max_bytes)
        finally:
            if made is None:
                await pipe.close()
        return made

    return await _http.within(_http.trusting(attempt, ssl), timeout_s)


async def _shake_hands(pipe: Pipe, target, protocols, headers) -> str:
    key = b2a_base64(urandom(16)).strip()
    lines = [
        "GET %s HTTP/1.1" % target.target,
        "Host: " + target.authority(),
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: " + key.decode(),
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: " + ", ".join(protocols),
    ]
    for name, value in headers:
        if any(ord(char) < 0x20 for char in name + value):
            raise ValueError("headers: a control character in %s is not allowed" % name[:40])
        lines.append("%s: %s" % (name, value))
    await pipe.write("\r\n".join(lines + ["", ""]).encode())
    try:
        status, answer = await _http.response(pipe)
    except EOFError:
        raise HandshakeError("the server closed the connection during the handshake")
    except ValueError as error:
        # What TLS has to say comes as a ValueError too, but names certificates.
        if "certificate" in str(error):
            raise
        raise HandshakeError("the server speaks no HTTP: %s" % error)
    return _chosen(status, answer, key, protocols)


def _chosen(status: int, answer: dict, key: bytes, protocols) -> str:
    """The protocol that the server has chosen (RFC 6455, 4.1; OCPP-J 1.6, 3.1.2: without one there is no link)."""
    if status != 101:
        raise HandshakeError("the server answers HTTP %d" % status, status)
    if answer.get("upgrade", "").lower() != "websocket" or not _names(answer.get("connection", ""), "upgrade"):
        raise HandshakeError("the server does not upgrade to a WebSocket", status)
    if answer.get("sec-websocket-accept") != b2a_base64(sha1(key + _GUID).digest()).strip().decode():
        raise HandshakeError("the server's Sec-WebSocket-Accept is wrong", status)
    if answer.get("sec-websocket-extensions"):
        raise HandshakeError("the server chose an extension that was not offered", status)
    protocol = answer.get("sec-websocket-protocol", "")
    if protocol not in protocols:
        text = "'%s' is not allowed; allowed: %s" % (protocol[:40], ", ".join(protocols))
        raise HandshakeError("sub-protocol of the server: " + text, status)
    return protocol


def _names(values: str, name: str) -> bool:
    return any(value.strip().lower() == name for value in values.split(","))
