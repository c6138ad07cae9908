"""boards/esp32s3/hal/ble.py against stand-ins of `bluetooth` and aioble (R24)."""

import asyncio
import os
import sys

_ROOT = __file__[: -len("tests/unit/test_esp32s3_ble.py")]
sys.path[:0] = [_ROOT + "boards/esp32s3/hal", _ROOT + "tests/unit/stand_in"]

_INFO = "5e2a0002-7c1b-4b64-9f0e-3d6c8a51e7f2"
_REQUEST = "5e2a0003-7c1b-4b64-9f0e-3d6c8a51e7f2"
_RESPONSE = "5e2a0004-7c1b-4b64-9f0e-3d6c8a51e7f2"
_PASSKEY = 42
_BONDS = os.getenv("TEST_TMP") + "/bonds.json"

_passes = []


def _board(name="Wallbox", allow=True):
    """The hal's object after a reset of the chip, with an empty store."""
    global ble, bluetooth
    for module in list(sys.modules):
        if module in ("ble", "bluetooth") or module.startswith("aioble"):
            del sys.modules[module]
    import ble
    import bluetooth

    ble._BONDS = _BONDS
    if "bonds.json" in os.listdir(os.getenv("TEST_TMP")):
        os.remove(_BONDS)
    del _passes[:]
    box = ble.Ble()
    box.may_pair = lambda: allow
    box.paired = _passes.append
    box.configure(name, "%06d" % _PASSKEY, b'{"protocol": 1}')
    return box


async def _turns(count=12):
    for _ in range(count):
        await asyncio.sleep_ms(0)


async def _connected(box, central):
    """Let the central connect -> the hal's link."""
    accepting = asyncio.create_task(box.accept())
    await _turns()
    central.connect()
    return await accepting


async def _secured(box, central=None):
    """A link that has paired, and its central; nothing waits in receive()."""
    central = central or bluetooth.Central()
    link = await _connected(box, central)
    waiting = asyncio.create_task(link.receive())
    central.exchange_mtu(517)
    central.pair(_PASSKEY)
    await _turns()
    assert central.results == ["paired"], central.results
    central.write(_REQUEST, b"first")
    assert await waiting == b"first"
    return link, central


async def _settled(link):
    """Let receive() run for a while."""
    waiting = asyncio.create_task(link.receive())
    await _turns()
    waiting.cancel()
    await _turns()


# Advertising


async def test_it_advertises_service_and_name_so_that_anybody_can_connect():
    box = _board("Garage")
    accepting = asyncio.create_task(box.accept())
    await _turns()
    radio = bluetooth.BLE()
    assert radio.advertised[1]
    assert 20_000 <= radio.advertised[0] <= 1_000_000
    assert bluetooth.UUID("5e2a0001-7c1b-4b64-9f0e-3d6c8a51e7f2") in radio.data[0]
    assert b"\x07\x09Garage" in radio.data[0] + radio.data[1]
    assert radio.config("gap_name") == "Garage"
    accepting.cancel()
    await _turns()
    assert radio.advertised is None, "a cancelled accept() leaves nobody on the air"


async def test_a_cancelled_accept_ends_with_its_cancellation():
    box = _board()
    accepting = asyncio.create_task(box.accept())
    await _turns()
    accepting.cancel()
    try:
        await accepting
    except asyncio.CancelledError:
        return
    raise AssertionError("accept() went on")


async def test_a_new_name_is_advertised_at_once_and_a_long_one_is_cut_at_a_character():
    box = _board("Garage")
    accepting = asyncio.create_task(box.accept())
    await _turns()
    box.configure("G" + "ä" * 20, "%06d" % _PASSKEY, b"{}")
    await _turns()
    radio = bluetooth.BLE()
    shown = ("G" + "ä" * 13).encode()
    assert bytes((len(shown) + 1, 9)) + shown in radio.data[1]
    assert radio.advertised is not None
    central = bluetooth.Central()
    central.connect()
    assert (await accepting).peer == "c0:01:02:03:04:05"


async def test_a_central_that_connects_while_the_name_changes_is_not_lost():
    box = _board("Garage")
    accepting = asyncio.create_task(box.accept())
    await _turns()
    central = bluetooth.Central()
    central.connect()
    box.configure("Carport", "%06d" % _PASSKEY, b"{}")
    link = await asyncio.wait_for_ms(accepting, 1000)
    assert link.open and link.handle == central.handle


async def test_it_advertises_again_only_when_the_former_central_is_gone():
    box = _board()
    link, central = await _secured(box)
    accepting = asyncio.create_task(box.accept())
    await _turns()
    assert bluetooth.BLE().advertised is None
    link.disconnect()
    await _turns()
    assert not central.connected
    second = bluetooth.Central(b"\xc0\x0a\x0b\x0c\x0d\x0e")
    second.connect()
    other = await accepting
    assert (other.peer, other.secure, other.mtu) == ("c0:0a:0b:0c:0d:0e", False, 23)
    assert not link.open


