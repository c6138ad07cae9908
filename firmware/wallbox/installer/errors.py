"""How a command refuses (docs/installer-protocol.md, error codes)."""


class CommandError(Exception):
    """Refusal: `code` for programs, `text` for people, `field` the argument or setting at fault, `more` goes along."""

    def __init__(self, code: str, text: str, field=None, **more):
        super().__init__(text)
        self.answer = dict(more, code=code, text=text)
        if field is not None:
            self.answer["field"] = field


def refuse(field: str, value, allowed: str):
    """Refuse an argument's value; the text names field, value and what is allowed."""
    shown = repr(value)
    if len(shown) > 40:
        shown = shown[:40] + "..."
    raise CommandError("bad_value", "%s: %s is not allowed; allowed: %s" % (field, shown, allowed), field)


def flag(arguments: dict, name: str, default=None):
    """The boolean argument `name`, `default` when it is missing; with None as default it must be there."""
    value = arguments.get(name, default)
    if not isinstance(value, bool) and (value is not default or default is None):
        refuse(name, value, "true, false")
    return value


def whole(arguments: dict, name: str, low: int, high: int, default=None):
    """The whole-number argument `name` in low..high, `default` when it is missing; with None it must be there."""
    value = arguments.get(name, default)
    if type(value) is not int or not low <= value <= high:
        refuse(name, value, "whole numbers %d..%d" % (low, high))
    return value


def choice(arguments: dict, name: str, allowed):
    """The argument `name`, one of `allowed`."""
    value = arguments.get(name)
    if value not in allowed:
        refuse(name, value, ", ".join([str(one) for one in allowed]))
    return value


def text(arguments: dict, name: str, low: int, high: int) -> str:
    """The text argument `name` of low..high characters; the value is not shown when it is refused."""
    value = arguments.get(name)
    if not isinstance(value, str) or not low <= len(value) <= high:
        raise CommandError("bad_value", "%s: not allowed; allowed: text of %d..%d characters" % (name, low, high), name)
    return value


def now_or_never(call, *arguments):
    """Call what raises ValueError when the state of the wallbox does not allow it -> its result."""
    try:
        return call(*arguments)
    except ValueError as error:
        raise CommandError("not_now", str(error))
