"""Runs on MicroPython: checks messages with the firmware's tables, one JSON line in, one out.

In: [action, is a request, payload]. Out: the error code, or null when the message is right.
"""

import json
import sys

sys.path[:0] = [sys.argv[1]]

from ocpp import schema  # noqa: E402
from ocpp.errors import CallError  # noqa: E402

while True:
    line = sys.stdin.readline()
    if not line:
        break
    action, is_request, payload = json.loads(line)
    code = None
    try:
        (schema.check_request if is_request else schema.check_response)(action, payload)
    except CallError as error:
        assert 0 < len(error.description) <= 255
        code = error.code
    print(json.dumps(code))
