"""Commands for upkeep: service, restart, factory reset; each has to be confirmed."""

from wallbox.installer import erase, errors
from wallbox.installer.security import SecurityLog
from wallbox.protection.faults import CATALOGUE, SERVICE


def _confirmed(arguments) -> None:
    if arguments.get("confirm") is not True:
        errors.refuse("confirm", arguments.get("confirm"), "true")


def _not_charging(link, what: str) -> None:
    # Opening under load wears the contactor (R8).
    if link.app.snapshot.contactor_commanded:
        raise errors.CommandError("not_now", "%s: not while a car charges; end the charge first" % what)


def _service(link, arguments):
    _confirmed(arguments)
    app = link.app
    latched = [row[0] for i, row in enumerate(CATALOGUE) if row[2] == SERVICE and app.faults.is_active(i)]
    app.service()
    SecurityLog(app).add("service", link.role, "cleared " + ", ".join(latched) if latched else "nothing was latched")
    return {"cleared": latched}


def _restart(link, arguments):
    _confirmed(arguments)
    _not_charging(link, "restart")
    app = link.app
    app.log.add("info", "installer", "restart", "the %s restarts the wallbox" % link.role)
    SecurityLog(app).add("restart", link.role, "ok")

    def restart():
        app.backend.keep()
        app.restart("restart by installer")

    link.after = restart


def _factory_reset(link, arguments):
    errors.choice(arguments, "confirm", ("erase",))
    _not_charging(link, "factory_reset")
    app = link.app
    erase.order(app.folder)
    link.after = lambda: app.restart("factory reset")


COMMANDS = {
    "service": ("expert", _service),
    "restart": ("owner", _restart),
    "factory_reset": ("expert", _factory_reset),
}
