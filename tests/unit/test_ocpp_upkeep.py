"""Uploads and updates that a central system asks for: their messages, retries, times, and what outlives a restart."""

import asyncio

from ocpp_help import UTC_S, Clock
from virtual_time import Log, Record

from ocpp import rare, schema, timestamps
from ocpp.errors import CallError, NotConnected, OcppError

real_borrow = rare.borrow
stand_ins = {}


def borrow(name):
    return stand_ins.get(name) or real_borrow(name)


rare.borrow = borrow

from ocpp import upkeep_jobs as jobs  # noqa: E402
from ocpp.handlers import upkeep as handlers  # noqa: E402
from ocpp.together import Turns  # noqa: E402
from ocpp.upkeep import Upkeep  # noqa: E402


class Place:
    """Where a firmware goes."""

    most_bytes = 1000

    def __init__(self, point):
        self.point = point
        self.data = b""
        self.fails = None

    def write(self, piece):
        self.data += bytes(piece)

    async def install(self):
        if self.point.install_fails:
            raise ValueError("no image")
        self.point.installed.append(self.data)

    def discard(self):
        self.point.discarded += 1


class Verifier:
    """Stands in for signature.Verifier: trusts the certificate "good" and the signature that is the file itself."""

    def __init__(self, certificate, signature, _roots, _utc_s):
        self.certificate = certificate
        self.signature = signature
        self.data = b""
        self.reason = ""

    async def check_certificate(self):
        self.reason = "" if self.certificate == "good" else "nobody knows it"
        return "InvalidCertificate" if self.reason else ""

    def update(self, piece):
        self.data += bytes(piece)

    async def finish(self):
        self.reason = "it is another file"
        return "SignatureVerified" if self.signature.encode() == self.data else "InvalidSignature"


