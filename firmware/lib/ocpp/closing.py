"""How a connection ends in order (RFC 6455, 7): functions of WebSocket, loaded for it."""

import asyncio

from micropython import const

from ocpp.websocket import ABNORMAL, DROPPED_BYTES, NO_CODE, PROTOCOL_ERROR, Breach, Closed, utf8

_CLOSE = const(8)
# How long to wait for the peer's end of a closing handshake (RFC 6455, 7.1.1 leaves it to us).
_CLOSING_MS = const(1000)


async def closed_by_peer(self, data: bytes) -> None:
    """Answer the Close of the peer, and end the connection; Closed."""
    code = NO_CODE
    reason = ""
    if data:
        code = int.from_bytes(data[:2], "big")
        if len(data) == 1 or not _is_code(code):
            raise Breach(PROTOCOL_ERROR, "close code")
        reason = utf8(data[2:])
    if not self._close_sent:
        await self._send(_CLOSE, data[:2])
    await self._end(code, reason)
    raise Closed(code, reason)


async def reject(self, code: int, text: str) -> None:
    """Tell the peer why, and end the connection."""
    if not self._close_sent:
        await self._send(_CLOSE, code.to_bytes(2, "big") + text.encode())
        await _linger(self)
    await self._end(code, text)


async def _linger(self) -> None:
    """Drop what still comes until the peer closes: closed with bytes unread, TCP might reset our Close away."""
    try:
        await asyncio.wait_for_ms(self._pipe.skip(DROPPED_BYTES), _CLOSING_MS)
    except (OSError, EOFError, asyncio.TimeoutError):
        return


async def close(self, code: int) -> None:
    """Tell the peer, and wait for its answer, each up to a second."""
    try:
        if not self._close_sent:
            # A peer that is gone may have left another write stuck before it.
            await asyncio.wait_for_ms(self._send(_CLOSE, code.to_bytes(2, "big")), _CLOSING_MS)
        if self._receiving:
            self._ended = self._ended or asyncio.Event()
            await asyncio.wait_for_ms(self._ended.wait(), _CLOSING_MS)
        else:
            await _linger(self)
    except (Closed, asyncio.TimeoutError):
        # Gone already, or silent: in both cases the connection is cut now.
        return


def _is_code(code: int) -> bool:
    """Whether a peer may close with `code` (RFC 6455, 7.4)."""
    return 1000 <= code <= 1014 and code not in (1004, NO_CODE, ABNORMAL) or 3000 <= code <= 4999
