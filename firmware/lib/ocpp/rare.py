"""Loads what is needed once in a while, for one use; the heap that a module takes is free again after it."""

import sys

_PACKAGE = "ocpp"


def borrow(name: str):
    """The module `name` of this package, `handlers.core` for one of a package within; not kept.

    Nothing that stays may keep it or its functions, else it is there twice after the next use. A module must not keep
    state.
    """
    full = _PACKAGE + "." + name
    parent, _, last = full.rpartition(".")
    module = __import__(full, None, None, ("x",))
    sys.modules.pop(full, None)
    package = sys.modules[parent]
    if hasattr(package, last):
        delattr(package, last)
    return module


class Rare:
    """An object some of whose methods are needed once in a while and stand in modules that are loaded for the call.

    RARE has a line a module: its name, and the methods that it has. There they are functions with the object, `self`,
    as their first argument. Where the heap has no room for the module, MemoryError is raised before anything is done.
    """

    RARE = ""

    def __getattr__(self, name: str):
        for line in self.RARE.split("\n"):
            names = line.split()
            if name in names[1:]:
                function = getattr(borrow(names[0]), name)
                return lambda *arguments, **named: function(self, *arguments, **named)
        raise AttributeError(name)
