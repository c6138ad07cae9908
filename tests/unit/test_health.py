"""The contactor's health book: what it adds up, when it warns, what it keeps over power cuts (R33)."""

import micropython
from storage_help import Log, cut_everywhere, scratch

from wallbox.charging.health import CLOSING, OPENING, Health
from wallbox.storage.store import Store


def book(folder, log=None):
    log = log or Log()
    health = Health()
    health.attach(Store(folder, "health", 1, log), log)
    return health


def fresh(name):
    return book(scratch("health-" + name))


def times(health, field, ms, count):
    for _ in range(count):
        health.time(field, ms)


def judged(health):
    health.update(0, False, False)
    return health.worn


def test_openings_under_load_are_counted_with_their_currents():
    health = fresh("load")
    for current_ma in (0, 1000, 1001, 16_000, 32_000, 6_000):
        health.open(current_ma)
    status = health.status()
    assert status["load_openings"] == 4
    assert status["load_max_ma"] == 32_000
    assert status["load_sum_ma"] == 55_001


def test_the_mean_of_the_first_50_times_stays_while_the_recent_one_follows():
    health = fresh("means")
    times(health, OPENING, 20, 49)
    times(health, OPENING, 70, 1)
    times(health, OPENING, 40, 200)
    assert health.status()["opening"] == {"new_ms": 21, "recent_ms": 40, "worst_ms": 70}
    assert health.status()["closing"] == {"new_ms": 0, "recent_ms": 0, "worst_ms": 0}


def test_an_opening_that_became_slow_is_a_warning_within_ten_operations():
    health = fresh("slow")
    times(health, CLOSING, 30, 60)
    times(health, OPENING, 20, 60)
    assert judged(health) is None
    times(health, OPENING, 60, 1)
    assert judged(health) is None, "one slow opening is no drift"
    times(health, OPENING, 60, 9)
    assert judged(health) == "opening"


def test_a_closing_that_became_slow_or_quick_is_a_warning():
    for ms in (60, 10):
        health = fresh("closing")
        times(health, CLOSING, 40, 50)
        times(health, CLOSING, ms, 30)
        assert judged(health) == "closing", ms


def test_one_step_of_the_loop_is_no_drift():
    health = fresh("step")
    times(health, OPENING, 20, 50)
    times(health, OPENING, 30, 500)
    assert judged(health) is None


def test_a_mean_at_the_limit_does_not_make_the_warning_come_and_go():
    health = fresh("hysteresis")
    times(health, OPENING, 20, 50)
    times(health, OPENING, 40, 50)
    assert judged(health) == "opening"
    times(health, OPENING, 30, 50)
    assert judged(health) == "opening"
    times(health, OPENING, 20, 50)
    assert judged(health) is None


def test_no_time_is_judged_before_the_new_contactor_is_known():
    health = fresh("young")
    times(health, OPENING, 20, 45)
    times(health, OPENING, 200, 4)
    assert judged(health) is None
    times(health, OPENING, 200, 1)
    assert judged(health) == "opening"


def test_more_openings_under_load_or_operations_than_it_was_made_for_are_a_warning():
    health = fresh("load-life")
    for _ in range(5_000):
        health.open(16_000)
    assert judged(health) is None
    health.open(16_000)
    assert judged(health) == "load_openings"
    health = fresh("life")
    health.operations = 100_000
    assert judged(health) is None
    health.operations += 1
    assert judged(health) == "operations"


def test_the_time_closed_adds_up_over_openings():
    health = fresh("closed")
    now = 0
    for tick in range(40_000):
        health.update(now, tick % 4 != 0, False)
        now += 250
    assert 7400 <= health.status()["closed_s"] <= 7500


def test_the_book_is_written_when_a_session_ends_and_every_20_operations():
    folder = scratch("health-written")
    health = book(folder)
    health.operations = 3
    for active in (False, True, True):
        health.update(0, False, active)
    assert book(folder).operations == 0
    health.update(0, False, False)
    assert book(folder).operations == 3
    for _ in range(39):
        health.operations += 1
        health.update(0, False, True)
    assert book(folder).operations == 23
    again = book(folder)
    again.operations += 1
    again.update(0, False, True)
    assert book(folder).operations == 23, "written again after a start without need"
    health.open(7_000)
    times(health, CLOSING, 30, 2)
    health.update(0, False, False)
    assert book(folder).status() == health.status()


