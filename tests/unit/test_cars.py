"""What is remembered of each car: kept over restarts, sixteen at most, the least recently charged goes."""

from storage_help import Log, scratch

from wallbox.storage.cars import CarMemory
from wallbox.storage.store import Store


def memory(folder, log=None):
    log = log or Log()
    return CarMemory(Store(folder, "cars", 1, log), log)


def learn(cars, id_tag, **known):
    entry = cars.recall(id_tag)
    entry.update(known)
    cars.keep(entry)


def test_an_unknown_car_has_an_empty_entry():
    cars = memory(scratch("unknown"))
    assert cars.recall("AA") == {"id_tag": "AA", "wake": None, "woken": 0, "follow_ms": None, "phases": None}
    assert cars.recall(None)["id_tag"] is None


def test_what_was_learned_of_each_car_is_there_after_a_restart():
    folder = scratch("restart")
    cars = memory(folder)
    learn(cars, "AA", wake="f_30s", woken=2, phases=3)
    learn(cars, None, follow_ms=750, phases=1)
    cars = memory(folder)
    assert cars.recall("AA") == {"id_tag": "AA", "wake": "f_30s", "woken": 2, "follow_ms": None, "phases": 3}
    assert cars.recall(None)["follow_ms"] == 750
    assert cars.recall("BB")["phases"] is None


def test_the_least_recently_charged_of_seventeen_cars_is_forgotten():
    folder = scratch("many")
    cars = memory(folder)
    for number in range(16):
        learn(cars, "%02d" % number, phases=3)
    learn(cars, "00", phases=1)
    learn(cars, "16", phases=3)
    cars = memory(folder)
    assert cars.recall("01")["phases"] is None
    assert cars.recall("00")["phases"] == 1
    assert [cars.recall("%02d" % number)["phases"] for number in range(2, 17)] == [3] * 15


def test_a_flash_that_refuses_is_logged_and_costs_only_the_news():
    log = Log()
    folder = scratch("refused")
    learn(memory(folder), "AA", phases=3)
    cars = memory(folder, log)

    def refuse(_value):
        raise OSError(5)

    cars._store.save = refuse
    learn(cars, "AA", phases=1)
    assert log.codes() == ["not_stored"]
    assert memory(folder).recall("AA")["phases"] == 3
