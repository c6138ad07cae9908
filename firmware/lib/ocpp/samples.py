"""Sampled values of a meter as short lists for flash, and back again; it measures nothing."""

_REGISTER = "Energy.Active.Import.Register"

# Number 0 stands for a field that is left out. The numbers are on flash: new names go to the end.
CONTEXTS = (
    ",Interruption.Begin,Interruption.End,Other,Sample.Clock,Sample.Periodic,Transaction.Begin,Transaction.End,Trigger"
)
# Fields of OCPP 1.6, 7.43 SampledValue behind `value`, the one that is left out most comes last.
_FIELDS = (
    (
        "measurand",
        ",Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered,Temperature,"
        "Power.Offered,Frequency,Power.Factor,SoC,Energy.Active.Import.Interval,Energy.Active.Export.Register,"
        "Energy.Active.Export.Interval,Energy.Reactive.Import.Register,Energy.Reactive.Import.Interval,"
        "Energy.Reactive.Export.Register,Energy.Reactive.Export.Interval,Power.Active.Export,Power.Reactive.Import,"
        "Power.Reactive.Export,Current.Export,RPM",
    ),
    ("unit", ",Wh,W,A,V,kWh,kW,Celsius,Percent,Celcius,Fahrenheit,K,VA,kVA,var,kvar,varh,kvarh"),
    ("phase", ",L1,L2,L3,N,L1-N,L2-N,L3-N,L1-L2,L2-L3,L3-L1"),
    ("location", ",Outlet,Inlet,Body,Cable,EV"),
    ("format", ",Raw,SignedData"),
)


def number(table: str, name: str):
    """Place of `name` in a table; the name itself when it is not there."""
    names = table.split(",")
    return names.index(name) if name in names else name


def name(table: str, number) -> str:
    """Name at a place of a table; a name is left as it is."""
    return number if isinstance(number, str) else table.split(",")[number]


def _packed_value(text: str):
    """A whole number without its quotes, when that text can be made of it again."""
    try:
        value = int(text)
    except ValueError:
        return text
    return value if str(value) == text else text


def pack(sampled) -> list:
    """Lists of value, measurand, unit, phase, location, format, cut off behind the last that is not left out.

    The context is not kept: all values of a record share one.
    """
    packed = []
    for value in sampled:
        entry = [_packed_value(value["value"])]
        for field, table in _FIELDS:
            entry.append(number(table, value.get(field, "")))
        while entry[-1] == 0 and len(entry) > 1:
            entry.pop()
        packed.append(entry)
    return packed


def unpack(packed, context) -> list:
    """SampledValue objects of what `pack` made, each with the name of the context (0 for none)."""
    sampled = []
    for entry in packed:
        value = {"value": str(entry[0])}
        if context:
            value["context"] = name(CONTEXTS, context)
        for (field, table), given in zip(_FIELDS, entry[1:]):
            if given:
                value[field] = name(table, given)
        sampled.append(value)
    return sampled


def register_wh(sampled):
    """The energy register among sampled values in whole Wh, None when there is none that can be read."""
    for value in sampled:
        if value.get("measurand", _REGISTER) != _REGISTER or "phase" in value:
            continue
        whole, _, part = value["value"].partition(".")
        try:
            if value.get("unit") == "kWh":
                # No float: those of a chip have 24 bits.
                return int(whole) * 1000 + int((part + "000")[:3])
            return int(whole)
        except ValueError:
            return None
    return None