# Before pairing


async def test_info_is_readable_by_everybody_and_follows_a_change():
    box = _board()
    central = bluetooth.Central()
    await _connected(box, central)
    assert central.read(_INFO) == b'{"protocol": 1}'
    long = b"{" + b" " * 150 + b"}"
    box.configure("Wallbox", "000042", long)
    assert central.read(_INFO) == long


async def test_an_unpaired_central_may_not_write_and_hears_nothing():
    box = _board()
    central = bluetooth.Central()
    link = await _connected(box, central)
    for response in (True, False):
        assert central.write(_REQUEST, b"\x30\x00{}", response) == bluetooth.INSUFFICIENT_AUTHENTICATION
    try:
        await link.send(b"secret")
    except OSError:
        pass
    else:
        raise AssertionError("a notification was sent")
    assert central.heard == []
    assert not link.secure


# Pairing


async def test_the_right_passkey_makes_the_link_secure_and_is_told():
    box = _board()
    link, central = await _secured(box)
    assert link.secure and central.authenticated
    await _settled(link)
    assert _passes == [True]


async def test_a_phone_with_display_and_keyboard_types_the_passkey_too():
    box = _board()
    link, _ = await _secured(box, bluetooth.Central(io=bluetooth.KEYBOARD_DISPLAY, mitm=False))
    assert link.secure


async def test_a_wrong_passkey_is_told_once_and_may_be_followed_by_the_right_one():
    box = _board()
    central = bluetooth.Central()
    link = await _connected(box, central)
    central.pair(_PASSKEY + 1)
    await _settled(link)
    assert central.results == ["wrong passkey"]
    assert (_passes, link.secure, central.connected) == ([False], False, True)
    central.pair(_PASSKEY)
    await _settled(link)
    assert (_passes, link.secure) == ([False, True], True)


async def test_a_central_that_leaves_at_the_passkey_counts_as_failed():
    box = _board()
    central = bluetooth.Central()
    link = await _connected(box, central)
    waiting = asyncio.create_task(link.receive())
    radio = bluetooth.BLE()
    # The box has shown its passkey, the phone does not go on.
    radio.gap_passkey = lambda *_: None
    try:
        central.pair(_PASSKEY)
        await _turns()
    finally:
        del radio.gap_passkey
    central.leave()
    assert await waiting is None
    assert _passes == [False]


async def test_a_central_that_leaves_without_pairing_does_not_count():
    box = _board()
    central = bluetooth.Central()
    link = await _connected(box, central)
    waiting = asyncio.create_task(link.receive())
    await _turns()
    central.leave()
    assert await waiting is None
    assert _passes == []


async def test_while_pairing_is_locked_no_passkey_is_given_and_nothing_is_told():
    box = _board(allow=False)
    central = bluetooth.Central()
    link = await _connected(box, central)
    central.pair(_PASSKEY)
    await _settled(link)
    assert (central.results, central.connected, _passes) == ([], False, [])
    assert await link.receive() is None


async def test_a_question_for_anything_but_the_label_s_passkey_ends_the_connection():
    box = _board()
    central = bluetooth.Central()
    link = await _connected(box, central)
    for action in (bluetooth.ACTION_INPUT, bluetooth.ACTION_COMPARE):
        central.action = action
        bluetooth.BLE().tell(bluetooth.IRQ_PASSKEY_ACTION, link.handle, action, 123456)
        await _settled(link)
        assert (central.connected, central.results, _passes) == (False, [], [])
        link = await _connected(box, central)


async def test_the_firmware_is_asked_and_told_in_the_event_loop_only():
    box = _board()
    central = bluetooth.Central()
    link = await _connected(box, central)
    asked = []
    box.may_pair = lambda: asked.append("asked") or True
    box.paired = lambda ok: asked.append(ok)
    central.pair(_PASSKEY)
    assert asked == []
    await _settled(link)
    assert asked == ["asked", True]


async def test_just_works_is_refused_and_leaves_no_bond():
    for io in (bluetooth.NO_INPUT_OUTPUT, bluetooth.DISPLAY_ONLY):
        box = _board()
        central = bluetooth.Central(io=io)
        link = await _connected(box, central)
        central.pair()
        assert not link.secure
        await _settled(link)
        assert central.results == ["paired", "not stored"]
        assert (central.connected, _passes) == (False, [])


