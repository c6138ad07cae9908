"""The fixture that starts a wallbox which belongs to a central system."""

from csms import BOX, SPEED


def test_a_station_knows_its_central_system_and_its_own_name(csms, station):
    box = station(settings={"nominal_v": 220}, ocpp={"HeartbeatInterval": 30})
    settings = box.settings()
    assert (settings["ocpp_url"], settings["charge_point_id"], settings["nominal_v"]) == (csms.url, BOX, 220)
    begin = box.state()
    # A second of the host's and more.
    box.wait_for(lambda state: state["uptime_ms"] >= begin["uptime_ms"] + SPEED * 1000, 10)


def test_two_stations_have_names_of_their_own(station):
    first, second = station(), station(name="second")
    assert [box.settings()["charge_point_id"] for box in (first, second)] == [BOX, "second"]
