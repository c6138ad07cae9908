"""Transfers' plumbing: pieces, offsets, back-pressure and what goes wrong on the way."""

import json
import sys

from installer_bench import Desk, an_app

from wallbox.installer import transfers
from wallbox.installer.errors import CommandError
from wallbox.installer.server import load
from wallbox.installer.streams import Stream
from wallbox.storage.settings import SCHEMA

CONTENT = bytes([i * 7 % 251 for i in range(3_000)])
made = []


class Download:
    """A thing of 3,000 bytes."""

    size = len(CONTENT)
    etag = "7"
    closed = 0

    def __init__(self, link, arguments):
        self.arguments = arguments
        made.append(self)

    async def read(self, offset, count):
        return CONTENT[offset : offset + count]

    def close(self):
        self.closed += 1


class Endless(Download):
    """The same, of unknown size."""

    size = None


class Upload:
    """Keeps what comes; `trouble` is raised at the next write."""

    trouble = None
    closed = 0
    cancelled = 0
    kept = b""

    def __init__(self, link, size, sha256, arguments):
        self.content = Upload.kept
        self.finished = None
        made.append(self)

    @property
    def stored(self):
        return self.offset

    @property
    def offset(self):
        return len(self.content)

    async def write(self, data):
        if Upload.trouble:
            raise Upload.trouble
        self.content += bytes(data)

    async def finish(self, arguments):
        self.finished = arguments
        return {"taken": len(self.content)}

    async def begin(self):
        self.begun = True

    def cancel(self):
        self.cancelled += 1

    def close(self):
        self.closed += 1


def a_desk(name, role="owner", mtu=247):
    made.clear()
    Upload.trouble = None
    Upload.kept = b""
    # The registry finds classes by module; here it is this one.
    transfers.load = lambda _module: __import__("test_installer_transfers")
    transfers.DOWNLOADS.update({"thing": ("owner", "x", "Download"), "endless": ("paired", "x", "Endless")})
    transfers.UPLOADS.update({"thing": ("owner", "x", "Upload")})
    desk = Desk(an_app("transfers-" + name), mtu)
    desk.link.role = role
    return desk


def pieces(desk):
    """Data frames among what was sent since the last look, as (transfer, offset, data)."""
    found = []
    for frame in desk.raw:
        if frame[0] & 0x0F:
            found.append((frame[2], int.from_bytes(frame[3:7], "little"), frame[7:]))
    return found


def read(desk, **arguments):
    """Ask to read -> (answer, pieces)."""
    answer = desk.ask("read", **arguments)
    return answer, pieces(desk)


def data(desk, transfer, offset, content):
    return desk.frame(0x31, bytes((transfer,)) + offset.to_bytes(4, "little") + content)


def upload(desk, size, sha256="0" * 64):
    return desk.done("put", name="thing", size=size, sha256=sha256)


def test_a_download_comes_in_pieces_of_a_frame_each_and_in_order():
    for mtu in (23, 247):
        desk = a_desk("download", mtu=mtu)
        opened = desk.done("get", name="thing", arguments={"index": 3})
        assert (opened["transfer"], opened["size"], opened["etag"]) == (0, 3_000, "7")
        assert made[0].arguments == {"index": 3}
        content = b""
        while True:
            answer, found = read(desk, transfer=0, offset=len(content), count=1_000)
            for transfer, offset, piece in found:
                assert transfer == 0 and offset == len(content) and len(piece) <= mtu - 10
                content += piece
            assert answer["offset"] == len(content)
            if answer["end"]:
                break
        assert content == CONTENT
        desk.done("done", transfer=0)
        assert made[0].closed == 1


def test_a_download_of_unknown_size_ends_when_nothing_comes():
    desk = a_desk("endless", "paired")
    assert desk.done("get", name="endless")["size"] is None
    answer, found = read(desk, transfer=0, offset=2_900, count=16_384)
    assert b"".join([piece for _, _, piece in found]) == CONTENT[2_900:] and answer["end"]
    answer, found = read(desk, transfer=0, offset=3_000, count=10)
    assert not found and answer == {"id": 7, "ok": True, "offset": 3_000, "end": True}


def test_a_transfer_needs_its_role():
    desk = a_desk("role", "paired")
    assert desk.refused("get", name="thing")["field"] == "owner"
    assert desk.refused("put", name="thing", size=1, sha256="0" * 64)["field"] == "owner"
    assert not made


def test_bad_arguments_are_refused_by_name():
    desk = a_desk("arguments")
    assert desk.refused("get", name="nothing")["field"] == "name"
    assert desk.refused("get", name="thing", arguments=[])["field"] == "arguments"
    assert desk.refused("get", name="thing", offset=3_001)["field"] == "offset"
    assert made[-1].closed == 1
    assert desk.refused("read", transfer=5, offset=0, count=1)["field"] == "transfer"
    desk.done("get", name="thing")
    for count in (0, 16_385, "1", None):
        assert desk.refused("read", transfer=0, offset=0, count=count)["field"] == "count"
    assert desk.refused("read", transfer=0, offset=-1, count=1)["field"] == "offset"
    for sha256 in ("0" * 63, "G" * 64, None):
        assert desk.refused("put", name="thing", size=1, sha256=sha256)["field"] == "sha256"
    assert desk.refused("done", transfer=9)["field"] == "transfer"


def test_two_transfers_are_open_at_most_and_all_end_with_the_connection():
    desk = a_desk("two")
    desk.done("get", name="thing")
    upload(desk, 10)
    assert desk.refused("get", name="thing")["code"] == "not_now"
    desk.link.close()
    assert [one.closed for one in made] == [1, 1]


