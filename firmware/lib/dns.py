"""A resolver for host names over UDP that never blocks the event loop (RFC 1034, RFC 1035); it keeps nothing by itself.

    cache = {}
    addresses = await dns.resolve("example.org", (("192.168.1.1", 53),), cache=cache)

`socket.getaddrinfo` keeps a chip's event loop waiting for as long as the name servers do. All state is the caller's, so
that this module may be loaded for a look-up and let go after it.
"""

import asyncio
import os
import socket
import struct
import time
from asyncio import core
from errno import EHOSTUNREACH, EINVAL, ETIMEDOUT

from micropython import const

# Types of records (RFC 1035, 3.2.2; RFC 3596, 2.1), and the class Internet (RFC 1035, 3.2.4).
A = const(1)
AAAA = const(28)
_CNAME = const(5)
_IN = const(1)
# RFC 1035, 4.2.1 asks for at least 2 s before a question is repeated; each server is asked once a round.
_WAITS_MS = (2_000, 4_000)
# RFC 1035, 2.3.4.
_NAME_BYTES = const(255)
_LABEL_BYTES = const(63)
# RFC 1035, 4.1.1: the header; 4.1.4: what begins with two ones is a pointer.
_HEADER_BYTES = const(12)
_POINTER = const(0xC0)
_TRUNCATED = const(0x02)  # of the third byte
_NO_SUCH_NAME = const(3)
# Without an extension no answer is longer than 512 bytes (RFC 1035, 4.2.1); some servers do not care.
_ANSWER_BYTES = const(1_024)
_RECORDS = const(64)
# Aliases of a name, as a guard against those that go in circles; and questions, where a server leaves them to us.
_ALIASES = const(8)
_QUESTIONS = const(4)
# Answers to something else that are read before the question is asked anew, with another number from another port:
# who guesses numbers shall not have many tries.
_STRANGERS = const(16)
# How long an answer may be kept, whatever it says; and how many names are.
_TTL_MAX_S = const(3_600)
_CACHED = const(4)


class NotFound(OSError):
    """A name server knows for sure that there is no such name, or that it has no address."""


class Unanswered(OSError):
    """No name server has given an answer that could be used."""


def open_udp(address: str, port: int):
    """A socket that talks to this IP address and port only, and never blocks. OSError."""
    family, _, _, _, where = socket.getaddrinfo(address, port, 0, socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect(where)
    return sock


async def exchange(sock, request: bytes, accept, tries: int = _STRANGERS):
    """Send a datagram and give what arrives to `accept` until it returns something, which is returned.

    OSError when the network refuses, or after so many datagrams that were not accepted. It may wait for ever.
    """
    sock.send(request)
    for _ in range(tries):
        await _readable(sock)  # type: ignore
        found = accept(sock.recv(_ANSWER_BYTES))
        if found is not None:
            return found
    raise OSError(EINVAL, "nothing but answers to something else")


def _readable(sock):
    """Awaitable that waits until there is a datagram."""
    yield core._io_queue.queue_read(sock)


def is_address(host: str) -> bool:
    """Whether `host` is an IP address and no name."""
    if ":" in host:
        return True
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and len(part) <= 3 and int(part) < 256 for part in parts)


async def resolve(
    host: str, servers, *, cache=None, now_s=time.time, open_udp=open_udp, random=os.urandom, kind=A, waits_ms=_WAITS_MS
) -> list:
    """The addresses of `host` as texts, at least one; one that is an address already is returned as it is.

    `servers` are (address, port) of recursive name servers, in the order in which they are asked. `cache` is a dict
    that the caller keeps; one belongs to one network. `now_s()` gives seconds for it, `random(count)` bytes, and
    `open_udp` a socket as the function of that name. `kind` is A or AAAA, `waits_ms` how long each server is waited
    for in each round. NotFound or Unanswered (both OSError) name the host and the reason. What has outlived its time
    is used once more when nobody answers (RFC 8767).
    """
    if is_address(host):
        return [host]
    name = host.lower()
    if name.endswith("."):
        name = name[:-1]
    key = (name, kind)
    known = cache.get(key) if cache is not None else None
    if known is not None and 0 <= known[0] - now_s() <= _TTL_MAX_S:
        return known[1]
    asker = (servers, open_udp, random, waits_ms)
    try:
        addresses, ttl_s = await _search(name, kind, asker)
    except Unanswered:
        if known is not None:
            return known[1]
        raise
    if cache is not None:
        while len(cache) >= _CACHED and key not in cache:
            # Dicts have no order here; any will do.
            del cache[next(iter(cache))]
        cache[key] = (now_s() + ttl_s, addresses)
    return addresses


async def _search(name: str, kind: int, asker: tuple) -> tuple:
    """(addresses, seconds that they may be kept), asking for the alias where a server has left that to us."""
    ttl_s = _TTL_MAX_S
    at = name.encode()
    for _ in range(_QUESTIONS):
        addresses, lasts_s, at = await _ask_all(name, at, kind, asker)
        ttl_s = min(ttl_s, lasts_s)
        if addresses:
            return addresses, ttl_s
    raise NotFound(EHOSTUNREACH, "%s: the name has too many aliases" % name)


