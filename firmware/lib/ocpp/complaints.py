"""What is said of a frame that is broken, and of a CALLERROR of the peer: functions of Rpc, loaded for each."""

from time import ticks_diff

from micropython import const

from ocpp.errors import FORMATION, GENERIC, CallError
from ocpp.rpc import error_text

# A peer that sends nonsense without end must not fill the log.
_QUIET_MS = const(60000)
# An id that is longer is not looked for in a broken frame, nor sent back.
_ID_ECHOED = const(64)
_CALL_HEAD = b'[2,"'


def complain(self, why: str, message_id, data, answered: bool) -> None:
    """Log what was wrong with a frame, and answer it, if it is to be `answered` and its id is known or in `data`."""
    if data is not None:
        message_id = call_id(data)
    _log(self, why, message_id)
    if answered and message_id and len(message_id) <= _ID_ECHOED:
        self._queue_text(error_text(message_id, FORMATION, why))


def _log(self, why: str, message_id) -> None:
    """Log what was wrong with a frame, once a minute at most."""
    now = self._clock.ticks_ms()
    if self.complained_at is not None and ticks_diff(now, self.complained_at) < _QUIET_MS:
        self.unsaid += 1
        return
    text = "%s; id %s" % (why, (message_id or "none")[:_ID_ECHOED])
    if self.unsaid:
        text += "; %d more since the last entry" % self.unsaid
    self.complained_at = now
    self.unsaid = 0
    self._log.add("warning", "ocpp", "frame_refused", text)


def call_id(data):
    """The id of a CALL whose frame is cut short or broken behind it, None when there is none to be found."""
    compact = b"".join(bytes(data[: 2 * _ID_ECHOED]).split())
    end = compact.find(b'"', len(_CALL_HEAD))
    if not compact.startswith(_CALL_HEAD) or end < 0:
        return None
    name = compact[len(_CALL_HEAD) : end].decode()
    return name if 0 < len(name) <= _ID_ECHOED and "\\" not in name else None


def peer_error(answer: list) -> CallError:
    """The error that a CALLERROR tells; peers leave out or mix up what follows the id."""
    code, description, details = (answer[2:5] + [None, None, None])[:3]
    return CallError(
        code if isinstance(code, str) else GENERIC,
        description if isinstance(description, str) else "",
        details if isinstance(details, dict) else None,
    )
