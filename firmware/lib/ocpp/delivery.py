"""Delivery of what waits in the queue: functions of Transactions, loaded while something waits."""

from time import ticks_add

from micropython import const

from ocpp.authorisation import masked
from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.queue import DRIFT_S
from ocpp.rare import borrow
from ocpp.timestamps import iso

# After a lost link, before it is looked whether there is a new one.
_PAUSE_MS = const(1000)
_LOGGED_CHARS = const(300)
# Timers of a chip reach 2**29 ms, which are 6.2 days.
_LONGEST_S = const(6 * 86400)
# The transactionId of one that the central system never gave an id (OCPP 1.6 errata 4.0, 3.18).
_NO_ID = const(-1)

samples = borrow("samples")


async def deliver(self):
    """Deliver the next message -> ms until the one after it may leave, None when only news let it."""
    head = _head(self)
    if head is None or not await _deliver(self, *head):
        return None
    return 0


def _wait(self, ms: int) -> None:
    """Let the head of the queue wait."""
    self._until = ticks_add(self._clock.ticks_ms(), ms)


def _head(self) -> tuple | None:
    """What comes next: the head of the queue, or before a start the stop of a transaction that damage has taken.

    That one gets the register of the start behind it, and minus the transaction's number.
    """
    head = self.queue.head()
    number = _note(self)[0]
    if head and head[1] == "start" and number:
        start = head[2]
        return -number, "stop", start[:3] + [number, start[4], "Other", None]
    return head


def _done(self, sequence: int, note: list) -> None:
    if sequence > 0:
        self.queue.done(sequence, note)
        return
    self._log.add("error", "ocpp", "stop_replaced", "the stop of transaction %d was damaged" % -sequence)
    self.queue.keep(note)


async def _deliver(self, sequence: int, kind: str, record: list) -> bool:
    """Send a message and take its answer; False when it has to wait for news of link or clock."""
    utc = await _utc(self, kind, record)
    if utc is None:
        _tell_no_time(self)
        return False
    action, payload = _message(self, kind, record, utc)
    try:
        answer = await self._point.call(action, payload, self.queue.message_id(sequence))
    except NotConnected:
        self.queue.flush()
        _wait(self, _PAUSE_MS)
    except (CallError, CallTimeout) as error:
        _failed(self, sequence, kind, record, utc, error)
    else:
        _answered(self, sequence, kind, record, utc, answer)
    return True


def _tell_no_time(self) -> None:
    if not self._no_time_told:
        self._no_time_told = True
        self._log.add("warning", "ocpp", "no_time", "messages wait, as their time cannot be told without a clock")


# What is known of the transaction whose messages leave: number, id (0: none yet), UTC of the newest message, and
# the boot that it ran in with the UTC of that boot's start, as its start was told.


def _note(self) -> list:
    note = self.queue.note
    return note if len(note) == 5 else [0, 0, 0, 0, 0]


def _belongs(self, kind: str, record: list) -> bool:
    """Whether a record is of the transaction whose start was the newest to leave."""
    if kind == "start":
        return False
    return _note(self)[0] == record[4 if kind == "values" else 3] != 0


async def _utc(self, kind: str, record: list):
    """The UTC to send, None when it cannot be told.

    Times of one transaction never go back: it keeps the clock that its start was told with, unless the
    difference is what clocks drift by.
    """
    _, _, last, boot, origin = _note(self)
    stamp = record[:3]
    utc = await self.queue.utc(stamp)
    told = origin + stamp[1] if boot == stamp[0] and last else None
    if not _belongs(self, kind, record):
        if utc is not None:
            return utc
        return await self.queue.earliest(stamp, last) if told is None else told
    if told is not None and (utc is None or abs(utc - told) > DRIFT_S):
        utc = told
    return last if utc is None else max(utc, last)


