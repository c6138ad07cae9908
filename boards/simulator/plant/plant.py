"""The plant put together: what people and tests can do to it, and what the simulated board senses of it."""

import time

from micropython import const

from plant import check, faults, network
from plant.car import ASLEEP, Car
from plant.contactor import Contactor
from plant.dice import Dice
from plant.faults import FAULTS
from plant.flash import FlashDevice
from plant.meter import MeterSlave
from plant.mfrc522_chip import Mfrc522Chip
from plant.panel import Panel
from plant.pilot import Pilot
from plant.radio import Radio
from plant.rcm import Rcm
from plant.scheduler import Scheduler
from plant.supply import Supply
from plant.thermal import Thermal
from plant.watchdog import Watchdog

__all__ = ("FAULTS", "Plant")

_TAP_MS = const(500)
_STREAMS = const(2)
# Apart from the other streams: a key drawn or not changes nothing of what they give.
_SECRETS = const(0x5A17)
_MAX_SEED = const(0xFFFFFFFF)
_CAR_A = (6, 80)  # what IEC 61851-1 can offer
_DRAW_A = (0, 100)
_HOUSE_A = (-200, 200)
_GRID_V = (0, 400)
_GRID_HZ = (40, 70)
_PV_W = (0, 50_000)
_AMBIENT_C = (-40, 85)
_CAR_WH = (0, 1_000_000)
_LAG_MS = (50, 10_000)
_SLOPE_A = (0, 100)
_AUTO = "auto"


def _no_sync() -> None:
    """In virtual time only `advance_to` moves the plant."""


def _no_reset(_cause: str) -> None:
    """Nobody restarts the firmware."""


