"""What the fault recorder kept of a trip, as rows and as a download (R34)."""

from wallbox.charging.states import NAMES
from wallbox.installer.errors import CommandError, whole
from wallbox.installer.streams import Stream, row

# "live" has a bit for each pole.
COLUMNS = (
    "ms",
    "high_mv",
    "low_mv",
    "dc_ua",
    "ac_ua",
    "l1_ma",
    "l2_ma",
    "l3_ma",
    "offered_ma",
    "commanded",
    "live",
    "state",
)


def rows(recorder, index: int):
    """Yield the samples of a trip (0: the newest) as tuples with the columns above; errors as `recorder.samples`."""
    for sample in recorder.samples(index):
        bits = sample[-1]
        yield sample[:-1] + (bits >> 3 & 1, bits & 7, NAMES[bits >> 4])


def listed(recorder) -> list:
    """The trips, newest first, without their samples."""
    trips = []
    for trip in recorder.status():
        entry = {"index": len(trips), "code": trip.pop("fault")}
        entry.update(trip)
        trips.append(entry)
    return trips


def index_of(recorder, arguments) -> int:
    """The argument `index` (0 without one) as a number of a trip; CommandError when there is none such."""
    count = len(recorder.status())
    if not count:
        raise CommandError("not_now", "index: no trip is recorded", "index")
    return whole(arguments, "index", 0, count - 1, 0)


class Csv(Stream):
    """trip.csv, of the trip that `arguments` names by `index`."""

    def __init__(self, link, arguments):
        self._recorder = link.app.recorder
        self._index = index_of(self._recorder, arguments)
        super().__init__()

    def mark(self):
        """Each trip has a number of its own."""
        trips = self._recorder.status()
        return trips[self._index]["sequence"] if self._index < len(trips) else None

    def pieces(self):
        """A line for each sample."""
        yield row(COLUMNS)
        for sample in rows(self._recorder, self._index):
            yield row(sample)
