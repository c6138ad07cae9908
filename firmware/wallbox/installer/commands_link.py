"""Commands of the connection itself: who is there, logging in, passwords (R24)."""

from wallbox import VERSION
from wallbox.installer import errors, identity
from wallbox.installer.guard import Guard
from wallbox.installer.passwords import FACTORY, LONGEST, ROLES, SHORTEST, Passwords
from wallbox.installer.security import SecurityLog

PROTOCOL = 1


def _hello(link, _arguments):
    app = link.app
    passwords = Passwords(app.folder, app.log)
    return {
        "protocol": PROTOCOL,
        "product": "wallbox",
        "serial": identity.load(app.folder, app.log)["serial"],
        "version": VERSION,
        "role": link.role,
        "mtu": link.radio.mtu,
        "commissioned": app.settings["wizard_complete"],
        "utc": app.clock.utc_iso(),
        "app_password_set": passwords.is_set("owner"),
        "expert_password_changed": passwords.is_set("expert"),
    }


async def _prove(link, role: str, password: str, what: str) -> None:
    """CommandError unless `password` is that of `role`; counts wrong ones and notes all of it."""
    app = link.app
    guard = Guard(app, link.installer.locks)
    security = SecurityLog(app)
    wait_s = guard.wait_s(role)
    if wait_s:
        if guard.first_refusal(role):
            security.add(what, role, "locked")
        text = "too many wrong passwords; the next try is possible in %d s" % wait_s
        raise errors.CommandError("locked", text, wait_s=wait_s)
    if await Passwords(app.folder, app.log).check(role, password):
        guard.passed(role)
        security.add(what, role, "ok")
        return
    # Counted before the answer goes out: who cuts the supply to keep the count down never learns it.
    wait_s = guard.failed(role)
    security.add(what, role, "wrong")
    raise errors.CommandError("wrong_password", "the password is wrong", "password", wait_s=wait_s)


async def _login(link, arguments):
    role = errors.choice(arguments, "role", ROLES)
    await _prove(link, role, errors.text(arguments, "password", 0, LONGEST), "login")
    link.role = role
    return {"role": role}


def _logout(link, _arguments):
    link.role = "paired"
    return {"role": link.role}


async def _password(link, arguments):
    role = errors.choice(arguments, "role", ROLES)
    if role == "expert" and link.role != "expert":
        raise errors.CommandError("not_allowed", "only an expert may change the expert's password", "expert")
    new = errors.text(arguments, "new", SHORTEST, LONGEST)
    if new == FACTORY[role]:
        raise errors.CommandError("bad_value", "new: the factory's password is not allowed; allowed: any other", "new")
    if "old" in arguments:
        await _prove(link, role, errors.text(arguments, "old", 0, LONGEST), "password_old")
    app = link.app
    await Passwords(app.folder, app.log).change(role, new)
    SecurityLog(app).add("password", role, "changed by " + link.role)


COMMANDS = {
    "hello": ("paired", _hello),
    "login": ("paired", _login),
    "logout": ("paired", _logout),
    "password": ("owner", _password),
}
