"""The composition root: the only place that knows all parts and wires them together."""

import os
from time import ticks_diff

from micropython import const

import hal.ble
import hal.buzzer
import hal.clock
import hal.contact
import hal.contactor
import hal.flash
import hal.leds
import hal.net
import hal.pilot
import hal.rcm
import hal.reader
import hal.rs485
import hal.supply
import hal.system
import hal.temperature
import hal.watchdog
from journal import Journal
from mfrc522 import Mfrc522
from wallbox import VERSION, status
from wallbox.access.access import Access
from wallbox.access.cards import Cards
from wallbox.access.reader import CardReader
from wallbox.backend.backend import Backend
from wallbox.charging import control as loop
from wallbox.charging.delay import RestartDelay
from wallbox.charging.habits import Habits
from wallbox.charging.offer import Offer
from wallbox.charging.session import Session
from wallbox.charging.snapshot import Snapshot
from wallbox.charging.states import NAMES as STATE_NAMES
from wallbox.charging.wakeup import PULSE_S
from wallbox.charging.why import Why
from wallbox.clock import Clock
from wallbox.energy.budget import SwitchingBudget
from wallbox.energy.grid import GridWatch, PeakShaving, WeakGrid
from wallbox.energy.house import House
from wallbox.energy.load import LoadLimit
from wallbox.energy.reader import MeterReader
from wallbox.energy.rtu import RtuMaster
from wallbox.energy.solar import SolarLimit
from wallbox.events import EventLog, Ring
from wallbox.installer.server import ERASE_MARK, Installer, load
from wallbox.jobs import Jobs
from wallbox.network.manager import Manager
from wallbox.panel.buzzer import Buzzer
from wallbox.panel.led import LedBar
from wallbox.protection.faults import (
    CATALOGUE,
    COMMUNICATION,
    CONTACTOR_WORN,
    METER,
    PERSISTENT_MASK,
    SERVICE,
    STORAGE,
    Faults,
)
from wallbox.protection.faults import text as fault_text
from wallbox.storage.cars import CarMemory
from wallbox.storage.sessions import SessionStore
from wallbox.storage.settings import Settings
from wallbox.storage.store import Store
from wallbox.supervisor import Supervisor
from wallbox.update.service import Update

# A product rating, not a setting: 6 m of 6 mm2 cable and a 32 A contactor.
_CABLE_MA = const(32_000)
_RING_SIZE = const(48)
# Housekeeping looks at communication and latches this often.
_HOUSEKEEPING_MS = const(250)
_HOUSEKEEPING_REST_MS = const(15_000)
_COMMUNICATION_MS = const(3_000)
_OFFER_NOTED_MA = const(1_000)
_VERSION = const(1)
_NO_FLASH = "/no-flash"
# 4 files of 4,000 bytes hold the newest 120 entries of the security log and more.
_SECURITY_FILES = const(4)


class Board:
    """One instance of each device of the control loop."""

    def __init__(self):
        self.pilot = hal.pilot.Pilot()
        self.contactor = hal.contactor.Contactor()
        self.rcm = hal.rcm.Rcm()
        self.supply = hal.supply.Supply()
        self.temperature = hal.temperature.Temperature()


