"""The installation wizard (R6, R23): which steps are done, and what is missing for the others; kept over restarts.

What a step needs is looked at anew each time, so that a step whose settings were lost is open again.
"""

from micropython import const

from wallbox.storage.store import Store

_VERSION = const(1)
OPEN, DONE, SKIPPED = "open", "done", "skipped"
# In their order. The test charge comes last: before the summary is confirmed nothing charges (R6).
STEPS = ("electrical", "meter", "network", "backend", "cards", "summary", "test")
_SKIPPABLE = ("network", "backend", "cards", "test")
# Settings that somebody must have chosen, even if the choice is the default.
_CHOSEN = {
    "electrical": "rated_a phases connection_a earthing",
    "meter": "meter_model",
}
# Groups of settings that a step may set.
_GROUPS = {
    "electrical": "electrical",
    "meter": "meter electrical solar",
    "network": "network",
    "backend": "backend",
    "cards": "access",
}
# A charge this long shows that box, car and supply work together.
_TEST_S = const(60)


class Wizard:
    """The state of the installation, read from flash at its making."""

    def __init__(self, app):
        self._app = app
        self._store = Store(app.folder, "wizard", _VERSION, app.log)
        found = self._store.load()
        self._state = found if isinstance(found, dict) else {}

    def groups(self, step: str) -> list:
        """The groups of settings that belong to a step."""
        return _GROUPS.get(step, "").split()

    def skippable(self, step: str) -> bool:
        """Whether a box may work without this step."""
        return step in _SKIPPABLE

    def missing(self, step: str) -> list:
        """What a step lacks: settings to choose, cards to register, steps to do, a charge."""
        if step == "summary":
            return [name for name in STEPS[: STEPS.index("summary")] if self.state(name) == OPEN]
        settings = self._app.settings
        lacks = [key for key in _CHOSEN.get(step, "").split() if not settings.is_set(key)]
        if step == "backend" and settings["ocpp_url"] and not settings["charge_point_id"]:
            lacks.append("charge_point_id")
        elif step == "network" and settings["wifi_password"] and not settings["wifi_ssid"]:
            lacks.append("wifi_ssid")
        elif step == "cards" and settings["access_control"]:
            cards = self._app.cards
            lacks += [what for what, there in (("setup", cards.setup), ("charging", cards.charging)) if not there]
        elif step == "test" and not self._has_charged():
            lacks.append("charge")
        return lacks

    def _has_charged(self) -> bool:
        """Whether there was a charge of a minute since the summary was confirmed."""
        if not self._app.settings["wizard_complete"]:
            return False
        store = self._app.store
        record = store.current()
        if record is not None:
            # The store's figures are as old as the last checkpoint.
            status = self._app.session.status()
            record.update(duration_s=status["duration_s"], energy_wh=status["energy_wh"])
        after = self._state.get("after", 0)
        for found in [record] + store.history(1):
            if found and found["id"] > after and found["duration_s"] >= _TEST_S and found["energy_wh"] > 0:
                return True
        return False

    def state(self, step: str) -> str:
        """OPEN, DONE or SKIPPED."""
        if step == "summary":
            return DONE if self._app.settings["wizard_complete"] else OPEN
        kept = self._state.get(step, OPEN)
        if kept == SKIPPED:
            return SKIPPED
        if step == "test":
            return OPEN if self.missing(step) else DONE
        return DONE if kept == DONE and not self.missing(step) else OPEN

    def mark(self, step: str, state: str) -> None:
        """Keep a step's state; OSError when flash refuses, and the former one stays."""
        changed = dict(self._state)
        changed[step] = state
        if step == "summary":
            newest = self._app.store.history(1)
            changed["after"] = newest[0]["id"] if newest else 0
        self._store.save(changed)
        self._state = changed

    def status(self) -> dict:
        """{"steps": [{"name", "state", "missing"}], "step": the first open one or None, "complete"}."""
        steps = []
        current = None
        for name in STEPS:
            state = self.state(name)
            steps.append({"name": name, "state": state, "missing": self.missing(name) if state == OPEN else []})
            if state == OPEN and current is None:
                current = name
        return {"steps": steps, "step": current, "complete": self._app.settings["wizard_complete"]}
