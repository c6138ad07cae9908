"""A permission ends with its session, however that ends: the next car never charges on the last one's card (R43)."""

from test_control import SETTINGS, Rig

ANN = "04AABBCCDDEE01"
BOB = "DEADBEEF"


def rig_with_cards(**changes):
    rig = Rig(dict(SETTINGS, access_control=True, **changes))
    rig.run(3)
    return rig


def charge(rig, id_tag=ANN):
    rig.plant.plug()
    assert rig.session.authorise(id_tag)
    rig.reach("C2", 10)
    rig.run(5)
    assert rig.snapshot.charging


def assert_next_car_waits(rig, ended):
    """Whatever car comes now gets nothing until somebody permits it, and then it charges."""
    assert rig.store.ended == ended
    if not rig.plant.vehicle.plugged:
        rig.plant.plug()
    operations = rig.control.contactor.health.operations
    rig.run(60)
    assert rig.control.contactor.health.operations == operations
    assert not rig.session.active and not rig.session.authorised and rig.session.id_tag is None
    assert rig.session.authorise(BOB)
    rig.reach("C2", 10)
    assert rig.session.id_tag == BOB


def test_a_stop_by_card_ends_the_permission_for_the_same_car_too():
    rig = rig_with_cards()
    charge(rig)
    rig.session.stop("card")
    rig.run(10)
    assert_next_car_waits(rig, ["card"])


def test_a_remote_stop_ends_the_permission():
    for unplug in (False, True):
        rig = rig_with_cards()
        charge(rig)
        rig.session.stop()
        rig.run(10)
        if unplug:
            rig.plant.unplug()
            rig.run(1)
        assert_next_car_waits(rig, ["remote"])


def test_a_car_unplugged_before_it_obeyed_the_stop_ends_the_permission():
    rig = rig_with_cards()
    charge(rig)
    rig.plant.car(ignore_pwm=True)
    rig.session.stop()
    rig.run(1)
    assert rig.snapshot.contactor_closed
    rig.plant.unplug()
    rig.run(0.5)
    assert_next_car_waits(rig, ["remote"])


def test_unplugging_ends_the_permission_however_fast_the_next_car_comes():
    for gap_s in (0.04, 0.5, 30):
        rig = rig_with_cards()
        charge(rig)
        rig.plant.unplug()
        rig.run(gap_s)
        rig.plant.plug()
        rig.run(1)
        assert_next_car_waits(rig, ["unplugged"])


def test_a_stop_while_the_car_is_woken_ends_the_permission():
    rig = rig_with_cards()
    rig.plant.plug(asleep="never")
    rig.session.authorise(ANN)
    rig.reach("F", 40)
    rig.session.stop("card")
    rig.run(1)
    assert rig.snapshot.state == "B1"
    rig.plant.unplug()
    rig.run(1)
    assert_next_car_waits(rig, ["card"])


def test_a_car_unplugged_while_it_is_woken_ends_the_permission():
    rig = rig_with_cards()
    rig.plant.plug(asleep="never")
    rig.session.authorise(ANN)
    rig.reach("F", 40)
    rig.run(1)
    rig.plant.unplug()
    rig.run(4)
    assert rig.snapshot.state == "A1"
    assert_next_car_waits(rig, ["unplugged"])


def test_a_wake_up_keeps_session_permission_and_car():
    rig = rig_with_cards()
    rig.plant.plug(asleep="f_4s")
    rig.session.authorise(ANN)
    rig.reach("F", 40)
    for _ in range(50):
        rig.run(0.1)
        assert rig.session.active and rig.session.authorised and rig.snapshot.car_connected
    rig.reach("C2", 5)
    assert rig.session.id_tag == ANN and rig.store.ended == []


def test_a_car_exchanged_during_a_fault_that_hides_the_plug_gets_nothing():
    """In state E, and in F after a fault of the box itself, nobody sees the plug."""
    for fault, hidden in (("pilot_short", "E"), ("rcm_test_fails", "F")):
        rig = rig_with_cards()
        if fault == "pilot_short":
            charge(rig)
            rig.plant.fault(fault)
        else:
            rig.plant.fault(fault)
            rig.plant.plug()
            rig.session.authorise(ANN)
        rig.run(7)
        assert rig.snapshot.state == hidden
        rig.plant.unplug()
        rig.run(1)
        rig.plant.plug()
        rig.run(1)
        rig.plant.clear(fault)
        rig.run(60)
        assert not rig.session.active and rig.store.ended == ["unseen"], fault
        if hidden == "F":
            assert not rig.session.authorise(BOB), "no permission for a car that cannot be seen"
        else:
            assert_next_car_waits(rig, ["unseen"])


def test_a_short_look_away_keeps_the_session():
    rig = rig_with_cards()
    charge(rig)
    rig.plant.fault("pilot_short")
    rig.run(4)
    rig.plant.clear("pilot_short")
    rig.run(32)
    rig.reach("C2", 10)
    assert rig.session.id_tag == ANN and rig.store.ended == []


def test_a_session_without_a_permission_outlasts_what_hides_the_plug():
    rig = Rig()
    rig.run(3)
    rig.plant.plug()
    rig.reach("C2", 10)
    rig.plant.fault("pilot_short")
    rig.run(60)
    rig.plant.clear("pilot_short")
    rig.run(32)
    rig.reach("C2", 10)
    assert rig.store.ended == []


def test_a_fault_and_unplugging_end_the_permission():
    for fault in ("residual_dc", "pe", "overvoltage", "overcurrent"):
        rig = rig_with_cards()
        charge(rig)
        rig.plant.fault(fault)
        rig.run(15)
        assert rig.faults.red, fault
        rig.plant.unplug()
        rig.run(0.5)
        rig.plant.clear(fault)
        rig.run(40)
        assert not rig.faults.active, (fault, rig.faults.status())
        assert_next_car_waits(rig, ["unplugged"])


def test_an_unused_permission_ends_after_its_time():
    rig = rig_with_cards(authorisation_timeout_s=10)
    assert rig.session.authorise(ANN)
    rig.run(9.9)
    assert rig.session.waiting
    rig.run(0.2)
    assert not rig.session.waiting
    assert_next_car_waits(rig, [])


def test_a_permission_that_was_taken_back_is_not_used():
    rig = rig_with_cards()
    assert rig.session.authorise(ANN)
    rig.session.stop()
    assert_next_car_waits(rig, [])
