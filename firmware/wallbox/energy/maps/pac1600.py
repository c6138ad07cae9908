"""Siemens 7KT1665 (7KT PAC1600), three phases, 80 A direct; factory line settings were found nowhere.

Equipment manual 2514284147-04, 6.4.3; evcc reads each item one below the printed address, so that is the wire address.
The manual calls 58 an average power, so the phases are used. 32-bit counters of 1 Wh. The 7KM PAC family (2200, 3200)
has another map.
"""

from wallbox.energy.meters import Meter

METER = Meter(
    "Siemens 7KT1665",
    3,
    96,
    (
        (
            1,
            50,
            (
                ("volts_mv", 1, ">3I", 10),
                ("current_ma", 7, ">3I", 0.1),
                ("power_w", 19, ">3i", 0.01),
                ("factor_permille", 37, ">3i", 0.1),
                ("frequency_mhz", 49, ">I", 10),
            ),
        ),
    ),
    ((6687, 4, (("import_wh", 6687, ">I", 1), ("export_wh", 6689, ">I", 1))),),
)
