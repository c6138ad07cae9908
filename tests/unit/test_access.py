"""What a tapped card does, and how the reader finds out that one was tapped."""

import asyncio

from virtual_time import Log, Record, VirtualTime

from mfrc522 import Mfrc522
from plant.mfrc522_chip import Mfrc522Chip
from wallbox.access.access import Access
from wallbox.access.cards import Cards
from wallbox.access.reader import CardReader

SETUP = "04A1B2C3D4E5F6"
CARD = "DEADBEEF"
OTHER = "11223344"


class Store:
    broken = False

    def load(self):
        return {"setup": SETUP, "charging": [CARD, OTHER]}

    def save(self, value):
        if self.broken:
            raise OSError(5)


class Session:
    """A session that notes what it is asked for."""

    def __init__(self):
        self.active = False
        self.waiting = False
        self.held = None
        self.id_tag = None
        self.willing = True
        self.calls = []

    def authorise(self, id_tag):
        self.calls.append(("authorise", id_tag))
        if self.willing:
            self.id_tag = id_tag
            self.waiting = True
        return self.willing

    def stop(self, reason):
        self.calls.append(("stop", reason))
        self.active = False


class Box:
    """Access with everything around it; `tap` waits out the dead time first."""

    def __init__(self):
        self.time = VirtualTime()
        self.log = Log()
        self.store = Store()
        self.cards = Cards(self.store, self.log)
        self.settings = {"access_control": True}
        self.session = Session()
        self.snapshot = Record(
            state="A1",
            car_connected=False,
            faulted=False,
            out_of_use=False,
            starting=False,
            updating=False,
        )
        self.sounds = []
        buzzer = Record(play=self.sounds.append)
        self.access = Access(self.cards, self.settings, self.session, self.snapshot, buzzer, self.time, self.log)

    def tap(self, uid, after_ms=2000):
        """-> the sounds that the tap makes."""
        self.time.now_ms += after_ms
        del self.sounds[:]
        self.access.card(uid)
        return list(self.sounds)

    def plug(self):
        self.snapshot.car_connected = True
        self.snapshot.state = "B1"

    def run(self, steps):
        """Run the access task while the coroutine `steps` runs."""

        async def both():
            task = asyncio.create_task(self.access.run())
            await steps
            task.cancel()

        asyncio.run(both())


# Charging.


def test_a_charging_card_authorises_before_and_after_plugging_in():
    for plugged in (False, True):
        box = Box()
        if plugged:
            box.plug()
        assert box.tap(CARD) == ["accepted"]
        assert box.session.calls == [("authorise", CARD)]


def test_the_card_that_started_a_session_stops_it():
    box = Box()
    box.plug()
    box.session.active, box.session.id_tag = True, CARD
    assert box.tap(CARD) == ["accepted"]
    assert box.session.calls == [("stop", "card")]


def test_with_a_backend_every_card_but_the_setup_card_and_blocked_ones_is_its_matter():
    box = Box()
    asked = []
    box.access.decide = asked.append
    box.cards.edit(OTHER, blocked=True)
    for uid in (CARD, "55667788", OTHER, SETUP):
        box.tap(uid)
    assert asked == [CARD, "55667788"]
    assert box.session.calls == []
    assert box.access.last_unknown is None
    box.tap(SETUP)
    assert not box.access.registration
    box.settings["access_control"] = False
    box.tap("99AA0011")
    assert len(asked) == 2, "without access control a card has nothing to do"
    box.session.held = "the wallbox is reserved"
    box.tap("99AA0022")
    assert asked[2:] == ["99AA0022"], "but it may be the one that has reserved"


def test_a_backend_answers_for_a_card_by_sound_and_log():
    box = Box()
    box.access.answer(CARD, True, "authorises charging")
    box.access.answer(OTHER, False, "was refused by the backend: Blocked")
    assert box.sounds == ["accepted", "reject"]
    assert box.log.codes()[-2:] == ["card_accepted", "card_refused"]


def test_no_other_card_stops_a_session():
    for owner in (OTHER, "backend-token", None):
        box = Box()
        box.plug()
        box.session.active, box.session.id_tag = True, owner
        assert box.tap(CARD) == ["reject"]
        assert box.session.calls == []


def test_the_card_of_the_last_session_needs_a_new_authorisation():
    box = Box()
    box.plug()
    box.session.active, box.session.id_tag = True, CARD
    box.tap(CARD)
    box.tap(CARD)
    assert box.session.calls == [("stop", "card"), ("authorise", CARD)]


def test_a_refused_authorisation_sounds_the_rejection():
    box = Box()
    box.session.willing = False
    assert box.tap(CARD) == ["reject"]


