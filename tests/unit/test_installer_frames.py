"""Frames of the installer's link: split, put together, and what is not taken."""

from wallbox.installer import frames
from wallbox.installer.frames import Assembler, FrameError, Splitter, TooLongError

LIMIT = 20


def split(text, limit=LIMIT):
    return [bytes(frame) for frame in Splitter().message(text, limit)]


def refused(assembler, frame, limit=LIMIT):
    expected = assembler.expected
    try:
        assembler.take(frame, limit)
    except FrameError as error:
        assert assembler.expected == expected, "a frame that was not taken was counted"
        return str(error)
    raise AssertionError("taken: %r" % frame)


def test_a_message_of_any_length_comes_out_as_it_went_in():
    for count in (1, 17, 18, 19, 36, 37, 4095, 4096):
        text = bytes([i % 251 for i in range(count)])
        assembler = Assembler()
        pieces = split(text)
        assert len(pieces) == frames.count_frames(count, LIMIT)
        for frame in pieces[:-1]:
            assert len(frame) == LIMIT and assembler.take(frame, LIMIT) is None
        assert assembler.take(pieces[-1], LIMIT) == (frames.MESSAGE, text), count


def test_counters_go_on_from_message_to_message_and_wrap():
    splitter, assembler = Splitter(), Assembler()
    for number in range(600):
        for frame in splitter.message(b"%d" % number, LIMIT):
            assert frame[1] == number % 256
            assert assembler.take(frame, LIMIT) == (frames.MESSAGE, b"%d" % number)


def test_the_first_and_last_frames_are_marked():
    heads = [frame[0] for frame in split(b"x" * 40)]
    assert heads == [0x10, 0x00, 0x20], heads
    assert [frame[0] for frame in split(b"x")] == [0x30]


def test_a_data_frame_carries_transfer_and_offset():
    frame = Splitter().data(3, 0x01020304, b"abc")
    assert frame == b"\x31\x00\x03\x04\x03\x02\x01abc"
    assert Assembler().take(frame, LIMIT) == (frames.DATA, frame[2:])


def test_a_repeated_or_lost_frame_is_refused_and_the_rest_of_its_message_too():
    assembler = Assembler()
    first, middle, last = split(b"x" * 40)
    assembler.take(first, LIMIT)
    assert "counter 0 in the place of 1" in refused(assembler, first)
    # What there was of the message is gone.
    assert "without its first" in refused(assembler, middle)
    assert "counter 2 in the place of 1" in refused(assembler, last)
    good = bytes((0x30, 1)) + b"new"
    assert assembler.take(good, LIMIT) == (frames.MESSAGE, b"new")


def test_frames_too_short_too_long_or_of_no_known_kind_are_refused():
    for frame in (b"", b"\x30", b"\x30\x00", b"\x31\x00abcd"):
        assert "bytes; allowed" in refused(Assembler(), frame)
    assert "21 bytes" in refused(Assembler(), b"\x30\x00" + b"x" * 19)
    for head in (0x32, 0x3F, 0x70, 0xB0, 0xFF):
        assert "unknown kind" in refused(Assembler(), bytes((head, 0)) + b"abcdef")


def test_a_first_frame_in_the_middle_of_a_message_begins_a_new_one():
    assembler = Assembler()
    assert assembler.take(b"\x10\x00old", LIMIT) is None
    assert assembler.take(b"\x30\x01new", LIMIT) == (frames.MESSAGE, b"new")


def test_data_may_stand_between_the_frames_of_a_message():
    assembler = Assembler()
    assembler.take(b"\x10\x00on", LIMIT)
    assert assembler.take(b"\x31\x01\x05\x00\x00\x00\x00d", LIMIT)[0] == frames.DATA
    assert assembler.take(b"\x20\x02e", LIMIT) == (frames.MESSAGE, b"one")


def test_a_message_too_long_is_told_at_its_end_and_not_kept():
    assembler = Assembler()
    pieces = split(b"x" * 4097)
    for frame in pieces[:-1]:
        assert assembler.take(frame, LIMIT) is None
    try:
        assembler.take(pieces[-1], LIMIT)
        raise AssertionError("taken")
    except TooLongError:
        after = bytes((0x30, assembler.expected)) + b"ok"
    assert assembler.take(after, LIMIT) == (frames.MESSAGE, b"ok")


def test_a_message_without_end_takes_no_more_memory_than_the_longest_allowed():
    assembler = Assembler()
    assembler.take(b"\x10\x00" + b"x" * 18, LIMIT)
    for count in range(1, 5000):
        assert assembler.take(bytes((0, count % 256)) + b"x" * 18, LIMIT) is None
    assert len(assembler._message) <= 4096