class Network:
    """Stands in for transfer: `outcomes` are the errors of the next tries, None for success; what came is kept."""

    def __init__(self, clock):
        self.clock = clock
        self.outcomes = []
        self.tries = []
        self.seconds = 0

    async def _try(self, *what):
        self.tries.append((self.clock.now_ms // 1000,) + what)
        await asyncio.sleep(self.seconds)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome

    async def upload(self, _open, location, pieces, name, tls=None):
        await self._try(location, name, b"".join(pieces()))

    async def download(self, _open, location, write, tls=None, max_bytes=None):
        write(b"half")
        await self._try(location)
        write(b" and half")
        return 13


class Point:
    """Just what upkeep needs of a charge point."""

    def __init__(self, stored=None, firmware=True, version="1.0", result=(True, "")):
        self.clock = Clock()
        self.log = Log()
        self.stored = {} if stored is None else stored
        self.connected = True
        self.sent = []
        self.events = []
        self.tasks = []
        self.installed = []
        self.discarded = 0
        self.resets = 0
        self.install_fails = False
        self.open_connection = None
        self.folder = ""
        self.transactions = Record(current=None)
        self.active = False
        self.waits = None
        self.result = result
        self.station = Record(
            serial="S1",
            diagnostics=lambda oldest, latest: ("box.log", lambda: [b"from %s " % oldest, b"to %s" % latest]),
            firmware=lambda: Place(self) if firmware else None,
            session_active=lambda: self.active,
            boot_info=lambda: {"firmwareVersion": version},
            firmware_waits=lambda: self.waits,
            firmware_result=lambda: self.result,
        )
        self.security = Record(event=lambda kind, info="": self.events.append(kind), log_pieces=self.log_pieces)
        self.network = Network(self.clock)
        stand_ins["transfer"] = self.network
        stand_ins["certificates"] = Record(CENTRAL="c", Store=lambda _f, _l: Record(roots=lambda _k: []))
        stand_ins["signature"] = Record(
            Verifier=Verifier,
            maker_roots=lambda _point: [],
            EVENTS={
                "InvalidCertificate": "InvalidFirmwareSigningCertificate",
                "InvalidSignature": "InvalidFirmwareSignature",
            },
        )
        self.sender = Turns(self.clock.ticks_ms)
        self.upkeep = Upkeep(self)
        self.upkeep.resume()
        self.start(self.sender.run)

    def log_pieces(self, oldest, latest):
        return [b"event %s %s" % (oldest, latest)]

    def stores(self, name):
        def save(value):
            self.stored[name] = value

        return Record(load=lambda: self.stored.get(name), save=save)

    async def call(self, action, payload, triggered=False):
        schema.check_request(action, payload)
        if not self.connected:
            raise NotConnected("no link")
        self.sent.append((action, payload["status"], payload.get("requestId")))
        return {}

    def start(self, function, *arguments):
        self.tasks.append(asyncio.create_task(function(*arguments)))

    later = start

    async def reset(self, hard):
        self.resets += 1

    async def ask(self, action, **payload):
        schema.check_request(action, payload)
        answer = await handlers.HANDLERS[action](self, payload)
        schema.check_response(action, answer)
        return answer

    def statuses(self, action):
        return [status for sent, status, _ in self.sent if sent == action]

    def end(self):
        for task in self.tasks:
            task.cancel()


def when(seconds):
    return timestamps.iso(UTC_S + seconds)


def firmware(**more):
    order = {"location": "http://h/fw", "retrieveDateTime": when(0), "signingCertificate": "good"}
    order["signature"] = "half and half"
    order.update(more)
    return order


# -- uploads -----------------------------------------------------------------------------------------


async def test_diagnostics_of_the_time_asked_for_are_sent_and_told():
    point = Point()
    answer = await point.ask("GetDiagnostics", location="ftp://h/", startTime=when(-60), stopTime=when(0))
    assert answer == {"fileName": "box.log"}
    await asyncio.sleep(1)
    assert point.network.tries == [(0, "ftp://h/", "box.log", b"from %d to %d" % (UTC_S - 60, UTC_S))]
    assert point.statuses("DiagnosticsStatusNotification") == ["Uploading", "Uploaded"]
    point.end()


async def test_an_upload_is_tried_again_after_its_interval_and_then_given_up():
    point = Point()
    point.network.outcomes = [OcppError("no"), OSError(5), OcppError("no")]
    await point.ask("GetDiagnostics", location="ftp://h/", retries=2, retryInterval=30)
    await asyncio.sleep(200)
    assert [try_[0] for try_ in point.network.tries] == [0, 30, 60]
    assert point.statuses("DiagnosticsStatusNotification") == ["Uploading", "UploadFailed"]
    assert point.log.codes() == ["transfer_failed"] * 3
    point.end()


async def test_a_success_after_a_failure_is_a_success():
    point = Point()
    point.network.outcomes = [OcppError("no")]
    await point.ask("GetDiagnostics", location="ftp://h/", retries=1, retryInterval=5)
    await asyncio.sleep(10)
    assert len(point.network.tries) == 2
    assert point.statuses("DiagnosticsStatusNotification") == ["Uploading", "Uploaded"]
    point.end()


async def test_no_retries_is_one_try_and_negative_numbers_are_none():
    point = Point()
    for retries in (0, -3):
        point.network.outcomes = [OcppError("no")]
        point.network.tries.clear()
        await point.ask("GetDiagnostics", location="ftp://h/", retries=retries, retryInterval=-1)
        await asyncio.sleep(1000)
        assert len(point.network.tries) == 1, retries
    point.end()


async def test_a_failed_check_of_a_server_is_a_security_event():
    point = Point()
    error = OcppError("expired")
    error.event = "InvalidCentralSystemCertificate"
    point.network.outcomes = [error]
    await point.ask("GetDiagnostics", location="https://h/", retries=0)
    await asyncio.sleep(1)
    assert point.events == ["InvalidCentralSystemCertificate"]
    point.end()


async def test_logs_are_sent_with_their_request_and_a_new_request_cancels_the_old():
    point = Point()
    point.network.seconds = 100
    log = {"remoteLocation": "http://h/", "oldestTimestamp": when(-10)}
    answer = await point.ask("GetLog", logType="SecurityLog", requestId=1, log=log)
    assert answer == {"status": "Accepted", "filename": "security-S1.log"}
    await asyncio.sleep(1)
    answer = await point.ask("GetLog", logType="DiagnosticsLog", requestId=2, log=log)
    assert answer == {"status": "AcceptedCanceled", "filename": "box.log"}
    await asyncio.sleep(300)
    assert [try_[1:3] for try_ in point.network.tries] == [("http://h/", "security-S1.log"), ("http://h/", "box.log")]
    assert point.network.tries[0][3] == b"event %d None" % (UTC_S - 10)
    sent = [(status, number) for _, status, number in point.sent]
    assert sent == [("Uploading", 1), ("Uploading", 2), ("Uploaded", 2)]
    point.end()


async def test_a_failed_log_has_the_white_papers_name():
    point = Point()
    point.network.outcomes = [OcppError("no")]
    await point.ask("GetLog", logType="SecurityLog", requestId=1, retries=0, log={"remoteLocation": "http://h/"})
    await asyncio.sleep(1)
    assert point.statuses("LogStatusNotification") == ["Uploading", "UploadFailure"]
    point.end()


async def test_messages_wait_for_the_link_and_come_in_order():
    point = Point()
    point.connected = False
    await point.ask("GetDiagnostics", location="ftp://h/")
    await asyncio.sleep(60)
    assert point.sent == []
    point.connected = True
    point.upkeep.news()
    await asyncio.sleep(0.1)
    assert point.statuses("DiagnosticsStatusNotification") == ["Uploading", "Uploaded"]
    point.end()


async def test_messages_that_nobody_takes_do_not_fill_the_heap():
    point = Point()
    point.connected = False
    for _ in range(10):
        await point.ask("GetDiagnostics", location="ftp://h/")
        await asyncio.sleep(1)
    point.connected = True
    point.upkeep.news()
    await asyncio.sleep(1)
    assert len(point.sent) == 12
    assert point.sent[-1][1] == "Uploaded"
    assert point.log.codes().count("dropped") == 8
    point.end()


async def test_a_trigger_tells_the_present_status():
    point = Point()
    point.network.seconds = 100
    await jobs.tell_again(point, "DiagnosticsStatusNotification")
    await jobs.tell_again(point, "FirmwareStatusNotification")
    await jobs.tell_again(point, "LogStatusNotification")
    names = ("DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification")
    assert point.sent == [(name, "Idle", None) for name in names]
    point.sent.clear()
    await point.ask("GetLog", logType="SecurityLog", requestId=7, log={"remoteLocation": "http://h/"})
    await point.ask("SignedUpdateFirmware", requestId=8, firmware=firmware())
    await asyncio.sleep(1)
    point.sent.clear()
    for name in names:
        await jobs.tell_again(point, name)
    assert point.sent == [
        ("DiagnosticsStatusNotification", "Idle", None),
        ("SignedFirmwareStatusNotification", "Downloading", 8),
        ("LogStatusNotification", "Uploading", 7),
    ]
    point.end()


# -- firmware ----------------------------------------------------------------------------------------


async def test_a_firmware_is_fetched_in_time_installed_after_the_session_and_told_after_the_restart():
    point = Point()
    point.active = True
    await point.ask("UpdateFirmware", location="http://h/fw", retrieveDate=when(100))
    await asyncio.sleep(50)
    assert point.network.tries == []
    await asyncio.sleep(100)
    told = ["Downloading", "Downloaded"]
    assert 100 <= point.network.tries[0][0] <= 103
    assert point.statuses("FirmwareStatusNotification") == told
    await asyncio.sleep(10000)
    assert point.installed == []
    point.active = False
    point.transactions.current = object()
    await asyncio.sleep(10)
    assert point.installed == []
    point.transactions.current = None
    await asyncio.sleep(10)
    assert point.installed == [b"half and half"]
    assert point.statuses("FirmwareStatusNotification") == told + ["Installing"]
    assert (point.resets, point.discarded) == (1, 0)
    point.end()
    stays, gone = (True, ""), (False, "it hangs")
    for result, status, events in ((stays, "Installed", ["FirmwareUpdated"]), (gone, "InstallationFailed", [])):
        after = Point(dict(point.stored), version="2.0", result=None)
        await asyncio.sleep(10000)
        # Nothing is told, and nothing forgotten, while the new firmware is on trial.
        assert after.sent == [] and after.stored["ocpp_upkeep"]["stage"] == "installing"
        after.end()
        after = Point(dict(point.stored), version="2.0", result=None)
        await asyncio.sleep(50)
        after.result = result
        await asyncio.sleep(50)
        assert after.statuses("FirmwareStatusNotification") == [status]
        assert after.events == events
        assert status == "Installed" or "it hangs" in str(after.log.entries)
        assert after.stored["ocpp_upkeep"] is None
        after.end()


async def test_a_download_waits_until_the_station_can_take_a_firmware_and_says_so():
    point = Point()
    point.waits = "a car charges"
    await point.ask("SignedUpdateFirmware", requestId=5, firmware=firmware())
    await asyncio.sleep(1000)
    assert point.network.tries == []
    assert point.sent == [("SignedFirmwareStatusNotification", "DownloadScheduled", 5)]
    assert "a car charges" in str(point.log.entries)
    point.waits = None
    await asyncio.sleep(10)
    assert point.installed == [b"half and half"]
    point.end()


async def test_a_firmware_that_does_not_come_is_given_up():
    point = Point()
    point.network.outcomes = [OcppError("no")] * 2
    await point.ask("UpdateFirmware", location="http://h/fw", retrieveDate=when(0), retries=1, retryInterval=10)
    await asyncio.sleep(60)
    assert point.statuses("FirmwareStatusNotification") == ["Downloading", "DownloadFailed"]
    assert (point.installed, point.discarded, point.resets) == ([], 2, 0)
    assert point.stored["ocpp_upkeep"] is None
    point.end()


async def test_a_second_try_begins_with_an_empty_place():
    point = Point()
    point.network.outcomes = [OcppError("no")]
    await point.ask("SignedUpdateFirmware", requestId=1, retryInterval=1, firmware=firmware())
    await asyncio.sleep(60)
    assert point.installed == [b"half and half"]
    point.end()


async def test_an_image_that_cannot_be_installed_is_told_and_nothing_restarts():
    point = Point()
    point.install_fails = True
    await point.ask("UpdateFirmware", location="http://h/fw", retrieveDate=when(0))
    await asyncio.sleep(60)
    assert point.statuses("FirmwareStatusNotification")[-1] == "InstallationFailed"
    assert (point.resets, point.discarded, point.stored["ocpp_upkeep"]) == (0, 1, None)
    point.end()


async def test_a_signed_firmware_tells_each_step():
    point = Point()
    order = firmware(retrieveDateTime=when(10), installDateTime=when(100))
    answer = await point.ask("SignedUpdateFirmware", requestId=5, firmware=order)
    assert answer == {"status": "Accepted"}
    await asyncio.sleep(200)
    steps = "DownloadScheduled Downloading Downloaded SignatureVerified InstallScheduled Installing InstallRebooting"
    assert point.sent == [("SignedFirmwareStatusNotification", step, 5) for step in steps.split()]
    assert (point.installed, point.resets) == ([b"half and half"], 1)
    point.end()
    after = Point(dict(point.stored), version="2")
    await asyncio.sleep(1)
    assert after.sent == [("SignedFirmwareStatusNotification", "Installed", 5)]
    after.end()


async def test_a_wrong_signature_or_certificate_is_refused_and_reported():
    point = Point()
    await point.ask("SignedUpdateFirmware", requestId=5, firmware=firmware(signature="other"))
    await asyncio.sleep(20)
    assert point.statuses("SignedFirmwareStatusNotification") == ["Downloading", "Downloaded", "InvalidSignature"]
    assert (point.installed, point.discarded, point.resets) == ([], 1, 0)
    answer = await point.ask("SignedUpdateFirmware", requestId=6, firmware=firmware(signingCertificate="bad"))
    assert answer == {"status": "InvalidCertificate"}
    assert point.events == ["InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate"]
    point.end()


async def test_a_new_update_replaces_one_that_is_not_yet_installed():
    point = Point()
    point.active = True
    await point.ask("SignedUpdateFirmware", requestId=1, firmware=firmware())
    await asyncio.sleep(10)
    answer = await point.ask("SignedUpdateFirmware", requestId=2, firmware=firmware(location="http://h/new"))
    assert answer == {"status": "AcceptedCanceled"}
    await asyncio.sleep(10)
    point.active = False
    await asyncio.sleep(10)
    assert [try_[1] for try_ in point.network.tries] == ["http://h/fw", "http://h/new"]
    assert len(point.installed) == 1
    point.end()


async def test_an_update_that_is_refused_leaves_alone_the_one_that_runs():
    point = Point()
    point.active = True
    await point.ask("SignedUpdateFirmware", requestId=1, firmware=firmware())
    await asyncio.sleep(10)
    assert point.statuses("SignedFirmwareStatusNotification")[-1] == "SignatureVerified"
    answer = await point.ask("SignedUpdateFirmware", requestId=2, firmware=firmware(signingCertificate="bad"))
    assert answer == {"status": "InvalidCertificate"} and point.discarded == 0, "there is one place for a firmware"
    point.active = False
    await asyncio.sleep(10)
    assert len(point.installed) == 1
    point.end()


async def test_what_is_being_installed_is_not_replaced():
    point = Point()
    going = asyncio.Event()

    async def install(_place):
        await going.wait()

    real, Place.install = Place.install, install
    await point.ask("UpdateFirmware", location="http://h/fw", retrieveDate=when(0))
    await asyncio.sleep(10)
    answer = await point.ask("SignedUpdateFirmware", requestId=2, firmware=firmware())
    assert answer == {"status": "Rejected"}
    assert await point.ask("UpdateFirmware", location="http://h/2", retrieveDate=when(0)) == {}
    going.set()
    await asyncio.sleep(10)
    Place.install = real
    assert (len(point.network.tries), point.resets) == (1, 1)
    point.end()


async def test_an_update_goes_on_after_a_restart_but_not_for_ever():
    point = Point()
    await point.ask("UpdateFirmware", location="http://h/fw", retrieveDate=when(1000))
    await asyncio.sleep(10)
    point.end()
    stored = point.stored
    for _ in range(2):
        point = Point(dict(stored))
        point.clock.utc_base_s = None
        await asyncio.sleep(2000)
        assert point.network.tries == [], "the time is unknown"
        stored = point.stored
        point.end()
    point = Point(dict(stored))
    await asyncio.sleep(2000)
    assert point.statuses("FirmwareStatusNotification") == ["DownloadFailed"]
    assert point.stored["ocpp_upkeep"] is None and point.discarded == 1, "what came before the last restart"
    point.end()


async def test_what_is_damaged_on_flash_is_forgotten():
    for kept in ({}, {"stage": "waiting"}, {"stage": "waiting", "payload": {}, "starts": "x"}, {"stage": "other"}, [1]):
        point = Point({"ocpp_upkeep": kept})
        await asyncio.sleep(10)
        assert (point.sent, point.network.tries) == ([], [])
        point.end()


async def test_a_charge_point_that_cannot_install_says_so():
    point = Point(firmware=False)
    for action, payload in (
        ("UpdateFirmware", {"location": "http://h/", "retrieveDate": when(0)}),
        ("SignedUpdateFirmware", {"requestId": 1, "firmware": firmware()}),
    ):
        try:
            await point.ask(action, **payload)
            raise AssertionError("it must be refused")
        except CallError as error:
            assert error.code == "NotSupported"
    point.end()
