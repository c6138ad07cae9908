"""boards/esp32s3/selftest.py: each part passes with a good board, and fails with a broken one."""

import json
import os
import sys

from selftest_bench import CARD, GIVEN, UTC_S, Bench
from virtual_time import Record

_ROOT = __file__[: -len("tests/unit/test_selftest.py")]
_CARS = (("pilot_none", 0), ("pilot_b", 2_740), ("pilot_c", 882), ("pilot_d", 246))
# Their turn comes in tests of their own.
_SPECIAL = ("rtc_kept", "contact", "reader") + tuple(name for name, _ in _CARS)


def _pilot(name, ohm):
    bench = Bench()
    # The narrowest plateau is 40 us.
    bench.step_us = 40
    bench.pilot.car_ohm = ohm
    return bench


def _closed_ever(bench):
    return bench.coil.closed_us is not None


def _mending(bench):
    """The supply was cut: the window watchdog starts anew."""
    bench.watchdog.fault = bench.watchdog._fed_us = None
    bench.watchdog.content = False


# -- a good board -------------------------------------------------------------------------------------------


def test_every_part_passes_and_leaves_everything_off():
    bench = Bench()
    _quiet(bench)
    for name, _, _, _ in bench.module.PARTS:
        if name in _SPECIAL:
            continue
        _mending(bench)
        assert bench.run(name) == [], (name, bench.lines)
        assert bench.lines, name
        assert bench.is_safe(), name
        assert not bench.coil.closed, name
    assert not bench.wifi_on
    assert not __import__("bluetooth").BLE().active()


def test_the_pilot_passes_without_a_car_and_with_all_three():
    for name, ohm in _CARS:
        bench = _pilot(name, ohm)
        assert bench.run(name) == [], bench.lines
        assert len(bench.lines) == 13
        assert bench.is_safe()


def test_a_step_is_a_line_of_json():
    bench = Bench()
    printed = []
    bench.module.print = printed.append
    bench.module.run("temperature", GIVEN)
    (line,) = [json.loads(text) for text in printed]
    assert line.pop("measured") in range(240, 260)
    assert line == {"step": "temperature.board", "ok": True, "expected": "0 to 600", "unit": "0.1 degC"}


def test_the_plan_names_every_part_with_what_it_needs():
    bench = Bench()
    printed = []
    bench.module.print = printed.append
    bench.module.plan()
    plan = [json.loads(text) for text in printed]
    assert [part["part"] for part in plan] == [part[0] for part in bench.module.PARTS]
    needed = [key for part in plan for key, _ in part["needs"]]
    assert sorted(set(needed)) == sorted(GIVEN)


def test_a_board_says_what_it_is():
    bench = Bench()
    printed = []
    bench.module.print = printed.append
    implementation = Record(_machine="wallbox-s3-1 with ESP32-S3")
    bench.module.sys = Record(version="3.4.0; MicroPython v1.29.0", implementation=implementation, modules=sys.modules)
    bench.module.about()
    __import__("hal.nvs", None, None, ("x",)).save("identity", b"WBST" + bytes(14) + b'{"serial": "WB2648-0001"}')
    bench.module.about()
    first, second = [json.loads(line) for line in printed]
    assert first == {
        "serial": "WB-348518123456",
        "mac": "348518123456",
        "interpreter": "3.4.0; MicroPython v1.29.0",
        "board": "wallbox-s3-1 with ESP32-S3",
    }
    assert second["serial"] == "WB2648-0001"


def test_the_contact_and_the_card_are_seen():
    bench = Bench()
    bench.expander.lines &= ~0x10
    assert bench.run("contact") == []
    bench.reader.chip.present(bytes.fromhex(CARD))
    assert bench.run("reader") == []
    assert [line["measured"] for line in bench.lines] == ["0x92", CARD]
    assert bench.run("reader", card="04:A1:B2:C3:D4:E5:F6".lower()) == []
    assert bench.run("reader", card="DEADBEEF") == ["reader.card"]


def test_the_time_outlives_a_cut_of_the_supply():
    bench = Bench()
    assert bench.run("rtc") == []
    bench.rtc.pass_ms(10_000)
    assert bench.run("rtc_kept", utc=str(UTC_S + 12)) == [], bench.lines
    assert bench.run("rtc_kept", utc=str(UTC_S + 40)) == ["rtc_kept.off_by"]


