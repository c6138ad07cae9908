"""Methods that are loaded for their call, and what happens where the heap has no room for them (R25)."""

import asyncio
import sys

from test_ocpp_charge_point import TAG, Rig
from test_ocpp_websocket import opened

from ocpp import rare
from ocpp.rare import Rare


class Thing(Rare):
    RARE = """
url escaped
rows text
"""

    def __init__(self):
        self._changed = {"Key": "text"}


class NoRoom:
    """Stands in for `borrow` of a module: the heap has no room for the modules of these names."""

    def __init__(self, module, *names):
        self._module = module
        self._names = names
        self._real = module.borrow
        self.tries = 0

    def __enter__(self):
        self._module.borrow = self._borrow
        return self

    def __exit__(self, *_):
        self._module.borrow = self._real

    def _borrow(self, name):
        if name in self._names:
            self.tries += 1
            raise MemoryError("no room for " + name)
        return self._real(name)


def test_a_method_is_a_function_of_the_module_that_names_it_and_nothing_stays_loaded():
    thing = Thing()
    assert thing.text(["Key", "r", "s", "default"]) == "text"
    assert thing.text(["Other", "r", "s", "default"]) == "default"
    assert "ocpp.rows" not in sys.modules and not hasattr(sys.modules["ocpp"], "rows")


def test_what_no_module_is_said_to_have_is_no_attribute():
    thing = Thing()
    assert not hasattr(thing, "keys"), "rows has it, and Thing does not"
    assert not hasattr(thing, "rows")
    try:
        thing.keys()
    except AttributeError as error:
        assert error.args == ("keys",)
    else:
        raise AssertionError("found")


def test_without_room_in_the_heap_nothing_is_done_and_the_caller_hears_of_it():
    thing = Thing()
    with NoRoom(rare, "rows"):
        try:
            thing.text(["Key", "r", "s", "default"])
        except MemoryError:
            pass
        else:
            raise AssertionError("it was there")
    assert thing.text(["Key", "r", "s", "default"]) == "text"


def test_a_session_whose_end_finds_no_room_ends_its_transaction_with_the_next_change():
    rig = Rig("full-end")

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin(TAG)
        await asyncio.sleep(5)
        with NoRoom(rare, "edges") as heap:
            rig.station.finish("EVDisconnected")
            assert heap.tries and rig.point.transactions.current is not None
        assert "failed" in rig.log.codes()
        rig.point.station_changed()
        assert rig.point.transactions.current is None
        await asyncio.sleep(5)

    rig.run(steps())
    assert [stop["reason"] for stop in rig.called("StopTransaction")] == ["EVDisconnected"]


def test_the_next_session_ends_a_transaction_that_found_no_room_for_its_end_before_it_begins():
    rig = Rig("full-next")

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin(TAG)
        await asyncio.sleep(5)
        with NoRoom(rare, "edges"):
            rig.station.finish("Local")
        rig.station.begin("OTHER")
        await asyncio.sleep(5)

    rig.run(steps())
    assert [stop["reason"] for stop in rig.called("StopTransaction")] == ["Local"]
    assert [start["idTag"] for start in rig.called("StartTransaction")] == [TAG, "OTHER"]


def test_a_reset_happens_though_there_is_no_room_for_what_comes_before_it():
    rig = Rig("full-reset")

    async def steps():
        await asyncio.sleep(1)
        with NoRoom(rare, "edges"):
            await rig.point.reset(True)

    rig.run(steps())
    assert rig.told("reset") == [("reset", True)] and "failed" in rig.log.codes()


def test_a_security_event_without_room_is_logged_as_lost_and_the_next_one_is_told():
    from ocpp import security

    rig = Rig("full-event")

    async def steps():
        await asyncio.sleep(1)
        with NoRoom(security, "security_events"):
            rig.point.security.event("TamperDetectionActivated")
        rig.point.security.event("MemoryExhaustion")
        await asyncio.sleep(5)

    rig.run(steps())
    assert "event_lost" in rig.log.codes()
    kinds = [event["type"] for event in rig.called("SecurityEventNotification")]
    assert "MemoryExhaustion" in kinds and "TamperDetectionActivated" not in kinds


def test_a_connection_without_room_for_a_good_bye_is_cut():
    from ocpp import websocket

    socket, streams, _time = opened()

    async def steps():
        with NoRoom(websocket, "closing"):
            await socket.close()

    asyncio.run(steps())
    assert streams.gone and socket.code == 1000 and streams.written == b""


def test_a_message_that_finds_no_room_for_its_second_piece_ends_the_connection():
    from ocpp import websocket

    socket, streams, _time = opened()
    real = websocket._masked

    def full(data, mask):
        if streams.written:
            raise MemoryError("no room for a piece")
        return real(data, mask)

    async def steps():
        websocket._masked = full
        try:
            await socket.send("x" * 2_000)
        except MemoryError:
            pass
        finally:
            websocket._masked = real

    asyncio.run(steps())
    # What followed would be taken for the rest of it.
    assert 1_000 < len(streams.written) < 2_000 and socket.code == 1006 and streams.gone


