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
