"""A wallbox without charging for the installer's unit tests: stores in a folder, a radio in memory, real commands."""

import asyncio
import json

from storage_help import Log, scratch
from virtual_time import Record

from journal import Journal
from plant import board
from plant.dice import Dice
from wallbox.access.cards import Cards
from wallbox.installer.link import Link
from wallbox.storage.settings import Settings
from wallbox.storage.store import Store

INSTALLED = {"rated_a": 16, "phases": 3, "connection_a": 25, "earthing": "TN", "wizard_complete": True}


class Clock:
    """Time that a test moves by hand, as far as the installer asks for it."""

    def __init__(self):
        self.seconds = 0

    def uptime_s(self):
        return self.seconds

    def uptime_ms(self):
        return self.seconds * 1000

    def ticks_ms(self):
        return self.seconds * 1000

    def utc_s(self):
        return 1_767_225_600 + self.seconds

    def utc_iso(self):
        return "2026-01-01T00:%02d:%02dZ" % (self.seconds // 60 % 60, self.seconds % 60)

    def set_utc_s(self, seconds, source):
        self.told = seconds
        return source == 2


class Sessions:
    """The session store as the wizard sees it."""

    def __init__(self):
        self.open = None
        self.closed = []

    def current(self):
        return dict(self.open) if self.open else None

    def history(self, count):
        return self.closed[:count]


class App:
    """What commands need of the composition root."""

    def __init__(self, folder, log=None):
        self.folder = folder
        self.log = log or Log()
        self.log.since = lambda _sequence=0: []
        self.clock = Clock()
        self.security = Journal(folder, "security", 4)
        self.settings = Settings(Store(folder, "settings", 1, self.log), self.log)
        self.cards = Cards(Store(folder, "cards", 1, self.log), self.log)
        self.store = Sessions()
        self.snapshot = Record(car_connected=False, contactor_commanded=False, state="A1")
        self.session = Record(status=lambda: {"duration_s": 0, "energy_wh": 0}, waiting=False, id_tag=None)
        self.access = Record(
            registration=False,
            last_unknown=None,
            awaits_setup_card=lambda: False,
            await_setup_card=lambda: None,
            register=lambda on: None,
        )
        self.led = Record(preview=lambda percent: None, pattern="blue")
        self.jobs = Record(start=lambda name: None, cancel=lambda name: None, status=lambda name: {"running": False})
        self.faults = Record(status=list, is_active=lambda fault: False)
        self.why = Record(answer=lambda: {"code": "no_car", "text": "Ready."})
        self.backend = Record(keep=lambda: None)
        self.restarts = []
        self.restart = self.restarts.append
        self.served = 0

    def service(self):
        self.served += 1

    def status(self):
        return {"cards": self.cards.status(), "session": {"id_tag": "DEADBEEF"}, "car_memory": None}


class Radio:
    """A connection in memory: `sent` are the frames that came out."""

    peer = "aa"

    def __init__(self, mtu=247):
        self.mtu = mtu
        self.secure = True
        self.open = True
        self.queued = 0
        self.frames = []
        self.sent = []

    async def receive(self):
        return self.frames.pop(0) if self.frames else None

    async def send(self, frame):
        if not self.open:
            raise OSError(107)
        self.sent.append(bytes(frame))

    def disconnect(self):
        self.open = False


def an_app(name, settings=None):
    """An app in an empty folder, with a plant that gives entropy."""
    board.plant = Record(seed=1, secrets=Dice(1))
    app = App(scratch("installer-" + name))
    if settings:
        app.settings.update(settings)
    return app


class Desk:
    """One connection with its far end: `ask` a request and get the answer."""

    def __init__(self, app, mtu=247, locks=None):
        self.app = app
        self.radio = Radio(mtu)
        self.link = Link(app, self.radio, Record(locks={} if locks is None else locks))
        self.counter = 0
        # The frames that came with the last answers.
        self.raw = []
        self.events = []

    def frame(self, head, content):
        found = bytes((head, self.counter)) + content
        self.counter = (self.counter + 1) % 256
        return found

    def messages(self):
        """Take what was sent, put together."""
        found, text = [], b""
        for frame in self.radio.sent:
            text = frame[2:] if frame[0] & 0x10 else text + frame[2:]
            if frame[0] & 0x20 and not frame[0] & 0x0F:
                found.append(json.loads(text))
        self.raw = self.radio.sent
        self.radio.sent = []
        return found

    def feed(self, *frames):
        """Let the real link take these frames -> the messages it sends."""
        self.radio.frames += frames
        asyncio.run(self.link.serve())
        return self.messages()

    def ask(self, do, **arguments):
        """The answer to a request; events go to `events`."""
        request = dict(arguments, id=7, do=do)
        text = json.dumps(request).encode()
        room = self.radio.mtu - 5
        pieces = [text[at : at + room] for at in range(0, len(text), room)]
        frames = []
        for i in range(len(pieces)):
            head = (0 if i else 0x10) | (0x20 if i == len(pieces) - 1 else 0)
            frames.append(self.frame(head, pieces[i]))
        answer = None
        for message in self.feed(*frames):
            if "event" in message:
                self.events.append(message)
            else:
                assert answer is None, "two answers"
                answer = message
        assert answer is not None and answer["id"] == 7, answer
        return answer

    def refused(self, do, **arguments):
        """The error of a request that must be refused."""
        answer = self.ask(do, **arguments)
        assert not answer["ok"], answer
        return answer["error"]

    def done(self, do, **arguments):
        """The answer of a request that must not be refused."""
        answer = self.ask(do, **arguments)
        assert answer["ok"], answer
        return answer
