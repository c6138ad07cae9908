"""Uploads: whole and verified or not there at all, over cuts, restarts and a flash that is full or broken."""

import asyncio
import hashlib
import os
from binascii import hexlify

from installer_help import App, Link
from storage_help import MOUNT, Flash, cut_everywhere, noise, read, write

from wallbox.installer.errors import CommandError
from wallbox.installer.uploads import STORED_BYTES, Upload, remove

FRAME = 237


class Image(Upload):
    """A large upload that keeps what was verified."""

    NAME = "firmware"
    MOST_BYTES = 0x200000

    async def _taken(self, arguments):
        remove(MOUNT + "/firmware.bin")
        os.rename(self.path, MOUNT + "/firmware.bin")
        return {"size": self.size, "sha256": self.sha256, "told": arguments}


def link():
    return Link(App(folder=MOUNT))


def digest(data):
    return hexlify(hashlib.sha256(data).digest()).decode()


def opened(data, box=None, **changes):
    return begun(changes.get("size", len(data)), changes.get("sha256", digest(data)), box)


def begun(size, sha256, box=None):
    upload = Image(box or link(), size, sha256, {})
    run(upload.begin())
    return upload


def run(coroutine):
    asyncio.new_event_loop()
    return asyncio.run(coroutine)


def send(upload, data, count=None):
    """Send up to `count` bytes of `data` from the upload's offset on."""
    end = len(data) if count is None else min(len(data), upload.offset + count)
    while upload.offset < end:
        run(upload.write(data[upload.offset : min(end, upload.offset + FRAME)]))


def refusal(call, *arguments):
    try:
        result = call(*arguments)
        if hasattr(result, "send"):
            run(result)
    except CommandError as error:
        return error.answer
    raise AssertionError("nothing was refused")


def left():
    """What is on flash of uploads."""
    return sorted(name for name in os.listdir(MOUNT) if name.startswith("firmware"))


def taken(data):
    return read(MOUNT + "/firmware.bin") == data


def test_what_was_verified_is_taken():
    data = noise(10_000, 1)
    with Flash():
        upload = opened(data)
        assert upload.offset == upload.stored == 0
        send(upload, data)
        assert upload.stored == 10_000
        answer = run(upload.finish({"as": "it is"}))
        upload.close()
        assert answer == {"size": 10_000, "sha256": digest(data), "told": {"as": "it is"}}
        assert taken(data) and left() == ["firmware.bin"], left()


def test_an_upload_goes_on_after_a_cut_of_the_link():
    data = noise(9_000, 5)
    with Flash():
        upload = opened(data)
        send(upload, data, 3_000)
        upload.close()
        upload = opened(data)
        assert upload.offset == 3_000
        send(upload, data)
        run(upload.finish({}))
        assert taken(data)


def test_an_upload_with_another_digest_begins_anew_and_removes_the_first():
    first, second = noise(6_000, 6), noise(6_000, 7)
    with Flash():
        upload = opened(first)
        send(upload, first, 5_000)
        upload.close()
        upload = opened(second)
        assert upload.offset == 0
        assert len(left()) == 1, left()
        upload.cancel()
        assert left() == []


def test_power_cut_at_any_write_loses_at_most_what_was_not_yet_stored():
    data = noise(10_000, 8)

    def prepare(_folder):
        return {"sent": 0, "done": False}

    def upload_all(_folder, state):
        upload = opened(data)
        while upload.offset < len(data):
            send(upload, data, FRAME)
            if upload.offset // STORED_BYTES != state["sent"] // STORED_BYTES or upload.offset == len(data):
                state["sent"] = upload.offset
        run(upload.finish({}))
        state["done"] = True

    def check(_folder, state):
        if left() == ["firmware.bin"]:
            # Taken; the cut came in what is done with it.
            assert taken(data)
            return
        upload = opened(data)
        assert upload.offset >= state["sent"] // STORED_BYTES * STORED_BYTES, (upload.offset, state)
        send(upload, data)
        run(upload.finish({}))
        assert taken(data)

    assert cut_everywhere(prepare, upload_all, check) > 20


