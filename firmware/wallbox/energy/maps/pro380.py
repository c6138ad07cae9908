"""Inepro PRO380-Mod, three phases, direct connection up to 100 A; factory settings 9600 8E1, address 1.

Manual V2.18, appendix A3.2; the same addresses in mbmd (meters/rs485/inepro.go) and TapHome. Power is in kW. 0x5000
and 0x500A (averages) are "PRO1 only". 120 A leaves room for an overload that is real.
"""

from wallbox.energy.meters import Meter

METER = Meter(
    "Inepro PRO380-Mod",
    3,
    120,
    (
        (
            0x5000,
            50,
            (
                ("volts_mv", 0x5002, ">3f", 1000),
                ("frequency_mhz", 0x5008, ">f", 1000),
                ("current_ma", 0x500C, ">3f", 1000),
                ("power_w", 0x5014, ">3f", 1000),
                ("factor_permille", 0x502C, ">3f", 1000),
            ),
        ),
    ),
    ((0x600C, 14, (("import_wh", 0x600C, ">f", 1000), ("export_wh", 0x6018, ">f", 1000))),),
    # Hexadecimal digits are the number printed on the meter.
    serial=(0x4000, "%08x"),
)