class App:
    """All parts of the wallbox; `run` never ends but by a reset."""

    def __init__(self):
        self.board = Board()
        self.clock = Clock(hal.clock)
        self.log = EventLog(self.clock)
        self.snapshot = Snapshot()
        self.ble = hal.ble.Ble()
        # Before anything is stored: a firmware on trial stores with care.
        self.update = Update(self)
        self._mount()
        self.settings = Settings(Store(self.folder, "settings", _VERSION, self.log), self.log)
        self.ring = Ring(_RING_SIZE)
        self.faults = Faults(self.clock, self._fault_raised, self._fault_cleared)
        self.offer = Offer(self.clock, self._poke)
        self.delay = RestartDelay(self.settings, hal.system)
        self.store = SessionStore(self.folder, self.log)
        self.session = Session(self.clock, self.settings, self.store, self.log, self._session_moved)
        self.control = loop.Control(
            self.clock,
            self.board,
            self.faults,
            self.offer,
            self.session,
            self.delay,
            self.snapshot,
            self.ring,
        )
        self.health = self.control.contactor.health
        self.health.attach(Store(self.folder, "health", _VERSION, self.log), self.log)
        self._latches = Store(self.folder, "latches", _VERSION, self.log)
        self._latched = self._restore_latches()
        self.recorder = self.control.recorder
        self.recorder.attach(self.folder, self.log)
        memory = CarMemory(Store(self.folder, "cars", _VERSION, self.log), self.log)
        self.habits = Habits(self.clock, self.snapshot, self.session, self.control.wake, memory)
        self._build_panel()
        self._build_energy()
        self.why = Why(
            self.clock,
            self.settings,
            self.snapshot,
            self.faults,
            self.offer,
            self.session,
            self.delay,
            self.control.wake,
        )
        self.net = hal.net.Net()
        self.network = Manager(self, self.net)
        self._net_ok_at = self.clock.ticks_ms()
        self._why_code = None
        self._noted_ma = 0
        # The last residual-current self-test: passed, ms to the trip, when as UTC (or None) and as uptime in s (R37).
        self.self_test = None
        self.supervisor = Supervisor(self.clock, hal.watchdog.Watchdog(), self.log, self._stop)
        self.installer = Installer(self, self.ble)
        self.installer.complete()
        self.backend = Backend(self)
        self.settings.listeners.append(self._settings_changed)
        self.settings.listeners.append(self.installer.settings_changed)
        self.access.on_setup_card = self.installer.somebody_there
        self._settings_changed(None)

    def _mount(self) -> None:
        try:
            self.folder = hal.flash.mount()
            erase = ERASE_MARK in os.listdir(self.folder)
        except OSError as error:
            # Everything then goes on in RAM: an empty store means an unfinished wizard, so nothing charges.
            self.folder = _NO_FLASH
            erase = False
            self.log.add("error", "storage", "no_flash", "the flash memory cannot be mounted: %s" % error)
        self.security = Journal(self.folder, "security", _SECURITY_FILES)
        if erase:
            # A factory reset, ordered before this start or interrupted by a power cut in a former one.
            load("erase").erase(self)
        self.log.attach(self.folder)

    def _build_panel(self) -> None:
        self.buzzer = Buzzer(hal.buzzer.Buzzer())
        self.led = LedBar(hal.leds.Leds(), self.snapshot, self.settings, self.buzzer, self.clock)
        self.cards = Cards(Store(self.folder, "cards", _VERSION, self.log), self.log)
        self.access = Access(self.cards, self.settings, self.session, self.snapshot, self.buzzer, self.clock, self.log)
        self.reader = CardReader(Mfrc522(hal.reader.ReaderSpi()), self.access.card, self.clock, self.log)

    def _build_energy(self) -> None:
        master = RtuMaster(hal.rs485.Rs485(), self.clock)
        self.meter = MeterReader(master, self.settings, self.snapshot, self.clock, self.log)
        settings, offer, clock, log = self.settings, self.offer, self.clock, self.log
        # The order in which they hear of a reading.
        self.house = House(self.meter, settings, self.snapshot, clock, self.habits)
        self.load = LoadLimit(self.meter, self.house, settings, offer, self.snapshot, clock, log)
        self.jobs = Jobs(master, self.meter, self.house, settings, offer, self.snapshot, clock, log)
        budget = SwitchingBudget(settings, self.snapshot, clock)
        self.solar = SolarLimit(self.meter, self.house, settings, offer, self.snapshot, clock, log, budget)
        self.peak = PeakShaving(hal.contact.Contact(), self.house, settings, offer, clock, log)
        self.grid = GridWatch(self.house, self.peak, WeakGrid(settings, offer, self.snapshot, clock), clock)

    # -- called by parts -----------------------------------------------------------------------------

    def _poke(self) -> None:
        self.control.poke()

    def _session_moved(self) -> None:
        """A permission, too, that waits for a car is something that a person can see."""
        self.control.poke()
        self.snapshot.changed.set()

    def _fault_raised(self, fault: int, value: int) -> None:
        self.ring.put(loop.EVENT_FAULT, fault, value)

    def _fault_cleared(self, fault: int) -> None:
        self.ring.put(loop.EVENT_CLEARED, fault, 0)

    def _settings_changed(self, keys) -> None:
        self.control.configure(self.settings)
        rated = self.settings["rated_a"] * 1000
        self.offer.set("installer", rated, "rated current set by the installer", "installer")
        self.offer.set("cable", _CABLE_MA, "rating of cable and contactor", "product")
        self.peak.look()

    def _stop(self, reason: str) -> None:
        """Make safe, then reset; the way out for a safety task that failed."""
        self.control.safe_stop()
        self.log.add("error", "supervisor", "reset", reason)
        self.restart(reason)

    def restart(self, reason: str) -> None:
        """Make safe, then reset; it does not return."""
        self.control.safe_stop()
        self.log.flush()
        hal.system.reset(reason)

    def _restore_latches(self) -> list:
        """Latched faults, and the residual current's recoveries of the last hour (R9), as [mask, recoveries]."""
        latched = self._latches.load()
        if not isinstance(latched, list) or [type(part) for part in latched] != [int, int]:
            latched = [0, 0]
        self.faults.restore(latched[0])
        self.control.residual.restore(latched[1], self.clock.ticks_ms())
        return latched

    def service(self) -> None:
        """Service has found and mended the cause: end the faults that only service may end (R10)."""
        for fault in range(len(CATALOGUE)):
            if CATALOGUE[fault][2] == SERVICE:
                self.faults.clear(fault)
        self.log.add("warning", "service", "latches_cleared", "service has cleared the latched faults")
        self._poke()

    # -- tasks ----------------------------------------------------------------------------------------

    async def _housekeeping(self, beat) -> None:
        """Slow things that look at the loop from outside: log, latches, communication."""
        while True:
            self._drain()
            self.habits.look()
            self._save_latches()
            self.recorder.save()
            self._watch_communication()
            self.health.update(self.clock.ticks_ms(), self.snapshot.contactor_closed, self.session.active)
            self._report(CONTACTOR_WORN, self.health.worn is not None, self.health.operations)
            self._note_why()
            beat(_HOUSEKEEPING_REST_MS * 2)
            await self.clock.poll(_HOUSEKEEPING_MS, _HOUSEKEEPING_REST_MS)

    def _drain(self) -> None:
        event = self.ring.get()
        while event is not None:
            self._log_event(*event)
            self.snapshot.changed.set()
            event = self.ring.get()

    def _log_event(self, code: int, a: int, b: int) -> None:
        add = self.log.add
        if code == loop.EVENT_STATE:
            add("info", "pilot", "state", "%s -> %s" % (STATE_NAMES[a], STATE_NAMES[b]))
        elif code == loop.EVENT_FAULT:
            row = CATALOGUE[a]
            level = "error" if row[1] else "warning"
            add(level, "protection", "fault_" + row[0], "%s (%d %s)" % (fault_text(a), b, row[5]))
        elif code == loop.EVENT_CLEARED:
            add("info", "protection", "cleared_" + CATALOGUE[a][0], "gone: %s" % CATALOGUE[a][0])
        elif code == loop.EVENT_SWITCH:
            what = "closed" if a else "opened"
            add("info", "contactor", what, "contactor %s (%d mA)" % (what, b))
        elif code == loop.EVENT_SELF_TEST:
            self._note_self_test(a)
        elif code == loop.EVENT_OFFER:
            self._note_offer(a)
        elif code == loop.EVENT_DELAY:
            add("info", "delay", "delay_drawn", "charging resumes after a random delay of %d s" % a)
        elif code == loop.EVENT_WAKE:
            text = "%d s of state F have woken the car" if b else "the car seems to sleep: state F for %d s"
            add("info", "pilot", "woken" if b else "wake_up", text % PULSE_S[a])

    def _note_self_test(self, passed: int) -> None:
        what = "passed" if passed else "failed"
        self.log.add("info" if passed else "error", "rcm", "self_test_" + what, "residual current self-test " + what)
        self.self_test = (bool(passed), self.control.residual.trip_ms, self.clock.utc_s(), self.clock.uptime_s())

    def _note_offer(self, ma: int) -> None:
        """Log an offer that begins, ends, or has moved by 1 A: one that follows the sun would fill the log."""
        if ma and self._noted_ma and abs(ma - self._noted_ma) < _OFFER_NOTED_MA:
            return
        self._noted_ma = ma
        self.log.add("info", "offer", "offer", "%d mA offered (%s)" % (ma, self.offer.winner.name))

    def _save_latches(self) -> None:
        latched = [self.faults.active & PERSISTENT_MASK, self.control.residual.recoveries]
        if latched == self._latched:
            return
        try:
            self._latches.save(latched)
            self._latched = latched
            self._report(STORAGE, False)
        except OSError as error:
            self.log.add("error", "storage", "not_stored", "a latched fault could not be stored: %r" % error)
            self._report(STORAGE, True)

    def _report(self, fault: int, present: bool, value: int = 0) -> None:
        self.faults.report(fault, present, value, self.clock.ticks_ms())

    def _watch_communication(self) -> None:
        now = self.clock.ticks_ms()
        if self.net.module_ok():
            self._net_ok_at = now
        lost = ticks_diff(now, self._net_ok_at) >= _COMMUNICATION_MS
        if self.snapshot.communication_ok == lost:
            self.snapshot.communication_ok = not lost
            self.snapshot.changed.set()
            self._report(COMMUNICATION, lost)
        if self.meter.lost != self.faults.is_active(METER):
            self._report(METER, self.meter.lost)

    def _note_why(self) -> None:
        answer = self.why.answer()
        if answer["code"] != self._why_code:
            self._why_code = answer["code"]
            self.log.add("info", "why", answer["code"], answer["text"])

    async def run(self) -> None:
        """Start every task and supervise them."""
        self.log.add("info", "wallbox", "start", "version %s starts after %s" % (VERSION, hal.system.reset_cause()))
        trouble = hal.clock.trouble()
        if trouble:
            self.log.add("warning", "clock", "no_clock", trouble)
        self.control.begin()
        add = self.supervisor.add
        add("control", self.control.run, safety=True)
        add("session", self.session.run)
        add("housekeeping", self._housekeeping)
        add("log", self.log.run)
        add("led", self.led.run)
        add("buzzer", self.buzzer.run)
        add("reader", self.reader.run)
        add("access", self.access.run)
        add("meter", self.meter.run)
        add("load", self.load.run)
        add("grid", self.grid.run)
        add("jobs", self.jobs.run)
        add("installer", self.installer.run)
        add("network", self.network.run)
        add("backend", self.backend.run)
        add("update", self.update.run)
        await self.supervisor.run()

    def status(self) -> dict:
        """See `wallbox.status`."""
        return status.status(self)
