"""Sampled values: short on flash, and unchanged on the way back."""

import json

from ocpp_queue_help import energy, usual

from ocpp import samples

# OCPP 1.6, 7.31 Measurand, 7.32 Phase, 7.33 ReadingContext, 7.45 UnitOfMeasure.
MEASURANDS = (
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "RPM",
    "SoC",
    "Temperature",
    "Voltage",
)
UNITS = (
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "Celsius",
    "Celcius",
    "Fahrenheit",
    "K",
    "Percent",
)
PHASES = (
    "L1",
    "L2",
    "L3",
    "N",
    "L1-N",
    "L2-N",
    "L3-N",
    "L1-L2",
    "L2-L3",
    "L3-L1",
)
CONTEXTS = (
    "Interruption.Begin",
    "Interruption.End",
    "Other",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
)


def there_and_back(sampled, context=0):
    return samples.unpack(json.loads(json.dumps(samples.pack(sampled))), context)


def test_every_name_of_the_specification_comes_back_and_has_a_number():
    for field, names in (("measurand", MEASURANDS), ("unit", UNITS), ("phase", PHASES)):
        assert len(names) == {"measurand": 22, "unit": 17, "phase": 10}[field]
        for name in names:
            value = {"value": "1", field: name}
            assert there_and_back([value]) == [value]
            assert all(type(part) is int for part in samples.pack([value])[0]), name
    for name in [
        "Interruption.Begin",
        "Sample.Clock",
        "Sample.Periodic",
        "Transaction.Begin",
        "Transaction.End",
        "Trigger",
        "Other",
    ]:
        number = samples.number(samples.CONTEXTS, name)
        assert type(number) is int and there_and_back(energy(1), number)[0]["context"] == name


def test_names_that_nobody_knows_and_all_fields_come_back():
    value = {"value": "a1", "measurand": "Mine", "unit": "furlong", "phase": "L9"}
    value.update({"location": "EV", "format": "SignedData"})
    assert there_and_back([value]) == [value]
    assert there_and_back([value], "My.Context") == [dict(value, context="My.Context")]


def test_the_text_of_a_value_is_not_changed():
    for text in ("0", "-5", "16.0", "007", "+3", " 4", "1e3", "", "123456789012", "1_000"):
        assert there_and_back([{"value": text}]) == [{"value": text}]


def test_usual_values_take_a_fourth_of_their_json():
    packed = len(json.dumps(samples.pack(usual(1234567))))
    assert packed * 4 < len(json.dumps(usual(1234567))), packed


def test_the_register_is_found_in_either_unit():
    assert samples.register_wh(usual(4321)) == 4321
    assert samples.register_wh([{"value": "16", "measurand": "Voltage"}, {"value": "4321.9"}]) == 4321
    for text, wh in (("4.321", 4321), ("4", 4000), ("4.3", 4300), ("123456.7899", 123456789)):
        assert samples.register_wh([{"value": text, "unit": "kWh"}]) == wh, text
    for value in ({"value": "x"}, {"value": "5", "phase": "L1"}, {"value": "5", "measurand": "Voltage"}):
        assert samples.register_wh([value]) is None