def test_a_flash_that_refuses_is_logged_once_and_the_next_write_brings_all():
    class Refusing:
        refuses = True
        saved = None

        def load(self):
            return None

        def save(self, value):
            if self.refuses:
                raise OSError(5)
            self.saved = value

    log, store, health = Log(), Refusing(), Health()
    health.attach(store, log)
    for _ in range(60):
        health.operations += 1
        health.update(0, False, True)
    assert log.codes() == ["flash_refused"]
    store.refuses = False
    health.update(0, False, False)
    assert store.saved[0] == 60


def test_a_power_cut_at_any_write_costs_the_last_operations_at_most_and_doubles_none():
    def prepare(folder):
        health = book(folder)
        health.operations = 100
        health.update(0, False, False)
        return {"health": health, "done": 100}

    def run(_folder, state):
        for _ in range(60):
            state["done"] += 1
            state["health"].operations += 1
            state["health"].update(0, False, True)

    def check(folder, state):
        found = book(folder).operations
        assert state["done"] - 20 <= found <= state["done"], (found, state["done"])

    assert cut_everywhere(prepare, run, check) >= 3


def test_what_the_loop_calls_allocates_nothing_even_when_sums_are_full():
    health = fresh("locked")
    micropython.heap_lock()
    try:
        for _ in range(40_000):
            health.open(32_000)
        for ms in range(100):
            health.time(OPENING, ms)
    finally:
        micropython.heap_unlock()
    assert health.status()["load_sum_ma"] == (1 << 30) - 1


class Kept:
    """Stands in for the store; `refuses` while flash does."""

    def __init__(self):
        self.refuses = False
        self.saved = None
        self.saves = 0

    def load(self):
        return None

    def save(self, value):
        if self.refuses:
            raise OSError(5)
        self.saved = value
        self.saves += 1


def kept():
    store, log, health = Kept(), Log(), Health()
    health.attach(store, log)
    return store, log, health


def test_what_is_stored_keeps_its_order_and_scale_so_that_a_new_firmware_reads_an_old_book():
    store, _, health = kept()
    health.open(7_000)
    health.open(3_000)
    times(health, OPENING, 20, 1)
    times(health, OPENING, 36, 1)
    times(health, CLOSING, 30, 1)
    health.update(0, False, True)
    health.update(5_000, True, True)
    health.operations = 7
    health.update(5_000, False, False)
    # Operations; openings under load, largest, sum; seconds closed; then count, sum, recent in 1/16 ms, worst of
    # opening and closing.
    assert store.saved == [7, 2, 7000, 10000, 5, 2, 56, 352, 36, 1, 30, 480, 30], store.saved


def test_seconds_closed_are_whole_and_lose_nothing():
    _, _, health = kept()
    health.update(0, False, False)
    health.update(4_999, True, False)
    assert health.status()["closed_s"] == 4
    health.update(5_000, True, False)
    assert health.status()["closed_s"] == 5


def test_a_new_box_writes_its_book_with_the_twentieth_operation():
    store, _, health = kept()
    for operations in range(1, 21):
        health.operations = operations
        assert store.saves == 0
        health.update(0, False, True)
    assert store.saves == 1


def test_a_flash_that_refuses_again_after_it_worked_is_logged_again():
    store, log, health = kept()
    for refuses in (True, True, False, True):
        store.refuses = refuses
        health.update(0, False, True)
        health.update(0, False, False)
    assert log.codes() == ["flash_refused", "flash_refused"]


def test_the_first_time_of_a_new_contactor_is_its_mean():
    health = fresh("one")
    times(health, OPENING, 20, 1)
    assert health.status()["opening"] == {"new_ms": 20, "recent_ms": 20, "worst_ms": 20}


def test_a_drift_at_the_limit_is_none_and_one_of_half_of_it_ends_the_warning():
    health = fresh("limits-below")
    times(health, OPENING, 50, 50)
    times(health, OPENING, 35, 200)
    assert health.status()["opening"]["recent_ms"] == 35 and judged(health) is None
    health = fresh("limits")
    times(health, OPENING, 20, 50)
    times(health, OPENING, 35, 200)
    assert judged(health) is None
    times(health, OPENING, 37, 200)
    assert judged(health) == "opening"
    times(health, OPENING, 28, 200)
    assert judged(health) == "opening"
    times(health, OPENING, 26, 200)
    assert judged(health) is None
