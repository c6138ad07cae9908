"""The real firmware behind a real Bluetooth stack, and a second one as phone (R24, docs/installer-protocol.md)."""

import asyncio
import json

import pytest
from bumble import core, hci, smp
from bumble.att import ATT_INSUFFICIENT_AUTHENTICATION_ERROR, ATT_Error
from bumble.keys import MemoryKeyStore, PairingKeys
from on_air import Aired, Talk, on_air, paired, run, until
from radio.phone import IoCapability, Phone, Typist

BAD_FRAMES = 20


@pytest.fixture
def box(simulator):
    return simulator(virtual=False, options=("--ble", "0"))


async def refused(phone: Phone, passkey: str | None, io_capability: IoCapability = IoCapability.KEYBOARD_INPUT_ONLY):
    """The reason for which a pairing fails (core specification, 3.H.3.5.5)."""
    with pytest.raises(core.ProtocolError) as failed:
        await phone.pair(passkey, io_capability)
    return failed.value.error_code


class Hesitant(Typist):
    """A person who never gets round to typing the passkey."""

    def __init__(self):
        super().__init__(None)
        self.asked = asyncio.Event()

    async def get_number(self) -> int | None:
        self.asked.set()
        await asyncio.Event().wait()
        return None


async def hesitate(phone: Phone) -> None:
    """Begin a pairing, in the middle of another if there is one, and stop at the question for the passkey."""
    phone.typist = typist = Hesitant()
    phone.begin_pairing()
    await asyncio.wait_for(typist.asked.wait(), 10)


async def break_off(phone: Phone, aired: Aired) -> None:
    """Begin a pairing and leave at the question for the passkey."""
    await phone.connect(aired.address)
    await hesitate(phone)
    await phone.disconnect()


# Before pairing


def test_a_phone_finds_the_wallbox_and_reads_what_is_on_its_label_without_pairing(box):
    name = box.settings()["name"]

    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            assert await phone.scan() == (aired.address, name)
            await phone.connect(aired.address)
            info = json.loads(await phone.read_info())
            assert (info["protocol"], info["product"], info["commissioned"]) == (1, "wallbox", True)
            assert set(info) == {"protocol", "product", "serial", "version", "commissioned"}

    run(test())


def test_an_unencrypted_link_may_neither_write_nor_listen(box):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            await phone.connect(aired.address)
            for attempt in (phone.write(b"\x30\x00{}"), phone.subscribe()):
                with pytest.raises(ATT_Error) as failed:
                    await attempt
                assert failed.value.error_code == ATT_INSUFFICIENT_AUTHENTICATION_ERROR
            # A write without response is dropped: had it been counted, the first frame after pairing were out of order.
            await phone.write(b'\x30\x00{"id": 1, "do": "hello"}', with_response=False)
            await phone.pair(aired.passkey)
            await phone.subscribe()
            assert (await Talk(phone).ask("hello"))["ok"]

    run(test())


# Pairing


def test_the_passkey_opens_the_link_to_hello_login_status_and_settings(box):
    async def test():
        async with on_air(box) as aired, paired(aired) as talk:
            hello = await talk.ask("hello")
            assert (hello["ok"], hello["role"], hello["mtu"], hello["protocol"]) == (True, "paired", 247, 1)
            assert (await talk.ask("status"))["status"]["pilot"]["state"] == "A1"
            refusal = await talk.ask("settings", set={"rated_a": 16})
            assert (refusal["ok"], refusal["error"]["code"]) == (False, "not_allowed")
            wrong = await talk.ask("login", role="expert", password="0000")
            assert wrong["error"]["code"] == "wrong_password"
            assert (await talk.ask("login", role="expert", password="1916"))["role"] == "expert"
            assert (await talk.ask("settings", set={"rated_a": 16}))["settings"]["rated_a"] == 16
        assert box.settings()["rated_a"] == 16

    run(test())


def test_a_wrong_passkey_is_refused_and_the_right_one_then_taken_in_the_same_connection(box):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            await phone.connect(aired.address)
            assert await refused(phone, aired.wrong()) == smp.SMP_CONFIRM_VALUE_FAILED_ERROR
            await phone.pair(aired.passkey)
            await phone.subscribe()
            assert (await Talk(phone).ask("hello"))["ok"]

    run(test())


