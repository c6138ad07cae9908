"""The board definition of the ESP32-S3: pins, partitions and what MicroPython's build reads say the same (R29)."""

import os

from esp32s3_help import machine

# isort: split
import pins

_ROOT = __file__[: -len("tests/unit/test_esp32s3_board.py")]
_FOLDER = _ROOT + "boards/esp32s3/"
# Buses and ports are no lines.
_NUMBERS = ("SAFE_SPI", "ETH_SPI", "RS485_UART", "MODEM_UART", "I2C_PORT")
_STRAPS = (0, 3, 45, 46)
# Whose wrong level hurts somebody.
_OUTPUTS_THAT_MATTER = ("CP_PWM", "PUMP", "HOLD", "RCM_TEST", "WATCHDOG")


def _read(name):
    with open(_FOLDER + name) as file:
        return file.read()


def _lines():
    names = [name for name in dir(pins) if name[0].isupper() and not name.startswith(("IN_", "OUT_"))]
    return {name: getattr(pins, name) for name in names if name not in _NUMBERS}


def _rows(name):
    return [
        [cell.strip() for cell in row.split(",")] for row in _read(name).split("\n") if row and not row.startswith("#")
    ]


def test_pins_csv_has_the_same_lines():
    assert {row[0]: row[1] for row in _rows("pins.csv")} == {name: "GPIO%d" % pin for name, pin in _lines().items()}


def test_every_line_has_a_pin_of_its_own_that_the_module_brings_out():
    used = list(_lines().values())
    assert len(set(used)) == len(used)
    for name, pin in _lines().items():
        assert pin in machine.MODULE_PINS, name
        assert pin not in (19, 20), "%s is on the service port" % name


def test_analogue_lines_are_on_adc1_and_outputs_that_matter_on_no_strapping_pin():
    for name in ("CP_HIGH", "CP_LOW", "RCM_DC", "RCM_AC", "NTC"):
        assert 1 <= _lines()[name] <= 10, name
    for name in _OUTPUTS_THAT_MATTER:
        assert _lines()[name] not in _STRAPS, name


def test_bits_of_the_expander_are_single_and_different():
    for start in ("IN_", "OUT_"):
        bits = [getattr(pins, name) for name in dir(pins) if name.startswith(start)]
        assert sum(bits) < 0x100
        seen = 0
        for bit in bits:
            assert bit and not bit & bit - 1 and not bit & seen
            seen |= bit


def test_the_readme_tells_every_line():
    table = _read("README.md")
    for name, pin in _lines().items():
        assert "| %d | `%s` |" % (pin, name) in table, name
    for port, start in (("A", "IN_"), ("B", "OUT_")):
        for name in [name for name in dir(pins) if name.startswith(start)]:
            bit = [1 << i for i in range(8)].index(getattr(pins, name))
            assert "| %s%d | `%s` |" % (port, bit, name) in table, name


def test_the_default_pins_of_micropython_are_those_of_the_board():
    header = _read("mpconfigboard.h")
    for macro, name in (
        ("SPI1_SCK", "ETH_SCK"),
        ("SPI1_MOSI", "ETH_MOSI"),
        ("SPI1_MISO", "ETH_MISO"),
        ("SPI2_SCK", "SAFE_SCK"),
        ("SPI2_MOSI", "SAFE_MOSI"),
        ("SPI2_MISO", "SAFE_MISO"),
        ("I2C0_SCL", "I2C_SCL"),
        ("I2C0_SDA", "I2C_SDA"),
        ("UART1_TX", "RS485_TX"),
        ("UART1_RX", "RS485_RX"),
        ("UART2_TX", "MODEM_TX"),
        ("UART2_RX", "MODEM_RX"),
    ):
        assert "#define MICROPY_HW_%s (%d)\n" % (macro, _lines()[name]) in header, macro
    assert '#define MICROPY_HW_BOARD_NAME "wallbox-s3-1"\n' in header


def test_partitions_are_where_they_may_be_and_fill_8_mb_without_overlap():
    end = 0x9000
    sizes = {}
    for name, kind, _subtype, offset, size, _flags in _rows("partitions.csv"):
        offset, size = int(offset, 0), int(size, 0)
        # Flash is erased by 4 KB, and the chip maps programs by 64 KB.
        assert offset % (0x10000 if kind == "app" or name.startswith("slot") else 0x1000) == 0, name
        assert end <= offset < end + 0x10000, name
        end = offset + size
        sizes[name] = size
    assert end == 8 << 20
    assert sizes["ota_0"] == sizes["ota_1"] == 2 << 20
    assert sizes["slot_a"] == sizes["slot_b"] == 768 << 10
    assert sizes["nvs"] == 24 << 10 and sizes["otadata"] == 8 << 10


def test_the_build_takes_the_boards_own_files():
    build = _read("mpconfigboard.cmake")
    for name in ("sdkconfig.*", "mod*.c", "partitions.csv", "manifest.py"):
        assert "${MICROPY_BOARD_DIR}/" + name in build, name
    for name in ("sdkconfig.board", "sdkconfig.ble", "manifest.py"):
        assert _read(name)
    assert "CONFIG_SPIRAM=n\n" in _read("sdkconfig.board")


def test_a_production_box_has_the_same_partitions_with_all_that_is_secret_encrypted():
    plain = {row[0]: (row[1], row[2], row[4]) for row in _rows("partitions.csv")}
    rows = _rows("secure/partitions.csv")
    assert {row[0]: (row[1], row[2], row[4]) for row in rows} == plain
    # ESP-IDF encrypts programs and otadata without being told, and must not encrypt nvs, which has a way of its own.
    assert {row[0] for row in rows if row[5] == "encrypted"} == {"nvs_keys", "slot_a", "slot_b", "vfs"}
    end = 0x10000
    for name, kind, _subtype, offset, size, _flags in rows:
        assert int(offset, 0) >= end, name
        assert int(offset, 0) % (0x10000 if kind == "app" or name.startswith("slot") else 0x1000) == 0, name
        end = int(offset, 0) + int(size, 0)
    assert end == 8 << 20


def test_what_burns_efuses_is_in_the_variant_alone():
    config = _read("secure/sdkconfig")
    for option in (
        "SECURE_BOOT_V2_ENABLED",
        "SECURE_FLASH_ENCRYPTION_MODE_RELEASE",
        "NVS_ENCRYPTION",
        "SECURE_DISABLE_ROM_DL_MODE",
    ):
        assert "CONFIG_%s=y\n" % option in config, option
    assert "ALLOW_JTAG=y" not in config
    assert "secure/sdkconfig" in _read("mpconfigvariant_SECURE.cmake")
    assert "secure" not in _read("mpconfigboard.cmake")
    names = [row[0] for row in os.ilistdir(_FOLDER)]
    taken = [name for name in names if name.startswith("sdkconfig.")]
    assert sorted(taken) == ["sdkconfig.ble", "sdkconfig.board", "sdkconfig.uart"]
    for name in taken:
        assert "SECURE_" not in _read(name), name
