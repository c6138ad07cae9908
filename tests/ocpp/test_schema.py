"""The firmware's tables of messages against the JSON schemas of another implementation, field by field."""

import copy
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import ocpp
from simulator import MICROPYTHON, ROOT

SCHEMAS = Path(ocpp.__file__).parent / "v16" / "schemas"
CHECKER = ROOT / "tests" / "unit" / "ocpp_schema_checker.py"
CHECK_SECONDS = 120
TIME = "2026-01-31T12:00:00Z"
TYPE, PROPERTY, FORMATION = "TypeConstraintViolation", "PropertyConstraintViolation", "FormationViolation"
OCCURRENCE = "OccurrenceConstraintViolation"
# Unlimited in the schema; 64 characters are enough to be one of them.
SOME_CHARS = 64

# Where both differ on purpose: (message, path, kind of case) with * for any, and the reason.
# Each must occur, and be a case that one accepts and the other refuses.
ARGUED = {
    (
        "*",
        "*",
        "not a dateTime",
    ): "the schema's format is not checked by its validator; a time that cannot be read is none",
    ("*", "*", "beyond 32 bits"): "the specification names no range; central systems keep 32 bits",
    ("*", "*.chargingSchedulePeriod", "empty"): "OCPP 1.6, 7.13: cardinality 1..*; the schema forgot minItems",
    ("StopTransaction", "transactionData[0].sampledValue", "empty"): "OCPP 1.6, 7.33: 1..*; the schema forgot minItems",
    ("MeterValues", "meterValue[0].sampledValue[0].unit", "value Hertz"): "OCPP 1.6, 7.45 has no unit for a frequency, "
    "and the schema of StopTransaction lacks it too",
}


@dataclass
class Case:
    """One message, what is special about it, and the code it should be refused with, None when it is right."""

    message: str
    is_request: bool
    path: str
    kind: str
    payload: Any
    code: str | None

    @property
    def name(self) -> str:
        direction = "request" if self.is_request else "response"
        return f"{self.message} {direction} {self.path}: {self.kind} ({ascii(self.payload)[:80]})"


def schema_of(path: Path) -> dict:
    """A schema with its references replaced by what they refer to."""
    schema = json.loads(path.read_text("utf-8-sig"), parse_float=Decimal)

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(item) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolved(schema["definitions"][part["$ref"].rpartition("/")[2]])
        return {key: resolved(value) for key, value in part.items() if key != "definitions"}

    return resolved(schema)


def values_of(part: Any) -> Iterator[str]:
    """Every value of every enumeration in a schema."""
    if isinstance(part, dict):
        yield from part.get("enum", ())
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from values_of(inner)


FILES = sorted(SCHEMAS.glob("*.json"))
# A value that stands in the wrong list would be one of another's.
VALUES = sorted({value for path in FILES for value in values_of(schema_of(path))})


