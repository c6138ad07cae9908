"""Random, damaged and recorded frames against the real code: no crash, no growth, nothing changed."""

import asyncio
import gc
import json

from installer_bench import INSTALLED, Radio, an_app
from virtual_time import Record

from plant.dice import Dice
from wallbox.installer.link import Link

# Requests as apps send them, of which none may change anything for the role that sends it.
RECORDED = [
    {"do": "hello"},
    {"do": "status"},
    {"do": "why"},
    {"do": "faults"},
    {"do": "settings"},
    {"do": "settings", "set": {"rated_a": 32, "name": "somebody else's"}},
    {"do": "settings", "set": {"led_brightness_percent": 5}, "check": True},
    {"do": "schema"},
    {"do": "wizard"},
    {"do": "wizard", "step": "electrical", "set": {"rated_a": 32}, "confirm": True},
    {"do": "cards"},
    {"do": "card", "uid": "04A1B2C3", "add": True, "name": "mine"},
    {"do": "register", "on": True},
    {"do": "setup_card", "next": True},
    {"do": "scan", "start": True},
    {"do": "check_meter"},
    {"do": "brightness", "percent": 50, "keep": True},
    {"do": "utc", "seconds": 1800000000},
    {"do": "log", "since": 5},
    {"do": "service", "confirm": True},
    {"do": "restart", "confirm": True},
    {"do": "factory_reset", "confirm": "erase"},
    {"do": "password", "role": "expert", "new": "hacked"},
    {"do": "login", "role": "expert", "password": "0000"},
    {"do": "logout"},
    {"do": "get", "name": "settings-schema", "offset": 0},
    {"do": "read", "transfer": 0, "offset": 0, "count": 600},
    {"do": "put", "name": "firmware", "size": 100, "sha256": "0" * 64},
    {"do": "done", "transfer": 0, "cancel": True},
]
FRAMES = 100_000
BATCH = 40
# The first so many fill caches: modules, strings that are interned, files.
WARM_UP = 20_000
# Of the heap in use after that, with 64-bit objects.
GROWTH_BYTES = 1_024
ROUNDS = 10


class Forgetful:
    """A log that counts what matters here and keeps nothing."""

    def __init__(self):
        self.failures = []

    def add(self, level, source, code, text, **context):
        if code == "command_failed":
            self.failures.append(text)

    def since(self, _sequence=0):
        return []

    def codes(self):
        return []


