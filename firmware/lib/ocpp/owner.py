"""Whom the data of a charge point belongs to: what was another central system's is dropped before a connection.

Borrowed when a charge point is made. The store `ocpp_owner` keeps [host of the address, identity], and while data are
being dropped also how many messages were not delivered: then it is done again after a power cut. Scheme, port and path
of an address make no other central system, and neither do capitals or the dot at the end of a whole name.
"""

import asyncio
import json
import os

from micropython import const

from journal import Journal
from ocpp.rare import borrow

# Of the security whitepaper: the profile that needs a certificate of the charge point's own.
_CLIENT_CERTIFICATE = const(3)
_STORE = "ocpp_owner"
_LIST = "ocpp_profiles"
# Messages, then idTags, in the folder.
_QUEUES = ("otx", "omv")
_FILES = _QUEUES + ("otags", "ocache")
# The time that it has told is among them, as one of its mistakes would lock out the certificates of the next.
_STORES = (_LIST, "ocpp_reservation", "ocpp_point", "ocpp_run", "ocpp_upkeep", "ocpp_link", "ocpp_time", "ocpp_queue")
_PROFILE = "ocpp_profile%d"
# Kind of a record in `queue` that is no message, and where a record's kind stands.
_MARK = const(3)
# Files of a queue at most, as in `queue`.
_MOST_FILES = const(36)
# Four such names fit with the words around them into the 200 characters that an event log may have.
_SHOWN = const(32)


def _named(target: dict):
    """[host, identity], None for an address that no connection can be made with."""
    url = borrow("url")
    try:
        return [url.parse(target["url"], ("ws", "wss")).host.lower().rstrip("."), target["identity"]]
    except url.UrlError:
        return None


def _steps(config, log, stores, folder: str, target: dict):
    """Generator that drops what is not `target`'s, with a yield after each operation of flash; OSError."""
    named = _named(target)
    store = stores(_STORE)
    kept = store.load()
    if named is None or kept == named:
        return
    former = isinstance(kept, list) and len(kept) >= len(named)
    if former:
        lost = kept[2] if len(kept) > len(named) else 0
        for count in _undelivered(stores, folder):
            lost = max(lost, count)
            yield
        store.save(kept[:2] + [lost])
        yield
        yield from _drop(config, log, stores, folder)
        parts = tuple(part[:_SHOWN] for part in kept[:2] + named)
        text = "%d undelivered messages and all data of %s (as %s) dropped: now it is %s (as %s)"
        log.add("warning", "ocpp", "other_central", text % ((lost,) + parts))
    try:
        store.save(named)
    except OSError as error:
        if former:
            raise
        # Nothing is there of another, and a box whose flash refuses has to work.
        log.add("error", "ocpp", "not_stored", "whose data these are could not be stored: %s" % error)


def _undelivered(stores, folder: str):
    """Yield, now and then, how many messages are not delivered as far as is counted."""
    state = stores("ocpp_queue").load()
    done = state[0] if isinstance(state, list) and state else 0
    count = 0
    for name in _QUEUES:
        for line in Journal(folder, name, _MOST_FILES).records():
            record = json.loads(line)
            count += record[0] > done and record[1] != _MARK
            yield count
    yield count


def _drop(config, log, stores, folder: str):
    for name in os.listdir(folder):
        if name.partition(".")[0] in _FILES:
            os.remove(folder + "/" + name)
            yield
    for name in _STORES:
        yield from _empty(stores(name))
    for slot in range(config["MaxChargingProfilesInstalled"]):
        yield from _empty(stores(_PROFILE % slot))
    config.forget()
    yield
    try:
        # Not at the top: most charge points have no certificates.
        from ocpp.certificates import Store

        for _ in Store(folder, log).forget(config["SecurityProfile"] < _CLIENT_CERTIFICATE):
            yield
    finally:
        borrow("release").release()


def _empty(store):
    if store.load() is not None:
        # Whoever keeps two copies has the former value in the other.
        for value in (False, None):
            store.save(value)
            yield


def settle(*given) -> None:
    """Drop what is not of the central system of the charge point that is being made, in one go."""
    for _ in _steps(*given):
        continue


async def prepare(config, log, stores, folder: str, target: dict) -> None:
    """The same in steps, before a charge point is made while others run; arguments are as those of ChargePoint.

    OSError when flash refuses.
    """
    for _ in _steps(config, log, stores, folder, target):
        await asyncio.sleep_ms(0)
