"""The installer's link over a WebSocket, the simulator's stand-in for Bluetooth (docs/installer-protocol.md)."""

import asyncio
import contextlib
import hmac
import json

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from radio.box_link import BoxGone, BoxLink, Central, LinkBusy

MTU = 247
# The largest value of an attribute (core specification, 3.F.3.2.9); the box itself says what is above its MTU.
FRAME_MAX_BYTES = 512
# A person reads the label and types.
PASSKEY_S = 120.0
WRONG_PASSKEY = "the passkey is wrong; it is printed on the label of the wallbox"


class PairingFailed(Exception):
    """No connection with the box; the text tells the client why."""


def _code(error: Exception) -> str:
    """Whether trying again with the same passkey makes sense: yes when another app is there, or no wallbox."""
    if isinstance(error, LinkBusy):
        return "busy"
    return "gone" if isinstance(error, BoxGone) else "refused"


class WebLink:
    """Serves one WebSocket connection after the other; the box takes one app at a time."""

    def __init__(self, box: BoxLink):
        self._box = box

    async def serve(self, socket: ServerConnection) -> None:
        """Pair and carry frames until either side ends the connection."""
        outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        ended = asyncio.Event()
        central = None
        try:
            passkey = await self._passkey(socket)
            central = self._box.connect("websocket", MTU, outgoing.put_nowait, lambda _reason: ended.set())
            await self._pair(central, passkey)
            await socket.send(json.dumps({"paired": True, "mtu": MTU}))
            await self._carry(socket, central, outgoing, ended)
        except (PairingFailed, LinkBusy, BoxGone) as error:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(json.dumps({"paired": False, "code": _code(error), "text": str(error)}))
        except ConnectionClosed:
            return
        finally:
            if central:
                central.close()

    async def _passkey(self, socket: ServerConnection) -> str:
        try:
            async with asyncio.timeout(PASSKEY_S):
                message = json.loads(await socket.recv())
        except TimeoutError:
            raise PairingFailed(f"no passkey came within {PASSKEY_S:.0f} s") from None
        except ValueError as error:
            raise PairingFailed(f"the first message is no JSON: {error}") from None
        passkey = message.get("passkey") if isinstance(message, dict) else None
        if not isinstance(passkey, str):
            raise PairingFailed('the first message has no passkey; allowed: {"passkey": "123456"}')
        return passkey

    async def _pair(self, central: Central, passkey: str) -> None:
        permission = await central.may_pair()
        if not permission.allow:
            raise PairingFailed(permission.text or "pairing is locked after wrong passkeys; try again later")
        profile = self._box.profile
        if profile is None:
            raise BoxGone("the wallbox is gone")
        if not hmac.compare_digest(passkey.encode(), profile.passkey.encode()):
            central.pairing_failed()
            raise PairingFailed(WRONG_PASSKEY)
        central.secure(True)

    async def _carry(
        self, socket: ServerConnection, central: Central, outgoing: asyncio.Queue[bytes], ended: asyncio.Event
    ) -> None:
        tasks = [
            asyncio.create_task(self._send(socket, central, outgoing)),
            asyncio.create_task(self._receive(socket, central)),
            asyncio.create_task(ended.wait()),
        ]
        code, reason = CloseCode.GOING_AWAY, "the wallbox has ended the connection"
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1].done():
                code, reason = tasks[1].result() or (code, reason)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # The box is free before the client can come back.
        central.close()
        await socket.close(code, reason)

    async def _send(self, socket: ServerConnection, central: Central, outgoing: asyncio.Queue[bytes]) -> None:
        while True:
            await socket.send(await outgoing.get())
            central.sent()

    async def _receive(self, socket: ServerConnection, central: Central) -> tuple[CloseCode, str] | None:
        """Carry frames to the box; returns why the connection must end, None when it is ending by itself."""
        async for frame in socket:
            if isinstance(frame, str):
                return CloseCode.UNSUPPORTED_DATA, "a frame is a binary message"
            if len(frame) > FRAME_MAX_BYTES:
                return CloseCode.MESSAGE_TOO_BIG, f"a frame has at most {FRAME_MAX_BYTES} bytes"
            try:
                await central.write(frame)
            except BoxGone:
                break
        return None
