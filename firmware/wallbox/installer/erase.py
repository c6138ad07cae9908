"""Factory reset: everything an owner or installer has left on the box is erased, at the start that follows the order.

Then nothing is open, and a power cut at any moment leaves the mark, so that the next start goes on.
"""

import os

from wallbox.installer.security import SecurityLog
from wallbox.installer.server import ERASE_MARK
from wallbox.storage.sessions import SessionStore

# Who the box is, what its contactor went through (R33) and how much energy with it, what only service may end
# (R10), and the log's numbers, so that none is given twice.
_KEPT = ("identity", "health", "sessions", "latches", "events_seq")


def order(folder: str) -> None:
    """Have the next start erase; OSError when flash refuses."""
    with open(folder + "/" + ERASE_MARK, "wb"):
        # An empty file is enough.
        pass


def erase(app) -> None:
    """Erase files and bonds; what cannot be erased is logged, and the next start tries again."""
    try:
        SessionStore(app.folder, app.log).forget()
        for name in os.listdir(app.folder):
            if name != ERASE_MARK and name.partition(".")[0] not in _KEPT:
                os.remove(app.folder + "/" + name)
        app.ble.forget_bonds()
        SecurityLog(app).add("factory_reset", "expert", "done")
        os.remove(app.folder + "/" + ERASE_MARK)
    except OSError as error:
        app.log.add("error", "installer", "not_erased", "the factory reset is not complete: %s" % error)
        return
    app.log.add("warning", "installer", "erased", "factory reset: everything but the box's own history was erased")