def test_leds_and_buzzer_show_what_the_person_is_asked_for():
    bench = Bench()
    assert bench.run("leds") == []
    assert bench.colours[-2] == [(64, 0, 0), (0, 64, 0), (0, 0, 64), (48, 48, 48)]
    assert [line["ok"] for line in bench.lines] == [None] and "red, green, blue" in bench.lines[0]["ask"]
    assert bench.run("buzzer") == []
    assert bench.tones == [2_700] * 3


def test_an_identity_shows_its_serial_number_and_no_secret():
    bench = Bench()
    nvs = __import__("hal.nvs", None, None, ("x",))
    assert bench.run("nvs") == [] and bench.lines[-1]["measured"] == "none"
    nvs.save("identity", b"WBST" + bytes(14) + b'{"serial": "WB2648-0001", "passkey": "012345", "key": "5a5a"}')
    assert bench.run("nvs") == []
    assert bench.lines[-1]["measured"] == "WB2648-0001"
    assert "012345" not in json.dumps(bench.lines) and "5a5a" not in json.dumps(bench.lines)
    nvs.save("identity", b"WBST" + bytes(14) + b"{}")
    assert bench.run("nvs") == ["nvs.identity"]
    nvs.save("identity", b"rubbish")
    assert bench.run("nvs") == ["nvs.identity"]


def test_the_partitions_are_those_of_the_table():
    bench = Bench()
    with open(_ROOT + "boards/esp32s3/partitions.csv") as file:
        rows = [[cell.strip() for cell in line.split(",")] for line in file if not line.startswith("#")]
    assert [(row[0], int(row[4], 16)) for row in rows] == sorted(
        bench.module._PARTITIONS, key=lambda part: [row[0] for row in rows].index(part[0])
    )


# -- pins, rails, pilot -------------------------------------------------------------------------------------


def test_a_missing_resistor_and_a_short_show_at_each_pin():
    good = Bench()
    for name, number, level in good.module._REST:
        if name == "RCM_TRIP":
            continue
        bench = Bench()
        # It wants a level at its test input.
        bench.monitor.step = lambda us: None
        bench.pin(number).resistor = None
        bad = bench.run("pins")
        # So does that of the pilot at its generator.
        assert bad[0] == "pins." + name and bad[1:] in ([], ["pins.error"]), (name, bench.lines)
        bench = Bench()
        bench.pin(number).drive(1 - level)
        try:
            bad = bench.run("pins")
        except AssertionError:
            # Behind the part the outputs are driven, and this one is shorted.
            bad = [line["step"] for line in bench.lines if line["ok"] is False]
        assert "pins." + name in bad, name


def test_a_monitor_without_supply_shows_at_the_pins():
    bench = Bench()
    bench.monitor.leak = True
    bench.sleep_ms(200)
    assert bench.run("pins") == ["pins.RCM_TRIP"]


def test_a_rail_that_is_low_shows():
    bench = Bench()
    bench.pilot.plus_mv = 11_000.0
    assert bench.run("rails") == ["rails.plus_12v"]
    bench = Bench()
    bench.pilot.minus_mv = 0.0
    assert bench.run("rails") == ["rails.minus_12v"]
    bench = Bench()
    bench.pin(4).analog_uv = 0
    bench.pin(6).analog_uv = 170_000
    assert bench.run("rails") == ["rails.rcm_dc_zero", "rails.rcm_ac_zero"]


def test_a_wrong_resistor_a_missing_diode_and_a_short_show_in_the_pilot():
    bench = _pilot("pilot_b", 1_300)
    assert bench.run("pilot_b") == ["pilot_b.%d.high" % duty for duty in (100, 500, 960, 1000)]
    bench = _pilot("pilot_c", 882)
    bench.pilot.diode_mv = 0
    assert set(bench.run("pilot_c")) >= {"pilot_c.%d.low" % duty for duty in (0, 100, 500, 960)}
    bench = _pilot("pilot_none", 0)
    bench.pilot.short_ohm = 1
    assert len(bench.run("pilot_none")) >= 8


def test_a_generator_that_sticks_shows_in_the_pilot():
    bench = _pilot("pilot_none", 0)
    bench.pilot.stuck = 1
    bad = bench.run("pilot_none")
    assert "pilot_none.500.duty" in bad and "pilot_none.0.low" in bad and "pilot_none.1000.high" not in bad


