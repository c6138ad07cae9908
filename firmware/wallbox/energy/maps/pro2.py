"""Inepro PRO2-Mod, one phase, direct connection up to 100 A; factory settings 9600 8E1, address 1.

Manual appendix A3.2 as transcribed in nobrega8/mbmap-library (metering-pro2): the map of the PRO380 without L2 and L3.
Whether a block over the missing registers is answered was not tried on a real one; if not, each row is read by itself.
"""

from wallbox.energy.meters import Meter

METER = Meter(
    "Inepro PRO2-Mod",
    1,
    120,
    (
        (
            0x5000,
            44,
            (
                ("volts_mv", 0x5002, ">f", 1000),
                ("frequency_mhz", 0x5008, ">f", 1000),
                ("current_ma", 0x500C, ">f", 1000),
                ("power_w", 0x5012, ">f", 1000),
                ("factor_permille", 0x502A, ">f", 1000),
            ),
        ),
    ),
    ((0x600C, 14, (("import_wh", 0x600C, ">f", 1000), ("export_wh", 0x6018, ">f", 1000))),),
    serial=(0x4000, "%08x"),
)
