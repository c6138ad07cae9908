"""Janitza B21 312-10J (the hardware of ABB's B21), one phase, 65 A direct; line settings are the installer's choice.

ABB 2CMC485003M0201; Victron (abb.py): its registers of each phase say "not available", the totals hold the values.
"""

from wallbox.energy.meters import Meter

METER = Meter(
    "Janitza B21 312-10J",
    1,
    80,
    (
        (
            0x5B00,
            59,
            (
                ("volts_mv", 0x5B00, ">I", 100),
                ("current_ma", 0x5B0C, ">I", 10),
                ("power_w", 0x5B14, ">i", 0.01),
                ("frequency_mhz", 0x5B2C, ">H", 10),
                ("factor_permille", 0x5B3A, ">h", 1),
            ),
        ),
    ),
    ((0x5000, 8, (("import_wh", 0x5000, ">Q", 10), ("export_wh", 0x5004, ">Q", 10))),),
    serial=(0x8900, "%d"),
    kind=(0x8960, 2, b"B21"),
)
