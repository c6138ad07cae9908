"""GetLocalListVersion and SendLocalList (OCPP 1.6, 5.10 and 5.15): an update is made whole or not at all."""

import asyncio

from micropython import const

from ocpp.rare import borrow

# For as long as this module is there, which is for a call.
_store = borrow("tagstore")
key = _store.key
# Entries between two yields, so that others run meanwhile.
_SLICE = const(8)


async def _get_version(point, payload) -> dict:
    """-1 without a list, 0 when it is empty, else its version (5.10)."""
    auth = point.auth
    return {"listVersion": auth.list.version if auth.list_supported() else -1}


async def _send(point, payload) -> dict:
    """Replace or change the list; answers Accepted only after it is safe on flash."""
    if not point.auth.list_supported():
        return {"status": "NotSupported"}
    differential = payload["updateType"] == "Differential"
    if differential and payload["listVersion"] <= point.auth.list.version:
        return {"status": "VersionMismatch"}
    try:
        done = await _update(point, differential, payload["listVersion"], payload.get("localAuthorizationList", []))
    except (OSError, ValueError) as error:
        borrow("wear").complain(point, "local_list_refused", "SendLocalList failed: %s" % error)
        return {"status": "Failed"}
    return {"status": "Accepted" if done else "Failed"}


async def _update(point, differential: bool, version: int, entries) -> bool:
    """Whether the list is now as it is wanted; False where flash is spared.

    OSError when flash refuses, ValueError for an update that is not allowed. The old list is still there then.
    """
    tags = point.auth.list
    most = point.config["SendLocalListMaxLength"]
    if len(entries) > most:
        raise ValueError("localAuthorizationList: %d entries; allowed: up to %d" % (len(entries), most))
    if version < 0:
        # Below stands only -1, for a list that is not supported.
        raise ValueError("listVersion: %d; allowed: from 0" % version)
    changes = await _changes(entries, differential)

    def old():
        return _store.lines(tags) if differential else ()

    count = await _through(_merged(old(), changes))
    most = point.config["LocalAuthListMaxLength"]
    if count > most:
        raise ValueError("the list would have %d entries; allowed: up to %d" % (count, most))
    if count and not version:
        raise ValueError("listVersion: 0; allowed for an empty list only")
    # An empty list has the version 0, whatever the update's (5.10).
    version = version if count else 0
    if (version, count) == (tags.version, tags.count) and await _listed(tags, changes):
        return True
    if not borrow("wear").permits(point, "SendLocalList"):
        return False
    await _through(_store.write(tags, version, _merged(old(), changes)), 1)
    point.log.add("info", "ocpp", "local_list", "local list: version %d, %d entries" % (tags.version, count))
    await _forget(point, changes)
    return True


async def _listed(tags, changes: dict) -> bool:
    """Whether each line of the list is one of `changes`."""

    def others():
        for text in _store.lines(tags):
            if changes.get(_store.key_of(text)) != text:
                yield text

    return await _through(others()) == 0


async def _changes(entries, differential: bool) -> dict:
    """The new line, b"" for an entry to be removed, for each beginning of a line; takes all out of `entries`.

    Of long lists the parsed entries take most of the heap: each is let go before the next becomes a line.
    """
    changes = {}
    entries.reverse()
    while entries:
        entry = entries.pop()
        start = key(entry["idTag"])
        info = entry.get("idTagInfo")
        if start in changes:
            raise ValueError("localAuthorizationList: an idTag is there twice (entry %d)" % (len(changes) + 1))
        if info is None and not differential:
            raise ValueError("idTagInfo: missing in entry %d; required in a full list" % (len(changes) + 1))
        changes[start] = b"" if info is None else _store.line(entry["idTag"], info)
        if len(changes) % _SLICE == 0:
            await asyncio.sleep_ms(0)
    return changes


def _merged(old, changes: dict):
    """The lines of `old` with `changes` made."""
    left = dict(changes)
    for text in old:
        text = left.pop(_store.key_of(text), text)
        if text:
            yield text
    for text in left.values():
        if text:
            yield text


async def _through(steps, slice_steps: int = _SLICE) -> int:
    """Go through a generator, letting others run after each `slice_steps`; closes it if that is cancelled."""
    count = 0
    try:
        for _ in steps:
            count += 1
            if count % slice_steps == 0:
                await asyncio.sleep_ms(0)
    finally:
        steps.close()
    return count


async def _forget(point, changes: dict) -> None:
    """Take what is listed now out of the cache (3.5.3), or it would count again when it is listed no more."""
    cache = point.auth.cache

    def kept():
        for text in _store.lines(cache):
            if not changes.get(_store.key_of(text)):
                yield text

    try:
        if await _through(kept()) < cache.count:
            _store.write_now(cache, 0, kept())
    except OSError as error:
        point.log.add("warning", "ocpp", "cache_not_kept", "authorization cache: flash refuses (%s)" % error)


HANDLERS = {"GetLocalListVersion": _get_version, "SendLocalList": _send}