def example(schema: dict, full: bool) -> Any:
    """A right value: with the required fields and shortest texts, or with all fields and longest texts."""
    kind = schema["type"]
    if kind == "object":
        required = schema.get("required", [])
        fields = schema.get("properties", {}).items()
        return {name: example(field, full) for name, field in fields if full or name in required}
    if kind == "array":
        return [example(schema["items"], full) for _ in range(3 if full else 1)]
    if kind == "string":
        if "enum" in schema:
            return schema["enum"][len(schema["enum"]) // 2 if full else 0]
        if schema.get("format") == "date-time":
            return "2026-01-31T23:59:59.999+14:00" if full else TIME
        return "\u00e9" * schema.get("maxLength", SOME_CHARS) if full else ""
    if kind == "boolean":
        return full
    if kind == "integer":
        return 2**31 - 1 if full else 0
    assert kind == "number" and schema["multipleOf"] == Decimal("0.1")
    return 22000.1 if full else 0


def shortest(schema: dict, path: tuple) -> Any:
    """A right value with the required fields and those on the way to `path`."""
    if not path:
        return example(schema, False)
    if schema["type"] == "array":
        return [shortest(schema["items"], path[1:])]
    return {**example(schema, False), path[0]: shortest(schema["properties"][path[0]], path[1:])}


def places(schema: dict, value: Any, path: tuple = ()) -> Iterator[tuple[tuple, dict, Any]]:
    """Every place of a message: path, schema, value. Of an array the first item stands for all."""
    yield path, schema, value
    if schema["type"] == "object":
        for name, field in schema.get("properties", {}).items():
            if name in value:
                yield from places(field, value[name], (*path, name))
    elif schema["type"] == "array":
        yield from places(schema["items"], value[0], (*path, 0))


def put(payload: Any, path: tuple, value: Any) -> Any:
    """A copy of `payload` with another value at `path`."""
    if not path:
        return value
    payload = copy.deepcopy(payload)
    inner = payload
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return payload


def wrong_values(schema: dict, value: Any) -> Iterator[tuple[str, Any, str | None]]:
    """What to put in a place: kind of case, value, code of the refusal."""
    kind = schema["type"]
    types = {"object": {}, "array": [], "string": "x", "boolean": True, "integer": 7, "number": 7.5}
    for other, instance in types.items():
        if other != kind and (other, kind) != ("integer", "number"):
            yield f"{other} for {kind}", instance, TYPE
    yield f"null for {kind}", None, TYPE
    if kind == "integer":
        yield "float for integer", 1.0, TYPE
        yield "-2**31", -(2**31), None
    if kind in ("integer", "number"):
        yield "beyond 32 bits", 2**31, TYPE
        yield "beyond 32 bits", -(2**31) - 1, TYPE
        yield "beyond 32 bits", 10**20, TYPE
    if kind == "number":
        for good in (0.1, 0.3, 1.1, 5.7, 16.1, 31.9, 1234.6, 99999.9, -0.1, 6, 32.0):
            yield "one digit", good, None
        for bad in (0.15, 16.05, 31.99, 1234.56):
            yield "two digits", bad, PROPERTY
    if kind == "string":
        yield from wrong_strings(schema)
    if kind == "array":
        yield "empty", [], OCCURRENCE if schema.get("minItems") else None
        yield "fifty", value[:1] * 50, None
    if kind == "object":
        yield "extra field", {**value, "extra": 1}, FORMATION
        yield "extra field of an empty name", {**value, "": None}, FORMATION
        for name in schema.get("properties", {}):
            less = {key: item for key, item in value.items() if key != name}
            required = name in schema.get("required", [])
            if name in value:
                yield f"without {name}", less, OCCURRENCE if required else None
                yield (
                    f"other case of {name}",
                    {**less, name.upper(): value[name]},
                    OCCURRENCE if required else FORMATION,
                )


def wrong_strings(schema: dict) -> Iterator[tuple[str, Any, str | None]]:
    if "maxLength" in schema:
        yield "longest", "\U0001f697" * schema["maxLength"], None
        yield "too long", "x" * (schema["maxLength"] + 1), TYPE
    if "enum" in schema:
        for value in schema["enum"]:
            yield f"value {value}", value, None
        first, last = schema["enum"][0], schema["enum"][-1]
        for value in ("", first.upper() + "X", first + " ", "|".join(schema["enum"][:2]), last + "|", "|"):
            if value not in schema["enum"]:
                yield "none of the values", value, PROPERTY
    if schema.get("format") == "date-time":
        for value in (TIME, "2024-02-29T00:00:00.123456Z", "2026-06-30T23:59:60Z", "2026-01-31T12:00:00-05:30"):
            yield "dateTime", value, None
        for value in (
            "",
            "now",
            "2026-01-31",
            "2026-02-30T12:00:00Z",
            "2026-01-31T25:00:00Z",
            TIME + "x",
            "1769860800",
        ):
            yield "not a dateTime", value, TYPE


def cases_of(path: Path) -> list[Case]:
    """Every case of one message and direction."""
    schema = schema_of(path)
    is_request = not path.stem.endswith("Response")
    message = path.stem.removesuffix("Response")

    def case(place: str, kind: str, payload: Any, code: str | None) -> Case:
        return Case(message, is_request, place, kind, payload, code)

    cases = []
    looked = set()
    for full in (False, True):
        payload = example(schema, full)
        cases.append(case("", "all fields" if full else "fewest fields", payload, None))
        for place, part, value in places(schema, payload):
            text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")
            # Whatever stands beside it, a list of values is the same: two hundred are tried once, in a short message.
            foreign = sorted(set(VALUES) - set(part["enum"])) if "enum" in part and place not in looked else []
            looked.add(place)
            short = shortest(schema, place)
            for value_of_another in foreign:
                kind = "value Hertz" if value_of_another == "Hertz" else "none of the values"
                cases.append(case(text, kind, put(short, place, value_of_another), PROPERTY))
            for kind, wrong, code in wrong_values(part, value):
                if not place and " for object" in kind:
                    code = FORMATION
                cases.append(case(text, kind, put(payload, place, wrong), code))
    return cases


def argued(case: Case) -> tuple[str, str, str] | None:
    """The row of ARGUED that a case falls under."""
    for row in ARGUED:
        message, path, kind = row
        if message in ("*", case.message) and kind == case.kind:
            if path == "*" or path == case.path or (path[0] == "*" and f".{case.path}".endswith(path[1:])):
                return row
    return None


def verdicts(cases: list[Case]) -> list[str | None]:
    """What the firmware says to each case: a code, or None."""
    # MicroPython's parser does not join escaped pairs; `frames` does it for the link.
    rows = [[case.message, case.is_request, case.payload] for case in cases]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    answer = subprocess.run(
        [str(MICROPYTHON), "-X", "heapsize=8M", str(CHECKER), str(ROOT / "firmware" / "lib")],
        input=lines,
        capture_output=True,
        encoding="utf-8",
        timeout=CHECK_SECONDS,
    )
    assert answer.returncode == 0, answer.stdout[-500:] + answer.stderr[-2000:]
    return [json.loads(line) for line in answer.stdout.splitlines()]


CASES = [case for path in FILES for case in cases_of(path)]


@pytest.fixture(scope="module")
def codes() -> list[str | None]:
    found = verdicts(CASES)
    assert len(found) == len(CASES)
    return found


def test_all_39_messages_are_compared_in_both_directions():
    messages = {(case.message, case.is_request) for case in CASES}
    assert len(messages) == 78
    assert len({message for message, _ in messages}) == 39
    assert len(CASES) > 5000


def test_firmware_and_schemas_agree_but_for_what_is_argued(codes):
    schemas = {path.stem: schema_of(path) for path in FILES}
    validators = {name: jsonschema.Draft4Validator(schema) for name, schema in schemas.items()}
    wrong, used = [], set()
    for case, code in zip(CASES, codes, strict=True):
        validator = validators[case.message + ("" if case.is_request else "Response")]
        payload = json.loads(json.dumps(case.payload), parse_float=Decimal)
        differ = validator.is_valid(payload) != (code is None)
        row = argued(case)
        if differ and row:
            used.add(row)
        elif differ:
            wrong.append(f"{case.name}: firmware says {code}, the schema the opposite")
    assert not wrong, "\n".join(wrong[:40])
    assert used == set(ARGUED), f"argued, but no difference: {set(ARGUED) - used}"


def test_each_refusal_has_the_code_of_its_reason(codes):
    wrong = []
    for case, code in zip(CASES, codes, strict=True):
        if argued(case) and case.kind == "empty":
            expected = OCCURRENCE
        elif argued(case) and case.kind.startswith("value "):
            expected = PROPERTY
        else:
            expected = case.code
        if code != expected:
            wrong.append(f"{case.name}: {code}, not {expected}")
    assert not wrong, "\n".join(wrong[:40])


def test_an_unknown_action_is_not_implemented():
    actions = [
        "Nothing",
        "",
        "authorize",
        "Authorize>",
        "Authorize<",
        "IdTagInfo",
        "{IdTagInfo",
        "Authorize\n",
        "\u00e9",
    ]
    cases = [Case(action, is_request, "", "", {}, None) for action in actions for is_request in (True, False)]
    assert verdicts(cases) == ["NotImplemented"] * len(cases)