def test_three_wrong_passkeys_lock_the_right_one_out_over_connections_and_restarts(box):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            for number in range(3):
                await phone.connect(aired.address)
                assert await refused(phone, aired.wrong(number + 1)) == smp.SMP_CONFIRM_VALUE_FAILED_ERROR
                await phone.disconnect()
            await phone.connect(aired.address)
            assert await refused(phone, aired.passkey) == smp.SMP_REPEATED_ATTEMPTS_ERROR
            await asyncio.to_thread(box.reset)
            await until(lambda: not phone.connected, "the restart ends the connection")
            await phone.connect(aired.address)
            assert await refused(phone, aired.passkey) == smp.SMP_REPEATED_ATTEMPTS_ERROR

    run(test())


def test_a_pairing_that_is_broken_off_or_cancelled_counts_as_a_failed_one(box):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            await break_off(phone, aired)
            await break_off(phone, aired)
            await phone.connect(aired.address)
            assert await refused(phone, None) == smp.SMP_PASSKEY_ENTRY_FAILED_ERROR
            assert await refused(phone, aired.passkey) == smp.SMP_REPEATED_ATTEMPTS_ERROR

    run(test())


def test_a_pairing_that_is_begun_anew_half_way_counts_as_a_failed_one(box):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            await phone.connect(aired.address)
            for _ in range(3):
                await hesitate(phone)
            assert await refused(phone, aired.passkey) == smp.SMP_REPEATED_ATTEMPTS_ERROR

    run(test())


def test_a_right_passkey_ends_the_count_of_wrong_ones(box):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            for _ in range(2):
                await phone.connect(aired.address)
                for number in (1, 2):
                    assert await refused(phone, aired.wrong(number)) == smp.SMP_CONFIRM_VALUE_FAILED_ERROR
                await phone.pair(aired.passkey)
                await phone.disconnect()

    run(test())


@pytest.mark.parametrize(
    ("io_capability", "secure_connections"),
    [
        (IoCapability.NO_OUTPUT_NO_INPUT, True),
        (IoCapability.DISPLAY_OUTPUT_ONLY, True),
        (IoCapability.DISPLAY_OUTPUT_AND_YES_NO_INPUT, True),
        (IoCapability.KEYBOARD_INPUT_ONLY, False),
    ],
)
def test_just_works_and_legacy_pairing_are_refused_and_cost_no_try(box, io_capability, secure_connections):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            await phone.connect(aired.address)
            phone.secure_connections = secure_connections
            for _ in range(4):
                assert await refused(phone, aired.passkey, io_capability) == smp.SMP_AUTHENTICATION_REQUIREMENTS_ERROR
            phone.secure_connections = True
            await phone.pair(aired.passkey)

    run(test())


def test_a_key_of_less_than_its_full_size_is_refused(box):
    class Weak(Typist):
        def __init__(self, passkey):
            super().__init__(passkey)
            self.maximum_encryption_key_size = 7

    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            await phone.connect(aired.address)
            phone.typist = Weak(aired.passkey)
            with pytest.raises(core.ProtocolError) as failed:
                await phone.connection.pair()
            assert failed.value.error_code == smp.SMP_ENCRYPTION_KEY_SIZE_ERROR

    run(test())


# Bonds


def test_a_bonded_phone_comes_back_without_the_passkey_even_to_a_radio_that_was_off(box, tmp_path):
    async def test():
        keys = MemoryKeyStore()
        async with on_air(box, tmp_path) as aired:
            async with paired(aired, keys=keys) as talk:
                assert (await talk.ask("hello"))["ok"]
            address = aired.address
        async with on_air(box, tmp_path) as aired, Phone(aired.port, keys=keys) as phone:
            assert aired.address == address
            await phone.connect(address)
            await phone.encrypt()
            await phone.subscribe()
            assert (await Talk(phone).ask("hello"))["role"] == "paired"

    run(test())


def test_a_bond_with_another_key_opens_nothing(box):
    async def test():
        async with on_air(box) as aired:
            async with paired(aired):
                pass
            forged = PairingKeys.from_dict({"ltk": {"value": bytes(range(16)).hex(), "authenticated": True}})
            keys = MemoryKeyStore()
            await keys.update(aired.address, forged)
            async with Phone(aired.port, keys=keys) as phone:
                await phone.connect(aired.address)
                with pytest.raises(hci.HCI_Error) as failed:
                    await phone.encrypt()
                assert failed.value.error_code == hci.HCI_PIN_OR_KEY_MISSING_ERROR
                with pytest.raises(ATT_Error):
                    await phone.subscribe()

    run(test())