class Fuzzer:
    """One wallbox and connection after connection of somebody who sends what comes to mind."""

    def __init__(self, seed, role="paired"):
        self.app = an_app("fuzz-%d" % seed, INSTALLED)
        self.app.log = Forgetful()
        self.dice = Dice(seed)
        self.locks = {}
        self.role = role
        self.connections = 0
        self.sent = self.answers = 0
        # What came back: error codes, events, and "ok".
        self.seen = {}
        self.connect()

    def connect(self):
        self.connections += 1
        self.counter = 0
        self.radio = Radio((23, 64, 247, 517)[self.dice.between(0, 3)])
        self.link = Link(self.app, self.radio, Record(locks=self.locks))
        self.link.role = self.role

    def noise(self, longest):
        return bytes([self.dice.between(0, 255) for _ in range(self.dice.between(0, longest))])

    def recorded(self):
        request = dict(RECORDED[self.dice.between(0, len(RECORDED) - 1)], id=self.dice.between(0, 65535))
        return json.dumps(request).encode()

    def mutated(self, content):
        content = bytearray(content)
        for _ in range(self.dice.between(1, 4)):
            kind = self.dice.between(0, 3)
            at = self.dice.between(0, max(0, len(content) - 1))
            if kind == 0 and content:
                content[at] = self.dice.between(0, 255)
            elif kind == 1:
                content = content[:at]
            elif kind == 2:
                content = content[:at] + self.noise(8) + content[at:]
            else:
                content = content[:at] + content[at // 2 :]
        return bytes(content)

    def framed(self, message):
        """Frames as they should be, and now and then one twice, one lost or two the wrong way round."""
        room = self.radio.mtu - 5
        found = []
        for at in range(0, len(message), room):
            head = (0 if at else 0x10) | (0x20 if at + room >= len(message) else 0)
            found.append(bytes((head, self.counter)) + message[at : at + room])
            self.counter = (self.counter + 1) % 256
        chance = self.dice.between(0, 30)
        if chance == 0:
            found.append(found[-1] if found else b"")
        elif chance == 1:
            found = found[1:]
        elif chance == 2:
            found.reverse()
        return found

    def batch(self):
        """Some frames of all sorts."""
        found = []
        while len(found) < BATCH:
            sort = self.dice.between(0, 9)
            if sort == 0:
                found.append(self.noise(self.radio.mtu))
            elif sort == 1:
                found.append(bytes((self.dice.between(0, 255), self.counter)) + self.noise(40))
            elif sort == 2:
                found += self.framed(self.noise(300))
            elif sort == 3:
                found += [self.mutated(frame) for frame in self.framed(self.recorded())]
            elif sort < 7:
                found += self.framed(self.mutated(self.recorded()))
            else:
                found += self.framed(self.recorded())
        return found

    def look_at(self, frames):
        """Every message back is whole, JSON, and an answer or an event."""
        self.answers += len(frames)
        text = b""
        for frame in frames:
            assert 3 <= len(frame) <= self.radio.mtu - 3, frame
            if frame[0] & 0x0F:
                continue
            text = frame[2:] if frame[0] & 0x10 else text + frame[2:]
            if frame[0] & 0x20:
                message = json.loads(text)
                what = message.get("event") or (message["ok"] and "ok") or message["error"]["code"]
                self.seen[what] = self.seen.get(what, 0) + 1

    def run(self, count):
        """Send `count` frames; the box ends connections with too many bad ones, and so another begins."""
        end = self.sent + count
        while self.sent < end:
            frames = self.batch()
            self.sent += len(frames)
            self.radio.frames = frames
            asyncio.run(self.link.serve())
            self.look_at(self.radio.sent)
            self.radio.sent = []
            # A box that has taken another counter than the app's own is what a new connection is for.
            if self.radio.frames or self.link._in.expected != self.counter:
                self.link.close()
                self.connect()


def test_a_hundred_thousand_frames_crash_nothing_grow_nothing_and_change_nothing():
    fuzzer = Fuzzer(1)
    app = fuzzer.app
    before = app.settings.as_dict()
    fuzzer.run(WARM_UP)
    gc.collect()
    start = gc.mem_alloc()
    # What is left behind stays; what the collector only took for something in use, by a number on the stack, does not.
    grown = []
    for _ in range(ROUNDS):
        fuzzer.run((FRAMES - WARM_UP + ROUNDS - 1) // ROUNDS)
        gc.collect()
        grown.append(gc.mem_alloc() - start)
    grown = min(grown[ROUNDS // 2 :])
    print("%d frames, %d connections, %d frames back" % (fuzzer.sent, fuzzer.connections, fuzzer.answers))
    print("heap %+d bytes; %s" % (grown, fuzzer.seen))
    assert not app.log.failures, app.log.failures[0]
    assert fuzzer.sent >= FRAMES and fuzzer.connections > 1_000 and fuzzer.answers > 50_000
    for what in ("ok", "frame_error", "bad_request", "unknown", "not_allowed", "bad_value", "locked", "not_now"):
        assert fuzzer.seen.get(what, 0) > 20, (what, fuzzer.seen)
    assert grown < GROWTH_BYTES, grown
    assert app.settings.as_dict() == before
    assert app.cards.charging == [] and app.cards.setup is None
    assert not app.restarts and not app.served


def test_an_owner_who_sends_damaged_requests_crashes_nothing_and_leaves_settings_that_are_allowed():
    fuzzer = Fuzzer(3, "owner")
    app = fuzzer.app
    fuzzer.run(30_000)
    assert not app.log.failures, app.log.failures[0]
    assert fuzzer.seen["ok"] > 1_000
    # All settings together are still what the box takes.
    values = {key: app.settings[key] for key in app.settings.as_dict()}
    assert app.settings.judge(values) == ()
    assert values["rated_a"] == INSTALLED["rated_a"], "only an expert may change it"


def test_a_replayed_connection_of_somebody_else_changes_nothing():
    """Frames that an expert sent in one connection are worth nothing in the next."""
    fuzzer = Fuzzer(2)
    app = fuzzer.app
    before = app.settings.as_dict()
    frames = fuzzer.framed(json.dumps({"id": 1, "do": "settings", "set": {"rated_a": 10}}).encode())
    for _ in range(200):
        fuzzer.connect()
        fuzzer.radio.frames = list(frames)
        asyncio.run(fuzzer.link.serve())
    assert app.settings.as_dict() == before
