"""The charge point as a whole, where no conversation with a central system leads (OCPP 1.6, chapters 3 to 5)."""

import asyncio

from ocpp_help import UTC_S, Central, Clock, Station
from storage_help import scratch
from virtual_time import Log

from ocpp.charge_point import ChargePoint
from ocpp.configuration import Configuration
from ocpp.errors import CallError, NotConnected, Silent
from ocpp.queue import Full
from ocpp.timestamps import iso
from ocpp.websocket import Closed

TAG = "04A1B2C3"
MEASURANDS = ("Energy.Active.Import.Register", "Voltage")


class Store:
    """One value that the test may look at, and a flash that may refuse."""

    def __init__(self):
        self.value = None
        self.broken = False

    def load(self):
        return self.value

    def save(self, value):
        if self.broken:
            raise OSError(5)
        self.value = value


class Box(Station):
    """The station of a whole charge point; what it is told is in `calls`."""

    def __init__(self):
        super().__init__()
        self.permits = True
        self.ends = True
        self.point = None

    def _note(self, *call):
        self.calls.append(call)

    def set_operative(self, operative):
        self._note("operative", operative)

    def set_limit(self, ma, reason, change_s):
        self._note("limit", ma)

    def suspend(self, reason):
        self._note("suspend", reason)

    def knows(self, id_tag):
        return False

    def max_ma(self):
        return 32_000

    def firmware(self):
        return None

    def authorise(self, id_tag):
        self._note("authorise", id_tag)
        return self.permits

    def cancel(self):
        self._note("cancel")

    def stop(self, reason, id_tag=None):
        self._note("stop", reason, id_tag)
        if self.ends and self.active:
            self.finish(reason, id_tag)

    def begin(self, id_tag=None):
        """A session begins."""
        self.is_plugged = self.active = self.is_permitted = True
        self.tag = id_tag
        self.point.session_began(id_tag)

    def finish(self, reason, id_tag=None):
        """The session ends."""
        self.active = self.is_permitted = False
        self.point.session_ended(reason, id_tag)

    def interruption(self):
        return "PowerLoss"

    async def reset(self, hard):
        self._note("reset", hard)


