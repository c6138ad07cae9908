"""HTTP's header on a connection, as a hostile server sends it (R25)."""

from ocpp.http import response
from ocpp.stream import Pipe

STATUS = b"HTTP/1.1 101 Switching Protocols\r\n"


class Reader:
    """Gives what a server has sent, and then the end."""

    def __init__(self, data):
        self.data = data

    async def readinto(self, view):
        count = min(len(view), len(self.data))
        view[:count] = self.data[:count]
        self.data = self.data[count:]
        return count


async def outcome(data):
    """The headers of a response, or why there are none."""
    try:
        return (await response(Pipe((Reader(data), None), 30)))[1]
    except ValueError as error:
        return str(error)


async def test_a_header_that_would_fill_the_heap_is_refused():
    lines = [b"X-%d: " % number + b"y" * 1000 + b"\r\n" for number in range(60)]
    assert "8192" in await outcome(STATUS + b"".join(lines) + b"\r\n")
    # As much as servers send behind a proxy with its cookies.
    assert len(await outcome(STATUS + b"".join(lines[:7]) + b"\r\n")) == 7


async def test_control_characters_are_refused_before_they_reach_a_log():
    for data in (b"HTTP/1.1 200 \x1b[2J\r\n\r\n", STATUS + b"Server: a\x00b\r\n\r\n", STATUS + b"A: b\rC: d\r\n\r\n"):
        found = await outcome(data)
        assert isinstance(found, str) and all(char >= " " for char in found), found
    assert await outcome(STATUS + b"Server:\ta\tb \r\n\r\n") == {"server": "a\tb"}
