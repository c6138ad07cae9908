"""What a tapped card does: start or stop charging, or register cards; it never touches pilot or contactor."""

import asyncio
from time import ticks_add, ticks_diff

from micropython import const

from wallbox.access.cards import CAPACITY, masked
from wallbox.timer import unwatched

_REGISTRATION_MS = const(60000)  # without a card, registration ends by itself (R17)
_WATCH_MS = const(250)  # how soon registration notices that a car was plugged in
_SETUP_MS = const(60000)  # how long an app waits for the next setup card (R18, docs/installer-protocol.md)
_DEAD_MS = const(2000)  # the same card again within this time is one and the same tap

# Why a card was not registered, as told in the log.
_REFUSED = {
    "known": "it is registered already",
    "full": "the list is full (%d cards)" % CAPACITY,
    "setup": "it is the setup card",
    "random": "its number changes at every touch, as with phones and bank cards",
    "failed": "the list could not be saved",
}


def _nobody() -> None:
    """Nobody wants to know."""


class Access:
    """Cards against session.

    `session` needs authorise(id_tag) -> bool, stop(reason), active, held, id_tag; `snapshot` car_connected,
    state, faulted, out_of_use, starting, updating; `clock` ticks_ms().
    """

    def __init__(self, cards, settings, session, snapshot, buzzer, clock, log):
        self._cards = cards
        self._settings = settings
        self._session = session
        self._snapshot = snapshot
        self._buzzer = buzzer
        self._clock = clock
        self._log = log
        self._last_uid = None
        self._last_ticks = 0
        self._ends = 0
        self._opened = asyncio.Event()
        self._setup_wanted = False
        self._setup_at = 0
        self.registration = False
        # The latest card that was refused because nobody knows it, for an app that adds it.
        self.last_unknown = None
        # Called when the setup card is held to the reader.
        self.on_setup_card = _nobody
        # Who decides in the place of the list of cards: called with the UID of one, or None (R25).
        self.decide = None

    def card(self, uid: str) -> None:
        """A card, its UID as upper-case hex, was tapped."""
        now = self._clock.ticks_ms()
        if uid == self._last_uid and 0 <= ticks_diff(now, self._last_ticks) < _DEAD_MS:
            return
        self._last_uid = uid
        self._last_ticks = now
        kind = self._cards.kind(uid)
        if kind == "setup":
            self.on_setup_card()
        if self.awaits_setup_card():
            self._take_setup_card(uid)
        elif self.registration and self._not_standby() is None:
            self._register(uid, kind)
        elif kind == "setup":
            self._open_registration(uid)
        elif kind == "blocked":
            self.answer(uid, False, "was refused: it is blocked")
        elif kind == "charging" or self.decide is not None:
            self._charge(uid)
        else:
            self.last_unknown = uid
            self.answer(uid, False, "was refused: it is not registered")

    def answer(self, uid: str, accepted: bool, text: str) -> None:
        """Tell in log and by sound whether a card was accepted, and what it does or why it may not."""
        code = "card_accepted" if accepted else "card_refused"
        uid = masked(uid)
        self._log.add("info" if accepted else "warning", "access", code, "card %s %s" % (uid, text), card=uid)
        self._buzzer.play("accepted" if accepted else "reject")

    # Charging (R3, R43).

    def _charge(self, uid: str) -> None:
        session = self._session
        # What the backend holds back from everybody may be reserved for this card.
        held = self.decide is not None and session.held is not None
        if not self._settings["access_control"] and not held:
            text = "card %s has nothing to do: access control is off" % masked(uid)
            self._log.add("info", "access", "card_not_needed", text, card=masked(uid))
        elif self.decide is not None:
            self.decide(uid)
        elif not session.active:
            accepted = session.authorise(uid)
            text = "authorises charging" if accepted else "was refused: charging cannot be authorised now"
            self.answer(uid, accepted, text)
        elif session.id_tag != uid:
            self.answer(uid, False, "was refused: another card or the backend started this session")
        else:
            self.answer(uid, True, "stops charging")
            session.stop("card")

    # Registration (R17).

    def _not_standby(self):
        """Why cards cannot be registered now, or None: only in standby without a car (manual 8.5.1)."""
        snapshot = self._snapshot
        if snapshot.car_connected or self._session.active:
            return "a car is connected"
        if snapshot.faulted:
            return "there is a fault"
        busy = snapshot.starting or snapshot.updating or snapshot.out_of_use
        return None if not busy and snapshot.state.startswith("A") else "the wallbox is not in standby"

    def _open_registration(self, uid: str) -> None:
        why = self._not_standby()
        if why is not None:
            self.answer(uid, False, "was refused: " + why)
            return
        self._switch("registration_on", "begins")
        self._opened.set()

    def register(self, on: bool) -> None:
        """Switch registration of charging cards as the setup card does; ValueError when the box is not in standby."""
        if on == self.registration:
            return
        if not on:
            self._switch("registration_off", "ends: app")
            return
        why = self._not_standby()
        if why is not None:
            raise ValueError("register: not possible now; " + why)
        self._switch("registration_on", "begins: app")
        self._opened.set()

    # A new setup card (R18).

    def await_setup_card(self) -> None:
        """Make the next card that is held to the reader within 60 s the setup card."""
        self._setup_wanted = True
        self._setup_at = self._clock.ticks_ms()

    def awaits_setup_card(self) -> bool:
        """Whether the next card becomes the setup card."""
        if self._setup_wanted and ticks_diff(self._clock.ticks_ms(), self._setup_at) >= _SETUP_MS:
            self._setup_wanted = False
        return self._setup_wanted

    def _take_setup_card(self, uid: str) -> None:
        self._setup_wanted = False
        try:
            self._cards.set_setup(uid)
        except ValueError:
            self.answer(uid, False, "was refused: it cannot be the setup card")
        except OSError:
            # Logged by the list, which has undone the change.
            self.answer(uid, False, "was refused: " + _REFUSED["failed"])
        else:
            self._buzzer.play("card_registered")

    def _switch(self, code: str, text: str) -> None:
        # The sound has the name of the event.
        self.registration = self._cards.registration = code == "registration_on"
        self._extend()
        self._log.add("info", "access", code, "registration of charging cards " + text)
        self._buzzer.play(code)

    def _extend(self) -> None:
        self._ends = ticks_add(self._clock.ticks_ms(), _REGISTRATION_MS)

    def _register(self, uid: str, kind: str) -> None:
        if kind == "setup":
            self._switch("registration_off", "ends: setup card")
            return
        self._extend()
        try:
            result = self._cards.add(uid)
        except OSError:
            # Logged by the list, which has undone the change.
            result = "failed"
        if result == "added":
            self._buzzer.play("card_registered")
        else:
            self.answer(uid, False, "was refused: " + _REFUSED[result])

    async def run(self, beat=unwatched) -> None:
        """End registration when its time is over or when the box leaves standby."""
        while True:
            # Looked at before waiting: a task that is started anew takes over what is open.
            while self.registration:
                beat(_WATCH_MS * 20)
                why = self._not_standby()
                if why is None and ticks_diff(self._ends, self._clock.ticks_ms()) <= 0:
                    why = "no card for %d s" % (_REGISTRATION_MS // 1000)
                if why is not None:
                    self._switch("registration_off", "ends: " + why)
                else:
                    await asyncio.sleep_ms(_WATCH_MS)
            beat(None)
            await self._opened.wait()
            self._opened.clear()