class Rig:
    """A charge point and its surroundings; `boot` starts it anew on the same flash."""

    def __init__(self, name, **config):
        self.folder = scratch("ocpp-point-" + name)
        self.stores = {}
        self.clock = Clock()
        self.central = Central(self.clock)
        self.central.answers["BootNotification"] = {
            "status": "Accepted",
            "currentTime": iso(UTC_S),
            "interval": 0,
        }
        self.central.answers["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}
        self.boot()
        self.point.config.preset(config)

    def store(self, name):
        if name not in self.stores:
            self.stores[name] = Store()
        return self.stores[name]

    def boot(self):
        self.log = Log()
        self.station = Box()
        config = Configuration(self.store("ocpp_config"), measurands=MEASURANDS)
        target = {"url": "ws://central/", "identity": "box", "password": ""}
        self.point = self.station.point = ChargePoint(
            self.station, config, self.clock, self.log, self.store, self.folder, None, self.random, target
        )
        return self.point

    @staticmethod
    def random(count):
        return bytes(range(count))

    def run(self, steps):
        """Run the coroutine `steps` beside the charge point."""

        async def beside():
            task = asyncio.create_task(self.point.run())
            try:
                await steps
            finally:
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    pass

        asyncio.run(beside())

    def called(self, action):
        return [payload for _ms, name, payload in self.central.calls if name == action]

    def told(self, *names):
        return [call for call in self.station.calls if call[0] in names]


def refusal(coroutine):
    """The CallError of a coroutine that never waits."""
    try:
        asyncio.run(coroutine)
    except CallError as error:
        return error.code
    raise AssertionError("no error")


# Messages


def test_before_the_registration_only_what_may_leaves():
    rig = Rig("gate")
    rig.central.answers["BootNotification"] = {"status": "Pending", "currentTime": iso(UTC_S), "interval": 1_000}

    async def steps():
        try:
            await rig.point.call("Heartbeat", {}, triggered=True)
            raise AssertionError("no error")
        except NotConnected:
            pass
        await asyncio.sleep(1)
        try:
            await rig.point.call("Authorize", {"idTag": TAG})
            raise AssertionError("no error")
        except NotConnected:
            pass
        await rig.point.call("Heartbeat", {}, triggered=True)

    rig.run(steps())
    assert [name for _ms, name, _payload in rig.central.calls] == ["BootNotification", "Heartbeat"]


def test_a_certificate_that_is_triggered_while_pending_is_asked_for():
    rig = Rig("pending-certificate")
    rig.central.answers["BootNotification"] = {"status": "Pending", "currentTime": iso(UTC_S), "interval": 1_000}
    rig.central.answers["SignCertificate"] = {"status": "Accepted"}

    async def steps():
        await asyncio.sleep(1)
        trigger = {"requestedMessage": "SignChargePointCertificate"}
        rig.central.sockets[-1].put([2, "t1", "ExtendedTriggerMessage", trigger])
        for _ in range(100):
            await asyncio.sleep(1)
            if rig.called("SignCertificate"):
                return

    rig.run(steps())
    assert rig.central.replies == [[3, "t1", {"status": "Accepted"}]]
    assert len(rig.called("SignCertificate")) == 1


def test_messages_that_the_central_system_refuses_hold_no_others_up():
    for refused in ("StartTransaction", "SecurityEventNotification", "StatusNotification"):
        rig = Rig("refused-" + refused, TransactionMessageAttempts=100, TransactionMessageRetryInterval=1)
        rig.central.answers[refused] = "InternalError"

        async def steps(rig=rig):
            await asyncio.sleep(1)
            rig.point.config.change("HeartbeatInterval", "10")
            rig.station.begin(TAG)
            await asyncio.sleep_ms(35_500)

        rig.run(steps())
        told = {name for _ms, name, _payload in rig.central.calls}
        assert {"StartTransaction", "SecurityEventNotification", "StatusNotification"} <= told, (refused, told)
        assert rig.central.times("Heartbeat") == [11, 21, 31], (refused, rig.central.times("Heartbeat"))
        connectors = [payload["connectorId"] for payload in rig.called("StatusNotification")]
        assert (1 in connectors) == (refused != "StatusNotification"), (refused, connectors)


def test_a_message_that_breaks_the_specification_does_not_leave_and_an_answer_that_does_is_an_error():
    rig = Rig("schema")
    codes = []

    async def steps():
        await asyncio.sleep(1)
        for action, payload in (("Authorize", {"idTag": "x" * 21}), ("Authorize", {"idTag": TAG})):
            rig.central.answers[action] = {"idTagInfo": {"status": "Maybe"}}
            try:
                await rig.point.call(action, payload)
            except CallError as error:
                codes.append(error.code)

    rig.run(steps())
    assert len(codes) == 2 and rig.called("Authorize") == [{"idTag": TAG}]


def test_calls_are_refused_by_name_before_any_handler_is_asked():
    rig = Rig("handle")
    rig.point.link.registration = "Accepted"
    assert refusal(rig.point.handle("Dance", {})) == "NotImplemented"
    assert refusal(rig.point.handle("Heartbeat", {})) == "NotImplemented"
    assert refusal(rig.point.handle("Reset", {"type": "Warm"})) == "PropertyConstraintViolation"
    assert refusal(rig.point.handle("Reset", {})) == "OccurrenceConstraintViolation"
    rig.point.link.registration = "Rejected"
    try:
        asyncio.run(rig.point.handle("Dance", {}))
        raise AssertionError("no error")
    except Silent:
        pass


def test_remote_start_and_stop_are_rejected_until_the_box_is_accepted():
    rig = Rig("remote")
    for registration in (None, "Pending"):
        rig.point.link.registration = registration
        for action, payload in (
            ("RemoteStartTransaction", {"idTag": TAG}),
            ("RemoteStopTransaction", {"transactionId": 1}),
        ):
            assert asyncio.run(rig.point.handle(action, payload)) == {"status": "Rejected"}


def test_a_remote_start_whose_answer_is_lost_with_the_link_keeps_no_later_one_out():
    rig = Rig("remote-lost")
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8}]},
    }

    async def steps():
        await asyncio.sleep(1)
        socket = rig.central.sockets[-1]

        async def no_more(_text):
            await socket.close()
            raise Closed(1006)

        socket.send = no_more
        socket.put([2, "s1", "RemoteStartTransaction", {"idTag": TAG, "chargingProfile": profile}])
        await asyncio.sleep(10)
        rig.point.station_changed()
        assert rig.point.charging.profiles == [] and rig.told("authorise") == []
        rig.central.sockets[-1].put([2, "s2", "RemoteStartTransaction", {"idTag": TAG}])
        await asyncio.sleep(10)

    rig.run(steps())
    assert rig.central.replies == [[3, "s2", {"status": "Accepted"}]]
    assert rig.told("authorise") == [("authorise", TAG)]


