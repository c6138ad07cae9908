"""Checks of what people and tests hand to the plant; raises ValueError that says what is allowed."""


def refuse(field: str, value, allowed: str):
    """Raise the ValueError that names the field, the value and what is allowed."""
    raise ValueError("%s: %r is not allowed; allowed: %s" % (field, value, allowed))


def number(field: str, value, low, high, unit: str = ""):
    """Return `value` when it is an int or float in low..high, which excludes NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        refuse(field, value, "%s..%s%s" % (low, high, unit and " " + unit))
    return value


def flag(field: str, value) -> bool:
    """Return `value` when it is a bool."""
    if not isinstance(value, bool):
        refuse(field, value, "true, false")
    return value


def choice(field: str, value, allowed: tuple):
    """Return `value` when it is one of `allowed`, of the same type."""
    for one in allowed:
        if type(one) is type(value) and one == value:
            return value
    return refuse(field, value, ", ".join([str(one) for one in allowed]))


def three(field: str, value, low, high, unit: str) -> tuple:
    """Return three numbers in low..high from a list of three, or from one number for all phases."""
    if not isinstance(value, (list, tuple)):
        value = (value, value, value)
    if len(value) != 3:
        refuse(field, value, "three numbers, one for each phase")
    return tuple([number("%s[%d]" % (field, i), value[i], low, high, unit) for i in range(3)])
