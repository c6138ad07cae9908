"""Date-times of central systems: every form that is met in the field, and nothing that is no time."""

from ocpp.timestamps import iso, parse

NOON = 1769860800  # date -u -d 2026-01-31T12:00:00Z +%s


def refused(text):
    try:
        seconds = parse(text)
    except ValueError as error:
        return str(error)
    raise AssertionError("%r was taken as %d" % (text, seconds))


def test_utc_with_z_and_back():
    # From date -u +%s.
    for text, seconds in (
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-31T12:00:00Z", NOON),
        ("2000-02-29T23:59:59Z", 951868799),
        ("2000-03-01T00:00:00Z", 951868800),
        ("2024-12-31T23:59:59Z", 1735689599),
        ("2038-01-19T03:14:08Z", 2147483648),
        ("2100-02-28T23:59:59Z", 4107542399),
        ("2100-03-01T00:00:00Z", 4107542400),
        ("9999-12-31T23:59:59Z", 253402300799),
        ("1969-12-31T23:59:59Z", -1),
        ("0001-01-01T00:00:00Z", -62135596800),
    ):
        assert parse(text) == seconds, (text, parse(text))
        assert iso(seconds) == text, (seconds, iso(seconds))


def test_every_day_of_four_centuries_follows_the_one_before():
    seconds = parse("1899-12-31T00:00:00Z")
    for year in range(1900, 2301):
        for month in range(1, 13):
            for day in range(1, 32):
                text = "%04d-%02d-%02dT00:00:00Z" % (year, month, day)
                try:
                    found = parse(text)
                except ValueError:
                    assert day > 28, text
                    continue
                seconds += 86400
                assert found == seconds, text
                assert iso(seconds) == text, text


def test_every_second_of_a_day_comes_back():
    for seconds in range(NOON, NOON + 86400, 7):
        assert parse(iso(seconds)) == seconds


def test_fractions_of_any_length_are_cut_off():
    for fraction in (".0", ".5", ".999", ".123456", ".1234567", ".999999999999", ",5"):
        assert parse("2026-01-31T12:00:00%sZ" % fraction) == NOON, fraction
        assert parse("2026-01-31T12:00:00%s+00:00" % fraction) == NOON, fraction
    assert parse("1969-12-31T23:59:58.9Z") == -2


def test_offsets_are_taken_off():
    for offset, minutes in (
        ("+00:00", 0),
        ("-00:00", 0),
        ("+01:00", 60),
        ("-01:00", -60),
        ("+05:45", 345),
        ("-03:30", -210),
        ("+14:00", 840),
        ("-14:00", -840),
        ("+0100", 60),
        ("-0330", -210),
        ("+02", 120),
        ("-02", -120),
    ):
        assert parse("2026-01-31T12:00:00" + offset) == NOON - 60 * minutes, offset
    assert parse("2026-01-01T00:30:00+01:00") == parse("2025-12-31T23:30:00Z")


def test_without_an_offset_it_is_utc():
    assert parse("2026-01-31T12:00:00") == NOON
    assert parse("2026-01-31T12:00:00.250") == NOON


def test_lower_case_and_a_blank_are_taken_as_rfc_3339_allows():
    assert parse("2026-01-31t12:00:00z") == NOON
    assert parse("2026-01-31 12:00:00Z") == NOON


def test_the_end_of_a_day_and_a_leap_second_are_the_next_second():
    assert parse("2026-01-31T24:00:00Z") == parse("2026-02-01T00:00:00Z")
    assert parse("2016-12-31T23:59:60Z") == parse("2017-01-01T00:00:00Z")


def test_leap_days_only_in_leap_years():
    for year in (2000, 2024, 2400):
        assert parse("%d-02-29T00:00:00Z" % year) == parse("%d-03-01T00:00:00Z" % year) - 86400
    for year in (1900, 2023, 2100, 2200):
        refused("%d-02-29T00:00:00Z" % year)


def test_what_no_calendar_has_is_refused():
    for text in (
        "2026-00-10T12:00:00Z",
        "2026-13-10T12:00:00Z",
        "2026-01-00T12:00:00Z",
        "2026-01-32T12:00:00Z",
        "2026-04-31T12:00:00Z",
        "2026-01-31T24:00:01Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-01-31T12:00:00+14:01",
        "2026-01-31T12:00:00-15:00",
        "2026-01-31T12:00:00+01:60",
        "2026-01-31T12:00:00-0060",
        "0000-01-01T00:00:00Z",
    ):
        refused(text)


def test_other_forms_are_refused():
    for text in (
        "",
        "now",
        "1769860800",
        "2026-01-31",
        "2026-01-31T",
        "2026-01-31T12:00Z",
        "2026-01-31T12Z",
        "20260131T120000Z",
        "2026-1-31T12:00:00Z",
        "26-01-31T12:00:00Z",
        "12026-01-31T12:00:00Z",
        "-2026-01-31T12:00:00Z",
        "2026/01/31T12:00:00Z",
        "2026-01/31T12:00:00Z",
        "2026-01-31T12.00:00Z",
        "2026-01-31T12:00.00Z",
        "2026-01-31T12:00:0Z",
        "2026-01-31_12:00:00Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00.",
        "2026-01-31T12:00:00. 5Z",
        "2026-01-31T12:00:00Zulu",
        "2026-01-31T12:00:00 Z",
        "2026-01-31T12:00:00+",
        "2026-01-31T12:00:00+1",
        "2026-01-31T12:00:00+1:00",
        "2026-01-31T12:00:00+01:0",
        "2026-01-31T12:00:00+01-00",
        "2026-01-31T12:00:00+01:00Z",
        "2026-01-31T12:00:00*01:00",
        "2026-01-31T12:00:00 CET",
        " 2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z ",
        "+026-01-31T12:00:00Z",
        "2026-01-31T-1:00:00Z",
        "2026-01-31T+1:00:00Z",
        "2026-01-31T 1:00:00Z",
        "\uff12026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.\uff15Z",
    ):
        refused(text)


def test_no_prefix_of_a_full_form_but_those_without_offset_is_a_time():
    whole = "2026-01-31T12:00:00.5+01:00"
    for length in range(len(whole)):
        if length in (19, 21, 24):  # no fraction, no offset, offset of hours only
            assert parse(whole[:length]) is not None
        else:
            refused(whole[:length])


def test_an_error_shows_the_text_shortened_and_what_is_allowed():
    text = refused("tomorrow" * 100)
    assert "tomorrowtomorrow" in text and "2026-01-31T12:00:00" in text, text
    assert len(text) < 120, text
