"""Checks what is exchanged with a central system against tables of all messages of OCPP 1.6; it changes nothing.

A table is text, since nested objects would take many times the heap. A line of it is `Action>` (request), `Action<`
(response) or `{Object `, and then its fields: a name, `:` when it is required or `?`, and a type:

    i   integer of 32 bits                     sN  string of up to N characters, s of any length
    d   decimal with at most one digit         t   dateTime
    b   boolean                                =A|B  one of these strings
    {X  the object of line `{X `               *T, +T  array of T, with + of one or more
"""

import asyncio

from micropython import const

from ocpp import timestamps
from ocpp.errors import FORMATION, NOT_IMPLEMENTED, OCCURRENCE, PROPERTY, TYPE, CallError
from ocpp.rare import borrow

# The answers to what a charge point sends in daily operation.
_ANSWERS = """
Authorize<idTagInfo:{IdTagInfo
BootNotification<status:=Accepted|Pending|Rejected currentTime:t interval:i
DataTransfer<status:=Accepted|Rejected|UnknownMessageId|UnknownVendorId data?s
Heartbeat<currentTime:t
MeterValues<
StartTransaction<idTagInfo:{IdTagInfo transactionId:i
StatusNotification<
StopTransaction<idTagInfo?{IdTagInfo
{IdTagInfo expiryDate?t parentIdTag?s20 status:=Accepted|Blocked|Expired|Invalid|ConcurrentTx
"""
# Tables that are loaded for one check.
_OTHERS = ("schema_csms", "schema_core", "schema_upkeep")
# OCPP-J 1.6 names no range; 32 bits are what central systems keep (java int, SQL INTEGER).
_INTEGER_MAX = const(0x7FFFFFFF)
# How much of a value an error shows, and how long an errorDescription may be (OCPP-J 1.6, 4.2.3).
_SHOWN = const(40)
_DESCRIPTION = const(255)
# Numbers of one decimal digit are not exact in binary; 32-bit floats of a chip have 24 bits.
_RELATIVE_ERROR = 5e-7
_ABSOLUTE_ERROR = 1e-3
# Objects that are looked at in one go: about 1 ms each on a chip, of the 5 ms that a task may take.
_AT_ONCE = const(4)


def check_request(action: str, payload) -> None:
    """CallError unless `payload` is that of a CALL of `action`, with the code of OCPP-J 1.6, table 7.

    NotImplemented for an unknown action, FormationViolation for a field too many, OccurrenceConstraintViolation for one
    too few or an array too short, TypeConstraintViolation for a wrong type, a text too long, a number of more than
    32 bits or no dateTime, PropertyConstraintViolation for a value that is not one of those allowed.
    """
    for _ in _steps(action + ">", payload):
        pass


def check_response(action: str, payload) -> None:
    """CallError unless `payload` is that of a CALLRESULT of `action`; codes as in `check_request`."""
    for _ in _steps(action + "<", payload):
        pass


async def check_in_slices(action: str, payload, is_request: bool) -> None:
    """As `check_request` or `check_response`, but letting other tasks run meanwhile; for long payloads."""
    for count, _ in enumerate(_steps(action + (">" if is_request else "<"), payload)):
        if count % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep_ms(0)


def _steps(head: str, payload):
    """Look at one object a step, those inside of others later, so that deep payloads take no deep stack."""
    table = _table(head)
    if table is None:
        raise CallError(NOT_IMPLEMENTED, "action: %s; no such message in OCPP 1.6" % shown(head[:-1]))
    known = {}
    work = [(payload, head, "", -1)]
    while work:
        value, head, path, index = work.pop()
        if index >= 0:
            # One element after the other: an entry each would take more heap than the array itself.
            if index + 1 < len(value):
                work.append((value, head, path, index + 1))
            path = "%s[%d]" % (path, index)
            value = value[index]
        if head not in known:
            known[head] = _fields(table, head)
        _check_object(value, known[head], path, work)
        yield


def _table(head: str):
    """The table that has `head`, None when there is none."""
    if not head[:-1].isalpha():
        return None
    line = "\n" + head
    if line in _ANSWERS:
        return _ANSWERS
    for name in _OTHERS:
        table = borrow(name).TABLE
        if line in table:
            return table
    return None


