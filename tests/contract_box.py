"""A small wallbox in this process that speaks the installer's contract and misbehaves on request.

It shares no code with tools/installer, so that the same mistake cannot be on both sides.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from installer.errors import LinkLost

MTU = 247
BAD_FRAMES = 20
STORE_BYTES = 4096
READ_LIMIT = 16_384
PASSKEY = "123456"
EXPERT = "1916"
SCHEMA = [
    {"key": "rated_a", "default": 0, "allowed": [0, 6, 16, 32], "unit": "A", "role": "expert", "group": "electrical"},
    {"key": "load_optimisation", "default": False, "allowed": [], "unit": "", "role": "expert", "group": "electrical"},
    {"key": "name", "default": "wallbox", "allowed": 32, "unit": "", "role": "owner", "group": "general"},
    {"key": "wifi_ssid", "default": "", "allowed": 32, "unit": "", "role": "expert", "group": "network"},
    {"key": "wifi_password", "default": "", "allowed": 63, "unit": "", "role": "expert", "group": "network"},
]


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, code: str, text: str, **more):
        super().__init__(text)
        self.error = {"code": code, "text": text, **more}


class ContractBox:
    """`frames_in` and `frames_out` count over all connections, from 1; the sets name those to mistreat.

    `cut_in` and `cut_out`: the connection breaks instead of that frame. `deaf`: commands that get no answer.
    `ack_s`: how long a frame's sender waits. `lose_data`: offsets of uploads that get lost with no gap in counters.
    `away`: codes with which the next WebSockets are refused.
    """

    def __init__(self):
        self.requests: list[dict] = []
        self.connections = 0
        self.frames_in = self.frames_out = 0
        self.cut_in: set[int] = set()
        self.cut_out: set[int] = set()
        self.drop_in: set[int] = set()
        self.drop_out: set[int] = set()
        self.twice_in: set[int] = set()
        self.twice_out: set[int] = set()
        self.swap_out: set[int] = set()
        self.deaf: set[str] = set()
        self.delay_s = 0.0
        self.refuse_connections = 0
        self.protocol = 1
        self.app_password = ""
        self.settings = {row["key"]: row["default"] for row in SCHEMA}
        self.files: dict[str, bytes] = {"settings-schema": json.dumps({"settings": SCHEMA}).encode()}
        self.partial: dict[tuple, bytearray] = {}
        self.taken: dict[str, tuple[bytes, dict]] = {}
        self.most_unstored = 0
        self.live_left = 0
        self.changes_while_read = 0
        self.upload_error: dict | None = None
        self.away: list[str] = []
        self.ack_s = 0.0
        self.lose_data: set[int] = set()

    async def connect(self) -> "BoxLink":
        """A transport to it, as a client wants one."""
        if self.refuse_connections:
            self.refuse_connections -= 1
            raise LinkLost("out of reach")
        self.connections += 1
        return BoxLink(self)


class BoxLink:
    """One connection; to the client it is a transport."""

    payload = MTU - 3

    def __init__(self, box: ContractBox):
        self.box = box
        self.role = "paired"
        self._to_client: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._next_in = self._next_out = 0
        self._bad = 0
        self._held: bytes | None = None
        self._message: bytearray | None = None
        self._open = True
        self._transfers: dict[int, dict] = {}
        self._tasks = [asyncio.create_task(self._serve())]

    # -- what a transport has ------------------------------------------------------------------------------

    async def send(self, frame: bytes) -> None:
        """A frame from the client."""
        box = self.box
        box.frames_in += 1
        if box.frames_in in box.cut_in:
            self.cut()
        if not self._open:
            raise LinkLost("cut")
        await asyncio.sleep(0)
        if box.frames_in in box.drop_in:
            return
        for _ in range(2 if box.frames_in in box.twice_in else 1):
            self._incoming.put_nowait(frame)
        if box.ack_s:
            # As over the air, where the answer to a write comes after what the write has brought about.
            await asyncio.sleep(box.ack_s)

    async def receive(self) -> bytes:
        """A frame for the client."""
        frame = await self._to_client.get()
        if frame is None:
            self._to_client.put_nowait(None)
            raise LinkLost("cut")
        return frame

    async def close(self) -> None:
        """The client goes."""
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break the connection; what is under way is lost."""
        if self._open:
            self._open = False
            self._to_client.put_nowait(None)

    # -- frames --------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while self._open:
            frame = await self._incoming.get()
            if self._open:
                await self._take(frame)

    async def _take(self, frame: bytes) -> None:
        if not 3 <= len(frame) <= self.payload or frame[1] != self._next_in:
            await self._complain(f"counter {frame[1]} in the place of {self._next_in}")
            return
        if frame[0] & 0x0F == 0 and not frame[0] & 0x10 and self._message is None:
            await self._complain("no first frame")
            return
        self._next_in = (self._next_in + 1) % 256
        if frame[0] & 0x0F == 1:
            await self._data(frame[2], int.from_bytes(frame[3:7], "little"), frame[7:])
            return
        if frame[0] & 0x10:
            self._message = bytearray()
        assert self._message is not None
        self._message += frame[2:]
        if frame[0] & 0x20:
            message, self._message = bytes(self._message), None
            await self._request(json.loads(message))

    async def _complain(self, text: str) -> None:
        self._message = None
        self._bad += 1
        if self._bad >= BAD_FRAMES:
            self.cut()
            return
        await self.tell({"event": "frame_error", "expected": self._next_in, "text": text})

    async def tell(self, message: dict) -> None:
        """Send a message in frames."""
        body = json.dumps(message).encode()
        pieces = [body[at : at + self.payload - 2] for at in range(0, len(body), self.payload - 2)]
        for number, piece in enumerate(pieces):
            head = (0x10 if number == 0 else 0) | (0x20 if number == len(pieces) - 1 else 0)
            await self._put(head, piece)

    async def _put(self, head: int, content: bytes) -> None:
        box = self.box
        if box.delay_s:
            await asyncio.sleep(box.delay_s)
        if not self._open:
            return
        frame = bytes((head, self._next_out)) + content
        self._next_out = (self._next_out + 1) % 256
        box.frames_out += 1
        if box.frames_out in box.cut_out:
            self.cut()
        if not self._open or box.frames_out in box.drop_out:
            return
        if box.frames_out in box.swap_out:
            self._held = frame
            return
        for _ in range(2 if box.frames_out in box.twice_out else 1):
            self._to_client.put_nowait(frame)
        if self._held:
            self._to_client.put_nowait(self._held)
            self._held = None

    # -- commands ------------------------------------------------------------------------------------------

    async def _request(self, request: dict) -> None:
        box = self.box
        box.requests.append(request)
        number, do = request.pop("id"), request.pop("do")
        if do in box.deaf:
            return
        try:
            handler: Callable | None = getattr(self, f"do_{do}", None)
            if handler is None:
                raise Refusal("unknown", f"do: no such command: {do}")
            answer = await handler(**request)
            await self.tell({**(answer or {}), "id": number, "ok": True})
        except Refusal as no:
            await self.tell({"id": number, "ok": False, "error": no.error})

    def _demand(self, role: str) -> None:
        if ("paired", "owner", "expert").index(self.role) < ("paired", "owner", "expert").index(role):
            raise Refusal("not_allowed", f"log in as {role}", field=role)

    async def do_hello(self) -> dict:
        return {
            "protocol": self.box.protocol,
            "product": "wallbox",
            "serial": "W1",
            "version": "0.1.0",
            "role": self.role,
            "mtu": MTU,
            "commissioned": False,
            "utc": None,
            "app_password_set": bool(self.box.app_password),
            "expert_password_changed": False,
        }

    async def do_login(self, role: str, password: str) -> dict:
        if password != (EXPERT if role == "expert" else self.box.app_password):
            raise Refusal("wrong_password", "the password is wrong", field="password", wait_s=0)
        self.role = role
        return {"role": role}

    async def do_why(self) -> dict:
        return {
            "why": {
                "code": "no_car",
                "text": "Ready: no car is plugged in.",
                "who": "wallbox",
                "since_s": None,
                "until_s": None,
            }
        }

    async def do_faults(self) -> dict:
        return {"faults": [{"name": "weld", "text": "the contactor is welded"}], "clearable": ["weld"]}

    async def do_settings(self, set: dict | None = None, check: bool = False) -> dict:  # noqa: A002
        settings = self.box.settings
        changed = []
        for key, value in (set or {}).items():
            row = next((row for row in SCHEMA if row["key"] == key), None)
            if row is None:
                raise Refusal("bad_value", f"{key}: unknown setting", field=key)
            self._demand(row["role"])
            if isinstance(row["allowed"], list) and row["allowed"] and value not in row["allowed"]:
                text = f"{key}: {value} is not allowed; allowed: 0, 6, 16, 32 A"
                raise Refusal("bad_value", text, field=key)
            changed += [key] if settings[key] != value else []
        if not check:
            settings.update(set or {})
        shown = {key: bool(value) if key.endswith("_password") else value for key, value in settings.items()}
        return {"settings": shown, "changed": changed}

    async def do_cards(self) -> dict:
        self._demand("owner")
        cards = [{"uid": "04AABBCC", "name": "Ann", "blocked": True}]
        return {"setup": None, "charging": cards, "registration": False, "last_unknown": None}

    async def do_service(self, confirm: bool) -> None:
        self._demand("expert")
        assert confirm

    async def do_restart(self, confirm: bool) -> None:
        self._demand("owner")
        assert confirm
        asyncio.get_running_loop().call_soon(self.cut)

    async def do_log(self, since: int = -1, security: bool = False) -> dict:
        self._demand("expert" if security else "owner")
        every = [_entry(number) for number in range(1, 46)]
        found = [entry for entry in every if entry["seq"] > since][:20]
        return {"entries": found, "last": 45}

    async def do_live(self, period_ms: int) -> None:
        self.box.live_left = period_ms and self.box.live_left
        if period_ms:
            self._tasks.append(asyncio.create_task(self._live()))

    async def _live(self) -> None:
        while self.box.live_left and self._open:
            self.box.live_left -= 1
            await self.tell(
                {
                    "event": "live",
                    "t_ms": 1000 - self.box.live_left,
                    "state": "A1",
                    "currents_a": [0, 0, 0],
                    "volts": [230, 230, 230],
                    "power_w": 0,
                    "offered_a": 0,
                    "limited_by": "installer",
                    "why": "Ready.",
                    "energy_wh": None,
                    "meter_a": None,
                    "temperature_c": 20,
                    "led": "blue",
                }
            )
            await asyncio.sleep(0.002)

    # -- transfers -----------------------------------------------------------------------------------------

    def _new(self, **transfer) -> int:
        number = len(self._transfers)
        self._transfers[number] = transfer
        return number

    async def do_get(self, name: str, arguments: dict | None = None, offset: int = 0) -> dict:
        content = self.box.files[name]
        if offset > len(content):
            raise Refusal("bad_value", f"offset: {offset} is not allowed; allowed: 0..{len(content)}", field="offset")
        number = self._new(content=content)
        return {"transfer": number, "size": len(content), "etag": hashlib.sha256(content).hexdigest()[:8]}

    async def do_read(self, transfer: int, offset: int, count: int) -> dict:
        content = self._transfers[transfer]["content"]
        if offset and self.box.changes_while_read:
            self.box.changes_while_read -= 1
            raise Refusal("not_now", "the content has changed; open it again")
        end = min(len(content), offset + min(count, READ_LIMIT))
        while offset < end:
            piece = content[offset : min(end, offset + self.payload - 7)]
            await self._put(0x31, bytes((transfer,)) + offset.to_bytes(4, "little") + piece)
            offset += len(piece)
        return {"offset": offset, "end": offset == len(content)}

    async def do_put(self, name: str, size: int, sha256: str, offset: int = 0) -> dict:
        stored = self.box.partial.setdefault((name, size, sha256), bytearray())
        number = self._new(name=name, size=size, sha256=sha256, stored=stored, fresh=bytearray(), told=len(stored))
        return {"transfer": number, "offset": len(stored)}

    async def _data(self, number: int, offset: int, data: bytes) -> None:
        transfer = self._transfers[number]
        stored, fresh = transfer["stored"], transfer["fresh"]
        if offset in self.box.lose_data:
            self.box.lose_data.remove(offset)
            return
        if offset == len(stored) + len(fresh):
            fresh += data
            self.box.most_unstored = max(self.box.most_unstored, len(fresh))
            if len(stored) >= STORE_BYTES and self.box.upload_error:
                await self.tell({"event": "transfer_failed", "transfer": number, **self.box.upload_error})
                return
            if len(fresh) < STORE_BYTES and len(stored) + len(fresh) < transfer["size"]:
                return
            stored += fresh
            fresh.clear()
        await self.tell({"event": "received", "transfer": number, "offset": len(stored) + len(fresh)})

    async def do_done(self, transfer: int, cancel: bool = False, **arguments: Any) -> dict:
        found = self._transfers[transfer]
        if cancel or "content" in found:
            return {}
        content = bytes(found["stored"])
        if hashlib.sha256(content).hexdigest() != found["sha256"]:
            raise Refusal("bad_value", "sha256: it is not that of what came", field="sha256")
        self.box.taken[found["name"]] = (content, arguments)
        return {"taken": len(content)}


