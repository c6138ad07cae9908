"""boards/esp32s3/hal/nvs.py on a stand-in of `esp32` (R30)."""

import s3_board


def _fresh():
    global esp32
    _, esp32 = s3_board.chip()
    return s3_board.load("nvs")


def test_nothing_is_stored_at_first():
    assert _fresh().load("slots") is None


def test_a_stored_value_survives_a_power_cut_whole():
    nvs = _fresh()
    value = bytes(range(256))
    nvs.save("slots", value)
    esp32.power_cut()
    assert s3_board.load("nvs").load("slots") == value


def test_a_shorter_value_takes_the_place_of_a_longer_one():
    nvs = _fresh()
    nvs.save("slots", b"longer")
    nvs.save("slots", memoryview(b"new"))
    assert nvs.load("slots") == b"new"


def test_values_of_other_names_stay():
    nvs = _fresh()
    nvs.save("serial", b"WB2648-0001")
    nvs.save("slots", b"record")
    nvs.erase("slots")
    nvs.erase("slots")
    esp32.power_cut()
    assert nvs.load("slots") is None
    assert nvs.load("serial") == b"WB2648-0001"


def test_a_value_too_long_is_refused_and_the_old_one_stays():
    nvs = _fresh()
    nvs.save("slots", b"old")
    try:
        nvs.save("slots", bytes(257))
    except ValueError as error:
        assert "257" in str(error) and "256" in str(error)
    else:
        raise AssertionError("257 bytes were taken")
    assert nvs.load("slots") == b"old"


def test_a_failure_of_the_flash_is_not_taken_for_an_empty_one():
    nvs = _fresh()

    def fail(_self, _key, _buf=None):
        raise OSError(-0x110F, "ESP_ERR_NVS_PART_NOT_FOUND")

    esp32.NVS.get_blob = fail
    esp32.NVS.erase_key = fail
    for action in (nvs.load, nvs.erase):
        try:
            action("slots")
        except OSError as error:
            assert error.errno == -0x110F
        else:
            raise AssertionError("the failure was swallowed")
