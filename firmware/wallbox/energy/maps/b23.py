"""Janitza B23 312-10J (the hardware of ABB's B23), three phases, 65 A direct; line settings are the installer's choice.

ABB 2CMC485003M0201, quoted alike by mbmd (abb.go), Victron (abb.py) and openWB (b23.py). Scaled integers; "not
available" is all ones, or the largest number of a signed register. The power factor a phase is missing in some.
"""

from wallbox.energy.meters import Meter

METER = Meter(
    "Janitza B23 312-10J",
    3,
    80,
    (
        (
            0x5B00,
            62,
            (
                ("volts_mv", 0x5B00, ">3I", 100),
                ("current_ma", 0x5B0C, ">3I", 10),
                ("power_w", 0x5B16, ">3i", 0.01),
                ("frequency_mhz", 0x5B2C, ">H", 10),
                ("factor_permille", 0x5B3B, ">3h", 1),
            ),
        ),
    ),
    ((0x5000, 8, (("import_wh", 0x5000, ">Q", 10), ("export_wh", 0x5004, ">Q", 10))),),
    serial=(0x8900, "%d"),
    kind=(0x8960, 2, b"B23"),
)