# Tasks


def test_what_is_to_be_done_later_comes_after_the_answer_and_its_errors_are_logged():
    rig = Rig("later")

    async def broken():
        rig.station.calls.append(("replies", len(rig.central.replies)))
        raise KeyError("lost")

    async def answer(_action, _payload):
        rig.point.later(broken)
        await asyncio.sleep(5)
        return {}

    rig.point.handle = answer

    async def steps():
        await asyncio.sleep(1)
        rig.central.sockets[-1].put([2, "c1", "ClearCache", {}])
        await asyncio.sleep(10)

    rig.run(steps())
    assert rig.told("replies") == [("replies", 1)]
    failed = [text for _level, code, text in rig.log.entries if code == "failed"]
    assert len(failed) == 1 and "KeyError: lost" in failed[0]


def test_the_log_shows_no_whole_id_tag_that_is_configured():
    rig = Rig("configured")
    for key, value in (("FreeChargingIdTag", TAG), ("freechargingidtag", "04D4E5F6"), ("CpoName", "Company")):
        answer = asyncio.run(rig.point.handle("ChangeConfiguration", {"key": key, "value": value}))
        assert answer == {"status": "Accepted"}
    texts = [text for _level, code, text in rig.log.entries if code == "configured"]
    assert "Company" in texts[2] and "...B2C3" in texts[0], texts
    assert not any(TAG in text or "04D4E5F6" in text for text in texts), texts


def test_its_tasks_end_with_it():
    rig = Rig("tasks")
    ended = []

    async def long():
        try:
            await asyncio.sleep(10_000)
        finally:
            ended.append(rig.clock.now_ms)

    async def steps():
        await asyncio.sleep(1)
        rig.point.start(long)
        await asyncio.sleep(1)

    async def whole():
        task = asyncio.create_task(rig.point.run())
        await steps()
        task.cancel()
        await asyncio.sleep(1)

    asyncio.run(whole())
    assert len(ended) == 1 and ended[0] < 3_000 and rig.central.sockets[0].code is not None


# Configuration


def test_the_central_system_s_interval_becomes_the_heartbeat_s_within_a_day():
    rig = Rig("interval")
    for interval, wanted in ((300, 300), (0, 300), (10**9, 86_400)):
        rig.point.registered(interval)
        assert rig.point.config["HeartbeatInterval"] == wanted
    rig.store("ocpp_config").broken = True
    rig.point.registered(60)
    assert rig.point.config["HeartbeatInterval"] == 86_400 and rig.log.codes() == ["not_stored"]


# Availability


