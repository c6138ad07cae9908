"""A wallbox with several links, real sockets, and a network that loses, delays, hangs and lies (R26)."""

import time
from datetime import UTC, datetime

from csms import BOX
from outside import Relay, Udp, clock, names

WIFI = {"wifi_ssid": "home", "wifi_password": "long enough"}
# Quicker than the other tests: what is judged here takes minutes of the wallbox's time.
QUICK = 80


def texts(box, code):
    return [entry["text"] for entry in box.log(code=code)]


def with_names(box, server, *links):
    for link in links or ("lan",):
        box.network(link=link, dns=[server.place])


def test_the_name_of_the_central_system_is_looked_up_though_datagrams_are_lost_and_late(csms, station):
    with Udp(names({"central.test": "127.0.0.1"}), lose=2, delay_s=0.05) as server:
        box = station(url=csms.url.replace("127.0.0.1", "central.test"))
        with_names(box, server)
        csms.wait_connected(BOX)
        csms.registered()
        assert server.came >= 3


def test_a_name_that_is_not_known_is_said_and_found_later_without_a_restart(csms, station):
    hosts: dict[str, str] = {}
    with Udp(names(hosts)) as server:
        box = station(url=csms.url.replace("127.0.0.1", "central.test"))
        with_names(box, server)
        box.wait_for(lambda state: "central.test: the name is not known" in state["backend"]["reason"], 20)
        hosts["central.test"] = "127.0.0.1"
        csms.wait_connected(BOX, 30)
        assert not any(box.state()["restarts"].values())


def test_a_silent_name_server_holds_up_nothing_and_is_named(csms, station):
    with Udp(lambda _query: None) as server:
        box = station(url=csms.url.replace("127.0.0.1", "central.test"))
        with_names(box, server)
        box.wait_for(lambda state: "no answer from 127.0.0.1" in state["backend"]["reason"], 20)
        box.plug()
        box.wait_for(lambda state: state["contactor"]["closed"], 10)


def test_a_lost_cable_moves_the_session_to_wifi_and_back(csms, station):
    box = station(settings=WIFI, speed=QUICK)
    csms.registered()
    box.plug()
    book = csms.wait_transaction(lambda one: one["id"] is not None)
    box.network(link="lan", up=False)
    box.wait_for(lambda state: state["network"]["link"] == "wlan" and state["backend"]["connected"], 20)
    box.unplug()
    csms.wait_transaction(lambda one: one["id"] == book["id"] and one["stop"] is not None)
    box.network(link="lan", up=True)
    box.wait_for(lambda state: state["network"]["link"] == "lan", 30)
    csms.wait_connected(BOX)
    assert not any(box.state()["restarts"].values())


def test_a_link_that_leads_nowhere_gives_way_though_it_is_up(csms, station):
    box = station(settings=WIFI, speed=QUICK)
    csms.registered()
    box.network(link="lan", leads=False)
    box.wait_for(lambda state: state["network"]["link"] == "wlan", 40)
    csms.wait_connected(BOX)
    assert texts(box, "leads_nowhere")[0].startswith("Ethernet is up, but the central system was not reached")
    assert box.state()["network"]["links"]["lan"]["state"] == "up"
    # Once it leads somewhere again it is tried, and then used.
    box.network(link="lan", leads=True)
    box.wait_for(lambda state: state["network"]["link"] == "lan", 60)
    csms.wait_connected(BOX)


def test_a_slow_way_is_a_way(csms, station):
    with Relay(csms.port, delay_s=0.15) as relay:
        # 1.5 s of the wallbox's time for each piece.
        box = station(url=csms.url.replace(str(csms.port), str(relay.port)))
        csms.registered()
        assert box.state()["backend"]["connected"]


def test_a_connection_that_hangs_is_given_up_and_made_anew_without_a_restart(csms, station):
    with Relay(csms.port) as relay:
        box = station(url=csms.url.replace(str(csms.port), str(relay.port)), ocpp={"WebSocketPingInterval": 10})
        csms.registered()
        relay.hangs = True
        box.wait_for(lambda state: not state["backend"]["connected"], 20)
        taken = relay.taken
        box.wait_for(lambda _state: relay.taken > taken, 20)
        relay.hangs = False
        box.wait_for(lambda state: state["backend"]["connected"], 30)
        assert not any(box.state()["restarts"].values())


def test_time_servers_set_the_clock_and_the_one_that_lies_is_not_heard(csms, station):
    with Udp(clock()) as one, Udp(clock(), delay_s=0.01) as two, Udp(clock(86_400)) as liar:
        servers = " ".join([liar.place, one.place, two.place])
        box = station(settings={"ntp_servers": servers, "ocpp_url": ""}, options=(), speed=1)
        box.request("utc", seconds=1_700_000_000)
        box.network(link="lan", dns=[one.place])
        state = box.wait_for(lambda state: state["utc_source"] == "ntp", 20)
        told = datetime.strptime(state["utc"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert abs(told.timestamp() - time.time()) < 5
        assert liar.place in texts(box, "wrong_time")[0]


def test_what_the_central_system_says_of_the_time_gives_way_to_time_servers(csms, station):
    with Udp(clock()) as server:
        box = station(settings={"ntp_servers": server.place}, speed=1)
        csms.registered()
        box.exchange({"do": "utc", "seconds": None})
        box.network(link="lan", dns=[server.place])
        box.wait_for(lambda state: state["utc_source"] == "ntp", 20)
        known = box.state()["utc"]
        csms.answer("Heartbeat", {"currentTime": "2031-01-01T00:00:00Z"})
        assert csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"})["status"] == "Accepted"
        csms.wait_for("Heartbeat")
        state = box.state()
        assert state["utc_source"] == "ntp" and state["utc"][:16] >= known[:16] and state["utc"] < "2031"