# -- monitor, expander, meter -------------------------------------------------------------------------------


def test_a_monitor_that_does_not_trip_or_stays_tripped_shows():
    bench = Bench()
    bench.monitor._RESPONSE_US = 2_000_000
    assert bench.run("rcm") == ["rcm.test.trips"]
    bench = Bench()
    bench.monitor._HOLD_US = 5_000_000
    assert bench.run("rcm") == ["rcm.test.ends"]
    bench = Bench()
    bench.monitor.leak = True
    assert bench.run("rcm") == ["rcm.rest.tripped", "rcm.test.trips", "rcm.test.ends"]
    assert bench.pin(36).level() == 0


def test_a_residual_current_at_rest_and_a_cut_wire_show():
    bench = Bench()
    bench.pin(4).analog_uv = 250_000
    bench.pin(6).analog_uv = 0
    assert bench.run("rcm") == ["rcm.rest.dc", "rcm.rest.ac"]


def test_a_silent_expander_and_each_of_its_lines_show():
    bench = Bench()
    bench.expander.powered = False
    assert len(bench.run("expander")) >= 5
    for lines, step in ((0xD7, "echo"), (0x96, "live"), (0x9F, "earth"), (0x87, "contact_open")):
        bench = Bench()
        bench.expander.lines = lines
        assert bench.run("expander") == ["expander." + step]
    bench = Bench()
    read = bench.expander._read
    # Two lines of port B are shorted.
    bench.expander._read = lambda register: (
        read(register) & ~2 | (read(0x15) & 1) << 1 if register == 0x13 else read(register)
    )
    assert bench.run("expander") == ["expander.output_1", "expander.output_2"]


def test_an_open_contact_shows():
    assert Bench().run("contact") == ["contact.closed"]


def test_a_meter_that_does_not_answer_or_reads_wrong_volts_shows():
    bench = Bench()
    bench.meter.powered = False
    assert bench.run("meter") == ["meter.identity", "meter.volts_l1", "meter.volts_l2", "meter.volts_l3"]
    bench = Bench()
    bench.meter.volts_mv = [230_000, 231_000, 229_000]
    bench.meter.frequency_mhz = 50_010
    assert bench.run("meter", volts_l1="230.4", volts_l2="231", volts_l3="229") == []
    assert bench.run("meter", volts_l1="220", volts_l2="231", volts_l3="229") == ["meter.volts_l1"]
    # Two phases are exchanged.
    bench.meter.volts_mv = [230_000, 0, 120_000]
    assert bench.run("meter", volts_l1="230", volts_l2="120") == ["meter.volts_l2", "meter.volts_l3"]
    bench.meter.frequency_mhz = 60_000
    assert bench.run("meter", volts_l1="230", volts_l3="120") == ["meter.frequency"]


# -- contactor ----------------------------------------------------------------------------------------------


def test_voltage_behind_an_open_contactor_shows():
    bench = Bench()
    bench.coil.welded = 2
    assert bench.run("contactor_off") == ["contactor.off.live"]


def _quiet(bench):
    """The poles are open without mains: the sense lines stay dark whatever the contactor does."""
    bench.coil._live_bits = (0, 0, 0)


def test_the_contactor_closes_once_for_three_seconds():
    bench = Bench()
    _quiet(bench)
    drives = []
    step = bench.coil.step

    def watch(us):
        before = bench.coil.closed
        step(us)
        if bench.coil.closed != before:
            drives.append((bench.coil.closed, bench.machine.ticks_ms()))

    bench.coil.step = watch
    assert bench.run("contactor") == [], bench.lines
    assert [closed for closed, _ in drives] == [True, False]
    assert 2_900 < drives[1][1] - drives[0][1] < 3_200
    assert [line["step"] for line in bench.lines if line["ok"] is None] == [
        "contactor.interlock",
        "contactor.closes",
        "contactor.current",
    ]


def test_before_that_current_without_edges_and_edges_without_current_are_tried_for_long_enough():
    bench = Bench()
    _quiet(bench)
    edges, current = [], []
    bench.pin(8).watch(lambda level: edges.append(bench.pin(9).pwm_raw))
    step = bench.coil.step

    def watch(us):
        step(us)
        current.append(bench.coil.permille() == 1000 and bench.coil.charge_mv < 100)

    bench.coil.step = watch
    assert bench.run("contactor") == []
    assert edges.count(0) > 140
    assert sum(current) > 1_400