class FullOnce:
    """A method that finds no room in the heap once, before it does anything."""

    def __init__(self, thing, name):
        self._real = getattr(thing, name)
        self.calls = 0
        setattr(thing, name, self._call)

    def _call(self, *arguments, **named):
        self.calls += 1
        if self.calls == 1:
            raise MemoryError("no room")
        return self._real(*arguments, **named)


def test_profiles_follow_a_transaction_whose_begin_or_end_had_no_room_for_them():
    rig = Rig("full-profiles")
    period = {"startPeriod": 0, "limit": 10}, {"startPeriod": 60, "limit": 8}
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": list(period)},
    }

    async def steps():
        await asyncio.sleep(1)
        point = rig.point
        assert point.charging.set(1, profile) == "Accepted"
        FullOnce(point.charging, "transaction_began")
        try:
            rig.station.begin(TAG)
        except MemoryError:
            pass
        await asyncio.sleep(20)
        point.station_changed()
        current = point.transactions.current
        assert current is not None and point.charging.transaction is current
        assert point.charging.elapsed_s(rig.clock.uptime_s()) == 20
        assert (
            point.charging.set(1, dict(profile, chargingProfileId=2, chargingProfilePurpose="TxProfile")) == "Accepted"
        )
        await asyncio.sleep(5)
        FullOnce(point.charging, "transaction_ended")
        rig.station.finish("EVDisconnected")
        point.station_changed()
        assert point.charging.transaction is None and len(point.charging.profiles) == 1
        await asyncio.sleep(5)

    rig.run(steps())
    assert [stop["reason"] for stop in rig.called("StopTransaction")] == ["EVDisconnected"]


def test_a_log_without_room_for_an_error_ends_nothing():
    rig = Rig("full-log")

    async def steps():
        await asyncio.sleep(1)
        FullOnce(rig.log, "add")
        rig.point.failed(ValueError("unexpected"))
        rig.point.failed(ValueError("later"))

    rig.run(steps())
    assert rig.log.codes().count("failed") == 1


def test_a_profile_that_was_put_off_is_kept_over_a_reset_though_there_is_no_room_for_what_comes_before_it():
    rig = Rig("full-reset-profile")

    def profile(limit):
        return {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "ChargePointMaxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
            },
        }

    async def steps():
        await asyncio.sleep(1)
        for limit in (10, 6):
            assert rig.point.charging.set(0, profile(limit)) == "Accepted"
        assert rig.point.charging.unsaved
        with NoRoom(rare, "edges"):
            await rig.point.reset(True)
        assert not rig.point.charging.unsaved
        # The owner may restart the box, too.
        assert rig.point.charging.set(0, profile(7)) == "Accepted" and rig.point.charging.unsaved
        rig.point.keep()
        assert not rig.point.charging.unsaved

    rig.run(steps())
    assert rig.told("reset") == [("reset", True)]


def test_an_event_that_could_not_be_sent_over_a_link_that_lives_is_sent_again_within_minutes():
    from ocpp.errors import NotConnected

    rig = Rig("full-send")

    async def steps():
        await asyncio.sleep(100)
        real = rig.point.call
        left = [1]

        async def call(action, *arguments, **named):
            if action == "SecurityEventNotification" and left:
                left.pop()
                # What a link raises that had no room in the heap for a message.
                raise NotConnected("not sent")
            return await real(action, *arguments, **named)

        rig.point.call = call
        rig.point.security.event("MemoryExhaustion")
        await asyncio.sleep(300)

    rig.run(steps())
    assert "MemoryExhaustion" in [event["type"] for event in rig.called("SecurityEventNotification")]


def test_a_refused_card_is_stopped_though_there_was_no_room_for_that_as_the_refusal_came():
    rig = Rig("full-refused", StopTransactionOnInvalidId=True)
    rig.central.answers["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Blocked"}}

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin(TAG)
        with NoRoom(rare, "sessions") as heap:
            await asyncio.sleep(5)
            assert heap.tries and rig.told("stop") == []
        await asyncio.sleep(30)

    rig.run(steps())
    assert rig.told("stop") == [("stop", "DeAuthorized", None)]
    assert [stop["reason"] for stop in rig.called("StopTransaction")] == ["DeAuthorized"]
    assert len(rig.called("StartTransaction")) == 1


def test_a_ping_that_found_no_room_is_sent_later_and_costs_no_link():
    rig = Rig("full-ping", WebSocketPingInterval=16)

    async def steps():
        await asyncio.sleep(1)
        ping = FullOnce(rig.point, "start")
        await asyncio.sleep(100)
        assert ping.calls > 1

    rig.run(steps())
    assert rig.central.pings and len(rig.central.tries) == 1


def test_what_was_scheduled_holds_after_the_session_though_there_was_no_room_to_store_that():
    rig = Rig("full-availability")

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin(TAG)
        assert rig.point.change_availability(0, False) == "Scheduled"
        save = FullOnce(rig.store("ocpp_point"), "save")
        rig.station.finish("Local")
        rig.point.station_changed()
        assert save.calls and not rig.point.operative
        await asyncio.sleep(5)

    rig.run(steps())
    assert rig.told("operative")[-1] == ("operative", False)
    # Flash has it as scheduled, so that a restart brings it, too.
    rig.boot().station_changed()
    assert not rig.point.operative
