"""What is shown before the first step of the control loop."""

from wallbox.charging.snapshot import Snapshot


def test_before_the_first_step_a_box_is_shown_that_starts_and_does_nothing():
    view = Snapshot()
    assert view.state == "A1"
    assert view.starting and view.communication_ok
    for name in ("car_connected", "charging", "faulted", "out_of_use", "updating", "self_testing"):
        assert getattr(view, name) is False, name
    assert (view.contactor_commanded, view.contactor_closed, view.contactor_live) == (False, False, 0)
    assert (view.high_mv, view.low_mv, view.duty_permille) == (0, 0, 1000)
    assert (view.offered_ma, view.allowed_ma, view.energy_mwh, view.temperature_deci_c) == (0, 0, 0, 250)
    assert view.frequency_mhz == 0, "not known yet"
    assert list(view.currents_ma) == list(view.volts_mv) == [0, 0, 0]
    assert not view.changed.is_set()
