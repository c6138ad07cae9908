"""Task `backend`: loads what speaks with a central system only while one is set up; it decides nothing."""

import asyncio
import io
import sys

from wallbox.timer import unwatched

_NEEDS = ("ocpp_url", "ocpp_password", "charge_point_id")
_FOLDER = "wallbox.backend"
_LOADED = ("image", "records", "station", "wiring")


class Backend:
    """`app` is the composition root. `wiring` is None while no central system is set up."""

    def __init__(self, app):
        self._app = app
        self._wake = asyncio.Event()
        self.wiring = None
        app.settings.listeners.append(self._settings_changed)
        app.session.listeners.append(self._session_changed)
        if app.settings["ocpp_url"]:
            try:
                self._load()
            except Exception as error:
                # The wallbox has to start without it; the task tries again, and fails by itself.
                text = io.StringIO()
                sys.print_exception(error, text)
                app.log.add("error", "ocpp", "failed", text.getvalue())

    def _load(self) -> None:
        self.wiring = __import__(_FOLDER + ".wiring", None, None, ("x",)).Wiring(self._app)
        self._app.access.decide = self.wiring.card

    def _let_go(self) -> None:
        app = self._app
        app.access.decide = None
        self.wiring = None
        if not app.settings["ocpp_url"]:
            # Nobody is left who could take back what was ordered.
            app.offer.clear("backend")
            app.session.hold(None)
        package = sys.modules[_FOLDER]
        for name in _LOADED:
            sys.modules.pop(_FOLDER + "." + name, None)
            if hasattr(package, name):
                delattr(package, name)
        for name in [name for name in sys.modules if name == "ocpp" or name.startswith("ocpp.")]:
            del sys.modules[name]

    def _settings_changed(self, keys) -> None:
        if any(key in keys for key in _NEEDS):
            self._wake.set()

    def _session_changed(self, begun: bool) -> None:
        if self.wiring is None:
            return
        try:
            self.wiring.session_changed(begun)
        except Exception as error:
            # A full heap, or a mistake: whoever keeps the session has to go on.
            self.wiring.point.failed(error)

    def keep(self) -> None:
        """Bring to flash what waits for it, since the box is about to restart; an error is logged."""
        if self.wiring is None:
            return
        try:
            self.wiring.point.keep()
        except Exception as error:
            self.wiring.point.failed(error)

    def security_event(self, kind: str, info: str) -> None:
        """Tell the central system, as soon as it is there; without one nobody is told."""
        if self.wiring is None:
            return
        try:
            self.wiring.point.security.event(kind, info)
        except Exception as error:
            self.wiring.point.failed(error)

    def firmware_updated(self, info: str) -> None:
        """A new firmware is kept; of one that it has ordered the charge point tells by itself."""
        if self.wiring is not None and not self.wiring.point.upkeep.installing:
            self.security_event("FirmwareUpdated", info)

    def refusal(self, id_tag: str):
        """Why the box itself may not permit a session of `id_tag` now, in words, or None."""
        return None if self.wiring is None else self.wiring.point.refusal(id_tag)

    def connected(self) -> bool:
        """Whether there is a connection to the central system."""
        return self.wiring is not None and self.wiring.connected()

    def reachable(self) -> None:
        """The network has another way: the next attempt to connect does not wait."""
        if self.wiring is not None:
            self.wiring.point.link.reachable()

    def status(self) -> dict:
        """{"connected", "url", "state", "registration", "reason", "waiting" (messages not delivered), ...}."""
        url = self._app.settings["ocpp_url"]
        if self.wiring is None:
            return {"connected": False, "url": url}
        return dict(self.wiring.status(), url=url)

    async def run(self, beat=unwatched) -> None:
        """Serve the central system that is set up; begin anew when another is."""
        while True:
            beat(None)
            self._wake.clear()
            if self.wiring is None and self._app.settings["ocpp_url"]:
                await __import__(_FOLDER + ".wiring", None, None, ("x",)).prepare(self._app)
                self._load()
            if self.wiring is None:
                await self._wake.wait()
                continue
            try:
                await self.wiring.run(self._wake)
            finally:
                self._let_go()
