"""Every meter model as a pymodbus server on a pty: the firmware reads it, and finds it, in real time."""

import pytest
from meter_models import MODELS
from meter_peer import MeterPeer

# Requests take their time on the line, and the machine may be busy.
SECONDS = 20
SCAN_SECONDS = 120


def close(values, wanted, within):
    return values is not None and all(abs(a - b) <= within for a, b in zip(values, wanted, strict=True))


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_real_peer_of_each_model_is_read(simulator, model):
    about = MODELS[model]
    settings = {
        "meter_model": model,
        "phases": about.phases,
        "meter_baud": about.baud,
        "meter_parity": about.parity,
    }
    with MeterPeer(model=model) as peer:
        peer.set(
            volts=(229.0, 230.0, 231.0),
            amps=(5.0, -6.0, 7.5),
            hz=49.9,
            import_kwh=[1.0, 2.0, 3.0],
            export_kwh=[0.5, 0.25, 0.0],
        )
        box = simulator(virtual=False, rs485=peer.path, settings=settings)
        count = about.phases
        amps, watts = (5, -6, 7.5)[:count], (1145, -1380, 1732.5)[:count]

        def shown(state):
            meter = state["meter"]
            return (
                meter["valid"]
                and close(meter["currents_a"][:count], amps, 0.02)
                and close(meter["power_w"][:count], watts, 2)
                and close(meter["volts"][:count], (229, 230, 231)[:count], 0.1)
                and meter["import_wh"] is not None
            )

        meter = box.wait_for(lambda state: state["power"] and shown(state), SECONDS)["meter"]
    assert meter["import_wh"] == pytest.approx(1000 if count == 1 else 6000, abs=20)
    if model == "iem3150":
        assert meter["export_wh"] is None
    else:
        assert meter["export_wh"] == pytest.approx(500 if count == 1 else 750, abs=20)
    assert meter["implausible"] == 0


def test_another_master_on_the_line_does_not_spoil_the_readings(simulator):
    """Frames between others: requests of a foreign master and answers to it."""
    with MeterPeer() as peer:
        box = simulator(virtual=False, rs485=peer.path)
        reads = box.wait_for(lambda state: state["power"] and state["meter"]["valid"], SECONDS)["meter"]["reads"]
        for more in range(1, 6):
            peer.disturb(bytes.fromhex("02035000003254f1") + bytes.fromhex("0203020000fc44"))
            box.wait_for(lambda state, wanted=reads + more: state["meter"]["reads"] >= wanted, SECONDS)
        state = box.wait_for(lambda state: state["meter"]["valid"], SECONDS)
    assert not state["meter"]["lost"]


def test_the_search_finds_a_real_peer_at_another_speed(simulator):
    settings = {"meter_model": "none", "load_optimisation": False, "rated_a": 16}
    with MeterPeer(model="b23", address=2, baud=19200) as peer:
        box = simulator(virtual=False, rs485=peer.path, settings=settings)
        box.wait_for(lambda state: state["power"], SECONDS)
        box.request("scan", start=True)
        scan = box.wait_for(lambda state: not state["meter_scan"]["running"], SCAN_SECONDS)["meter_scan"]
    (found,) = scan["found"]
    # A pty carries no parity, so the first line of that speed answers.
    assert (found["model"], found["address"], found["baud"]) == ("b23", 2, 19200)
    assert found["serial"] == str(0x15060001)