def test_availability_is_kept_over_restarts_and_rubbish_counts_as_available():
    rig = Rig("available")
    assert rig.station.calls == [("operative", True)]
    assert rig.point.change_availability(0, False) == "Accepted"
    point = rig.boot()
    assert (point.operative, point.whole_operative) == (False, False) and rig.station.calls == [("operative", False)]
    assert point.change_availability(1, True) == "Accepted"
    assert (point.operative, point.whole_operative) == (True, False)
    for rubbish in ("x", [], [False], {"operative": False}, [None, None, 5], 0):
        rig.store("ocpp_point").value = rubbish
        point = rig.boot()
        assert (point.operative, point.whole_operative) == (True, True), rubbish


def test_in_a_session_it_is_scheduled_over_a_restart_too_and_taken_back_by_its_opposite():
    rig = Rig("scheduled")
    rig.station.begin()
    assert rig.point.change_availability(1, False) == "Scheduled"
    rig.point.station_changed()
    assert rig.point.operative
    assert rig.point.change_availability(1, True) == "Accepted"
    rig.station.finish("Local")
    assert rig.point.operative and rig.told("operative")[-1] == ("operative", True)
    rig.station.begin()
    assert rig.point.change_availability(0, False) == "Scheduled"
    point = rig.boot()
    assert point.operative
    point.station_changed()
    assert not point.operative and not point.whole_operative and rig.told("operative")[-1] == ("operative", False)


def test_what_was_scheduled_comes_also_when_flash_refuses_and_again_after_a_restart():
    rig = Rig("promised")
    rig.station.active = True
    assert rig.point.change_availability(1, False) == "Scheduled"
    rig.station.active = False
    rig.store("ocpp_point").broken = True
    for _ in range(3):
        rig.point.station_changed()
    assert not rig.point.operative and rig.told("operative")[-1] == ("operative", False)
    assert rig.log.codes().count("not_stored") == 1, "not at each move of the station"
    rig.store("ocpp_point").broken = False
    rig.boot().station_changed()
    assert not rig.point.operative and not rig.boot().operative


def test_a_flash_that_refuses_leaves_the_availability_as_it_is():
    rig = Rig("refused")
    rig.store("ocpp_point").broken = True
    assert rig.point.change_availability(0, False) == "Rejected" and rig.point.operative
    rig.station.begin()
    assert rig.point.change_availability(0, False) == "Rejected"
    rig.station.finish("Local")
    assert rig.point.operative and rig.told("operative") == [("operative", True)]
    assert rig.log.codes().count("not_stored") == 2


# Sessions


def test_a_session_without_a_card_is_told_with_the_tag_for_that():
    rig = Rig("free", FreeChargingIdTag="HOUSE")

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin()
        await asyncio.sleep(5)
        rig.station.register_wh += 500
        rig.station.finish("EVDisconnected")
        await asyncio.sleep(5)

    rig.run(steps())
    assert [(one["idTag"], one["meterStart"]) for one in rig.called("StartTransaction")] == [("HOUSE", 1_000)]
    (stop,) = rig.called("StopTransaction")
    assert (stop["transactionId"], stop["meterStop"], stop["reason"]) == (7, 1_500, "EVDisconnected")
    assert ("suspend", None) in rig.station.calls, "the next session begins without it"


def test_a_session_whose_start_cannot_be_kept_raises_and_its_end_tells_nothing():
    rig = Rig("full")

    def full(*_arguments):
        raise Full("full")

    rig.point.transactions.begin = full
    try:
        rig.station.begin()
        raise AssertionError("no error")
    except Full:
        pass
    rig.station.finish("Local")
    assert rig.point.transactions.queue.waiting == 0


def test_a_refusal_of_an_older_transaction_touches_nothing():
    rig = Rig("older")
    rig.station.begin(TAG)
    older = rig.point.transactions.current
    rig.station.finish("Local")
    rig.station.begin(TAG)
    before = list(rig.station.calls)
    rig.point.transaction_refused(older, "Invalid")
    assert rig.station.calls == before
    rig.point.transaction_refused(rig.point.transactions.current, "Invalid")
    assert rig.told("stop") == [("stop", "DeAuthorized", None)]


