"""The firmware reads a real Modbus peer, pymodbus on a pty, in real time."""

import struct

import pytest
from meter_peer import MeterPeer
from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient

VALID_SECONDS = 5
LOST_SECONDS = 5


@pytest.fixture
def peer():
    with MeterPeer() as peer:
        yield peer


@pytest.fixture
def box(simulator, peer):
    box = simulator(virtual=False, rs485=peer.path)
    box.settings(meter_timeout_s=2)
    box.wait_for(lambda state: state["power"] and state["meter"]["valid"], VALID_SECONDS)
    return box


def currents(*amps):
    return lambda state: state["meter"]["currents_a"] == [pytest.approx(a, abs=0.01) for a in amps]


def floats(client, start, count):
    registers = client.read_holding_registers(start, count=2 * count, device_id=1).registers
    return struct.unpack(f">{count}f", struct.pack(f">{2 * count}H", *registers))


def test_the_peer_answers_another_master_with_the_registers_of_a_pro380(peer):
    peer.set(volts=(229.0, 230.0, 231.0), amps=(5.0, -6.0, 7.5), hz=49.9, import_kwh=(1.0, 2.0, 3.0))
    client = ModbusSerialClient(port=peer.path, framer=FramerType.RTU, baudrate=9600, timeout=2)
    assert client.connect()
    try:
        live = floats(client, 0x5000, 25)
        assert live[1:5] == pytest.approx((229, 230, 231, 49.9))
        assert live[6:9] == pytest.approx((5, 6, 7.5))
        assert live[9:13] == pytest.approx((1.4975, 1.145, -1.38, 1.7325))
        energy = floats(client, 0x600C, 7)
        assert energy[0] == pytest.approx(6.0, abs=0.01) and energy[3:6] == pytest.approx((1, 2, 3), abs=0.01)
        assert client.read_holding_registers(0x5100, count=2, device_id=1).exception_code == 2
    finally:
        client.close()


def test_values_signs_and_energies_arrive(box, peer):
    peer.set(volts=(229.0, 230.0, 231.0), amps=(5.0, -6.0, 7.5), hz=49.9)
    meter = box.wait_for(currents(5, -6, 7.5), VALID_SECONDS)["meter"]
    assert meter["volts"] == pytest.approx([229, 230, 231], abs=0.01)
    assert meter["power_w"] == pytest.approx([1145, -1380, 1732], abs=1)
    # 113 characters of 11 bits at 9600 baud.
    assert 129 <= meter["response_ms"] <= 430
    assert (meter["errors"], meter["implausible"]) == (0, 0)


def test_it_is_polled_once_a_second(box, peer):
    first = box.state()
    before = peer.requests
    last = box.wait_for(lambda state: state["uptime_ms"] >= first["uptime_ms"] + 5000, 30)
    passed_s = (last["uptime_ms"] - first["uptime_ms"]) / 1000
    # n seconds hold up to n + 1 polls; two more read counters and serial number, and one was late if the machine is
    # busy.
    assert 3 <= peer.requests - before <= passed_s + 4


@pytest.mark.parametrize("trouble", ["silent", "garbage"])
def test_a_cut_or_spoilt_line_loses_the_meter_and_a_good_one_brings_it_back(box, peer, trouble):
    peer.set(amps=(5.0, 5.0, 5.0))
    box.wait_for(currents(5, 5, 5), VALID_SECONDS)
    box.wait_for(lambda state: state["limits"].get("meter", 0) > 6, 15)
    setattr(peer, trouble, True)
    state = box.wait_for(lambda state: state["meter"]["lost"], LOST_SECONDS)
    assert state["meter"]["currents_a"] is None
    assert box.wait_for(lambda state: state["limits"]["meter"] == 6, 1)["meter"]["lost"]
    setattr(peer, trouble, False)
    peer.set(amps=(4.0, 3.0, 2.0))
    box.wait_for(currents(4, 3, 2), VALID_SECONDS)
    assert [len(box.log(code=code)) for code in ("meter_lost", "meter_back")] == [1, 1]


def test_the_box_stays_at_work_while_the_meter_is_silent(box, peer):
    peer.silent = True
    before = box.state()["uptime_ms"]
    box.wait_for(lambda state: state["meter"]["lost"], LOST_SECONDS)
    box.plug()
    box.wait_for(lambda state: state["contactor"]["closed"], 10)
    assert box.state()["uptime_ms"] > before


@pytest.mark.parametrize("fault", ["meter_silent", "meter_garbage"])
def test_the_simulator_s_meter_faults_reach_the_real_line(box, fault):
    box.fault(fault)
    box.wait_for(lambda state: state["meter"]["lost"], LOST_SECONDS)
    box.clear(fault)
    box.wait_for(lambda state: state["meter"]["valid"], VALID_SECONDS)