def test_a_factory_reset_ends_every_bond(box):
    async def test():
        async with on_air(box) as aired, paired(aired) as talk:
            phone = talk.phone
            assert (await talk.ask("login", role="expert", password="1916"))["ok"]
            assert (await talk.ask("factory_reset", confirm="erase"))["ok"]
            await until(lambda: not phone.connected, "the restart ends the connection")
            await phone.connect(aired.address)
            with pytest.raises(hci.HCI_Error) as failed:
                await phone.encrypt()
            assert failed.value.error_code == hci.HCI_PIN_OR_KEY_MISSING_ERROR
            info = json.loads(await phone.read_info())
            assert not info["commissioned"]

    run(test())


# Frames


@pytest.mark.parametrize("mtu", [23, 100, 247])
def test_messages_longer_than_the_mtu_pass_in_both_directions(box, mtu):
    async def test():
        async with on_air(box) as aired, paired(aired, mtu) as talk:
            assert talk.phone.mtu == mtu
            answer = await talk.ask("settings", padding=3000)
            assert answer["ok"] and len(json.dumps(answer)) > 700
            assert talk.frames > 700 // (mtu - 3)
            assert (await talk.ask("hello"))["mtu"] == mtu

    run(test())


def test_a_repeated_frame_is_told_and_changes_nothing(box):
    async def test():
        async with on_air(box) as aired, paired(aired) as talk:
            assert (await talk.ask("hello"))["ok"]
            (frame,) = talk.cutter.message(b'{"id": 7, "do": "hello"}')
            await talk.phone.write(frame)
            assert (await talk.message())["id"] == 7
            await talk.phone.write(frame)
            event = await talk.message()
            assert (event["event"], event["expected"]) == ("frame_error", talk.cutter.counter)
            assert (await talk.ask("hello"))["ok"]

    run(test())


def test_the_wallbox_ends_a_connection_of_bad_frames_and_takes_the_next(box):
    async def test():
        async with on_air(box) as aired, paired(aired) as talk:
            phone = talk.phone
            for _ in range(BAD_FRAMES):
                await phone.write(b"\x30\x63?")
            await until(lambda: not phone.connected, "bad frames end the connection")
            await phone.connect(aired.address)
            await phone.encrypt()
            await phone.subscribe()
            assert (await fresh(phone).ask("hello"))["ok"]

    run(test())


def fresh(phone: Phone) -> Talk:
    """A talk over a new connection; what was left of the old one is thrown away."""
    while not phone.frames.empty():
        phone.frames.get_nowait()
    return Talk(phone)


@pytest.mark.parametrize("vanishes", [False, True])
def test_a_phone_that_leaves_in_mid_message_leaves_nothing_behind(box, vanishes):
    async def test():
        keys = MemoryKeyStore()
        async with on_air(box) as aired:
            async with paired(aired, keys=keys) as talk:
                frames = list(talk.cutter.message(b'{"id": 1, "do": "hello"' + b" " * 600 + b"}"))
                for frame in frames[:-1]:
                    await talk.phone.write(frame)
                # Half of an answer is under way too.
                await (talk.phone.vanish() if vanishes else talk.phone.disconnect())
            async with Phone(aired.port, keys=keys) as phone:
                await phone.connect(aired.address)
                await phone.encrypt()
                await phone.subscribe()
                assert (await fresh(phone).ask("hello"))["ok"]

    run(test())


# One at a time


def test_a_second_phone_waits_until_the_first_is_gone(box):
    async def test():
        async with on_air(box) as aired, paired(aired) as talk, Phone(aired.port, "F1:00:00:00:00:02") as second:
            with pytest.raises(core.TimeoutError):
                await second.connect(aired.address, timeout_s=0.5)
            assert (await talk.ask("hello"))["ok"]
            await talk.phone.disconnect()
            await second.connect(aired.address)
            with pytest.raises(ATT_Error):
                await second.subscribe()
            await second.pair(aired.passkey)
            await second.subscribe()
            assert (await Talk(second).ask("hello"))["ok"]

    run(test())


def test_a_new_name_is_advertised_at_once(box):
    async def test():
        async with on_air(box) as aired, Phone(aired.port) as phone:
            await asyncio.to_thread(box.settings, name="Garage links")
            found = ""
            while found != "Garage links":
                _, found = await phone.scan()

    run(test())


def test_the_wallbox_is_back_on_the_air_after_a_power_cut(box):
    async def test():
        async with on_air(box) as aired, paired(aired) as talk:
            phone = talk.phone
            await asyncio.to_thread(box.power, on=False)
            await until(lambda: not phone.connected, "the cut ends the connection")
            await asyncio.to_thread(box.power, on=True)
            await phone.connect(aired.address)
            await phone.encrypt()
            await phone.subscribe()
            assert (await fresh(phone).ask("hello"))["ok"]

    run(test())