def test_an_upload_is_told_each_4096_bytes_and_at_its_end_and_taken_with_done():
    desk = a_desk("upload")
    assert upload(desk, 5_000)["offset"] == 0
    told = []
    for offset in range(0, 5_000, 200):
        told += desk.feed(data(desk, 0, offset, b"x" * 200))
    assert [event["offset"] for event in told] == [4_200, 5_000]
    assert told[0] == {"event": "received", "transfer": 0, "offset": 4_200}
    answer = desk.done("done", transfer=0, apply=True)
    assert answer["taken"] == 5_000 and made[0].finished["apply"] is True and made[0].closed == 1


def test_a_piece_out_of_order_is_not_stored_and_the_app_is_told_where_to_go_on():
    desk = a_desk("order")
    upload(desk, 100)
    assert desk.feed(data(desk, 0, 50, b"x" * 10)) == [{"event": "received", "transfer": 0, "offset": 0}]
    desk.feed(data(desk, 0, 0, b"x" * 60))
    assert desk.feed(data(desk, 0, 0, b"x" * 60))[0]["offset"] == 60
    assert desk.feed(data(desk, 0, 60, b"x" * 41))[0]["offset"] == 60, "more than the size was taken"
    assert made[0].content == b"x" * 60


def test_an_upload_that_is_not_complete_is_not_taken_and_one_that_is_cancelled_neither():
    desk = a_desk("incomplete")
    upload(desk, 100)
    error = desk.refused("done", transfer=0)
    assert error["code"] == "not_now" and "0 of 100" in error["text"]
    upload(desk, 100)
    desk.done("done", transfer=1, cancel=True)
    assert [one.finished for one in made] == [None, None] and [one.closed for one in made] == [1, 1]
    assert [one.cancelled for one in made] == [0, 1], "what is cancelled is given up, what is cut short is kept"


def test_a_second_upload_of_a_name_ends_the_first():
    desk = a_desk("second")
    assert upload(desk, 100)["transfer"] == 0
    assert upload(desk, 100)["transfer"] == 1
    assert [one.closed for one in made] == [1, 0]
    assert desk.refused("done", transfer=0)["field"] == "transfer"


def test_an_upload_goes_on_after_a_cut_where_it_was():
    desk = a_desk("resume")
    Upload.kept = b"x" * 40
    assert upload(desk, 100)["offset"] == 40
    assert made[0].begun
    assert desk.feed(data(desk, 0, 40, b"y" * 60)) == [{"event": "received", "transfer": 0, "offset": 100}]


def test_data_for_no_upload_is_a_frame_error():
    desk = a_desk("nobody")
    desk.done("get", name="thing")
    for transfer in (0, 9):
        told = desk.feed(data(desk, transfer, 0, b"x"))
        assert told[0]["event"] == "frame_error" and str(transfer) in told[0]["text"]


def test_a_write_that_fails_ends_the_upload_and_not_the_connection():
    troubles = (OSError(5), "the flash memory refused"), (CommandError("bad_value", "no image"), "no image")
    for trouble, text in troubles + ((KeyError("oops"), "mistake of the firmware"),):
        desk = a_desk("fails")
        upload(desk, 100)
        Upload.trouble = trouble
        told = desk.feed(data(desk, 0, 0, b"x"))
        assert told[0]["event"] == "transfer_failed" and text in told[0]["text"], told
        assert made[0].closed == 1
        assert desk.feed(data(desk, 0, 1, b"x")) == [], "what is under way is passed over"
        assert desk.done("hello")["serial"]
        assert ("command_failed" in desk.app.log.codes()) == isinstance(trouble, KeyError)


class Letters(Stream):
    """26 pieces of 10 bytes; counts how often it was begun."""

    begun = 0

    def mark(self):
        return "abc"

    def pieces(self):
        self.begun += 1
        for i in range(26):
            yield chr(97 + i) * 10


LETTERS = b"".join([bytes([97 + i]) * 10 for i in range(26)])


async def test_a_stream_gives_any_piece_and_makes_each_once_when_read_in_order():
    stream = Letters()
    for count in (1, 7, 10, 23, 260, 1_000):
        content = b""
        while True:
            piece = await stream.read(len(content), count)
            assert len(piece) <= count
            if not piece:
                break
            content += piece
        assert content == LETTERS, count
    assert stream.begun == 6


async def test_a_stream_is_read_from_any_offset():
    stream = Letters()
    for offset in (0, 55, 199, 259, 260, 300, 5, 130):
        assert await stream.read(offset, 20) == LETTERS[offset : offset + 20], offset
    stream.close()


def test_the_modules_of_a_transfer_are_let_go_with_the_last_one():
    desk = a_desk("modules", "paired")
    transfers.load = load
    number = desk.done("schema")["transfer"]
    assert "wallbox.installer.schema" in sys.modules
    desk.done("done", transfer=number)
    assert "wallbox.installer.schema" not in sys.modules and "wallbox.installer.streams" not in sys.modules
    assert not hasattr(sys.modules["wallbox.installer"], "schema")
    assert desk.done("schema")["transfer"] == number + 1


def test_the_schema_is_json_with_every_setting():
    desk = a_desk("schema", "paired")
    transfers.load = load
    number = desk.done("schema")["transfer"]
    content, end = b"", False
    while not end:
        answer, found = read(desk, transfer=number, offset=len(content), count=500)
        content += b"".join([piece for _, _, piece in found])
        end = answer["end"]
    rows = json.loads(content)["settings"]
    assert [row["key"] for row in rows] == [row[0] for row in SCHEMA]
