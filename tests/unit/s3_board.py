"""Loads modules of boards/esp32s3/hal on stand-ins of the chip's own modules; a test aid."""

import sys

_ROOT = __file__[: -len("tests/unit/s3_board.py")]
_FOLDERS = [_ROOT + "boards/esp32s3", _ROOT + "tests/unit/stand_in"]
_OURS = ("hal", "esp32", "machine", "bluetooth", "slots", "uartmode", "parts")


def _of_chip(name):
    return name in _OURS or name.startswith("hal.")


def chip():
    """Forget board and chip as they were -> (machine, esp32), after a power cut, with an empty flash."""
    sys.path[:] = _FOLDERS + [folder for folder in sys.path if folder not in _FOLDERS]
    for name in [name for name in sys.modules if _of_chip(name)]:
        del sys.modules[name]
    import esp32
    import machine

    return machine, esp32


def load(name):
    """A module of the board's package `hal`, as after a restart of the firmware: the chip stays as it is."""
    for module in [module for module in sys.modules if module == "hal" or module.startswith("hal.")]:
        del sys.modules[module]
    return getattr(__import__("hal." + name), name)