def test_a_refused_transaction_may_have_a_little_energy_and_then_none():
    rig = Rig("little", StopTransactionOnInvalidId=False, MaxEnergyOnInvalidId=100)
    rig.central.answers["StartTransaction"] = {"transactionId": 7, "idTagInfo": {"status": "Blocked"}}

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin(TAG)
        for _ in range(2):
            await asyncio.sleep(5)
            assert not rig.told("suspend", "stop")
            rig.station.register_wh += 50
        await asyncio.sleep(2)

    rig.run(steps())
    (call,) = rig.told("suspend")
    assert "100 Wh" in call[1] and not rig.told("stop")


def test_an_allowance_ends_with_its_transaction():
    rig = Rig("allowance", StopTransactionOnInvalidId=False, MaxEnergyOnInvalidId=100)
    rig.central.answers["StartTransaction"] = [
        {"transactionId": 7, "idTagInfo": {"status": "Blocked"}},
        {"transactionId": 8, "idTagInfo": {"status": "Accepted"}},
    ]

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin(TAG)
        await asyncio.sleep(2)
        rig.station.finish("Local")
        rig.station.begin("OTHER")
        rig.station.register_wh += 500
        await asyncio.sleep(5)

    rig.run(steps())
    assert [reason for _name, reason in rig.told("suspend")] == [None]


# Cards


def test_a_card_that_is_waited_for_takes_its_permission_back():
    rig = Rig("back")
    rig.station.waiting = TAG
    assert asyncio.run(rig.point.card(TAG)) == (True, "is not waited for any more")
    assert rig.told("cancel", "authorise") == [("cancel",)]


def test_a_card_is_refused_with_the_reason_and_nobody_is_asked():
    rig = Rig("closed")
    rig.station.wrong = ("GroundFailure", "residual current", "residual_current", True)
    assert asyncio.run(rig.point.card(TAG)) == (False, "was refused: there is a fault")
    rig.station.wrong = ("HighTemperature", "warm", "over_temperature", False)
    assert rig.point.closed() is None, "what passes by itself closes nothing"
    rig.point.transactions.queue.room = lambda: False
    assert "memory" in asyncio.run(rig.point.card(TAG))[1]
    rig.point.change_availability(1, False)
    assert "out of service" in asyncio.run(rig.point.card(TAG))[1]
    assert not rig.told("authorise") and rig.central.calls == []