def test_a_wrong_digest_leaves_nothing_behind():
    data = noise(5_000, 9)
    with Flash():
        upload = opened(data, sha256=digest(b"other"))
        send(upload, data)
        answer = refusal(upload.finish, {})
        assert answer["code"] == "bad_value" and answer["field"] == "sha256", answer
        assert digest(data) in answer["text"]
        upload.close()
        assert left() == []


def test_an_upload_that_is_not_complete_is_not_taken():
    data = noise(5_000, 10)
    with Flash():
        upload = opened(data)
        send(upload, data, 4_999)
        answer = refusal(upload.finish, {})
        assert answer["code"] == "not_now" and "4999 of 5000" in answer["text"], answer
        send(upload, data)
        run(upload.finish({}))
        assert taken(data)


def test_more_than_was_announced_is_refused():
    data = noise(500, 11)
    with Flash():
        upload = opened(data, size=400)
        answer = refusal(upload.write, data)
        assert answer["code"] == "bad_value" and answer["field"] == "offset", answer
        assert upload.offset == 0
        upload.cancel()


def test_sizes_and_digests_that_cannot_be_are_refused():
    with Flash():
        for size in (0, -1, 0x200001, "5", 5.0, True, None):
            answer = refusal(Image, link(), size, digest(b""), {})
            assert answer["field"] == "size" and "1..2097152" in answer["text"], answer
        for sha256 in ("", "0" * 63, "G" * 64, digest(b"").upper(), None, 5):
            answer = refusal(Image, link(), 5, sha256, {})
            assert answer["field"] == "sha256" and "64" in answer["text"], answer
        assert left() == []


def test_an_image_that_does_not_fit_is_refused_at_once_and_leaves_what_was_there():
    data = noise(20_000, 12)
    with Flash():
        upload = opened(data)
        send(upload, data)
        run(upload.finish({}))
        answer = refusal(begun, 500_000, digest(b"x"))
        assert answer["code"] == "flash" and answer["field"] == "size" and "room for" in answer["text"], answer
        assert taken(data)
        # What has room is told; one byte more has not.
        room = int(answer["text"].rsplit(" ", 1)[1])
        assert 300_000 < room < 420_000, room
        assert refusal(begun, room + 1, digest(b"x"))["field"] == "size"
        begun(room, digest(b"x")).cancel()


def test_an_image_as_large_as_allowed_leaves_room_for_settings_and_logs():
    with Flash():
        room = int(refusal(begun, 500_000, digest(b"x"))["text"].rsplit(" ", 1)[1])
        data = noise(4_096, 13)
        upload = begun(room, digest(b"x"))
        while upload.offset < room:
            run(upload.write(data[: room - upload.offset]))
        upload.close()
        free = os.statvfs(MOUNT)[3]
        assert free >= 30, free


def test_a_flash_that_is_full_or_broken_gives_up_the_upload_with_the_reason():
    data = noise(20_000, 14)
    with Flash() as flash:
        upload = opened(data)
        send(upload, data, 6_000)
        flash.device.fails = True
        answer = refusal(send, upload, data)
        assert answer["code"] == "flash" and "nothing of it is kept" in answer["text"], answer
        flash.device.fails = False
        upload = opened(data)
        assert upload.offset == 0 or read(upload.path)[: upload.offset] == data[: upload.offset]
        send(upload, data)
        run(upload.finish({}))
        assert taken(data)


def test_a_flash_filled_by_others_meanwhile_leaves_nothing_of_the_upload():
    data = noise(150_000, 15)
    with Flash():
        box = link()
        upload = opened(data, box)
        send(upload, data, 6_000)
        for number in range(9):
            write(MOUNT + "/filler%d" % number, noise(40_000, number))
        answer = refusal(send, upload, data)
        assert answer["code"] == "flash", answer
        assert left() == [], left()


def test_verifying_gives_the_event_loop_its_turn():
    data = noise(40_000, 16)
    with Flash():
        upload = opened(data)
        send(upload, data)
        turns = []

        async def count():
            while True:
                turns.append(1)
                await asyncio.sleep_ms(0)

        async def finish():
            task = asyncio.create_task(count())
            await upload.finish({})
            task.cancel()

        run(finish())
        assert len(turns) >= 19, turns