def test_hardware_lets_the_coil_go_in_each_of_the_parts_for_that():
    for part, least, most in (
        ("contactor_trip", 1_500, 2_100),
        ("watchdog_late", 3_000, 4_100),
        ("watchdog_early", 1_500, 1_700),
    ):
        bench = Bench()
        _quiet(bench)
        began = bench.machine.ticks_ms()
        assert bench.run(part) == [], bench.lines
        closed = bench.coil.closed_us // 1000
        passed = bench.coil.opened_us // 1000 - closed
        assert closed > began and least - 100 < passed < most, (part, passed)
        assert len([line for line in bench.lines if line["ok"] is None]) == 1


def test_it_never_closes_onto_mains():
    for phase in range(3):
        for part in ("contactor", "contactor_trip", "watchdog_late", "watchdog_early"):
            bench = Bench()
            bench.meter.volts_mv[phase] = 6_000
            assert bench.run(part) == [part + ".no_mains"]
            assert not _closed_ever(bench)
            assert [line for line in bench.lines if line["ok"] is None] == []


def test_it_never_closes_when_the_meter_cannot_tell_or_a_pole_is_live():
    bench = Bench()
    bench.meter.powered = False
    assert bench.run("contactor") == ["contactor.no_mains"] and not _closed_ever(bench)
    bench = Bench()
    # Its data line is shorted to ground: all reads as nothing.
    bench.meter.exchange = lambda byte: 0
    assert bench.run("contactor") == ["contactor.no_mains"] and not _closed_ever(bench)
    bench = Bench()
    bench.coil.welded = 1
    bench.sleep_ms(1)
    assert bench.run("contactor") == ["contactor.no_mains"] and not _closed_ever(bench)


def test_it_opens_when_mains_comes_while_it_is_closed():
    bench = Bench()
    _quiet(bench)
    look = bench.module._Coil._look

    def switch_on(coil):
        if bench.coil.closed:
            bench.meter.volts_mv = [230_000] * 3
        look(coil)

    bench.module._Coil._look = switch_on
    assert bench.run("contactor") == ["contactor.no_mains"]
    # Before anything is said about it.
    assert bench.driven == [0]
    bench.sleep_ms(100)
    assert not bench.coil.closed
    assert bench.coil.opened_us - bench.coil.closed_us < 250_000


# -- whatever happens ---------------------------------------------------------------------------------------


def test_an_error_is_told_and_leaves_everything_off():
    bench = Bench()
    _quiet(bench)

    def fail(_coil):
        raise OSError(5)

    bench.module._half_driven = fail
    assert bench.run("contactor") == ["contactor.error"]
    assert bench.is_safe()


def test_ctrl_c_at_any_moment_leaves_everything_off():
    for part in ("rcm", "contactor", "leds", "buzzer", "modem", "pilot_none"):
        for after in (1, 40, 400):
            bench = Bench()
            _quiet(bench)
            left = [after]
            sleep = bench.sleep_ms

            def interrupted(ms, left=left, sleep=sleep):
                left[0] -= 1
                if not left[0]:
                    raise KeyboardInterrupt
                sleep(ms)

            bench.module.sleep_ms = interrupted
            try:
                bench.run(part)
            except KeyboardInterrupt:
                assert left[0] == 0
            bench.module.sleep_ms = sleep
            bench.sleep_ms(200)
            assert bench.is_safe() and not bench.coil.closed, (part, after)


def test_what_cannot_be_switched_off_does_not_keep_the_rest_on():
    bench = Bench()

    def broken(*_arguments):
        raise OSError(19)

    bench.machine.bitstream = broken
    sys.modules["hal.leds"].bitstream = broken
    bad = bench.run("rcm")
    assert bad == ["safe.leds"]
    assert bench.pin(36).level() == 0 and bench.expander.registers[0x15] == 0


def test_a_watchdog_that_a_firmware_has_started_does_not_reset_the_board_amid_a_part():
    bench = Bench()
    _quiet(bench)
    bench.machine.WDT(timeout=4_000)
    # It takes longer than that, and so does a person between two parts.
    assert bench.run("contactor") == []
    bench.sleep_ms(60_000)


