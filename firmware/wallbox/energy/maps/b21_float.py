"""Janitza B21 that answers with the map of floats, one phase, which is L1 of the map; mbmd's example runs 9600 8N1.

mbmd (janitza.go), which cites janitza-bhb-b2x-en. Whether a 312-10J answers this map as well as the one of integers
was not tried on a real one. Power meters of the UMG family answer the same map.
"""

from wallbox.energy.meters import Meter

METER = Meter(
    "Janitza B21, map of floats",
    1,
    80,
    (
        (
            0x4A38,
            52,
            (
                ("volts_mv", 0x4A38, ">f", 1000),
                ("current_ma", 0x4A44, ">f", 1000),
                ("power_w", 0x4A4C, ">f", 1),
                ("factor_permille", 0x4A64, ">f", 1000),
                ("frequency_mhz", 0x4A6A, ">f", 1000),
            ),
        ),
    ),
    ((0x4A7C, 10, (("import_wh", 0x4A7C, ">f", 1), ("export_wh", 0x4A84, ">f", 1))),),
)
