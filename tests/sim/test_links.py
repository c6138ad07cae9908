"""Ethernet, Wi-Fi and 4G in the whole firmware, virtual time (R26): what is used, what is told, what the app shows."""

import pytest

from simulator import SimulatorError

WIFI = {"wifi_ssid": "home", "wifi_password": "long enough"}


@pytest.fixture
def box(simulator):
    return simulator(settings={"restart_delay_max_s": 0})


def network(box):
    return box.state()["network"]


def used(box, name, seconds=60):
    """Wait until a link is in use."""
    return box.until(lambda state: state["network"]["link"] == name, seconds, step=1)["network"]


def told(box, code):
    return [entry["text"] for entry in box.log(code=code)]


def test_ethernet_is_used_from_the_start_and_alone(box):
    box.settings(**WIFI, apn="internet")
    box.advance(600)
    found = network(box)
    assert found["link"] == "lan" and found["links"]["lan"]["address"] == "192.0.2.20"
    assert [found["links"][name]["state"] for name in ("wlan", "modem")] == ["off", "off"]
    assert told(box, "link") == ["the network is reached over Ethernet: Ethernet is up"]


def test_without_cable_wifi_takes_over_then_4g_and_back_again_without_a_restart(box):
    box.settings(**WIFI, apn="internet")
    box.advance(60)
    box.network(link="lan", up=False)
    found = used(box, "wlan", 40)
    assert found["links"]["lan"]["state"] == "no_cable" and found["links"]["wlan"]["signal_dbm"] < 0
    box.network(link="wlan", up=False)
    found = used(box, "modem", 90)
    assert found["links"]["wlan"]["state"] in ("no_network", "connecting")
    box.network(link="wlan", up=True)
    used(box, "wlan", 400)
    box.network(link="lan", up=True)
    used(box, "lan", 200)
    box.advance(200)
    assert {name: link["state"] for name, link in network(box)["links"].items()} == {
        "lan": "up",
        "wlan": "off",
        "modem": "off",
    }
    assert not any(box.state()["restarts"].values())
    assert box.state()["led"]["pattern"] == "blue", "a link that is not there is no defect of the module (R15)"


def test_no_network_at_all_is_said_and_charging_goes_on(box):
    box.plug()
    box.until(lambda state: state["contactor"]["closed"], 60)
    box.network(link="lan", up=False)
    state = box.until(lambda state: state["network"]["link"] is None, 60, step=1)
    assert state["network"]["reason"] == "there is no network: Ethernet has no cable"
    box.advance(60)
    assert box.state()["contactor"]["closed"]


def test_a_refused_password_of_the_wifi_is_told_and_a_better_one_works(box):
    box.network(link="wlan", password_ok=False)
    box.settings(**WIFI, lan_on=False)
    box.until(lambda state: state["network"]["links"]["wlan"]["state"] == "wrong_password", 60, step=1)
    box.advance(300)
    assert told(box, "wrong_password") == ["Wi-Fi is refused: the password is wrong"]
    box.network(link="wlan", password_ok=True)
    box.settings(wifi_password="another one")
    used(box, "wlan", 20)


def test_a_network_without_dhcp_wants_a_fixed_address(box):
    box.network(link="lan", dhcp=False)
    box.until(lambda state: state["network"]["links"]["lan"]["state"] == "no_address", 60, step=1)
    box.settings(lan_address="192.168.1.20/24", lan_gateway="192.168.1.1")
    used(box, "lan", 20)


def test_the_order_is_a_setting(box):
    box.settings(**WIFI, network_order="wlan lan modem")
    used(box, "wlan", 120)


def test_links_survive_a_power_cut(box):
    box.settings(**WIFI, lan_on=False)
    used(box, "wlan", 30)
    box.power(on=False)
    box.power(on=True)
    used(box, "wlan", 30)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"link": "wan", "up": True}, "link: 'wan' is not allowed; allowed: lan, wlan, modem"),
        ({"link": "lan", "up": 1}, "up: 1"),
        ({"link": "lan", "leads": "no"}, "leads: 'no'"),
        ({"link": "lan", "dhcp": 0}, "dhcp: 0"),
        ({"link": "wlan", "password_ok": "x"}, "password_ok: 'x'"),
        ({"link": "lan", "dns": "127.0.0.1"}, "dns: "),
        ({"link": "lan", "dns": ["127.0.0.1:99999"]}, "dns: "),
        ({"link": "lan", "dns": [5]}, "dns: "),
        ({"leads": False}, "link: None"),
        ({}, "up: None"),
    ],
)
def test_what_the_control_api_cannot_do_to_a_link_is_named(box, arguments, words):
    with pytest.raises(SimulatorError, match=words.replace("(", "\\(")):
        box.request("network", **arguments)
