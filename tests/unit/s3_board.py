"""Loads modules of boards/esp32s3/hal on stand-ins of the chip's own modules; a test aid."""

import sys

_ROOT = __file__[: -len("tests/unit/s3_board.py")]
_FOLDERS = [_ROOT + "boards/esp32s3", _ROOT + "tests/unit/stand_in"]


def _is_of_board(name):
    """The board's package, or a stand-in of something on it."""
    path = getattr(sys.modules[name], "__file__", "")
    return name == "hal" or name.startswith("hal.") or "/stand_in/" in path


def chip():
    """Forget board and chip as they were -> (machine, esp32), after a power cut, with an empty flash."""
    sys.path[:] = _FOLDERS + [folder for folder in sys.path if folder not in _FOLDERS]
    for name in [name for name in sys.modules if _is_of_board(name)]:
        del sys.modules[name]
    import esp32
    import machine

    return machine, esp32


def load(name):
    """A module of the board's package `hal`, as after a restart of the firmware: the chip stays as it is."""
    for module in [module for module in sys.modules if module == "hal" or module.startswith("hal.")]:
        del sys.modules[module]
    return getattr(__import__("hal." + name), name)