def test_an_unknown_card_is_rejected_and_logged():
    box = Box()
    assert box.tap("99887766") == ["reject"]
    assert box.session.calls == []
    assert box.log.entries[-1][1] == "card_refused" and "not registered" in box.log.entries[-1][2]
    assert "99887766" not in box.log.entries[-1][2], "the log must not help to copy a card"


def test_a_charging_card_does_nothing_while_access_control_is_off():
    box = Box()
    box.settings["access_control"] = False
    assert box.tap(CARD) == []
    assert box.session.calls == [] and box.log.codes() == ["card_not_needed"]


def test_the_same_card_within_two_seconds_is_one_tap():
    box = Box()
    box.tap(CARD)
    assert box.tap(CARD, 1999) == []
    assert box.session.calls == [("authorise", CARD)]
    assert box.tap(CARD, 1) == ["accepted"]


def test_another_card_counts_at_once():
    box = Box()
    box.tap(CARD)
    assert box.tap("99887766", 0) == ["reject"]


# Registration.


def test_setup_card_new_card_setup_card_registers_a_card():
    box = Box()
    assert box.tap(SETUP) == ["registration_on"]
    assert box.access.registration and box.cards.status()["registration"]
    assert box.tap("AABBCCDD") == ["card_registered"]
    assert box.tap("AABBCCEE") == ["card_registered"]
    assert box.tap(SETUP) == ["registration_off"]
    assert not box.access.registration and not box.cards.status()["registration"]
    assert box.cards.kind("AABBCCDD") == box.cards.kind("AABBCCEE") == "charging"
    assert box.session.calls == []


def test_registration_refuses_double_random_and_surplus_cards():
    box = Box()
    box.tap(SETUP)
    assert box.tap(CARD) == ["reject"]
    assert box.tap("08112233") == ["reject"]
    for i in range(98):
        assert box.tap("AA%06X" % i) == ["card_registered"]
    assert box.tap("AA000FFF") == ["reject"]
    assert "full (100 cards)" in box.log.entries[-1][2]
    assert box.access.registration and len(box.cards.charging) == 100


def test_registration_rejects_a_card_that_cannot_be_saved():
    box = Box()
    box.tap(SETUP)
    box.store.broken = True
    assert box.tap("AABBCCDD") == ["reject"]
    assert box.cards.kind("AABBCCDD") == "unknown"
    assert "cards_not_saved" in box.log.codes()


def test_registration_begins_only_in_standby_without_a_car():
    changes = (
        ("car_connected", True),
        ("faulted", True),
        ("out_of_use", True),
        ("starting", True),
        ("updating", True),
        ("state", "B1"),
        ("state", "F"),
    )
    for name, value in changes:
        box = Box()
        setattr(box.snapshot, name, value)
        assert box.tap(SETUP) == ["reject"], name
        assert not box.access.registration
    box = Box()
    box.session.active = True
    assert box.tap(SETUP) == ["reject"]


def test_a_new_card_outside_registration_is_not_stored():
    box = Box()
    assert box.tap("AABBCCDD") == ["reject"]
    assert box.cards.kind("AABBCCDD") == "unknown"


def test_registration_ends_after_60_seconds_without_a_card():
    box = Box()

    async def steps():
        box.tap(SETUP)
        await asyncio.sleep_ms(59000)
        assert box.access.registration
        assert box.tap("AABBCCDD", 0) == ["card_registered"]
        await asyncio.sleep_ms(59000)
        assert box.access.registration, "a card begins the time anew"
        del box.sounds[:]
        await asyncio.sleep_ms(1300)
        assert not box.access.registration and box.sounds == ["registration_off"]

    box.run(steps())
    assert "no card for 60 s" in box.log.entries[-1][2]


def test_registration_ends_when_a_car_is_plugged_in():
    box = Box()

    async def steps():
        box.tap(SETUP)
        box.plug()
        assert box.tap("AABBCCDD", 0) == ["reject"], "not even before the task has noticed"
        await asyncio.sleep_ms(300)
        assert not box.access.registration
        assert box.sounds[-1] == "registration_off"
        box.snapshot.car_connected, box.snapshot.state = False, "A1"
        assert box.tap(SETUP) == ["registration_on"], "and can begin again"
        await asyncio.sleep_ms(300)
        assert box.access.registration

    box.run(steps())


def test_a_restarted_access_task_still_ends_registration():
    box = Box()

    async def steps():
        box.tap(SETUP)
        await asyncio.sleep_ms(1000)

    box.run(steps())
    assert box.access.registration
    box.run(asyncio.sleep(61))
    assert not box.access.registration


