"""Command `charge`: an owner starts and stops charging from the app (R3)."""

from wallbox.installer import errors

_ID_TAG = "app"


def _charge(link, arguments):
    session = link.app.session
    if not errors.flag(arguments, "on"):
        session.stop("app")
    elif not session.authorise(_ID_TAG):
        why = "a session is there already" if session.active else "whether a car is there cannot be told now"
        raise errors.CommandError("not_now", "charge: " + why)
    return {"session": session.status(), "waiting": session.waiting}


COMMANDS = {"charge": ("owner", _charge)}