async def test_a_key_of_less_than_its_full_size_is_refused():
    box = _board()
    central = bluetooth.Central()
    central.key_size = 7
    link = await _connected(box, central)
    central.pair(_PASSKEY)
    await _settled(link)
    assert not link.secure
    assert _passes == [False]


async def test_secure_connections_are_asked_for_with_a_display_and_against_a_man_in_the_middle():
    _board()
    radio = bluetooth.BLE()
    wanted = {"le_secure": True, "mitm": True, "bond": True, "io": bluetooth.DISPLAY_ONLY, "mtu": 247}
    assert {name: radio.config(name) for name in wanted} == wanted


# Bonds


async def test_a_bond_opens_the_link_without_passkey_even_after_a_restart():
    box = _board()
    link, central = await _secured(box)
    link.disconnect()
    await _turns()
    # A restart reads the file again.
    from aioble import security

    security.load_secrets(_BONDS)
    again = await _connected(box, central)
    assert central.use_bond()
    assert again.secure
    await _settled(again)
    assert _passes == [True], "using a bond is no pairing"


async def test_a_weak_bond_of_old_is_not_enough():
    box = _board()
    central = bluetooth.Central()
    link = await _connected(box, central)
    central.encrypted, central.authenticated = True, False
    central._update()
    await _settled(link)
    assert (link.secure, central.connected) == (False, False)


async def test_forgotten_bonds_open_nothing():
    box = _board()
    link, central = await _secured(box)
    box.forget_bonds()
    link.disconnect()
    await _turns()
    await _connected(box, central)
    assert not central.use_bond()


# Frames


async def test_frames_come_one_by_one_in_order_and_whole():
    box = _board()
    link, central = await _secured(box)
    assert link.mtu == 247
    frames = [bytes([n]) * 244 for n in range(1, 35)]
    for frame in frames:
        assert central.write(_REQUEST, frame, response=False) == 0
    for frame in frames:
        assert await link.receive() == frame


async def test_a_write_above_the_mtu_is_not_cut_to_a_frame_that_looks_right():
    box = _board()
    link, central = await _secured(box)
    central.write(_REQUEST, bytes(400))
    assert len(await link.receive()) == 400


async def test_a_central_that_writes_without_end_does_not_fill_the_heap():
    box = _board()
    link, central = await _secured(box)
    for _ in range(200):
        central.write(_REQUEST, bytes(244), response=False)
    held = 0
    while link._frames:
        held += len(await link.receive())
    assert 8_192 + 244 <= held <= 12_288
    central.write(_REQUEST, b"after")
    assert await link.receive() == b"after"


async def test_notifications_reach_the_central_as_they_are():
    box = _board()
    link, central = await _secured(box)
    assert link.queued == 0
    await link.send(b"one")
    assert link.queued == 1
    await link.send(b"two")
    response = bluetooth.BLE().find(_RESPONSE)
    assert central.heard == [(response, b"one"), (response, b"two")]
    await asyncio.sleep_ms(150)
    assert link.queued == 0


async def test_a_full_queue_makes_the_sender_wait():
    box = _board()
    link, central = await _secured(box)
    radio = bluetooth.BLE()
    radio.buffers = 2
    sending = asyncio.create_task(_send_all(link, [b"1", b"2", b"3"]))
    await asyncio.sleep_ms(30)
    assert [frame for _, frame in central.heard] == [b"1", b"2"]
    radio.buffers = 1
    await asyncio.wait_for_ms(sending, 1000)
    assert [frame for _, frame in central.heard] == [b"1", b"2", b"3"]


async def _send_all(link, frames):
    for frame in frames:
        await link.send(frame)


async def test_a_sender_that_waits_hears_of_the_end():
    box = _board()
    link, central = await _secured(box)
    bluetooth.BLE().buffers = 0
    sending = asyncio.create_task(link.send(b"late"))
    await asyncio.sleep_ms(20)
    central.leave()
    try:
        await asyncio.wait_for_ms(sending, 1000)
    except OSError:
        return
    raise AssertionError("send() went on")


async def test_an_end_ends_receive_and_drops_what_was_not_taken():
    box = _board()
    link, central = await _secured(box)
    central.write(_REQUEST, b"half a message")
    waiting = asyncio.create_task(link.receive())
    assert await waiting == b"half a message"
    central.write(_REQUEST, b"more")
    central.leave()
    assert await link.receive() is None
    assert not link.open and not link.secure
    link.disconnect()


async def test_the_late_end_of_a_former_connection_does_not_touch_the_new_one():
    box = _board()
    link, central = await _secured(box)
    central.leave()
    again = await _connected(box, central)
    bluetooth.BLE().tell(bluetooth.IRQ_CENTRAL_DISCONNECT, link.handle, 1, memoryview(central.address))
    assert again.open and central.connected