def _fields(table: str, head: str) -> list:
    """[(name, required, type), ...] of the line that begins with `head`."""
    start = table.find("\n" + head) + 1 + len(head)
    fields = []
    for text in table[start : table.find("\n", start)].split():
        middle = text.find(":")
        optional = text.find("?")
        required = middle > 0 and not 0 < optional < middle
        if not required:
            middle = optional
        kind = text[middle + 1 :]
        fields.append((text[:middle], required, "=|" + kind[1:] + "|" if kind[0] == "=" else kind))
    return fields


def shown(value) -> str:
    """A value as an error shows it: texts shortened, of arrays and objects only that they are such."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if not isinstance(value, str):
        return str(value)[:_SHOWN]
    return "'%s'" % (value if len(value) <= _SHOWN else value[:_SHOWN] + "...")


def _refuse(code: str, value, allowed: str) -> None:
    raise CallError(code, "%s; allowed: %s" % (shown(value), allowed))


def _check_object(value, fields: list, path: str, work: list) -> None:
    """Check the fields of one object; objects inside of it are put on `work`."""
    place = ""
    try:
        if not isinstance(value, dict):
            _refuse(TYPE if path else FORMATION, value, "an object")
        left = len(value)
        for name, required, kind in fields:
            if name in value:
                place = name
                left -= 1
                _check(value[name], kind, path, name, work)
            elif required:
                place = name
                raise CallError(OCCURRENCE, "missing")
        place = ""
        if left:
            _refuse_field(value, [field[0] for field in fields])
    except CallError as error:
        # Only now, since most fields are right and each path would be garbage.
        where = (_join(path, place) if place else path) or "payload"
        raise CallError(error.code, ("%s: %s" % (where, error.description))[:_DESCRIPTION])


def _join(path: str, name: str) -> str:
    return path + "." + name if path else name


def _refuse_field(value: dict, names: list) -> None:
    for name in value:
        if name not in names:
            _refuse(FORMATION, name, "no field but " + ", ".join(names) if names else "no field")


def _check(value, kind: str, path: str, name: str, work: list) -> None:
    letter = kind[0]
    if letter == "{":
        work.append((value, kind + " ", _join(path, name), -1))
    elif letter in "*+":
        _check_array(value, kind, _join(path, name), work)
    elif letter in "st=":
        _check_text(value, kind)
    elif letter == "b":
        if not isinstance(value, bool):
            _refuse(TYPE, value, "true or false")
    else:
        _check_number(value, letter)


def _check_array(value, kind: str, path: str, work: list) -> None:
    if not isinstance(value, list):
        _refuse(TYPE, value, "an array")
    if not value and kind[0] == "+":
        raise CallError(OCCURRENCE, "empty; allowed: at least one")
    if kind[1] != "{":
        for item in value:
            _check_text(item, kind[1:])
    elif value:
        work.append((value, kind[1:] + " ", path, 0))


def _check_text(value, kind: str) -> None:
    if not isinstance(value, str):
        _refuse(TYPE, value, "a string")
    if kind[0] == "=":
        if "|" in value or ("|" + value + "|") not in kind:
            _refuse(PROPERTY, value, kind[2:-1].replace("|", ", "))
    elif kind[0] == "t":
        try:
            timestamps.parse(value)
        except ValueError:
            _refuse(TYPE, value, "a dateTime such as 2026-01-31T12:00:00Z")
    elif len(kind) > 1 and len(value) > int(kind[1:]):
        _refuse(TYPE, value, "up to %s characters, not %d" % (kind[1:], len(value)))


def _check_number(value, letter: str) -> None:
    # type(), since a boolean is no number here.
    if type(value) is not int and (letter == "i" or type(value) is not float):
        _refuse(TYPE, value, "an integer" if letter == "i" else "a number")
    if not -_INTEGER_MAX - 1 <= value <= _INTEGER_MAX:
        _refuse(TYPE, value, "%d to %d" % (-_INTEGER_MAX - 1, _INTEGER_MAX))
    if type(value) is float:
        tenths = value * 10
        if abs(tenths - round(tenths)) > abs(tenths) * _RELATIVE_ERROR + _ABSOLUTE_ERROR:
            _refuse(PROPERTY, value, "one decimal digit")
