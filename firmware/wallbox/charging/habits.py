"""What the car at the cable does: which wake-up it needs, how fast it follows, how many phases it uses (R40).

It looks at the snapshot and tells the wake-up what worked before; it decides nothing about charging.
"""

from time import ticks_diff

from micropython import const

from wallbox.charging.wakeup import KINDS, NONE

# A phase carries current above this; a car that obeys the end of an offer is below 1 A (sequence 7).
_USED_MA = const(1_000)
# Smaller changes of the offer are lost in what a charger's current wanders.
_STEP_MA = const(2_000)
# The norm gives a car 5 s (sequence 6); one that has not moved after a minute has a reason of its own.
_GIVE_UP_MS = const(60_000)


class Habits:
    """Learns during a session and hands its entry to the memory when it ends; `entry` is None without one."""

    def __init__(self, clock, snapshot, session, wake, memory):
        self._clock = clock
        self._view = snapshot
        self._session = session
        self._wake = wake
        self._memory = memory
        self.entry = None
        self._phases = 0
        self._offered_ma = 0
        self._current_ma = 0
        self._goal_ma = 0
        self._rising = False
        self._since = 0
        session.listeners.append(self._session_changed)

    def _session_changed(self, begun: bool) -> None:
        entry = self.entry
        wake = self._wake
        if entry and not begun:
            if wake.worked:
                kind = KINDS[wake.worked]
                entry["woken"] = entry["woken"] + 1 if entry["wake"] == kind else 1
                entry["wake"] = kind
            if entry["wake"] or entry["phases"]:
                self._memory.keep(entry)
        self.entry = entry = self._memory.recall(self._session.id_tag) if begun else None
        self._phases = 0
        wake.worked = NONE
        wake.preferred = KINDS.index(entry["wake"]) if entry and entry["wake"] in KINDS else NONE
        # A permission would end during 30 s in state F (R43, session.py).
        wake.allow_long = entry is not None and entry["id_tag"] is None

    def look(self) -> None:
        """Take in what the car draws now; call it every 250 ms, which is how exactly times are measured."""
        entry = self.entry
        view = self._view
        if entry is None or not view.charging:
            self._offered_ma = self._goal_ma = 0
            return
        used = sum([ma > _USED_MA for ma in view.currents_ma])
        if used > self._phases:
            self._phases = entry["phases"] = used
        self._follow(entry, view.offered_ma, max(view.currents_ma))

    def _follow(self, entry: dict, offered_ma: int, current_ma: int) -> None:
        """Time from a changed offer until the car is down at a lower one, or has begun to use a higher one."""
        now = self._clock.ticks_ms()
        if offered_ma != self._offered_ma:
            self._since = now
            self._set_goal(offered_ma)
        self._offered_ma = offered_ma
        self._current_ma = current_ma
        if not self._goal_ma:
            return
        took_ms = ticks_diff(now, self._since)
        if current_ma >= self._goal_ma if self._rising else current_ma <= self._goal_ma:
            known = entry["follow_ms"]
            entry["follow_ms"] = took_ms if known is None else (3 * known + took_ms) // 4
            self._goal_ma = 0
        elif took_ms > _GIVE_UP_MS:
            self._goal_ma = 0

    def _set_goal(self, offered_ma: int) -> None:
        # Only a car that used what it was offered shows by its current that it follows.
        former_ma = self._offered_ma
        last_ma = self._current_ma
        self._rising = offered_ma > former_ma
        self._goal_ma = 0
        if not former_ma or abs(offered_ma - former_ma) < _STEP_MA:
            return
        if self._rising and last_ma >= former_ma - _USED_MA:
            self._goal_ma = last_ma + _USED_MA
        elif not self._rising and last_ma > offered_ma + _USED_MA:
            self._goal_ma = offered_ma + _USED_MA
