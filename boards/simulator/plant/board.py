"""Where the simulated board finds its plant, and how power and resets end a run of the firmware.

This module outlives restarts of the firmware; whoever runs the simulator sets its variables.
"""

# For the type checker alone, which takes it for true; the plant imports this module.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from plant.plant import Plant

# The one plant that every `hal` object talks to.
plant: "Plant" = None  # type: ignore
# Path of a pty with a real Modbus peer on its other end; None: the plant's own meter answers.
rs485_path = None
# Virtual time, or real time at another speed: callable for hal.clock.ticks_ms(), and UTC in ms when the plant's time
# was 0. None: host time.
virtual_ticks = None
epoch_ms = 1_767_225_600_000  # 2026-01-01T00:00:00Z, when virtual time starts
# Virtual time only: factory for hal.clock.ticker, and hal.clock.poll.
ticker = None
poll = None
# What was set into the real-time clock, as a shift in ms; its battery keeps it over restarts. None: time unknown.
utc_shift_ms = 0  # type: int | None


# Firmware that was started from a slot: SHA-256 -> content (see hal.slots), and memory for more, taken from the heap
# while it is whole.
maps = {}
rooms = []


class PowerCut(BaseException):
    """The supply went away. Not an Exception, so that no handler of the firmware can swallow it."""


class FirmwareReset(BaseException):
    """The firmware restarts itself; the argument is its reason."""


class WatchdogReset(BaseException):
    """The watchdog restarts the firmware."""
