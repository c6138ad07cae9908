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
    """An object some of whose methods are needed once in a while: these are functions of the modules in RARE.

    Each call loads them, so what calls may get a MemoryError, and then nothing has been done. Such a function has the
    object as its first argument, `self`, and calls its neighbours directly, so as not to be loaded again.
    """

    RARE = ()

    def __getattr__(self, name: str):
        for module in self.RARE:
            function = getattr(borrow(module), name, None)
            if function is not None:
                return lambda *arguments, **named: function(self, *arguments, **named)
        raise AttributeError(name)