def test_only_the_own_card_or_one_of_its_group_ends_a_session():
    rig = Rig("group")
    rig.central.answers["Authorize"] = [
        {"idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}},
        {"idTagInfo": {"status": "Accepted", "parentIdTag": "STRANGERS"}},
        {"idTagInfo": {"status": "Blocked", "parentIdTag": "FAMILY"}},
        {"idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}},
    ]

    async def steps():
        await asyncio.sleep(1)
        assert (await rig.point.card(TAG))[0]
        rig.station.begin(TAG)
        for other, ends in (("STRANGER", False), ("BLOCKED", False), ("SISTER", True)):
            assert (await rig.point.card(other))[0] == ends, other
        assert rig.told("stop") == [("stop", "Local", "SISTER")]
        rig.station.begin(TAG)
        assert (await rig.point.card(TAG.lower()))[0]
        await asyncio.sleep(5)

    rig.run(steps())
    assert rig.told("stop")[1:] == [("stop", "Local", TAG.lower())]
    assert [one["idTag"] for one in rig.called("Authorize")] == [TAG, "STRANGER", "BLOCKED", "SISTER"]


def test_a_card_that_takes_long_to_decide_ends_no_other_session_than_the_one_it_was_shown_in():
    rig = Rig("late-stop")
    rig.central.answers["Authorize"] = [
        {"idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}},
        {"idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}},
    ]
    results = []

    async def steps():
        await asyncio.sleep(1)
        assert (await rig.point.card(TAG))[0]
        rig.station.begin(TAG)
        await asyncio.sleep(1)
        ask = rig.point.auth.decide

        async def slow(id_tag):
            info = await ask(id_tag)
            await asyncio.sleep(20)
            return info

        rig.point.auth.decide = slow

        async def show():
            results.append(await rig.point.card("SISTER"))

        task = asyncio.create_task(show())
        await asyncio.sleep(5)
        rig.station.finish("EVDisconnected")
        rig.station.begin("STRANGER")
        await task

    rig.run(steps())
    assert not results[0][0] and rig.told("stop") == [], (results, rig.told("stop"))


def test_the_profile_of_a_remote_start_is_for_its_own_transaction_only():
    for tag, limits in ((TAG.lower(), True), ("STRANGER", False)):
        rig = Rig("own-profile")
        schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8}]}
        profile = {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": schedule,
        }

        async def steps(rig=rig, tag=tag, profile=profile):
            await asyncio.sleep(1)
            start = {"idTag": TAG, "chargingProfile": profile}
            rig.central.sockets[-1].put([2, "r1", "RemoteStartTransaction", start])
            rig.station.authorise = lambda id_tag: setattr(rig.station, "waiting", id_tag) or True
            await asyncio.sleep(1)
            assert rig.station.waiting == TAG
            rig.station.waiting = None
            rig.station.begin(tag)
            await asyncio.sleep(1)

        rig.run(steps())
        assert (("limit", 8000) in rig.told("limit")) == limits, tag


# Reset


def test_a_soft_reset_waits_for_the_session_s_end_and_its_delivery_but_not_for_ever():
    for name, ends, answers in (("soft", True, True), ("deaf", True, False), ("stuck", False, True)):
        rig = Rig("reset-" + name)
        rig.station.ends = ends

        async def steps(rig=rig, answers=answers):
            await asyncio.sleep(1)
            rig.station.begin(TAG)
            await asyncio.sleep(2)
            if not answers:
                rig.central.answers["StopTransaction"] = None
            began = rig.clock.now_ms
            await rig.point.reset(False)
            rig.took_ms = rig.clock.now_ms - began

        rig.run(steps())
        assert rig.told("stop", "reset") == [("stop", "SoftReset", None), ("reset", False)], name
        assert rig.took_ms < 1_000 if ends and answers else 10_000 <= rig.took_ms < 12_000, (name, rig.took_ms)
        assert ("no_end" in rig.log.codes()) == (not ends)
        if ends:
            assert [one["reason"] for one in rig.called("StopTransaction")] == ["SoftReset"]


def test_a_hard_reset_gives_the_car_8_s_to_let_go_and_the_transaction_its_reason():
    rig = Rig("hard")
    rig.station.ends = False

    async def steps():
        await asyncio.sleep(1)
        rig.station.begin(TAG)
        await asyncio.sleep(2)
        began = rig.clock.now_ms
        await rig.point.reset(True)
        assert 8_000 <= rig.clock.now_ms - began < 8_200

    rig.run(steps())
    assert rig.told("reset") == [("reset", True)]
    rig.boot()

    async def after():
        await asyncio.sleep(30)

    rig.run(after())
    assert [one["reason"] for one in rig.called("StopTransaction")] == ["HardReset"]


def test_a_reset_without_a_session_comes_at_once():
    for hard in (False, True):
        rig = Rig("idle-%s" % hard)
        asyncio.run(rig.point.reset(hard))
        assert rig.told("reset", "stop") == [("reset", hard)] and rig.clock.now_ms == 0


# Time


def test_a_clock_that_is_set_is_told_to_all_who_reckon_with_it():
    rig = Rig("clock", ClockAlignedDataInterval=900)
    rig.clock.utc_base_s = None
    rig.station.measured["Energy.Active.Import.Register", 0] = "1000"
    rig.central.answers["BootNotification"] = {"status": "Accepted", "currentTime": iso(UTC_S + 890), "interval": 0}
    rig.run(asyncio.sleep(30))
    (values,) = rig.called("MeterValues")
    assert values["meterValue"][0]["timestamp"] == iso(UTC_S + 900)
    assert all(one["timestamp"] >= iso(UTC_S + 890) for one in rig.called("StatusNotification"))
