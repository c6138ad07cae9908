"""Frames over the simulator's WebSocket, whose first message stands in for pairing."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from installer.errors import LinkLost, NoConnection, PairingRefused
from installer.transports import ATT_HEADER_BYTES, Found

DEFAULT_URL = "ws://127.0.0.1:8061/installer"
OPEN_TIMEOUT_S = 10
CLOSE_TIMEOUT_S = 2
MAX_MESSAGE_BYTES = 4096
DEFAULT_MTU = 247


class WebSocketTransport:
    """One WebSocket; a binary message is a frame."""

    def __init__(self, socket: ClientConnection, payload: int):
        self._socket = socket
        self.payload = payload

    async def send(self, frame: bytes) -> None:
        """Send one frame; LinkLost when the connection is gone."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise LinkLost(f"the wallbox closed the connection ({error})") from error

    async def receive(self) -> bytes:
        """The next frame; LinkLost when the connection is gone or sends text."""
        try:
            frame = await self._socket.recv()
        except ConnectionClosed as error:
            raise LinkLost(f"the wallbox closed the connection ({error})") from error
        if isinstance(frame, str):
            raise LinkLost(f"the wallbox sent text where a frame was due: {frame[:80]!r}")
        return frame

    async def close(self) -> None:
        """End the connection."""
        await self._socket.close()


async def _dial(url: str) -> ClientConnection:
    try:
        return await connect(
            url,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            # The simulator is on this machine; a proxy has no part in it.
            proxy=None,
        )
    except InvalidURI as error:
        raise NoConnection(f"--ws: {url!r} is not allowed; allowed: ws://HOST:PORT/installer") from error
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise NoConnection(f"no wallbox at {url} ({error or type(error).__name__})") from error


def _refusal(answer: dict) -> NoConnection | PairingRefused:
    """What a refused connection means: only with a passkey that is refused there is no use in trying again."""
    text = str(answer.get("text") or "pairing was refused")
    return NoConnection(text) if answer.get("code") in ("busy", "gone") else PairingRefused(text)


class WebSocketWay:
    """The simulator at `url`.

    `passkey` is called only once the wallbox has answered, so that nobody types it for nothing.
    """

    def __init__(self, url: str, passkey: Callable[[], Awaitable[str]]):
        self._url = url
        self._passkey = passkey

    async def open(self) -> WebSocketTransport:
        """Connect and pair; NoConnection when nothing answers, PairingRefused with the wallbox's reason."""
        socket = await _dial(self._url)
        try:
            return await self._pair(socket)
        except (ConnectionClosed, TimeoutError, ValueError) as error:
            await socket.close()
            raise NoConnection(f"{self._url} does not answer as a wallbox ({error or type(error).__name__})") from error
        except BaseException:
            await socket.close()
            raise

    async def _pair(self, socket: ClientConnection) -> WebSocketTransport:
        key = await self._passkey()
        await socket.send(json.dumps({"passkey": key}))
        answer = json.loads(await asyncio.wait_for(socket.recv(), OPEN_TIMEOUT_S))
        if not isinstance(answer, dict) or not answer.get("paired"):
            raise _refusal(answer if isinstance(answer, dict) else {})
        return WebSocketTransport(socket, int(answer.get("mtu", DEFAULT_MTU)) - ATT_HEADER_BYTES)

    async def scan(self, seconds: float) -> list[Found]:
        """The simulator, when it answers within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                socket = await _dial(self._url)
        except (NoConnection, TimeoutError):
            return []
        await socket.close()
        return [Found(self._url, "simulator", None, {})]

    async def close(self) -> None:
        """Nothing is held between connections."""
