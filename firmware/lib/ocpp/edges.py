"""Begin and end of a transaction and the values between: functions of Transactions, loaded for each."""

import asyncio
import json
from time import ticks_add, ticks_diff

from micropython import const

from ocpp.queue import REFUSALS
from ocpp.rare import borrow

# transactionData in its compact form: with a stop's other fields it fits into a record of 1,000 bytes, and makes a
# message of about 5 KB. Begin and end get up to this each, which is 20 values.
_DATA_BYTES = const(760)
_EDGE_BYTES = const(350)
# A record of values and its message: 550 bytes hold about 30 values, which are 4 KB on the wire.
_VALUES_BYTES = const(550)
# A power cut costs the energy of this time at most.
_CHECKPOINT_S = const(60)
# A reset that was announced comes within this time or not at all.
_RESET_S = const(60)
# Before a reset it is looked so often whether all is delivered.
_LOOK_MS = const(50)

# All that is needed is here before anything is done: a full heap leaves nothing half done.
samples = borrow("samples")
Transaction = borrow("transaction").Transaction


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


def begin(self, id_tag: str, meter_wh: int, reservation_id=None, parent_id_tag=None, data=None):
    """Begin a transaction and return it; its start is on flash when this returns, before any current may flow.

    `data` are sampled values (context Transaction.Begin) for transactionData. Full when there is no room: nothing
    began. When flash refuses, the transaction goes on in RAM with `stored` False. One that still ran is ended.
    """
    restore(self)
    if self.current:
        self._log.add("warning", "ocpp", "superseded", "a transaction still ran as the next began")
        end(self, "Other", meter_wh)
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


def expect_reset(self, reason: str) -> None:
    """A reset is about to come: a transaction that it interrupts is ended with this reason, not with PowerLoss."""
    if self.current:
        self._reset_reason = reason
        self._reset_s = self._clock.uptime_s()
        _save(self)


def values(self, sampled: list, context: str, utc=None, connector: int = 1) -> None:
    """Queue meter values; `utc` (s) is the instant that they were sampled for, None for now.

    On connector 1 they belong to the running transaction, if there is one.
    """
    transaction = self.current if connector else None
    head = self.queue.stamp(utc)
    if transaction:
        # Before they leave, and with a time behind theirs: a stop after a power cut must not be earlier or lower than
        # what it follows.
        transaction.meter_wh = max(transaction.meter_wh, samples.register_wh(sampled) or 0)
        _save(self)
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
    _stop(self, transaction, stamp, reason, id_tag, last)
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
    transaction = interrupted(self)
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
    _stop(self, transaction, stamp, reason, None, None)
    text = "transaction %d ended after a restart: %s, %d Wh" % (transaction.number, reason, transaction.meter_wh)
    self._log.add("warning", "ocpp", "transaction_restored", text)
    return transaction


async def delivered(self, ms: int) -> bool:
    """Wait until nothing waits for delivery, `ms` at most -> whether that came to be."""
    until = ticks_add(self._clock.ticks_ms(), ms)
    while self.queue.head() is not None:
        if ticks_diff(until, self._clock.ticks_ms()) <= 0:
            return False
        await asyncio.sleep_ms(_LOOK_MS)
    return True


def checkpoint(self, meter_wh: int) -> None:
    """Keep the register of the running transaction, on flash at most each 60 s; call it as often as it changes."""
    transaction = self.current
    if transaction is None:
        return
    transaction.meter_wh = max(transaction.meter_wh, meter_wh)
    waited_s = self._clock.uptime_s() - self._saved_s
    if waited_s >= _CHECKPOINT_S and transaction.meter_wh > self._saved_wh:
        _save(self)


def _save(self) -> None:
    transaction = self.current
    stamp = self.queue.stamp()
    self._saved_s = self._clock.uptime_s()
    self._saved_wh = transaction.meter_wh
    if self._saved_s - self._reset_s > _RESET_S:
        self._reset_reason = None
    try:
        self._store.save([transaction.number, transaction.meter_wh, self._reset_reason] + stamp)
    except REFUSALS as error:
        self.queue.refused(error)
