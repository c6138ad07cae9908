"""Command `charge`: an owner starts and stops charging from the app (R3)."""

from wallbox.installer import errors

_ID_TAG = "app"


def _start(app):
    """Permit a session -> why that is not possible, in words, or None."""
    session = app.session
    if session.active:
        return "a session is there already"
    why = app.backend.refusal(_ID_TAG)
    if why is None and not session.authorise(_ID_TAG):
        why = session.held or "whether a car is there cannot be told now"
    return why


def _charge(link, arguments):
    session = link.app.session
    if not errors.flag(arguments, "on"):
        session.stop("app")
    else:
        why = _start(link.app)
        if why is not None:
            raise errors.CommandError("not_now", "charge: " + why)
    return {"session": session.status(), "waiting": session.waiting}


COMMANDS = {"charge": ("owner", _charge)}
