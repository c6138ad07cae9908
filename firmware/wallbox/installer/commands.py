"""Finds a command: which module has it, which role may use it. Loads only the module of the command wanted."""

from wallbox.installer import errors
from wallbox.installer.server import load

ROLES = ("paired", "owner", "expert")
# Modules and their commands.
_WHERE = (
    ("commands_link", "hello login logout password"),
    ("commands_status", "status why live log faults utc"),
    ("commands_settings", "settings schema brightness"),
    ("commands_wizard", "wizard"),
    ("commands_cards", "cards card register setup_card"),
    ("commands_meter", "scan check_meter"),
    ("commands_charge", "charge"),
    ("commands_upkeep", "service restart factory_reset"),
    ("transfers", "get read put done"),
    ("commands_data", "trips report transfers"),
)


def find(name: str):
    """(least role, handler) of a command; CommandError for an unknown one."""
    for module, names in _WHERE:
        if name in names.split():
            return load(module).COMMANDS[name]
    raise errors.CommandError("unknown", "do: no such command: %s" % name[:40])


def demand(link, role: str) -> None:
    """CommandError unless the connection's role may do what `role` may."""
    if ROLES.index(link.role) < ROLES.index(role):
        text = "only %s may do this; log in as %s" % ("an expert" if role == "expert" else "owner or expert", role)
        raise errors.CommandError("not_allowed", text, role)
