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

from time import ticks_diff

from micropython import const

from ocpp.queue import Queue
from ocpp.rare import Rare, borrow

# What flash has refused is tried again after this long while nothing else is written.
_AGAIN_MS = const(60_000)


class Transactions(Rare):
    """The transaction of the one connector, and the messages of all that are not delivered.

    Begin and end, and the values between, stand in `edges.py`, the delivery in `delivery.py`.

    `point` gives folder, stores, clock, log, config, auth, online, call, transaction_refused(transaction, status) and
    sender, in whose turns messages are delivered. `restore` comes first after a start (or with the first `begin`);
    `link` must be told whenever `point.online` changes. `changed` holds functions without argument, called when
    `current` or its state changes. `interruption` is the reason (7.36) for which a restart that nobody has announced
    ends a transaction.
    """

    RARE = "edges begin checkpoint end values stop_data interrupted restore expect_reset delivered"

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

    # Delivery

    def link(self, online: bool) -> None:
        """`point.online` has changed. Values that only RAM has are written when it is lost."""
        self.queue.online = online
        if not online:
            self.queue.flush()
        self._turn.wake()

    def heed(self) -> None:
        """Have the point draw the consequence of the refusal of the running transaction, until it had room for that."""
        transaction = self.current
        if transaction is not None and transaction.refused and not transaction.heeded:
            self._point.transaction_refused(transaction, transaction.refused)
            transaction.heeded = True

    def _kept(self):
        """Bring to flash what it has refused of starts and stops -> ms until it is to be tried again, if ever."""
        if not self.queue.saved():
            self.queue.flush()
        return None if self.queue.saved() else _AGAIN_MS

    async def _step(self):
        """Deliver the next message -> ms until the one after it may leave, None when only news let it."""
        self.heed()
        if self.queue.uncounted and self.queue.count():
            return 0
        if self._until is not None:
            left_ms = ticks_diff(self._until, self._clock.ticks_ms())
            if left_ms > 0:
                return left_ms
            self._until = None
        if not self._point.online:
            return self._kept()
        if self.queue.head() is None:
            return None
        return await borrow("delivery").deliver(self)
