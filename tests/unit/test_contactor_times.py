"""The contactor's times and counts as the control loop takes them (R33)."""

from wallbox.charging.contactor import CLOSED, IDLE, Contactor
from wallbox.protection.faults import OVER_CURRENT, Faults


class Clock:
    def uptime_s(self):
        return 0


class Coil:
    """Follows when a test says so."""

    def __init__(self):
        self.live = 0

    def set(self, closed):
        pass

    def sample(self):
        pass


class Rig:
    """A contactor that was closed for a while; `steps` lets the loop run every 10 ms."""

    def __init__(self):
        self.now = 0
        self.coil = Coil()
        self.faults = Faults(Clock(), lambda fault, value: None, lambda fault: None)
        self.contactor = Contactor(self.coil, self.faults, lambda closed, current_ma: None)
        self.health = self.contactor.health
        self.contactor.begin(0)
        self.steps(210)
        assert self.contactor.phase == IDLE

    def steps(self, count):
        for _ in range(count):
            self.now += 10
            self.contactor.update(self.now, 0b111)

    def close(self):
        self.contactor.close(self.now)
        self.steps(2)
        self.coil.live = 0b111
        self.steps(100)
        assert self.contactor.phase == CLOSED

    def open(self, late_ms=0, current_ma=0):
        self.contactor.open(self.now, current_ma)
        if late_ms:
            self.now += late_ms
            self.contactor.timed = False
        self.steps(1)
        self.coil.live = 0
        self.steps(100)
        assert self.contactor.phase == IDLE


def measured(health):
    return health.status()["closing"]["worst_ms"], health.status()["opening"]["worst_ms"]


def test_each_operation_is_counted_and_timed_from_command_to_last_pole():
    rig = Rig()
    assert (rig.health.operations, measured(rig.health)) == (0, (0, 0)), "the proof at start is no opening"
    rig.close()
    rig.open()
    rig.steps(200)
    rig.close()
    assert rig.health.operations == 2
    assert measured(rig.health) == (30, 20)
    assert rig.health.status()["load_openings"] == 0


def test_a_command_that_is_not_followed_counts_nothing():
    rig = Rig()
    rig.contactor.open(rig.now, 10_000)
    rig.close()
    rig.contactor.close(rig.now)
    assert rig.health.operations == 1
    assert rig.health.status()["load_openings"] == 0


def test_a_time_is_given_up_when_the_loop_was_late():
    rig = Rig()
    rig.close()
    rig.open(late_ms=40)
    assert measured(rig.health) == (30, 0)


def test_an_opening_in_a_red_fault_is_counted_but_not_timed():
    rig = Rig()
    rig.close()
    rig.faults.report(OVER_CURRENT, True, 0, rig.now)
    rig.open(current_ma=40_000)
    assert measured(rig.health) == (30, 0)
    assert rig.health.status()["load_max_ma"] == 40_000


def test_an_opening_before_it_had_closed_is_not_timed():
    rig = Rig()
    rig.contactor.close(rig.now)
    rig.steps(1)
    rig.open()
    assert measured(rig.health) == (0, 0)
    assert rig.health.operations == 1
