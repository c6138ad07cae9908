"""The task of the backend: what is wrong with a central system's side stops no charge (R25, R30)."""

from storage_help import scratch
from virtual_time import Log, Record

from wallbox.backend.backend import Backend
from wallbox.storage.store import Store


class Settings(dict):
    listeners = ()

    def __init__(self, **values):
        super().__init__(values)
        self.listeners = []


def app(name, url="ws://central/"):
    return Record(
        folder=scratch("backend-" + name),
        log=Log(),
        settings=Settings(ocpp_url=url, ocpp_password="", charge_point_id="box"),
        session=Record(listeners=[], held=None),
        access=Record(decide=None),
    )


def test_what_cannot_be_loaded_leaves_the_wallbox_starting():
    box = app("rubbish")
    Store(box.folder, "ocpp_config", 1, box.log).save(["of", "another", "form"])
    backend = Backend(box)
    assert backend.wiring is None and box.access.decide is None
    assert backend.status() == {"connected": False, "url": "ws://central/"}
    assert [entry[:2] for entry in box.log.entries] == [("error", "failed")], box.log.entries


def test_a_session_goes_on_when_telling_of_it_fails():
    box = app("full-heap", "")
    backend = Backend(box)
    failures = []

    def session_changed(begun):
        raise MemoryError(begun)

    backend.wiring = Record(session_changed=session_changed, point=Record(failed=failures.append))
    for begun in (True, False):
        box.session.listeners[0](begun)
    assert [error.args for error in failures] == [(True,), (False,)]
