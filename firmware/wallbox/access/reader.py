"""Watches the card reader and reports each card once per stay; what a card may do is decided elsewhere."""

import asyncio

from micropython import const

from mfrc522 import CardError, ReaderError
from wallbox.access.cards import parse_uid
from wallbox.timer import unwatched

_POLL_MS = const(250)  # a card that is held for half a second is seen at least once
_REST_MS = const(15000)
_RETRY_MS = const(30)  # after a bad read: the first try wakes a confused card, the second reads it
_RETRIES = const(2)
_GONE_POLLS = const(4)  # a card unseen for one second has left; a shorter gap is a trembling hand
_MAX_AT_ONCE = const(4)  # cards of one wallet that are told apart
_BACK_OFF_MS = const(1000)
_BACK_OFF_MAX_MS = const(60000)
_LATE_MS = const(60000)  # a poll of several cards takes well below a second, a pause up to _REST_MS


class CardReader:
    """Polls `driver` (Mfrc522) four times a second and calls `on_card(uid)` with the UID in hex.

    `ok` is False while the reader chip does not work.
    """

    def __init__(self, driver, on_card, clock, log):
        self._driver = driver
        self._on_card = on_card
        self._clock = clock
        self._log = log
        self._here = {}
        self.ok = False

    async def run(self, beat=unwatched) -> None:
        """Keep the reader going for ever; a dead chip is logged once and tried again, ever more rarely."""
        pause = _BACK_OFF_MS
        reported = False
        while True:
            try:
                beat(_LATE_MS)
                await self._driver.init()
                self.ok = True
                if reported:
                    self._log.add("info", "access", "reader_back", "the card reader works again")
                    reported = False
                pause = _BACK_OFF_MS
                await self._watch(beat)
            except ReaderError as error:
                self.ok = False
                if not reported:
                    self._log.add("error", "access", "reader_failed", "the card reader failed: %s" % error)
                    reported = True
            beat(pause + _LATE_MS)
            await asyncio.sleep_ms(pause)
            pause = min(2 * pause, _BACK_OFF_MAX_MS)

    async def _watch(self, beat) -> None:
        while True:
            beat(_LATE_MS)
            await self._clock.poll(_POLL_MS, _REST_MS)
            try:
                uid = await self._driver.read_uid()
            except CardError as error:
                uid = await self._retry(error)
            if uid is not None:
                await self._report_all(uid)
            if self._here:
                self._age()

    async def _retry(self, error):
        for _ in range(_RETRIES):
            await asyncio.sleep_ms(_RETRY_MS)
            try:
                uid = await self._driver.read_uid()
                if uid is not None:
                    return uid
            except CardError as again:
                error = again
        text = "a card could not be read: %s" % error
        self._log.add("warning", "access", "card_unreadable", text)
        return None

    async def _report_all(self, uid) -> None:
        """Report `uid` and the other cards in the field, each unless it was there before."""
        for _ in range(_MAX_AT_ONCE):
            text = parse_uid(uid)
            new = text not in self._here
            self._here[text] = 0
            if new:
                self._on_card(text)
            try:
                uid = await self._driver.read_uid(False)
            except CardError:
                # The next poll tries again, and logs it when it fails on its own account.
                return
            if uid is None:
                return

    def _age(self) -> None:
        for uid in list(self._here):
            self._here[uid] += 1
            if self._here[uid] > _GONE_POLLS:
                del self._here[uid]
