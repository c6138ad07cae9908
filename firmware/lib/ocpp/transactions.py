"""Transactions from begin to end, and the delivery of their messages; it decides about no charging.

What is accepted here reaches the central system once, in order, whatever happens to link, power and clock: a message
keeps its id until it is answered or given up, and a transaction that a restart interrupted is ended with the last
register that was stored.

Wear, measured on a littlefs of 128 blocks by test_an_online_transaction_costs_few_erases: a transaction of 8 h with a
value each minute takes 15 erases online and, as each value is written then, 490 offline. One a day makes 5,500 or
180,000 erases a year, 0.04 % or 1.4 % of what 128 blocks of 100,000 erases bear, littlefs spreading them. With 0.7 ms
a page and 45 ms an erase (tools/flash_time.py) begin or end keep the chip for 52 ms, a value 2 ms online and
58 ms offline.
"""

import asyncio
import json
from time import ticks_add, ticks_diff

from micropython import const

from ocpp import samples
from ocpp.authorisation import masked
from ocpp.errors import CallError, CallTimeout, NotConnected
from ocpp.queue import DRIFT_S, Queue
from ocpp.timestamps import iso

# A power cut costs the energy of this time at most.
_CHECKPOINT_S = const(60)
# A reset that was announced comes within this time or not at all.
_RESET_S = const(60)
# transactionData in its compact form: with a stop's other fields it fits into a record of 1,000 bytes, and makes a
# message of about 5 KB. Begin and end get up to this each, which is 20 values.
_DATA_BYTES = const(760)
_EDGE_BYTES = const(350)
# A record of values and its message: 550 bytes hold about 30 values, which are 4 KB on the wire.
_VALUES_BYTES = const(550)
# After a lost link, before it is looked whether there is a new one.
_PAUSE_MS = const(1000)
# Before a reset it is looked so often whether all is delivered.
_LOOK_MS = const(50)
_LOGGED_CHARS = const(300)
# Timers of a chip reach 2**29 ms, which are 6.2 days.
_LONGEST_S = const(6 * 86400)
# The transactionId of one that the central system never gave an id (OCPP 1.6 errata 4.0, 3.18).
_NO_ID = const(-1)


class Transaction:
    """One transaction as this boot began it.

    `number` is local and rising, `transaction_id` the central system's (None before its answer, -1 when it never
    answered), `stored` whether the start is on flash, `authorised` None, True or False after the central system's
    word, `refused` the status with which it refused.
    """

    def __init__(self, number: int, stamp: list, id_tag: str, meter_start_wh: int):
        self.number = number
        self.stamp = stamp
        self.id_tag = id_tag
        self.parent_id_tag = None
        self.transaction_id: int | None = None
        self.meter_start_wh = meter_start_wh
        self.meter_wh = meter_start_wh
        self.reservation_id = None
        self.authorised = None
        self.refused = None
        self.stored = True
        # transactionData: the entry of the begin as JSON, and those that came since.
        self.begin_data: str | None = None
        self.data = []

    @property
    def start_utc(self):
        """UTC in s at which it began, None when that was not known then."""
        return self.stamp[2] or None


def _dumps(value) -> str:
    return json.dumps(value, separators=(",", ":"))


def _entry(uptime: int, context: str, sampled) -> str:
    """An entry of transactionData as JSON; of too many values those behind are left out."""
    packed = samples.pack(sampled)
    while True:
        entry = _dumps([uptime, samples.number(samples.CONTEXTS, context), packed])
        if len(entry) <= _EDGE_BYTES:
            return entry
        packed.pop()


def _parts(sampled):
    """Yield lists of packed values, each short enough for a record."""
    part = []
    size = 0
    for entry in samples.pack(sampled):
        length = len(_dumps(entry)) + 1
        if size + length > _VALUES_BYTES and part:
            yield part
            part = []
            size = 0
        part.append(entry)
        size += length
    if part:
        yield part


