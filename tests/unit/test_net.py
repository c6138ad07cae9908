"""The simulated board's connections, to servers of this process."""

import asyncio
import errno
import socket
import time

from control import listen

from hal.net import Net
from plant import board
from plant.plant import Plant

_FULL = 4


class Echo:
    """A server that sends back what it gets, and remembers its connections' ends."""

    async def open(self):
        sock, self.port = listen(0)
        sock.close()
        self.ends = []
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        return self

    async def serve(self, reader, writer):
        try:
            while True:
                data = await reader.read(100)
                if not data:
                    self.ends.append("end")
                    break
                writer.write(data)
                await writer.drain()
        except OSError as error:
            self.ends.append(error.errno)
        await writer.wait_closed()

    async def close(self):
        self.server.close()
        await self.server.wait_closed()


def bench():
    board.plant = Plant()
    return Net()


async def until(condition):
    end = time.ticks_add(time.ticks_ms(), 3000)
    while not condition():
        assert time.ticks_diff(end, time.ticks_ms()) > 0, "it did not come to pass"
        await asyncio.sleep_ms(5)


async def failure(awaitable):
    """The number of the OSError that it raises within 3 s."""
    try:
        result = await asyncio.wait_for(awaitable, 3)
    except OSError as error:
        return error.errno
    raise AssertionError("no OSError but %r" % (result,))


async def test_what_is_written_arrives_and_comes_back():
    net = bench()
    echo = await Echo().open()
    for host in ("127.0.0.1", "localhost"):
        reader, writer = await net.open_connection(host, echo.port)
        writer.write(b"hello\n")
        await writer.drain()
        assert await reader.readline() == b"hello\n"
        assert len(board.plant.links) == 1
        writer.close()
        await writer.wait_closed()
        assert board.plant.links == []
    await until(lambda: echo.ends == ["end", "end"])
    await echo.close()


async def test_a_refused_connection_says_so_and_leaves_nothing_open():
    net = bench()
    sock, port = listen(0)
    sock.close()
    assert await failure(net.open_connection("127.0.0.1", port)) == errno.ECONNREFUSED
    assert board.plant.links == []


async def test_an_unknown_name_is_an_error_that_names_it():
    net = bench()
    try:
        await asyncio.wait_for(net.open_connection("nobody.invalid", 80), 20)
    except OSError as error:
        assert error.errno == errno.EHOSTUNREACH and "nobody.invalid" in str(error), error
    else:
        raise AssertionError("a name that cannot exist was found")


def full_server():
    """A server that accepts nothing, with its queue full: connecting to it takes for ever."""
    sock = socket.socket()
    probe, port = listen(0)
    probe.close()
    address = socket.getaddrinfo("127.0.0.1", port)[0][-1]
    sock.bind(address)
    sock.listen(0)
    waiting = []
    for _ in range(_FULL):
        one = socket.socket()
        one.setblocking(False)
        try:
            one.connect(address)
        except OSError as error:
            assert error.errno == errno.EINPROGRESS, error
        waiting.append(one)
    return port, waiting + [sock]


async def test_connecting_waits_without_keeping_others_waiting_and_can_be_given_up():
    net = bench()
    port, socks = full_server()
    turns = []

    async def others():
        while True:
            turns.append(time.ticks_ms())
            await asyncio.sleep_ms(5)

    task = asyncio.create_task(others())
    try:
        await asyncio.wait_for(net.open_connection("127.0.0.1", port), 0.3)
    except asyncio.TimeoutError:
        assert board.plant.links == []
    else:
        raise AssertionError("the server was not full")
    task.cancel()
    assert len(turns) > 10
    for sock in socks:
        sock.close()


async def test_the_loss_of_the_network_ends_an_attempt_to_connect():
    net = bench()
    port, socks = full_server()
    task = asyncio.create_task(failure(net.open_connection("127.0.0.1", port)))
    await until(lambda: board.plant.links)
    board.plant.network(False)
    assert await task == errno.ECONNABORTED
    assert board.plant.links == []
    for sock in socks:
        sock.close()


async def test_the_loss_of_the_network_ends_reading_at_once_and_every_later_use():
    net = bench()
    echo = await Echo().open()
    reader, writer = await net.open_connection("127.0.0.1", echo.port)
    writer.write(b"x")
    await writer.drain()
    assert await reader.read(1) == b"x"
    task = asyncio.create_task(failure(reader.read(1)))
    await asyncio.sleep_ms(0)
    board.plant.network(False)
    assert await task == errno.ECONNABORTED
    for use in (reader.read(1), reader.readexactly(2), reader.readline(), reader.readinto(bytearray(2))):
        assert await failure(use) == errno.ECONNABORTED
    try:
        writer.write(b"y")
    except OSError as error:
        assert error.errno == errno.ECONNABORTED
    else:
        raise AssertionError("it was written")
    await writer.wait_closed()
    assert not net.module_ok()
    assert await failure(net.open_connection("127.0.0.1", echo.port)) == errno.EHOSTUNREACH
    # The server sees a reset, not an end in good order.
    await until(lambda: echo.ends == [errno.ECONNRESET])
    board.plant.network(True)
    reader, writer = await net.open_connection("127.0.0.1", echo.port)
    writer.write(b"again")
    await writer.drain()
    assert await reader.readexactly(5) == b"again"
    await writer.wait_closed()
    await echo.close()


async def test_the_loss_of_the_network_ends_a_writer_that_waits_for_its_peer():
    net = bench()
    sock, port = listen(0)
    _reader, writer = await net.open_connection("127.0.0.1", port)

    async def flood():
        while True:
            writer.write(b"x" * 100_000)
            await writer.drain()

    task = asyncio.create_task(failure(flood()))
    await until(lambda: id(writer.s) in asyncio.core._io_queue.map)
    board.plant.network(False)
    assert await task == errno.ECONNABORTED
    sock.close()


async def test_closing_ends_a_reader_of_the_same_connection():
    net = bench()
    echo = await Echo().open()
    reader, writer = await net.open_connection("127.0.0.1", echo.port)
    task = asyncio.create_task(failure(reader.read(1)))
    await asyncio.sleep_ms(0)
    await writer.wait_closed()
    assert await task == errno.ECONNABORTED
    await until(lambda: echo.ends == ["end"])
    await echo.close()


async def test_there_is_no_network_in_virtual_time():
    net = bench()
    board.poll = lambda period_ms, rest_ms: None
    try:
        assert await failure(net.open_connection("127.0.0.1", 1)) == errno.EHOSTUNREACH
    finally:
        board.poll = None
