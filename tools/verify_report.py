"""Verifies the signature of an installer's report (R37) with the key of its device, which the production tool keeps."""

import argparse
import hashlib
import hmac
import json
import sys
from pathlib import Path

KEY_BYTES = 32
EXIT_WRONG, EXIT_USAGE = 1, 2


class ReportError(Exception):
    """What was given is no report or no key; the text says why."""


def canonical(report: dict) -> bytes:
    """Return what is signed: the report without its signature, sorted keys, no spaces."""
    unsigned = {name: value for name, value in report.items() if name != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse(text: str) -> dict:
    """Return the report in `text`; ReportError when it is none."""
    try:
        report = json.loads(text)
    except ValueError as error:
        raise ReportError(f"no JSON: {error}") from error
    if not isinstance(report, dict) or not isinstance(report.get("signature"), str):
        raise ReportError("no report: a JSON object with `signature` is expected")
    return report


def parse_key(text: str) -> bytes:
    """Return the key written as 64 hexadecimal digits; ReportError for anything else. The text is not shown."""
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ReportError(f"the key is not right; expected: {2 * KEY_BYTES} hexadecimal digits")
    return key


def is_genuine(report: dict, key: bytes) -> bool:
    """Tell whether the report is, but for its layout, what the device with this key has signed."""
    wanted = hmac.new(key, canonical(report), hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), report["signature"].encode())


def main(arguments: list[str] | None = None) -> int:
    """Verify the file on the command line; 0 when it is genuine, 1 when not, 2 when it cannot be told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="the file that the box gave as `report`")
    parser.add_argument("--key", type=Path, required=True, help="file with the device's key, 64 hexadecimal digits")
    options = parser.parse_args(arguments)
    try:
        report = parse(options.report.read_text(encoding="utf-8"))
        key = parse_key(options.key.read_text(encoding="ascii"))
    except (OSError, UnicodeError, ReportError) as error:
        print(f"verify_report: {error}", file=sys.stderr)
        return EXIT_USAGE
    if not is_genuine(report, key):
        print("not genuine: the report was changed, or it is of a device with another key")
        return EXIT_WRONG
    firmware = report.get("firmware", {})
    print(f"genuine: serial {report.get('serial')}, {report.get('utc') or 'time unknown'}")
    print(f"firmware {firmware.get('version')}, SHA-256 {firmware.get('sha256')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
