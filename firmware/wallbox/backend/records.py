"""What a central system gets when it asks for diagnostics: the file of the installer's app, as bytes (R31)."""

from wallbox.installer.server import forget, load

NAME = "diagnostics.json"
# Of the statuses that apps see, what an owner may see leaves out nothing that explains a fault.
_ROLE = "owner"


class _Asker:
    """Stands for the connection of an app."""

    def __init__(self, app):
        self.app = app
        self.role = _ROLE


def collect(app):
    """A function that gives the same content each time, as an iterable of bytes: it is read to be measured first."""
    diagnostics = load("diagnostics").Diagnostics(_Asker(app), None)
    present = [text.encode() for text in diagnostics.present()]
    if app.installer.link is None:
        forget(("diagnostics", "public", "streams"))

    def pieces():
        yield from present
        for text in diagnostics.past():
            yield text.encode()

    return pieces
