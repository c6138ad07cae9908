"""A WebSocket amid other tasks, over streams that do what the test wants; real peers are in tests/ocpp (R25)."""

import asyncio

from virtual_time import VirtualTime

from ocpp.stream import Pipe
from ocpp.websocket import Closed, WebSocket

TEXT, MORE, PONG, FIN = 1, 0, 10, 0x80


class Streams:
    """Reader and writer in one: `data` comes in as fast as it is read; what is written is taken unless `stuck`."""

    def __init__(self, data=b""):
        self.data = data
        self.out_buf = b""
        self.stuck = self.gone = False
        self.written = b""
        self._moved = asyncio.Event()

    async def readinto(self, view):
        await asyncio.sleep_ms(0)
        while not self.data and not self.gone:
            self._moved.clear()
            await self._moved.wait()
        count = min(len(view), len(self.data))
        view[:count] = self.data[:count]
        self.data = self.data[count:]
        return count

    def write(self, data):
        self.written += bytes(data)
        self.out_buf = b"x" if self.stuck else b""

    async def drain(self):
        while self.out_buf:
            self._moved.clear()
            await self._moved.wait()
            if self.gone:
                raise OSError(104)

    def close(self):
        self.gone = True
        self._moved.set()

    async def wait_closed(self):
        pass


def opened(data=b""):
    time = VirtualTime()
    streams = Streams(data)
    return WebSocket(Pipe((streams, streams), 30, time.ticks_ms), "ocpp1.6", 2000), streams, time


def frame(first, data=b""):
    return bytes((first, len(data))) + data


async def turns_during(awaitable):
    """How often another task had its turn meanwhile."""
    count = [0]

    async def other():
        while True:
            count[0] += 1
            await asyncio.sleep_ms(0)

    task = asyncio.create_task(other())
    await awaitable
    task.cancel()
    return count[0]


async def test_a_flood_of_small_frames_lets_others_run_after_each():
    async def take(socket, messages):
        for _ in range(messages):
            await socket.recv_utf8()

    flood = frame(FIN | PONG) * 200 + frame(FIN | TEXT, b"a")
    assert await turns_during(take(opened(flood)[0], 1)) >= 200
    assert await turns_during(take(opened(frame(FIN | TEXT, b"[]") * 200)[0], 200)) >= 200
    pieces = frame(TEXT, b"a") + frame(MORE, b"b") * 198 + frame(FIN | MORE, b"c")
    assert await turns_during(take(opened(pieces)[0], 1)) >= 200


async def test_closing_takes_a_second_also_while_a_write_is_stuck():
    socket, streams, time = opened()
    streams.stuck = True
    outcomes = []

    async def send():
        try:
            await socket.send("x" * 100)
        except Closed as error:
            outcomes.append(error.code)

    sending = asyncio.create_task(send())
    await asyncio.sleep_ms(10)
    began = time.now_ms
    await socket.close()
    assert time.now_ms - began <= 1_100 and streams.gone
    await sending
    assert outcomes == [1006]