class Plant(Scheduler):
    """Physics around the board, in ms since its own start.

    `changed` counts changes, by at least one step of the hal's units, of what the firmware can sense
    through pilot, contactor, rcm, supply (without the energy counter) and temperature; `drifted` counts
    those among them that are the slow drift of the temperature. `sync` is called
    by every hal function first; it does nothing until `follow_host` or the owner replaces it.
    `on_reset(cause)` is called when the watchdog has expired.
    """

    def __init__(self, seed: int = 0, flash_path=None):
        super().__init__()
        if not isinstance(seed, int) or not 0 <= seed <= _MAX_SEED:
            check.refuse("seed", seed, "whole numbers 0..%d" % _MAX_SEED)
        tolerances = Dice(seed * _STREAMS)
        self.seed = seed
        self.entropy = Dice(seed * _STREAMS + 1)
        self.secrets = Dice(seed ^ _SECRETS)
        self.radio = Radio()
        self.changed = 0
        self.drifted = 0
        self.powered = True
        self.faults = {}
        self.sync = _no_sync
        self.on_reset = _no_reset
        self.reset_cause = "power_on"
        self.contact_closed = False
        self.network_up = True
        self.surroundings = {name: network.Surroundings() for name in network.NAMES}
        # The firmware's connections to elsewhere, each with `way`, the name of its link, and `cut()`.
        self.links = []
        self._ticks_ms = time.ticks_ms
        self._host_ticks = 0
        self._card_slot = self.slot(self._card_leaves)
        self.watchdog = Watchdog(self)
        self.contactor = Contactor(self)
        self.rcm = Rcm(self)
        self.pilot = Pilot(self, tolerances)
        self.vehicle = Car(self, tolerances)
        self.thermal = Thermal(self)
        self.supply = Supply(self)
        self.panel = Panel(self)
        self.reader_chip = Mfrc522Chip(self)
        self.meter = MeterSlave(self)
        self.flash_device = FlashDevice(flash_path, self.power_off)
        self.supply.refresh()
        self.pilot.update()

    def follow_host(self, ticks_ms=time.ticks_ms) -> None:
        """Real time: from now on `sync` carries the plant along with `ticks_ms`, the host's clock or a faster one."""
        self._ticks_ms = ticks_ms
        self._host_ticks = ticks_ms()
        self.sync = self._sync_host

    def _sync_host(self) -> None:
        ticks = self._ticks_ms()
        passed = time.ticks_diff(ticks, self._host_ticks)
        if passed > 0:
            self._host_ticks = ticks
            self.advance_to(self.now_ms + passed)

    # The car.

    def plug(
        self, phases: int = 3, max_a=32, wants: bool = True, soc_wh=None, asleep: str = "no", lag_ms=250, slope_a=0
    ) -> None:
        """Plug a car in; `soc_wh` is the energy in Wh it still wants, None for no end.

        `asleep` is "no", or what wakes it: state F for 4 s ("f_4s") or 30 s ("f_30s"), or nothing ("never"). It begins
        to follow a changed offer after `lag_ms`, then by `slope_a` a second (0: in at most four quick steps).
        """
        check.choice("phases", phases, (1, 3))
        check.number("max_a", max_a, *_CAR_A, "A")
        check.flag("wants", wants)
        if soc_wh is not None:
            check.number("soc_wh", soc_wh, *_CAR_WH, "Wh")
        check.choice("asleep", asleep, ASLEEP)
        check.number("lag_ms", lag_ms, *_LAG_MS, "ms")
        check.number("slope_a", slope_a, *_SLOPE_A, "A/s")
        if self.vehicle.plugged:
            raise ValueError("plug: a car is plugged in already; unplug it first")
        self.sync()
        self.vehicle.plug(phases, int(max_a * 1000), wants, soc_wh, asleep, int(lag_ms), int(slope_a * 1000))

    def unplug(self) -> None:
        """Pull the plug, whatever flows."""
        self._need_car("unplug")
        self.sync()
        self.vehicle.unplug()

    def car(self, state=None, draw_a=None, diode=None, ignore_pwm=None, asleep=None) -> None:
        """Work the car by hand; None leaves a thing as it is, "auto" gives state or draw_a back to the car.

        state "B", "C" or "D"; draw_a in A for its phases or a list of three, drawn whenever mains is
        there; diode False is a shorted one; ignore_pwm True lets the car go on whatever the pilot says;
        asleep as for `plug`.
        """
        if state is not None:
            check.choice("state", state, ("B", "C", "D", _AUTO))
        if draw_a is not None and draw_a != _AUTO:
            check.three("draw_a", draw_a, *_DRAW_A, "A")
        for field, value in (("diode", diode), ("ignore_pwm", ignore_pwm)):
            if value is not None:
                check.flag(field, value)
        if asleep is not None:
            check.choice("asleep", asleep, ASLEEP)
        self._need_car("car")
        self.sync()
        if asleep is not None:
            self.vehicle.sleep(asleep)
        if diode is not None:
            self.vehicle.short_diode(not diode)
        if ignore_pwm is not None:
            self.vehicle.ignore(ignore_pwm)
        if state is not None:
            self.vehicle.hold_state(None if state == _AUTO else state)
        if draw_a is not None:
            self.vehicle.hold_draw(None if draw_a == _AUTO else self._milliamps(draw_a))

    def _milliamps(self, draw_a) -> tuple:
        if not isinstance(draw_a, (list, tuple)):
            draw_a = (draw_a, draw_a, draw_a) if self.vehicle.phases == 3 else (draw_a, 0, 0)
        return tuple([int(amps * 1000) for amps in draw_a])

    def _need_car(self, action: str) -> None:
        if not self.vehicle.plugged:
            raise ValueError("%s: no car is plugged in; plug one in first" % action)

    # Grid, house, surroundings.

    def grid(self, volts=None, hz=None) -> None:
        """Set the supply: volts one number or three, hz."""
        millivolts = millihertz = None
        if volts is not None:
            millivolts = [int(v * 1000) for v in check.three("volts", volts, *_GRID_V, "V")]
        if hz is not None:
            millihertz = int(check.number("hz", hz, *_GRID_HZ, "Hz") * 1000)
        self.sync()
        self.supply.set_grid(millivolts, millihertz)

    def house(self, amps=None, pv_w=None) -> None:
        """Set what the house draws, one number or three, and what its solar plant gives, spread evenly."""
        milliamps = None
        if amps is not None:
            milliamps = [int(a * 1000) for a in check.three("amps", amps, *_HOUSE_A, "A")]
        if pv_w is not None:
            pv_w = int(check.number("pv_w", pv_w, *_PV_W, "W"))
        self.sync()
        self.supply.set_house(milliamps, pv_w)

    def ambient(self, celsius) -> None:
        """Set the temperature around the box; the board follows with its time constant."""
        check.number("celsius", celsius, *_AMBIENT_C, "degC")
        self.sync()
        self.thermal.set_ambient(celsius)

    def contact(self, closed: bool) -> None:
        """Close or open the dry contact PS_1/PS_2."""
        self.contact_closed = check.flag("closed", closed)

    def network(self, up=None, link=None, **changes) -> None:
        """Let the communication module and its links work, or not; or change what one of them finds.

        `link` is "lan", "wlan" or "modem"; `up` then whether there is a cable, an access point or a mobile network, and
        `changes` those of `Surroundings.change`.
        """
        if link is None:
            if changes:
                check.refuse("link", link, ", ".join(network.NAMES))
            self.network_up = check.flag("up", up)
            if not up:
                self.cut_links()
            return
        check.choice("link", link, network.NAMES)
        if self.surroundings[link].change(up=up, **changes):
            for one in [one for one in self.links if one.way == link]:
                one.cut()

    def cut_links(self) -> None:
        """Drop all connections, as a module does that is without supply or is started anew."""
        while self.links:
            self.links.pop().cut()

    def tap(self, uid) -> None:
        """Hold a card with a UID of 4, 7 or 10 bytes to the reader for half a second."""
        if not isinstance(uid, (bytes, bytearray)) or len(uid) not in (4, 7, 10):
            check.refuse("uid", uid, "4, 7 or 10 bytes")
        uid = bytes(uid)
        self.sync()
        chip = self.reader_chip
        chip.present(uid)
        for other in chip.uids():
            if other != uid:
                chip.remove(other)
        self.at(self._card_slot, self.now_ms + _TAP_MS)

    def _card_leaves(self) -> None:
        self.reader_chip.remove()

    # Faults.

    def fault(self, name: str, value=None) -> None:
        """Inject a fault of FAULTS; a second call changes its value."""
        value = faults.value_of(faults.known(name), value)
        self.sync()
        self.faults[name] = value
        self._apply(name)

    def clear(self, name: str) -> None:
        """Remove a fault; one that is not there stays away."""
        faults.known(name)
        self.sync()
        if name in self.faults:
            del self.faults[name]
            self._apply(name)

    def _apply(self, name: str) -> None:
        active = name in self.faults
        value = self.faults.get(name)
        if name.startswith("residual"):
            self.rcm.leak(*[int(self.faults.get(kind, 0) * 1000) for kind in ("residual_dc", "residual_ac")])
        elif name.startswith("weld"):
            pole = int(name[-1]) - 1
            if active:
                self.contactor.weld(pole, bool(value))
            else:
                self.contactor.free(pole)
        elif name == "no_close":
            self.contactor.block(active)
        elif name == "slow_open":
            self.contactor.slow(value)
        elif name == "pilot_short":
            self.pilot.short(value)
        elif name == "pilot_stuck":
            self.pilot.stick(None if value is None else int(value))
        elif name == "pilot_voltage":
            self.pilot.foreign(None if value is None else int(value * 1000))
        elif name == "temperature_sensor":
            self.thermal.break_sensor(value)
        elif name == "rcm_test_fails":
            self.rcm.break_test(active)
        elif name in ("rcm_stuck", "rcm_wire"):
            self.rcm.break_output(self.faults.get("rcm_stuck"), "rcm_wire" in self.faults)
        elif name == "flash_error":
            self.flash_device.fails = active
        elif name == "overcurrent":
            self.vehicle.review()
        else:
            # The supply reads its own faults; the meter looks into `faults` when it is asked.
            self.supply.refresh()

    # Supply of the box and restarts.

    def power_off(self) -> None:
        """Cut the supply of house and box; the car stays plugged, the contactor drops."""
        self.sync()
        if not self.powered:
            return
        self.powered = False
        self._outputs_off()
        self.radio.reset()
        self.watchdog.stop()
        self.rcm.power(False)
        self.panel.dark()
        self.reader_chip.reset(True)
        self.flash_device.power(False)
        self.pilot.update()
        self.supply.refresh()

    def power_on(self) -> None:
        """Restore the supply; whoever runs the firmware starts it."""
        self.sync()
        if self.powered:
            return
        self.powered = True
        self.reset_cause = "power_on"
        self.reader_chip.reset(False)
        self.flash_device.power(True)
        self.rcm.power(True)
        self.pilot.update()
        self.supply.refresh()
        self.meter.restart()

    def restart(self, cause: str) -> None:
        """The controller resets ("software" or "watchdog"): outputs fall to their safe levels at once."""
        self.reset_cause = cause
        self._outputs_off()
        self.radio.reset()
        if cause == "watchdog":
            self.on_reset(cause)
        else:
            self.watchdog.stop()

    def _outputs_off(self) -> None:
        """Pull resistors of the board: coil off, pilot at -12 V (not available), no test, no tone."""
        self.contactor.command(False)
        self.pilot.set_duty(0)
        self.rcm.set_test(False)
        self.panel.sound(0)

    # For those who look on.

    @property
    def grid_a(self) -> list:
        """Current in A at the connection to the grid on L1..L3, export negative."""
        return [milliamps / 1000 for milliamps in self.supply.grid_ma]

    def view(self) -> dict:
        """Car, house and connection as plain data for the control API."""
        car = self.vehicle
        supply = self.supply
        return {
            "car": {
                "plugged": car.plugged,
                "state": car.state,
                "draw_a": [milliamps / 1000 for milliamps in supply.current_ma],
                "offer_a": self.pilot.offer_ma / 1000 if car.plugged else 0,
                "soc_wh": car.left_wh(),
                "wants": car.wants,
                "asleep": car.asleep,
                "phases": car.phases,
                "max_a": car.max_ma / 1000,
            },
            "house": {"amps": [milliamps / 1000 for milliamps in supply.house_ma], "pv_w": supply.pv_w},
            "grid_a": self.grid_a,
            "flash_writes": self.flash_device.writes,
            "plant_ms": self.now_ms,
        }