def _message(self, kind: str, record: list, utc: int) -> tuple:
    """(action, payload) of OCPP 1.6, chapter 6."""
    if kind == "start":
        payload = {"connectorId": 1, "idTag": record[3], "meterStart": record[4], "timestamp": iso(utc)}
        if record[5] is not None:
            payload["reservationId"] = record[5]
        return "StartTransaction", payload
    transaction_id = _note(self)[1] if _belongs(self, kind, record) else _NO_ID
    if kind == "values":
        connector, number, context, packed = record[3:]
        value = {"timestamp": iso(utc), "sampledValue": samples.unpack(packed, context)}
        payload = {"connectorId": connector, "meterValue": [value]}
        if number:
            payload["transactionId"] = transaction_id
        return "MeterValues", payload
    return "StopTransaction", _stop_payload(self, record, utc, transaction_id)


def _stop_payload(self, record: list, utc: int, transaction_id: int) -> dict:
    payload = {"transactionId": transaction_id, "meterStop": record[4], "timestamp": iso(utc)}
    if record[5]:
        payload["reason"] = record[5]
    if record[6]:
        payload["idTag"] = record[6]
    if len(record) > 7:
        _, _, _, boot, origin = _note(self)
        if not (_belongs(self, "stop", record) and boot == record[0]):
            origin = utc - record[1]
        entries = payload["transactionData"] = []
        for uptime, context, packed in record[7]:
            # What was sampled with the stop has its time, though clock and uptime count their seconds apart.
            at = utc if uptime == record[1] else min(origin + uptime, utc)
            entries.append({"timestamp": iso(at), "sampledValue": samples.unpack(packed, context)})
    return payload


def _noted(self, sequence: int, kind: str, record: list, utc: int, transaction_id=None) -> list:
    """The note behind a message."""
    if kind == "start":
        return [sequence, transaction_id, utc, record[0], utc - record[1]]
    note = list(_note(self))
    if _belongs(self, kind, record):
        note[2] = utc
        if kind == "stop":
            note[0] = 0
    elif not note[0]:
        # If nothing is known of that boot's time, what comes from it later keeps the distance.
        note[2:] = utc, record[0], utc - record[1]
    return note


def _answered(self, sequence: int, kind: str, record: list, utc: int, answer: dict) -> None:
    note = _noted(self, sequence, kind, record, utc, answer.get("transactionId"))
    _done(self, sequence, note)
    if kind == "start":
        _started(self, sequence, record, answer["transactionId"], answer["idTagInfo"])
    elif kind == "stop" and record[6] and "idTagInfo" in answer:
        self._point.auth.learn(record[6], answer["idTagInfo"])


def _started(self, number: int, record: list, transaction_id: int, info: dict) -> None:
    transaction = self.current
    if transaction is not None and transaction.number == number:
        # First of all: what follows is loaded, for which the heap may have no room.
        transaction.transaction_id = transaction_id
        transaction.authorised = info["status"] == "Accepted"
        transaction.refused = None if transaction.authorised else info["status"]
        self._tell()
        self.heed()
    self._point.auth.learn(record[3], info)


def _failed(self, sequence: int, kind: str, record: list, utc: int, error) -> None:
    """Count an attempt that was not processed (OCPP 1.6, 3.7.1), and let the message wait or give it up."""
    counted, attempts = self._attempts
    attempts = attempts + 1 if counted == sequence else 1
    self._attempts = sequence, attempts
    config = self._point.config
    if attempts < config["TransactionMessageAttempts"]:
        text = "%s %d not processed: %r" % (kind, sequence, error)
        self._log.add("warning", "ocpp", "message_refused", text)
        _wait(self, 1000 * min(_LONGEST_S, config["TransactionMessageRetryInterval"] * attempts))
        return
    shown = list(record)
    place = {"start": 3, "stop": 6}.get(kind)
    if place and shown[place]:
        shown[place] = masked(shown[place])
    text = "%s %d given up after %d attempts: %r; it was %s" % (kind, sequence, attempts, error, shown)
    self._log.add("error", "ocpp", "message_dropped", text[:_LOGGED_CHARS])
    _done(self, sequence, _noted(self, sequence, kind, record, utc, _NO_ID))
    if self.current and self.current.number == sequence:
        self.current.transaction_id = _NO_ID
        self._tell()
