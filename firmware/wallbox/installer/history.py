"""The charging sessions as a download, as CSV or JSON (R23); card numbers are masked for whoever is no expert."""

import json

from wallbox.clock import iso
from wallbox.installer import public
from wallbox.installer.streams import Stream, listed, row

_COLUMNS = ("id", "start", "duration_s", "energy_wh", "card", "card_name", "stop_reason")


class History(Stream):
    """All closed sessions that are kept, the oldest first."""

    def __init__(self, link, _arguments):
        app = link.app
        self._app = app
        self._store = app.store
        self._role = link.role
        super().__init__()

    def mark(self):
        """A session that is closed changes it, and so does who asks."""
        return self._store.mark(), self._role == "expert"

    def _sessions(self):
        last = 0
        place = (0, 0)
        while place is not None:
            records, place = self._store.page(place)
            for record in records:
                if record["id"] > last:
                    last = record["id"]
                    yield self._cells(record)

    def _cells(self, record) -> tuple:
        start_s = record.get("start_utc")
        uid = record["id_tag"]
        return (
            record["id"],
            iso(start_s) if start_s else None,
            record["duration_s"],
            record["energy_wh"],
            public.card(uid, self._role),
            self._app.cards.names.get(uid),
            record["stop_reason"],
        )


class Csv(History):
    """history.csv."""

    def pieces(self):
        """A line for each session."""
        yield row(_COLUMNS)
        for cells in self._sessions():
            yield row(cells)


class Json(History):
    """history.json."""

    def pieces(self):
        """An object for each session, with the columns of the CSV as its keys."""
        yield '{"sessions": ['
        yield from listed(json.dumps(dict(zip(_COLUMNS, cells))) for cells in self._sessions())
        yield "\n]}\n"
