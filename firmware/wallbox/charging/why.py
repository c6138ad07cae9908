"""The why-not answer (R32): in plain words and as data, why the car charges with this current or not at all."""

from wallbox.protection.faults import CATALOGUE, text


def _answer(code: str, text: str, who: str, since_s=None, until_s=None) -> dict:
    return {"code": code, "text": text, "who": who, "since_s": since_s, "until_s": until_s}


class Why:
    """Answers from the state of the other parts; asks nothing of the hardware."""

    def __init__(self, clock, settings, snapshot, faults, offer, session, delay, wake):
        self._clock = clock
        self._settings = settings
        self._view = snapshot
        self._faults = faults
        self._offer = offer
        self._session = session
        self._delay = delay
        self._wake = wake

    def answer(self) -> dict:
        """{code, text, who, since_s, until_s}: uptimes in seconds, None where nothing is known."""
        return self._blocked() or self._waiting() or self._limited()

    def _blocked(self):
        faults = self._faults
        now = self._clock.ticks_ms()
        worst = faults.worst()
        if worst is not None and faults.blocking & (1 << worst):
            left = faults.clears_in_ms(worst, now)
            until = None if left is None else self._clock.uptime_s() + (left + 999) // 1000
            words = "No charging: %s." % text(worst)
            return _answer(CATALOGUE[worst][0], words, "protection", faults.since_s[worst], until)
        if not self._settings["wizard_complete"]:
            return _answer("not_set_up", "No charging: the installation wizard is not complete.", "installer")
        if self._settings["rated_a"] == 0:
            return _answer("rated_0", "No charging: the rated current is set to 0 A.", "installer")
        if self._delay.running:
            left = self._delay.left_s(now)
            words = "The supply came back: charging resumes in %d s (random delay)." % left
            return _answer("restart_delay", words, "power failure", None, self._clock.uptime_s() + left)
        return None

    def _waiting(self):
        view = self._view
        session = self._session
        if view.starting:
            return _answer("starting", "The wallbox is starting.", "wallbox")
        if session.held is not None and not session.active:
            return _answer("held", "No charging: %s." % session.held, "backend")
        if not view.car_connected:
            if session.waiting:
                until = self._clock.uptime_s() + session.authorisation_left_s()
                return _answer("plug_in", "Charging is permitted: plug the car in.", "card", None, until)
            return _answer("no_car", "Ready: no car is plugged in.", "wallbox")
        if session.needs_card:
            return _answer("no_card", "The car waits for a charging card.", "access control")
        if not session.authorised:
            return _answer("stopped", "The session was stopped (%s)." % session.stop_reason, "user")
        if view.self_testing:
            return _answer("self_test", "The residual current monitor is being tested.", "protection")
        return None

    def _limited(self):
        view = self._view
        limit = self._offer.winner
        amps = "%d.%d A" % (view.allowed_ma // 1000, view.allowed_ma % 1000 // 100)
        if view.allowed_ma < 6000:
            words = "Paused: %s allows %s, a car needs 6 A (%s)." % (limit.name, amps, limit.reason)
            return _answer("limit_" + limit.name, words, limit.owner, limit.since_s, limit.change_s)
        if not view.charging:
            return self._not_taken(amps)
        words = "Charging with up to %s, limited by %s (%s)." % (amps, limit.name, limit.reason)
        return _answer("charging_" + limit.name, words, limit.owner, limit.since_s, limit.change_s)

    def _not_taken(self, amps: str):
        left = (self._wake.left_ms(self._clock.ticks_ms()) + 999) // 1000
        until = self._clock.uptime_s() + left if left else None
        if self._wake.under_way:
            return _answer("waking", "The car seems to sleep: it is being woken up.", "wallbox", None, until)
        return _answer("car_not_ready", "%s are offered; the car does not ask for them." % amps, "car", None, until)