class Transactions:
    """The transaction of the one connector, and the messages of all that are not delivered.

    `point` gives folder, stores, clock, log, config, auth, online, call, transaction_refused(transaction, status) and
    sender, in whose turns messages are delivered. `restore` comes first after a start (or with the first `begin`);
    `link` must be told whenever `point.online` changes. `changed` holds functions without argument, called when
    `current` or its state changes. `interruption` is the reason (7.36) for which a restart that nobody has announced
    ends a transaction.
    """

    def __init__(self, point, interruption: str = "PowerLoss"):
        self._point = point
        self._interruption = interruption
        self._clock = point.clock
        self._log = point.log
        self.queue = Queue(point.folder, point.stores("ocpp_queue"), point.clock, point.log)
        self._store = point.stores("ocpp_run")
        self.current = None
        self.changed = []
        self._turn = point.sender.add(self._step)
        # Tick until which the head of the queue has to wait, whatever the news.
        self._until = None
        self._attempts = (0, 0)
        self._saved_s = 0
        self._saved_wh = 0
        self._reset_reason = None
        self._reset_s = 0
        self._no_time_told = False
        self._restored = False

    def _tell(self) -> None:
        for function in self.changed:
            function()

    # The running transaction

    def begin(self, id_tag: str, meter_wh: int, reservation_id=None, parent_id_tag=None, data=None) -> Transaction:
        """Begin a transaction; its start is on flash when this returns, before any current may flow.

        `data` are sampled values (context Transaction.Begin) for transactionData. Full when there is no room: nothing
        began. When flash refuses, the transaction goes on in RAM with `stored` False. One that still ran is ended.
        """
        self.restore()
        if self.current:
            self._log.add("warning", "ocpp", "superseded", "a transaction still ran as the next began")
            self.end("Other", meter_wh)
        stamp = self.queue.stamp()
        transaction = Transaction(0, stamp, id_tag, meter_wh)
        if data:
            transaction.begin_data = _entry(stamp[1], "Transaction.Begin", data)
        entry = json.loads(transaction.begin_data) if transaction.begin_data else 0
        record = stamp + [id_tag, meter_wh, reservation_id, entry]
        transaction.number, transaction.stored = self._append("start", record)
        transaction.reservation_id = reservation_id
        transaction.parent_id_tag = parent_id_tag
        self.current = transaction
        self._saved_s = stamp[1]
        self._saved_wh = meter_wh
        self._reset_reason = None
        self._tell()
        return transaction

    def _append(self, kind: str, record: list) -> tuple:
        """Queue a record -> its number, and whether it is where it has to be."""
        try:
            number = self.queue.append(kind, record)
            stored = True
        except OSError:
            # Logged by the queue, which has it in RAM.
            number = self.queue.last
            stored = False
        self._turn.wake()
        return number, stored

    def checkpoint(self, meter_wh: int) -> None:
        """Keep the register of the running transaction, on flash at most each 60 s; call it as often as it changes."""
        transaction = self.current
        if transaction is None:
            return
        transaction.meter_wh = max(transaction.meter_wh, meter_wh)
        waited_s = self._clock.uptime_s() - self._saved_s
        if waited_s >= _CHECKPOINT_S and transaction.meter_wh > self._saved_wh:
            self._save()

    def _save(self) -> None:
        transaction = self.current
        stamp = self.queue.stamp()
        self._saved_s = self._clock.uptime_s()
        self._saved_wh = transaction.meter_wh
        if self._saved_s - self._reset_s > _RESET_S:
            self._reset_reason = None
        try:
            self._store.save([transaction.number, transaction.meter_wh, self._reset_reason] + stamp)
        except OSError as error:
            self.queue.refused(error)

    def expect_reset(self, reason: str) -> None:
        """A reset is about to come: a transaction that it interrupts is ended with this reason, not with PowerLoss."""
        if self.current:
            self._reset_reason = reason
            self._reset_s = self._clock.uptime_s()
            self._save()

    def values(self, sampled: list, context: str, utc=None, connector: int = 1) -> None:
        """Queue meter values; `utc` (s) is the instant that they were sampled for, None for now.

        On connector 1 they belong to the running transaction, if there is one.
        """
        transaction = self.current if connector else None
        if transaction:
            # Before they leave: a stop after a power cut must not be earlier or lower than what it follows.
            transaction.meter_wh = max(transaction.meter_wh, samples.register_wh(sampled) or 0)
            self._save()
        head = self.queue.stamp(utc)
        head += [connector, transaction.number if transaction else 0, samples.number(samples.CONTEXTS, context)]
        for part in _parts(sampled):
            self._append("values", head + [part])

    def stop_data(self, sampled: list, context: str, utc=None) -> None:
        """Remember values for the transactionData of the running transaction; when room is short the oldest go."""
        if self.current and sampled:
            data = self.current.data
            data.append(_entry(self.queue.stamp(utc)[1], context, sampled))
            while sum(map(len, data)) > _DATA_BYTES:
                del data[0]

    def end(self, reason, meter_wh: int, id_tag=None, data=None) -> None:
        """End the running transaction, if there is one; its stop is on flash when this returns.

        `reason` is one of OCPP 1.6, 7.36 Reason or None, `id_tag` who ended it, `data` sampled values (context
        Transaction.End). When flash refuses, the stop is kept in RAM and written later.
        """
        transaction = self.current
        if transaction is None:
            return
        stamp = self.queue.stamp()
        last = _entry(stamp[1], "Transaction.End", data) if data else None
        transaction.meter_wh = max(transaction.meter_wh, meter_wh)
        self._stop(transaction, stamp, reason, id_tag, last)
        self.current = None
        self._tell()

    def _stop(self, transaction, stamp: list, reason, id_tag, last) -> None:
        edges = [entry for entry in (transaction.begin_data, last) if entry]
        between = transaction.data
        while between and sum(map(len, edges + between)) > _DATA_BYTES:
            del between[0]
        if last:
            between.append(edges.pop())
        data = [json.loads(entry) for entry in edges + between]
        record = stamp + [transaction.number, transaction.meter_wh, reason, id_tag]
        self._append("stop", record + [data] if data else record)

    def interrupted(self):
        """The transaction that the last restart interrupted, None without one or once `restore` has ended it."""
        if self._restored:
            return None
        found = self.queue.unfinished()
        if found is None:
            return None
        number, record = found
        id_tag, meter_wh, reservation_id, entry = record[3:]
        transaction = Transaction(number, record[:3], id_tag, meter_wh)
        transaction.reservation_id = reservation_id
        transaction.begin_data = _dumps(entry) if entry else None
        return transaction

    def restore(self, meter_wh: int = 0):
        """End the transaction that the last restart interrupted, and return it; None without one.

        It ends with the last register and time stored, for the reason that was expected or else for that of the
        restart; with `meter_wh`, the register as it is after the restart, when that is more. Only the first call does
        so: what is unfinished later is running.
        """
        transaction = self.interrupted()
        self._restored = True
        if transaction is None:
            return None
        transaction.meter_wh = max(transaction.meter_wh, meter_wh)
        reason = None
        stamp = transaction.stamp
        kept = self._store.load()
        if isinstance(kept, list) and len(kept) == 6 and kept[0] == transaction.number:
            transaction.meter_wh = max(transaction.meter_wh, kept[1])
            reason = kept[2]
            stamp = kept[3:]
        reason = reason or self._interruption
        self._stop(transaction, stamp, reason, None, None)
        text = "transaction %d ended after a restart: %s, %d Wh" % (transaction.number, reason, transaction.meter_wh)
        self._log.add("warning", "ocpp", "transaction_restored", text)
        return transaction

    # Delivery

    def link(self, online: bool) -> None:
        """`point.online` has changed. Values that only RAM has are written when it is lost."""
        self.queue.online = online
        if not online:
            self.queue.flush()
        self._turn.wake()

    async def delivered(self, ms: int) -> bool:
        """Wait until nothing waits for delivery, `ms` at most -> whether that came to be."""
        until = ticks_add(self._clock.ticks_ms(), ms)
        while self.queue.head() is not None:
            if ticks_diff(until, self._clock.ticks_ms()) <= 0:
                return False
            await asyncio.sleep_ms(_LOOK_MS)
        return True

    async def _step(self):
        """Deliver the next message -> ms until the one after it may leave, None when only news let it."""
        if self.queue.count():
            return 0
        if self._until is not None:
            left_ms = ticks_diff(self._until, self._clock.ticks_ms())
            if left_ms > 0:
                return left_ms
            self._until = None
        head = self._head() if self._point.online else None
        if head is None or not await self._deliver(*head):
            return None
        return 0

    def _wait(self, ms: int) -> None:
        """Let the head of the queue wait."""
        self._until = ticks_add(self._clock.ticks_ms(), ms)

    def _head(self):
        """What comes next: the head of the queue, or before a start the stop of a transaction that damage has taken.

        That one gets the register of the start behind it, and minus the transaction's number.
        """
        head = self.queue.head()
        number = self._note()[0]
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
        utc = await self._utc(kind, record)
        if utc is None:
            self._tell_no_time()
            return False
        action, payload = self._message(kind, record, utc)
        try:
            answer = await self._point.call(action, payload, self.queue.message_id(sequence))
        except NotConnected:
            self.queue.flush()
            self._wait(_PAUSE_MS)
        except (CallError, CallTimeout) as error:
            self._failed(sequence, kind, record, utc, error)
        else:
            self._answered(sequence, kind, record, utc, answer)
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
        return self._note()[0] == record[4 if kind == "values" else 3] != 0

    async def _utc(self, kind: str, record: list):
        """The UTC to send, None when it cannot be told.

        Times of one transaction never go back: it keeps the clock that its start was told with, unless the
        difference is what clocks drift by.
        """
        _, _, last, boot, origin = self._note()
        stamp = record[:3]
        utc = await self.queue.utc(stamp)
        told = origin + stamp[1] if boot == stamp[0] and last else None
        if not self._belongs(kind, record):
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
        transaction_id = self._note()[1] if self._belongs(kind, record) else _NO_ID
        if kind == "values":
            connector, number, context, packed = record[3:]
            value = {"timestamp": iso(utc), "sampledValue": samples.unpack(packed, context)}
            payload = {"connectorId": connector, "meterValue": [value]}
            if number:
                payload["transactionId"] = transaction_id
            return "MeterValues", payload
        return "StopTransaction", self._stop_payload(record, utc, transaction_id)

    def _stop_payload(self, record: list, utc: int, transaction_id: int) -> dict:
        payload = {"transactionId": transaction_id, "meterStop": record[4], "timestamp": iso(utc)}
        if record[5]:
            payload["reason"] = record[5]
        if record[6]:
            payload["idTag"] = record[6]
        if len(record) > 7:
            _, _, _, boot, origin = self._note()
            if not (self._belongs("stop", record) and boot == record[0]):
                origin = utc - record[1]
            payload["transactionData"] = [
                {"timestamp": iso(min(origin + uptime, utc)), "sampledValue": samples.unpack(packed, context)}
                for uptime, context, packed in record[7]
            ]
        return payload

    def _noted(self, sequence: int, kind: str, record: list, utc: int, transaction_id=None) -> list:
        """The note behind a message."""
        if kind == "start":
            return [sequence, transaction_id, utc, record[0], utc - record[1]]
        note = list(self._note())
        if self._belongs(kind, record):
            note[2] = utc
            if kind == "stop":
                note[0] = 0
        elif not note[0]:
            # If nothing is known of that boot's time, what comes from it later keeps the distance.
            note[2:] = utc, record[0], utc - record[1]
        return note

    def _answered(self, sequence: int, kind: str, record: list, utc: int, answer: dict) -> None:
        note = self._noted(sequence, kind, record, utc, answer.get("transactionId"))
        self._done(sequence, note)
        if kind == "start":
            self._started(sequence, record, answer["transactionId"], answer["idTagInfo"])
        elif kind == "stop" and record[6] and "idTagInfo" in answer:
            self._point.auth.learn(record[6], answer["idTagInfo"])

    def _started(self, number: int, record: list, transaction_id: int, info: dict) -> None:
        self._point.auth.learn(record[3], info)
        transaction = self.current
        if transaction is None or transaction.number != number:
            return
        transaction.transaction_id = transaction_id
        transaction.authorised = info["status"] == "Accepted"
        if not transaction.authorised:
            transaction.refused = info["status"]
            self._point.transaction_refused(transaction, info["status"])
        self._tell()

    def _failed(self, sequence: int, kind: str, record: list, utc: int, error) -> None:
        """Count an attempt that was not processed (OCPP 1.6, 3.7.1), and let the message wait or give it up."""
        counted, attempts = self._attempts
        attempts = attempts + 1 if counted == sequence else 1
        self._attempts = sequence, attempts
        config = self._point.config
        if attempts < config["TransactionMessageAttempts"]:
            text = "%s %d not processed: %r" % (kind, sequence, error)
            self._log.add("warning", "ocpp", "message_refused", text)
            self._wait(1000 * min(_LONGEST_S, config["TransactionMessageRetryInterval"] * attempts))
            return
        shown = list(record)
        place = {"start": 3, "stop": 6}.get(kind)
        if place and shown[place]:
            shown[place] = masked(shown[place])
        text = "%s %d given up after %d attempts: %r; it was %s" % (kind, sequence, attempts, error, shown)
        self._log.add("error", "ocpp", "message_dropped", text[:_LOGGED_CHARS])
        self._done(sequence, self._noted(sequence, kind, record, utc, _NO_ID))
        if self.current and self.current.number == sequence:
            self.current.transaction_id = _NO_ID
            self._tell()