def test_another_part_is_refused():
    try:
        Bench().run("toaster")
    except ValueError as error:
        assert "toaster" in str(error) and "pilot_b" in str(error)
    else:
        raise AssertionError("accepted")


# -- the other devices --------------------------------------------------------------------------------------


def test_a_sensor_of_temperature_that_is_open_or_shorted_shows():
    for uv in (0, 3_080_000, 1_900_000):
        bench = Bench()
        bench.pin(5).analog_uv = uv
        assert bench.run("temperature") == ["temperature.board"]


def test_a_reader_that_is_absent_and_a_card_that_is_not_held_show():
    bench = Bench()
    bench.reader.chip.broken = 0xFF
    assert bench.run("reader") == ["reader.version"]
    assert Bench().run("reader") == ["reader.card"]


def test_a_line_without_an_answer_and_one_that_garbles_show():
    bench = Bench()
    bench.line.answer = b""
    assert bench.run("rs485") == ["rs485.echo"]
    bench = Bench()
    bench.line.answer = b"\x55\xab\x00\xff\x0fwallbox"
    assert bench.run("rs485") == ["rs485.echo"]


def test_a_clock_that_is_absent_stands_still_or_lost_its_battery_shows():
    bench = Bench()
    bench.rtc.dead = True
    bad = bench.run("rtc")
    assert "rtc.takes_the_time" in bad and "rtc.error" in bad
    bench = Bench()
    bench.rtc.pass_ms = lambda ms: None
    assert bench.run("rtc") == ["rtc.runs"]
    bench = Bench()
    read = bench.rtc.read
    # Its supply is too low to clear the flag.
    bench.rtc.read = lambda count: bytes([byte | 0x80 for byte in read(count)])
    assert bench.run("rtc") == ["rtc.supply_flag"]
    bench = Bench()
    assert bench.run("rtc") == []
    bench.rtc.empty()
    assert bench.run("rtc_kept") == ["rtc_kept.trouble", "rtc_kept.off_by"]


def test_a_wrong_partition_and_flash_that_keeps_nothing_show():
    bench = Bench()
    bench.esp32.partition("slot_b", 0xB0000)
    assert bench.run("flash") == ["flash.slot_b"]
    bench = Bench()
    bench.esp32.Partition("slot_a").writeblocks(0, b"rubbish!" * 512)
    assert bench.run("flash") == ["flash.read_slot_a"]
    bench = Bench()
    read = bench.esp32.Partition.readblocks
    times = []

    def unsteady(partition, block, buf, offset=0):
        read(partition, block, buf, offset)
        times.append(block)
        # The second time a header is there.
        if partition.info()[4] == "slot_b" and len(times) % 2 == 0:
            buf[:4] = b"WBX1"

    bench.esp32.Partition.readblocks = unsteady
    assert bench.run("flash")[0] == "flash.read_slot_b"
    bench = Bench()
    here = os.getcwd()
    bench.esp32.Partition.writeblocks = lambda self, block, buf, offset=None: None
    assert bench.run("flash") == ["flash.error"]
    assert os.getcwd() == here


def test_nvs_that_keeps_nothing_shows():
    bench = Bench()
    bench.esp32.NVS.set_blob = lambda self, key, value: None
    assert bench.run("nvs") == ["nvs.kept"]
    bench = Bench()
    bench.esp32.NVS.erase_key = lambda self, key: None
    assert bench.run("nvs") == ["nvs.erased"]


def test_absent_networks_show():
    bench = Bench()
    bench.ethernet.there = False
    assert bench.run("ethernet") == ["ethernet.version"]
    bench.networks = 0
    assert bench.run("wifi") == ["wifi.networks"]
    bench.modem_there = False
    assert bench.run("modem") == ["modem.answer"]


def test_a_radio_that_does_not_start_and_a_generator_that_repeats_show():
    bench = Bench()
    bluetooth = __import__("bluetooth")
    bluetooth.BLE.gap_advertise = lambda self, *_arguments, **_options: 1 / 0
    assert bench.run("bluetooth") == ["bluetooth.error"]
    bench = Bench()
    __import__("hal.system", None, None, ("x",)).os = _Urandom()
    assert bench.run("entropy") == ["entropy.ones", "entropy.repeats"]


class _Urandom:
    def urandom(self, count):
        return b"\x01" * count