def test_the_access_task_sleeps_while_nobody_registers():
    box = Box()
    looks = []
    box.access._not_standby = lambda: looks.append(box.time.now_ms)

    async def steps():
        await asyncio.sleep_ms(3600000)

    box.run(steps())
    assert looks == []


# The reader.


class Spi:
    def __init__(self, chip):
        self.chip = chip
        self.write = chip.spi
        self.write_readinto = chip.spi
        self.reset = chip.reset


class Desk:
    """A reader task on the chip model."""

    def __init__(self):
        self.time = VirtualTime()
        self.log = Log()
        self.chip = Mfrc522Chip(self.time)
        self.taps = []
        self.reader = CardReader(Mfrc522(Spi(self.chip)), self.taps.append, self.time, self.log)

    async def hold(self, uid, ms):
        self.chip.present(bytes.fromhex(uid))
        await asyncio.sleep_ms(ms)
        self.chip.remove(bytes.fromhex(uid))

    def run(self, steps):
        async def both():
            task = asyncio.create_task(self.reader.run())
            await asyncio.sleep_ms(100)
            await steps
            task.cancel()

        asyncio.run(both())


def test_a_card_held_for_half_a_second_is_reported_once():
    for start in range(0, 260, 13):
        desk = Desk()

        async def steps(desk=desk, start=start):
            await asyncio.sleep_ms(start)
            await desk.hold(SETUP, 500)
            await asyncio.sleep_ms(1000)

        desk.run(steps())
        assert desk.taps == [SETUP], "at %d ms" % start


def test_a_card_that_stays_is_reported_once_and_again_after_it_was_gone():
    desk = Desk()

    async def steps():
        await desk.hold(CARD, 10000)
        await asyncio.sleep_ms(500)
        await desk.hold(CARD, 1000)
        assert desk.taps == [CARD], "a gap of half a second is a trembling hand"
        await asyncio.sleep_ms(1600)
        await desk.hold(CARD, 500)

    desk.run(steps())
    assert desk.taps == [CARD, CARD]


def test_two_cards_of_one_wallet_are_both_reported():
    desk = Desk()

    async def steps():
        desk.chip.present(bytes.fromhex(CARD))
        await desk.hold(OTHER, 2000)

    desk.run(steps())
    assert sorted(desk.taps) == [OTHER, CARD]


def test_a_card_read_badly_is_tried_again_at_once():
    desk = Desk()

    async def steps():
        desk.chip.garble = 2
        await desk.hold(CARD, 500)

    desk.run(steps())
    assert desk.taps == [CARD] and desk.log.entries == []


def test_a_card_that_cannot_be_read_is_logged_and_the_next_one_works():
    desk = Desk()

    async def steps():
        desk.chip.garble = 1000
        await desk.hold(CARD, 300)
        desk.chip.garble = 0
        await asyncio.sleep_ms(300)
        await desk.hold(OTHER, 500)

    desk.run(steps())
    assert desk.taps == [OTHER]
    assert desk.log.codes() == ["card_unreadable"] and desk.log.entries[0][0] == "warning"


def test_a_dead_reader_is_logged_once_and_comes_back():
    for stuck in (0x00, 0xFF):
        desk = Desk()

        async def steps(desk=desk, stuck=stuck):
            assert desk.reader.ok
            desk.chip.broken = stuck
            await asyncio.sleep_ms(100000)
            assert not desk.reader.ok
            assert desk.log.codes() == ["reader_failed"]
            desk.chip.broken = None
            await asyncio.sleep_ms(61000)
            assert desk.reader.ok
            await desk.hold(CARD, 500)

        desk.run(steps())
        assert desk.taps == [CARD]
        assert desk.log.codes() == ["reader_failed", "reader_back"]


def test_a_reader_absent_from_the_start_is_looked_for_ever_more_rarely():
    desk = Desk()
    desk.chip.broken = 0
    resets = []

    def reset(active):
        if active:
            resets.append(desk.time.now_ms)

    desk.reader._driver._spi.reset = reset

    async def steps():
        await asyncio.sleep_ms(3600000)

    desk.run(steps())
    assert desk.log.codes() == ["reader_failed"]
    assert 60 < len(resets) < 70, "about once a minute: %d" % len(resets)


def test_a_reader_that_restarted_by_itself_is_set_up_again():
    desk = Desk()

    async def steps():
        desk.chip.reset(True)
        desk.chip.reset(False)
        await asyncio.sleep_ms(3000)
        await desk.hold(CARD, 500)

    desk.run(steps())
    assert desk.taps == [CARD]
