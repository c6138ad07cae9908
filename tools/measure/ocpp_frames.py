"""The longest frames in use that a central system sends to a charge point: micropython ocpp_frames.py FOLDER."""

import json
import sys
from binascii import crc32

from ocpp_host import TIME, framed

# What the specification's longest messages take in use: a local list of 50 tags, a profile of 24 periods that is
# sent with blanks.
_FRAME_BYTES = 7_000
_TAGS = 50
_PERIODS = 24


def _tag(number: int) -> dict:
    info = {
        "status": "Accepted",
        "expiryDate": "2027-06-30T12:00:%02dZ" % number,
        "parentIdTag": "FLEET-%d" % (number % 9),
    }
    return {"idTag": "%08X%06X" % (crc32(b"%d" % number), number * 7919), "idTagInfo": info}


def local_list(version: int) -> dict:
    """SendLocalList of 50 tags, as long as one entry can be."""
    entries = [_tag(number) for number in range(_TAGS)]
    return {"listVersion": version, "updateType": "Full", "localAuthorizationList": entries}


def profile() -> dict:
    """SetChargingProfile of 24 periods."""
    periods = [{"startPeriod": 3600 * hour, "limit": 6.1 + hour, "numberPhases": 3} for hour in range(_PERIODS)]
    schedule = {"duration": 86400, "startSchedule": TIME, "chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Recurring",
            "recurrencyKind": "Daily",
            "chargingSchedule": schedule,
        },
    }


def _write_frame(path: str, message_id: str, action: str, payload: dict) -> None:
    """Put a CALL into a file, as a frame of at least 7,000 bytes: filled up with the blanks that JSON allows."""
    text = json.dumps([2, message_id, action, payload]).encode()
    spread = (_FRAME_BYTES - len(text)) // text.count(b": ") + 1 if len(text) < _FRAME_BYTES else 0
    text = text.replace(b": ", b": " + b" " * spread)
    with open(path, "wb") as file:
        file.write(framed(text))


def write_frames(folder: str) -> None:
    """Write list1.frame, list2.frame and profile.frame; the ids of their messages are the names before the dot."""
    for version in (1, 2):
        _write_frame("%s/list%d.frame" % (folder, version), "list%d" % version, "SendLocalList", local_list(version))
    _write_frame(folder + "/profile.frame", "profile", "SetChargingProfile", profile())


if __name__ == "__main__":
    write_frames(sys.argv[1])
