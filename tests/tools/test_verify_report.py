"""tools/verify_report.py: finds out any change of a signed report, and none that is layout only."""

import hashlib
import hmac
import json

import pytest
import verify_report

KEY = bytes(range(32))
UNSIGNED = {"serial": "SIM0000001", "utc": None, "settings": {"name": 'Bärs "box"\\', "rated_a": 16}, "faults": []}


@pytest.fixture
def paths(tmp_path):
    text = json.dumps(UNSIGNED, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    signature = hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
    report = tmp_path / "report.json"
    report.write_text(text[:-1] + f',"signature":"{signature}"}}', encoding="utf-8")
    key = tmp_path / "key"
    key.write_text(KEY.hex() + "\n")
    return report, key


def verify(report, key):
    return verify_report.main([str(report), "--key", str(key)])


def test_a_genuine_report_is_told_so_with_serial_and_time(paths, capsys):
    assert verify(*paths) == 0
    assert "genuine: serial SIM0000001, time unknown" in capsys.readouterr().out


def test_another_layout_of_the_same_report_is_genuine(paths):
    report, key = paths
    report.write_text(json.dumps(json.loads(report.read_text(encoding="utf-8")), indent=4), encoding="utf-8")
    assert verify(report, key) == 0


@pytest.mark.parametrize("change", [{"serial": "SIM0000002"}, {"utc": ""}, {"more": 1}, {"faults": [0]}])
def test_any_change_is_found(paths, change, capsys):
    report, key = paths
    found = json.loads(report.read_text(encoding="utf-8"))
    report.write_text(json.dumps({**found, **change}), encoding="utf-8")
    assert verify(report, key) == 1
    assert "not genuine" in capsys.readouterr().out


def test_the_key_of_another_device_does_not_fit(paths):
    report, key = paths
    key.write_text(bytes(32).hex())
    assert verify(report, key) == 1


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"signature": 5}', "\xff"])
def test_what_is_no_report_is_refused_with_the_reason(paths, text, capsys):
    report, key = paths
    report.write_text(text, encoding="latin-1")
    assert verify(report, key) == 2
    assert "verify_report: " in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 33])
def test_what_is_no_key_is_refused_and_not_shown(paths, text, capsys):
    report, key = paths
    key.write_text(text)
    assert verify(report, key) == 2
    error = capsys.readouterr().err
    assert "64 hexadecimal digits" in error and (not text or text not in error.replace("64", ""))


def test_a_missing_file_is_told(paths, tmp_path, capsys):
    assert verify(tmp_path / "none", paths[1]) == 2
    assert "none" in capsys.readouterr().err
