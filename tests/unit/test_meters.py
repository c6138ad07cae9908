"""Register maps, signs and what a reading must look like to be believed."""

import struct

from wallbox.energy import meters
from wallbox.energy.meters import Implausible, Meter, Reading

NAN = float("nan")
INF = float("inf")


def live(volts=(230.0, 231.0, 232.0), hz=50.0, amps=(1.0, 2.0, 3.0), kw=None, factor=(1.0, 1.0, 1.0)):
    """Registers 0x5000 to 0x5031 of a PRO380-Mod; the averages, which it does not have, are nonsense."""
    if kw is None:
        kw = [u * i * f / 1000 for u, i, f in zip(volts, amps, factor)]
    values = [NAN] + list(volts) + [hz, NAN] + list(amps) + [sum(kw)] + list(kw)
    values += [0.0] * 8 + [1.0] + list(factor)
    return struct.pack(">25f", *values)


def read(**quantities):
    meter = meters.load("pro380")
    reading = Reading()
    meters.decode(meter.live[0], live(**quantities), reading)
    meters.settle(meter, reading)
    return reading


def refused(**quantities):
    try:
        read(**quantities)
    except Implausible as error:
        return str(error)
    raise AssertionError("believed: %s" % quantities)


def test_the_pro380_is_read_in_its_documented_blocks():
    meter = meters.load("pro380")
    assert [block[:2] for block in meter.live] == [(0x5000, 50)]
    assert [block[:2] for block in meter.energy] == [(0x600C, 14)]


def test_reads_volts_amperes_kilowatts_and_hertz_into_whole_small_units():
    reading = read(volts=(230.1, 229.9, 231.0), hz=49.98, amps=(9.95, 0.0, 16.1))
    assert list(reading.volts_mv) == [230100, 229900, 231000]
    assert list(reading.current_ma) == [9950, 0, 16100]
    assert list(reading.power_w) == [2289, 0, 3719]
    assert reading.frequency_mhz[0] == 49980


def test_energies_are_watt_hours():
    meter = meters.load("pro380")
    reading = Reading()
    meters.decode(meter.energy[0], struct.pack(">7f", 12.5, 0, 0, 0, 0, 0, 0.25), reading)
    assert (reading.import_wh[0], reading.export_wh[0]) == (12500, 250)


def test_the_sign_of_the_power_makes_an_exported_current_negative():
    reading = read(amps=(10.0, 10.0, 10.0), volts=(230.0, 230.0, 230.0), kw=(2.3, -2.3, 0.0), factor=(1.0, 1.0, 0.0))
    assert list(reading.current_ma) == [10000, -10000, 10000]


def test_a_current_with_its_own_sign_gives_the_same():
    assert read(amps=(1.0, -2.0, 3.0)).current_ma[1] == -2000


def test_only_the_active_part_of_an_exported_current_counts_as_room():
    reading = read(amps=(10.0, 0.0, 0.0), volts=(230.0, 230.0, 230.0), kw=(-0.23, 0.0, 0.0), factor=(0.1, 1.0, 1.0))
    assert reading.current_ma[0] == -1000, reading.current_ma[0]


def test_not_a_number_and_infinity_are_refused_in_every_quantity():
    for bad in (NAN, INF, -INF, 3.0e38):
        for name in ("volts", "amps", "kw"):
            text = refused(**{name: (1.0, bad, 1.0)})
            assert "not a measurement" in text, text
        assert "frequency" in refused(hz=bad)


def test_readings_that_cannot_be_true_are_refused_with_the_quantity_and_the_value():
    assert "10.0" not in refused(volts=(0.0, 0.0, 0.0))
    assert "80 V" in refused(volts=(60.0, 79.0, 10.0))
    assert "voltage L2: 301000 mV" in refused(volts=(230.0, 301.0, 230.0))
    assert "voltage L3: -5000 mV" in refused(volts=(230.0, 230.0, -5.0))
    assert "frequency: 40000 mHz" in refused(hz=40.0)
    assert "frequency: 0 mHz" in refused(hz=0.0)
    assert "current L1: 121000 mA" in refused(amps=(121.0, 0.0, 0.0))
    assert "power L2" in refused(kw=(0.23, 4.0, 0.69))
    assert "power L1" in refused(amps=(20.0, 2.0, 3.0), kw=(0.1, 0.46, 0.69))


def test_what_rarely_happens_yet_is_true_is_believed():
    assert read(volts=(230.0, 0.0, 230.0), amps=(5.0, 0.0, 5.0)).volts_mv[1] == 0
    assert read(volts=(100.0, 100.0, 100.0), hz=60.0).frequency_mhz[0] == 60000
    assert read(amps=(0.0, 0.0, 0.0), factor=(0.0, 0.0, 0.0)).current_ma[0] == 0
    assert read(amps=(90.0, 90.0, 90.0)).current_ma[2] == 90000
    assert read(amps=(4.0, 4.0, 4.0), factor=(0.3, 0.3, 0.3)).power_w[0] == 276
    # Small loads: the meter rounds, and its power factor is a guess.
    assert read(amps=(0.1, 0.1, 0.1), kw=(0.04, 0.0, 0.0)).current_ma[0] == 100


INTEGERS = Meter(
    "a meter with scaled integers",
    3,
    80,
    (
        (
            0x5B00,
            45,
            (
                ("volts_mv", 0x5B00, ">3I", 100),
                ("current_ma", 0x5B0C, ">3I", 10),
                ("power_w", 0x5B16, ">3i", 0.01),
                ("frequency_mhz", 0x5B2C, ">H", 10),
            ),
        ),
    ),
    ((0x5000, 8, (("import_wh", 0x5000, ">Q", 10), ("export_wh", 0x5004, ">Q", 10))),),
)


def integer_block(volts=2301, current=1000, power=-230100):
    data = bytearray(90)
    struct.pack_into(">3I", data, 0, volts, 2300, 2300)
    struct.pack_into(">3I", data, 24, current, 0, 0)
    struct.pack_into(">3i", data, 44, power, 0, 0)
    struct.pack_into(">H", data, 88, 4999)
    return data


def test_a_meter_with_scaled_integers_is_only_another_table():
    reading = Reading()
    meters.decode(INTEGERS.live[0], integer_block(), reading)
    meters.settle(INTEGERS, reading)
    assert reading.volts_mv[0] == 230100 and reading.current_ma[0] == -10000
    assert reading.power_w[0] == -2301 and reading.frequency_mhz[0] == 49990
    meters.decode(INTEGERS.energy[0], struct.pack(">2Q", 1234567, 89), reading)
    assert (reading.import_wh[0], reading.export_wh[0]) == (12345670, 890)


def test_the_codes_for_not_available_are_no_measurements():
    for bad in ({"volts": 0xFFFFFFFF}, {"current": 0xFFFFFFFF}, {"power": 0x7FFFFFFF}):
        try:
            meters.decode(INTEGERS.live[0], integer_block(**bad), Reading())
            raise AssertionError("believed: %s" % bad)
        except Implausible as error:
            assert "not a measurement" in str(error)