async def serve_websocket(box: ContractBox) -> tuple[Server, str]:
    """Offer the box as the simulator's WebSocket does -> server and URL."""

    async def page(socket: ServerConnection) -> None:
        key = json.loads(await socket.recv()).get("passkey")
        if box.away:
            await socket.send(json.dumps({"paired": False, "code": box.away.pop(), "text": "not there for you"}))
            return
        if key != PASSKEY:
            await socket.send(json.dumps({"paired": False, "text": "the passkey is wrong"}))
            return
        await socket.send(json.dumps({"paired": True, "mtu": MTU}))
        link = await box.connect()

        async def outward() -> None:
            with contextlib.suppress(LinkLost, ConnectionClosed):
                while True:
                    await socket.send(await link.receive())
            await socket.close()

        sending = asyncio.create_task(outward())
        try:
            async for frame in socket:
                assert isinstance(frame, bytes)
                await link.send(frame)
        except (ConnectionClosed, LinkLost):
            return
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await link.close()

    server = await serve(page, "127.0.0.1", 0)
    return server, f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/installer"


def _entry(number: int) -> dict:
    return {
        "seq": number,
        "utc": None,
        "uptime_ms": number,
        "level": "info",
        "source": "a",
        "code": "b",
        "text": f"entry {number}",
    }