async def _ask_all(name: str, at: bytes, kind: int, asker: tuple) -> tuple:
    """Ask one server after the other for the alias `at` of `name` -> as `_read`."""
    servers, open_udp, random, waits_ms = asker
    why = "no name server is known"
    for wait_ms in waits_ms:
        for address, port in servers:
            query = _query(at, kind, random(2))
            try:
                answer = await asyncio.wait_for_ms(_ask(open_udp, address, port, query), wait_ms)
                return _read(answer, query, at, kind)
            except NotFound as error:
                raise NotFound(EHOSTUNREACH, "%s: %s" % (name, error.args[1]))
            except asyncio.TimeoutError:
                why = "no answer from %s" % address
            except (OSError, ValueError, IndexError) as error:
                why = "%s: %s" % (address, error)
    raise Unanswered(ETIMEDOUT, "%s: the name could not be looked up: %s" % (name, why))


async def _ask(open_udp, address: str, port: int, query: bytes) -> bytes:
    """The answer of one server to one question; OSError. It may wait for ever."""
    sock = open_udp(address, port)
    try:
        return await exchange(sock, query, lambda data: data if _answers(data, query) else None)
    finally:
        sock.close()


def _query(name: bytes, kind: int, number: bytes) -> bytes:
    """A standard query with recursion desired (RFC 1035, 4.1); NotFound when `name` cannot be one."""
    labels = name.split(b".")
    if len(name) > _NAME_BYTES - 2 or any(not 0 < len(label) <= _LABEL_BYTES for label in labels) or max(name) > 126:
        raise NotFound(EHOSTUNREACH, "this is no host name")
    body = b"".join([bytes((len(label),)) + label for label in labels])
    return number + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + body + struct.pack(">BHH", 0, kind, _IN)


def _answers(data: bytes, query: bytes) -> bool:
    """Whether `data` is an answer to this very question: number, kind of message, name, type and class (7.3)."""
    return (
        len(data) >= len(query)
        and data[:2] == query[:2]
        and data[2] & 0xF8 == 0x80
        and data[4:6] == b"\x00\x01"
        and data[_HEADER_BYTES : len(query)].lower() == query[_HEADER_BYTES:].lower()
    )


def _read(data: bytes, query: bytes, name: bytes, kind: int) -> tuple:
    """(addresses, seconds, alias that was reached) of an answer; without addresses the alias is to be asked for.

    NotFound when there is none for sure; ValueError or IndexError for an answer that is of no use.
    """
    code = data[3] & 0x0F
    if code == _NO_SUCH_NAME:
        raise NotFound(EHOSTUNREACH, "the name is not known")
    if code:
        raise ValueError("refused with code %d" % code)
    records = _records(data, len(query))
    ttl_s = _TTL_MAX_S
    alias = name
    for _ in range(_ALIASES):
        found = [record for record in records if record[0] == alias and record[1] == kind]
        if found:
            return [record[3] for record in found], min(ttl_s, min([record[2] for record in found])), alias
        named = [record for record in records if record[0] == alias and record[1] == _CNAME]
        if not named:
            break
        ttl_s = min(ttl_s, named[0][2])
        alias = named[0][3]
    else:
        raise NotFound(EHOSTUNREACH, "the name has too many aliases")
    if data[2] & _TRUNCATED:
        raise ValueError("the answer is cut off")
    if alias == name:
        raise NotFound(EHOSTUNREACH, "the name has no address")
    return [], ttl_s, alias


def _records(data: bytes, at: int) -> list:
    """The records (owner, type, seconds, address or alias) from `at` on that are addresses or aliases.

    Of an answer that is cut off those that are whole (RFC 1035, 4.1.1, TC). ValueError or IndexError.
    """
    found = []
    try:
        for _ in range(min(_RECORDS, struct.unpack_from(">H", data, 6)[0])):
            owner, at = _name(data, at)
            kind, group, ttl_s, length = struct.unpack_from(">HHIH", data, at)
            at += 10
            if at + length > len(data):
                raise ValueError("the answer is too short")
            value = _value(data, at, kind, length) if group == _IN else None
            if value is not None:
                # RFC 2181, 8: with its highest bit set it means 0.
                found.append((owner, kind, 0 if ttl_s >> 31 else ttl_s, value))
            at += length
    except (ValueError, IndexError):
        if not data[2] & _TRUNCATED:
            raise
    return found


def _value(data: bytes, at: int, kind: int, length: int):
    """An address as text, an alias as bytes, None for anything else, such as 0.0.0.0, which is no host's address."""
    if kind == _CNAME:
        return _name(data, at)[0]
    raw = data[at : at + length]
    if not any(raw):
        return None
    if kind == A and length == 4:
        return "%d.%d.%d.%d" % tuple(raw)
    if kind == AAAA and length == 16:
        return ":".join(["%x" % group for group in struct.unpack(">8H", raw)])
    return None


def _name(data: bytes, at: int) -> tuple:
    """(name in lower case, where it ends) of a name that may be compressed (RFC 1035, 4.1.4); ValueError, IndexError.

    A pointer has to lead to before where its name begins, so that none goes in circles.
    """
    labels = []
    end = None
    start = at
    size = 0
    while True:
        length = data[at]
        if length >= _POINTER:
            target = (length & ~_POINTER) << 8 | data[at + 1]
            end = end or at + 2
            if target >= start:
                raise ValueError("a name in the answer goes in circles")
            start = at = target
            continue
        at += 1
        if length == 0:
            return b".".join(labels).lower(), end or at
        label = data[at : at + length]
        at += length
        size += 1 + length
        if length > _LABEL_BYTES or len(label) < length or size >= _NAME_BYTES:
            raise ValueError("a name in the answer is damaged")
        labels.append(label)
