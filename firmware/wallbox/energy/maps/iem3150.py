"""Schneider A9MEM3150 (iEM3150), three phases, 63 A direct; factory settings 19200 8E1, address 1 (one user's file).

DOCA0005EN, quoted by mbmd (iem3000.go) and others: the manual's register number less 1 is the wire address. Power is
in kW. It has no export counter; whether its power is negative on export was found nowhere, so surplus must be checked
at commissioning. Its power factor has a coding of its own and is left out.
"""

from wallbox.energy.meters import Meter

METER = Meter(
    "Schneider A9MEM3150",
    3,
    80,
    (
        (
            2999,
            60,
            (
                ("current_ma", 2999, ">3f", 1000),
                ("volts_mv", 3027, ">3f", 1000),
                ("power_w", 3053, ">3f", 1000),
            ),
        ),
        (3109, 2, (("frequency_mhz", 3109, ">f", 1000),)),
    ),
    ((3203, 4, (("import_wh", 3203, ">q", 1),)),),
    serial=(129, "%d"),
    # "Meter model", 20 registers of text (manual register 50; iEM2250 manual and public drivers of the iEM3155).
    kind=(49, 20, b"EM3"),
)
