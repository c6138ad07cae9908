"""The faults that can be injected into the plant: names, allowed values and defaults."""

from plant import check

# Ranges: name -> default, lowest, highest, unit. None as default: what the fault itself decides.
_RANGES = {
    "residual_dc": (10, 0, 500, "mA"),
    "residual_ac": (40, 0, 500, "mA"),
    "overvoltage": (280, 100, 500, "V"),
    "undervoltage": (170, 0, 300, "V"),
    "overcurrent": (None, 0, 100, "A"),
    # How long an opening takes: contacts that begin to stick, before they weld.
    "slow_open": (60, 1, 5000, "ms"),
    "pilot_short": (80, -1_000_000, 1_000_000, "ohm"),
    "pilot_stuck": (1000, 0, 1000, "permille"),
    "pilot_voltage": (15, -30, 30, "V"),
}
# Choices: name -> default, allowed values.
_CHOICES = {
    # True: welded at rest, too; False: once it has been closed.
    "weld_l1": (False, (False, True)),
    "weld_l2": (False, (False, True)),
    "weld_l3": (False, (False, True)),
    "phase_loss": (2, (1, 2, 3)),
    "temperature_sensor": ("open", ("open", "short")),
    "no_close": (True, (True,)),
    "pe": (True, (True,)),
    "meter_silent": (True, (True,)),
    "meter_garbage": (True, (True,)),
    "rcm_test_fails": (True, (True,)),
    # True: high from now on; False: high for ever once it has tripped.
    "rcm_stuck": (False, (False, True)),
    "rcm_wire": (True, (True,)),
    "flash_error": (True, (True,)),
}

FAULTS = tuple(sorted(list(_RANGES) + list(_CHOICES)))


def known(name) -> str:
    """Return the name of a fault; ValueError for any other."""
    if name not in FAULTS:
        check.refuse("fault", name, ", ".join(FAULTS))
    return name


def value_of(name: str, value):
    """Return the value a fault works with: the default for None; ValueError when it is not allowed."""
    if name in _CHOICES:
        default, allowed = _CHOICES[name]
        return default if value is None else check.choice(name, value, allowed)
    default, low, high, unit = _RANGES[name]
    return default if value is None else check.number(name, value, low, high, unit)
