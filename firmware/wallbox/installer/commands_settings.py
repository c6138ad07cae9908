"""Commands that read and change settings; what is allowed the settings decide, who may is their group (R24)."""

from wallbox.installer import commands, errors
from wallbox.storage.settings import SettingError, group_of, role_of

_PERCENT = (5, 100)  # as the setting


def judge_roles(link, changes) -> None:
    """CommandError unless the connection's role may change all these settings."""
    if not isinstance(changes, dict):
        errors.refuse("set", changes, 'an object such as {"name": "garage"}')
    role = "owner"
    for key in changes:
        try:
            if group_of(key) == "wizard":
                raise errors.CommandError("bad_value", "%s: it is set by the wizard's last step" % key, key)
            if role_of(key) == "expert":
                role = "expert"
        except KeyError:
            # The settings themselves refuse it, and name the nearest.
            continue
    commands.demand(link, role)


def change(link, changes: dict, judge_only: bool = False) -> tuple:
    """Change settings, or only judge -> the keys that change; CommandError."""
    settings = link.app.settings
    try:
        if judge_only:
            return settings.judge(changes)
        return settings.update(changes, link.role)
    except SettingError as error:
        text = str(error)
        if text.startswith("settings: not stored"):
            raise errors.CommandError("flash", text)
        field = text.partition(":")[0]
        raise errors.CommandError("bad_value", text, field)


def _settings(link, arguments):
    check = errors.flag(arguments, "check", False)
    changed = ()
    if "set" in arguments:
        judge_roles(link, arguments["set"])
        changed = change(link, arguments["set"], check)
    return {"settings": link.app.settings.as_dict(), "changed": changed}


async def _schema(link, _arguments):
    from wallbox.installer import transfers

    return await transfers.get(link, {"name": "settings-schema"})


def _brightness(link, arguments):
    percent = errors.whole(arguments, "percent", *_PERCENT)
    if errors.flag(arguments, "keep", False):
        change(link, {"led_brightness_percent": percent})
        link.app.led.preview(None)
    else:
        link.app.led.preview(percent)
    return {"percent": percent}


COMMANDS = {
    "settings": ("paired", _settings),
    "schema": ("paired", _schema),
    "brightness": ("owner", _brightness),
}
