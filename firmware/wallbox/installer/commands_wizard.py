"""Command `wizard`: the steps of an installation, one after the other, judged on the box (R6, R23)."""

from wallbox.installer import commands, errors
from wallbox.installer.commands_settings import change
from wallbox.installer.security import SecurityLog
from wallbox.installer.wizard import DONE, OPEN, SKIPPED, STEPS, Wizard
from wallbox.storage.settings import group_of


def _set(link, wizard, step: str, changes) -> None:
    """Change settings that belong to the step."""
    if not isinstance(changes, dict):
        errors.refuse("set", changes, 'an object such as {"rated_a": 16}')
    groups = wizard.groups(step)
    for key in changes:
        try:
            group = group_of(key)
        except KeyError:
            # The settings themselves refuse it, and name the nearest.
            continue
        if group not in groups:
            text = "%s: it does not belong to the step %s" % (key, step)
            raise errors.CommandError("bad_value", text, key)
    change(link, changes)


def _confirm(link, wizard, step: str) -> None:
    """The installer says that the step is as it should be."""
    missing = wizard.missing(step)
    if step == "test":
        # Nobody needs to say more when the box has seen the charge.
        if missing and link.app.snapshot.car_connected:
            raise errors.CommandError("not_now", "test: no charge of a minute was seen yet, and a car is connected")
        wizard.mark(step, SKIPPED if missing else DONE)
        return
    if missing:
        raise errors.CommandError("not_now", "%s: missing: %s" % (step, ", ".join(missing)), missing=missing)
    wizard.mark(step, DONE)
    if step == "summary":
        change(link, {"wizard_complete": True})
        SecurityLog(link.app).add("wizard", link.role, "complete")


def _wizard(link, arguments):
    wizard = Wizard(link.app)
    if "step" in arguments:
        commands.demand(link, "expert")
        step = errors.choice(arguments, "step", STEPS)
        if "set" in arguments:
            _set(link, wizard, step, arguments["set"])
        if errors.flag(arguments, "confirm", False):
            _confirm(link, wizard, step)
        elif "confirm" in arguments:
            if not wizard.skippable(step):
                raise errors.CommandError("bad_value", "confirm: the step %s cannot be skipped" % step, "confirm")
            wizard.mark(step, SKIPPED)
        elif "set" in arguments and not wizard.missing(step):
            wizard.mark(step, DONE)
        elif wizard.state(step) == SKIPPED:
            # Somebody has come back to it.
            wizard.mark(step, OPEN)
    return {"wizard": wizard.status()}


COMMANDS = {"wizard": ("paired", _wizard)}
