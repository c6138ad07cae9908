"""What was learned of each car, kept over power cuts (R40); it measures nothing and decides nothing."""

from micropython import const

# As many cars as share one wallbox in practice, least recently charged goes first.
_CARS = const(16)


class CarMemory:
    """Entries {"id_tag", "wake", "woken", "follow_ms", "phases"} in a Store, one for each id_tag.

    The id_tag is all that tells cars apart; None stands for the usual car of a box without access control.
    Everything but `woken`, a count, is None while unknown.
    """

    def __init__(self, store, log):
        self._store = store
        self._log = log

    def recall(self, id_tag) -> dict:
        """The entry for `id_tag`, a new one when there is none."""
        for entry in self._entries():
            if entry["id_tag"] == id_tag:
                return entry
        return {"id_tag": id_tag, "wake": None, "woken": 0, "follow_ms": None, "phases": None}

    def keep(self, entry: dict) -> None:
        """Store the entry as the latest; a flash that refuses is logged, and the former ones stay."""
        entries = [other for other in self._entries() if other["id_tag"] != entry["id_tag"]]
        entries.append(entry)
        try:
            self._store.save(entries[-_CARS:])
        except OSError as error:
            self._log.add("error", "cars", "not_stored", "what was learned of the car is lost: %s" % error)

    def _entries(self) -> list:
        # Read anew each time: twice a session, while a copy in RAM would take its place for ever.
        return self._store.load() or []
