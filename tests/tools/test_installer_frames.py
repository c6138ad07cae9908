"""Frames of the installer's link: how messages are cut and joined, and what is not taken."""

import pytest

from installer.frames import (
    DATA_HEADER_BYTES,
    MESSAGE_MAX_BYTES,
    Cutter,
    Data,
    FrameError,
    Joiner,
)

PAYLOAD = 244


def joined(frames, joiner=None):
    joiner = joiner or Joiner()
    return [found for found in map(joiner.feed, frames) if found is not None]


def test_a_short_message_is_one_frame_that_is_first_and_last():
    assert list(Cutter(PAYLOAD).message(b"{}")) == [b"\x30\x00{}"]


@pytest.mark.parametrize("size", [1, 242, 243, 484, 485, MESSAGE_MAX_BYTES])
def test_a_message_of_any_length_comes_back_whole(size):
    body = bytes(i % 251 for i in range(size))
    frames = list(Cutter(PAYLOAD).message(body))
    assert len(frames) == -(-size // 242)
    assert all(3 <= len(frame) <= PAYLOAD for frame in frames)
    assert joined(frames) == [body]


def test_only_the_first_and_last_frame_say_so():
    heads = [frame[0] for frame in Cutter(PAYLOAD).message(bytes(800))]
    assert heads == [0x10, 0, 0, 0x20]


@pytest.mark.parametrize("body", [b"", bytes(MESSAGE_MAX_BYTES + 1)])
def test_a_message_that_the_wallbox_would_not_take_is_not_cut(body):
    with pytest.raises(ValueError, match=r"allowed: 1\.\.4096"):
        list(Cutter(PAYLOAD).message(body))


def test_the_counter_goes_on_over_messages_and_data_and_round_after_255():
    cutter, joiner = Cutter(PAYLOAD), Joiner()
    for number in range(600):
        frames = [cutter.data(1, number, b"x")] if number % 2 else list(cutter.message(b"abc"))
        assert frames[0][1] == number % 256
        assert joined(frames, joiner) == [Data(1, number, b"x") if number % 2 else b"abc"]


def test_data_carries_transfer_and_offset_little_endian():
    frame = Cutter(PAYLOAD).data(7, 0x01020304, b"abc")
    assert frame == b"\x31\x00\x07\x04\x03\x02\x01abc"
    assert joined([frame]) == [Data(7, 0x01020304, b"abc")]


def test_a_data_frame_holds_what_the_payload_leaves():
    cutter = Cutter(PAYLOAD)
    assert cutter.data_room() == PAYLOAD - DATA_HEADER_BYTES == 237
    assert len(cutter.data(0, 0, bytes(237))) == PAYLOAD
    for wrong in (b"", bytes(238)):
        with pytest.raises(ValueError, match=r"allowed: 1\.\.237"):
            cutter.data(0, 0, wrong)


def test_data_between_the_frames_of_a_message_does_not_break_it():
    cutter = Cutter(20)
    pieces = list(cutter.message(b"x" * 30))
    data = cutter.data(1, 0, b"d")
    order = [pieces[0], bytes((data[0], 1)) + data[2:], bytes((pieces[1][0], 2)) + pieces[1][2:]]
    assert joined(order) == [Data(1, 0, b"d"), b"x" * 30]


def test_a_frame_that_comes_twice_changes_nothing():
    frames = list(Cutter(20).message(bytes(range(50))))
    doubled = [frame for frame in frames for _ in range(2)]
    assert joined(doubled) == [bytes(range(50))]


def test_a_missing_frame_is_told_as_a_loss_and_the_rest_of_the_message_is_no_message():
    frames = list(Cutter(20).message(bytes(range(60))))
    joiner = Joiner()
    joiner.feed(frames[0])
    with pytest.raises(FrameError, match="1 frames are missing") as error:
        joiner.feed(frames[2])
    assert error.value.lost
    with pytest.raises(FrameError, match="without a first one"):
        joiner.feed(frames[3])


@pytest.mark.parametrize(
    ("frame", "words"),
    [(b"", "3 and more"), (b"\x30\x00", "3 and more"), (b"\x32\x00abc", "kind 2"), (b"\x31\x00\x01\x00", "data frame")],
)
def test_a_frame_that_means_nothing_is_refused(frame, words):
    with pytest.raises(FrameError, match=words) as error:
        Joiner().feed(frame)
    assert not error.value.lost


def test_a_new_first_frame_drops_what_there_was():
    cutter = Cutter(20)
    begun = list(cutter.message(bytes(40)))[0]
    cutter.counter = 1
    assert joined([begun, *cutter.message(b"new")]) == [b"new"]


def test_an_endless_message_does_not_fill_the_memory():
    joiner = Joiner()
    joiner.feed(b"\x10\x00" + bytes(242))
    with pytest.raises(FrameError, match="above"):
        for number in range(1, 10_000):
            joiner.feed(bytes((0, number % 256)) + bytes(242))


def test_a_payload_without_room_for_data_is_refused():
    with pytest.raises(ValueError, match="allowed: 8 and more"):
        Cutter(7)
