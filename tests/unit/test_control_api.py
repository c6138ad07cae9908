"""The control API's server and request table, over real sockets of this process."""

import json
import socket

from commands import Commands
from control import LINE_BYTES, Server
from record import Record


class Peer:
    """A client; it and the server take turns in one thread."""

    def __init__(self, server):
        self.server = server
        self.sock = socket.socket()
        self.sock.connect(socket.getaddrinfo("127.0.0.1", server.port)[0][-1])
        self.sock.setblocking(False)
        self.data = b""
        self.ended = False

    def send(self, data):
        data = memoryview(data)
        while data:
            data = data[self.sock.write(data) or 0 :]
            turn(self.server)

    def ask(self, **request):
        self.send(json.dumps(request).encode() + b"\n")
        return self.answer()

    def take(self):
        chunk = self.sock.read(65536)
        if chunk == b"":
            self.ended = True
        elif chunk:
            self.data += chunk

    def answer(self):
        for _ in range(1000):
            turn(self.server)
            self.take()
            line, newline, rest = self.data.partition(b"\n")
            if newline:
                self.data = rest
                return json.loads(line)
        raise AssertionError("no answer; so far %r" % self.data)

    def silent(self):
        for _ in range(5):
            turn(self.server)
            self.take()
        return not self.data


def turn(server):
    """What an idle event loop does."""
    server.wait(1)
    if server.waiting:
        server.serve()


class Handler:
    """Answers with what was asked; keeps `later` of the requests "later"."""

    def __init__(self):
        self.asked = []
        self.held = []
        self.errors = []
        self.server = Server(0, self.handle, self.errors.append)

    def handle(self, request, later):
        do = request.get("do")
        self.asked.append(do)
        if do == "later":
            self.held.append(later)
            return None, None
        if do == "refused":
            raise ValueError("do: it is refused")
        if do == "bug":
            raise KeyError("bug")
        if do == "act":
            return {}, lambda: self.asked.append("acted")
        if do == "stream":
            return self.stream(request["pieces"]), None
        return {"did": do}, None

    def stream(self, pieces):
        yield b'"list": ['
        for n in range(pieces):
            yield (b"," if n else b"") + b'"%s"' % (b"x" * 1000)
        yield b"]}\n"


def test_an_answer_repeats_the_id_of_its_request():
    peer = Peer(Handler().server)
    assert peer.ask(id=7, do="a") == {"id": 7, "ok": True, "did": "a"}
    assert peer.ask(id="x", do="b") == {"id": "x", "ok": True, "did": "b"}
    assert peer.ask(do="c") == {"id": None, "ok": True, "did": "c"}


def test_an_id_that_is_no_text_or_whole_number_is_refused():
    peer = Peer(Handler().server)
    for wrong in ([1], {"a": 1}, 1.5, True):
        answer = peer.ask(id=wrong, do="a")
        assert not answer["ok"] and answer["id"] is None and answer["error"].startswith("id: "), answer


def test_a_request_may_come_in_pieces():
    handler = Handler()
    peer = Peer(handler.server)
    for part in (b'{"id": 1, ', b'"do": ', b'"a"}'):
        peer.send(part)
        assert peer.silent()
    assert handler.asked == []
    peer.send(b"\n")
    assert peer.answer() == {"id": 1, "ok": True, "did": "a"}


def test_several_requests_may_come_at_once_and_are_answered_in_order():
    peer = Peer(Handler().server)
    peer.send(b"".join([b'{"id": %d, "do": "a"}\n' % n for n in range(300)]))
    assert [peer.answer()["id"] for _ in range(300)] == list(range(300))


def test_several_clients_are_served_in_turn_and_none_sees_the_answers_of_another():
    handler = Handler()
    peers = [Peer(handler.server) for _ in range(5)]
    for _ in peers:
        turn(handler.server)
    for n, peer in enumerate(peers):
        peer.sock.write(b'{"id": %d, "do": "%d"}\n{"id": %d, "do": "again"}\n' % (n, n, n))
    for n, peer in enumerate(peers):
        assert peer.answer() == {"id": n, "ok": True, "did": str(n)}
        assert peer.answer() == {"id": n, "ok": True, "did": "again"}
    assert sorted(handler.asked[:5]) == list("01234"), handler.asked


def test_what_is_not_a_json_object_in_utf_8_is_refused_and_the_next_request_is_served():
    handler = Handler()
    peer = Peer(handler.server)
    for line, reason in (
        (b"", "JSON"),
        (b"hello", "JSON"),
        (b'{"do": "a"', "JSON"),
        (b'{"do": "a"} x', "JSON"),
        (b"[1, 2]", "list"),
        (b"7", "int"),
        (b"null", "NoneType"),
        (b'{"do": "\xff\xfe"}', "UTF-8"),
        (b"\x00\x01\x02", "JSON"),
        (b"[" * 5000, "JSON"),
    ):
        peer.send(line + b"\n")
        answer = peer.answer()
        assert answer["id"] is None and not answer["ok"], answer
        assert reason in answer["error"] and "allowed: one JSON object" in answer["error"], (line, answer)
        assert peer.ask(id=1, do="a")["ok"]


def test_the_longest_line_is_served_and_one_byte_more_is_refused_without_harm():
    peer = Peer(Handler().server)
    frame = b'{"id": 1, "do": "a", "x": ""}'
    peer.send(frame[:-2] + b"y" * (LINE_BYTES - len(frame)) + frame[-2:] + b"\n")
    assert peer.answer()["ok"]
    peer.send(frame[:-2] + b"y" * (LINE_BYTES - len(frame) + 1) + frame[-2:] + b"\n" + frame + b"\n")
    answer = peer.answer()
    assert not answer["ok"] and "65536" in answer["error"], answer
    assert peer.answer() == {"id": 1, "ok": True, "did": "a"}


def test_an_endless_line_is_refused_once_and_skipped():
    peer = Peer(Handler().server)
    peer.send(b"z" * (5 * LINE_BYTES))
    assert not peer.answer()["ok"]
    assert peer.silent()
    peer.send(b'\n{"id": 2, "do": "a"}\n')
    assert peer.answer()["id"] == 2


def test_a_refusal_is_an_answer_and_an_error_of_the_simulator_too():
    handler = Handler()
    peer = Peer(handler.server)
    assert peer.ask(id=1, do="refused") == {"id": 1, "ok": False, "error": "do: it is refused"}
    assert "KeyError" in peer.ask(id=2, do="bug")["error"]
    assert len(handler.errors) == 1
    assert peer.ask(id=3, do="a")["ok"]


def test_a_request_answered_later_holds_up_its_client_only():
    handler = Handler()
    slow, quick = Peer(handler.server), Peer(handler.server)
    slow.send(b'{"id": 1, "do": "later"}\n{"id": 2, "do": "a"}\n')
    assert quick.ask(id=3, do="b")["ok"]
    assert slow.silent() and handler.asked == ["later", "b"]
    handler.held[0]({"done": 1})
    assert slow.answer() == {"id": 1, "ok": True, "done": 1}
    assert slow.answer()["id"] == 2


def test_what_a_request_brings_about_comes_after_its_answer():
    handler = Handler()
    peer = Peer(handler.server)
    assert peer.ask(id=1, do="act") == {"id": 1, "ok": True}
    assert handler.asked == ["act", "acted"]


def test_the_end_of_the_firmware_in_a_request_is_told_before_it_goes_on():
    class Cut(BaseException):
        pass

    handler = Handler()

    def handle(request, later):
        raise Cut("flash write 3")

    handler.server._handle = handle
    peer = Peer(handler.server)
    peer.send(b'{"id": 1, "do": "a"}\n')
    try:
        for _ in range(20):
            turn(handler.server)
    except Cut:
        answer = peer.answer()
        assert answer["id"] == 1 and "flash write 3" in answer["error"], answer
    else:
        raise AssertionError("the end was swallowed")


def test_a_long_answer_comes_whole_while_others_are_served():
    handler = Handler()
    big, small = Peer(handler.server), Peer(handler.server)
    big.send(b'{"id": 1, "do": "stream", "pieces": 600}\n')
    assert small.ask(id=2, do="a")["ok"]
    big.take()
    assert not big.data.endswith(b"\n"), "the long answer was sent in one go"
    parts = [big.data]
    while not parts[-1].endswith(b"\n"):
        turn(handler.server)
        parts.append(big.sock.read(8192) or b"")
    answer = json.loads(b"".join(parts))
    assert answer["id"] == 1 and answer["ok"] and len(answer["list"]) == 600


def test_a_client_that_goes_away_leaves_the_others_alone():
    handler = Handler()
    for _ in range(100):
        for data in (b"", b'{"do": ', b'{"do": "a"}\n', b'{"do": "later"}\n', b'{"do": "stream", "pieces": 99}\n'):
            peer = Peer(handler.server)
            peer.send(data)
            peer.sock.close()
            turn(handler.server)
    for later in handler.held:
        later({})
    for _ in range(20):
        turn(handler.server)
    assert Peer(handler.server).ask(id=1, do="a")["ok"]
    assert len(handler.server._clients) <= 1, len(handler.server._clients)
    assert handler.errors == []


def test_a_33rd_client_is_told_that_there_are_too_many():
    handler = Handler()
    peers = [Peer(handler.server) for _ in range(33)]
    assert "32" in peers[-1].answer()["error"]
    for _ in range(10):
        turn(handler.server)
        peers[-1].take()
    assert peers[-1].ended
    assert all(peer.ask(id=n, do="a")["id"] == n for n, peer in enumerate(peers[:-1]))


def test_a_port_in_use_is_an_error():
    server = Handler().server
    try:
        Server(server.port, None, None)
    except OSError:
        return
    raise AssertionError("two servers on one port")


# Requests


class FakeSettings:
    def __init__(self):
        self.values = {"rated_a": 16}

    def update(self, changes):
        for key in changes:
            if key not in self.values:
                raise ValueError("%s: unknown" % key)
        self.values.update(changes)

    def as_dict(self):
        return self.values


class FakePlant:
    """Remembers what it was told."""

    def __init__(self):
        self.calls = []
        self.flash_device = self
        self.cut_at_write = 0

    def __getattr__(self, name):
        def call(**arguments):
            self.calls.append((name, arguments))

        return call

    def tap(self, uid):
        self.calls.append(("tap", uid))


class FakeBench:
    def __init__(self):
        self.plant = FakePlant()
        self.virtual = None
        self.settings = FakeSettings()
        self.record = Record()
        self.granted = []

    def firmware(self, what):
        return self

    def state(self):
        return {"power": True}

    def advance(self, ms, done):
        self.granted.append(ms)
        done()

    def power_on(self):
        self.plant.calls.append("on")

    def power_off(self):
        self.plant.calls.append("off")

    def reset(self):
        self.plant.calls.append("reset")

    def quit(self):
        self.plant.calls.append("quit")


class Desk:
    """Commands on a fake bench."""

    def __init__(self):
        self.bench = FakeBench()
        self.commands = Commands(self.bench)
        self.late = []

    def do(self, request, **arguments):
        fields, action = self.commands.handle(dict(arguments, do=request), self.late.append)
        if action:
            action()
        return fields

    def refusal(self, request, **arguments):
        try:
            self.commands.handle(dict(arguments, do=request), None)
        except ValueError as error:
            assert self.bench.plant.calls == [], "a refused request did something"
            return str(error)
        raise AssertionError("not refused: %s %r" % (request, arguments))


def test_requests_for_the_plant_reach_it_with_their_arguments():
    desk = Desk()
    for name, arguments in (
        ("plug", {"phases": 1, "max_a": 16, "wants": False, "soc_wh": 1000}),
        ("unplug", {}),
        ("car", {"state": "B", "draw_a": 5, "diode": False, "ignore_pwm": True}),
        ("fault", {"name": "pe", "value": None}),
        ("clear", {"name": "pe"}),
        ("grid", {"volts": [230, 230, 0], "hz": 50}),
        ("house", {"amps": [1, 2, 3], "pv_w": 4000}),
        ("ambient", {"celsius": -5}),
        ("contact", {"closed": True}),
        ("network", {"up": False}),
    ):
        assert desk.do(name, id=1, **arguments) == {}
        assert desk.bench.plant.calls.pop() == (name, arguments)


def test_an_unknown_request_names_those_that_exist():
    desk = Desk()
    for wrong in ("explode", "", "State", "handle", "_power", None, 5, ["state"], {}):
        text = desk.refusal(wrong)
        assert "do: " in text and "advance, ambient, car, clear, contact" in text, text


def test_an_unknown_argument_is_named_together_with_those_allowed():
    desk = Desk()
    assert desk.refusal("plug", phase=3) == (
        "plug: argument 'phase' is not known; allowed: phases, max_a, wants, soc_wh"
    )
    assert desk.refusal("unplug", now=True).endswith("allowed: none")
    assert "'value'" in desk.refusal("clear", name="pe", value=1)


def test_a_missing_argument_is_named():
    desk = Desk()
    for name, missing in (("tap", "uid"), ("ambient", "celsius"), ("advance", "seconds"), ("fault", "name")):
        assert desk.refusal(name) == "%s: argument '%s' is missing" % (name, missing)
    assert "allowed: on, at_write" in desk.refusal("power")


def test_a_card_is_given_as_4_7_or_10_bytes_in_hex():
    desk = Desk()
    for uid in ("01020304", "04a1b2c3d4e5f6", "0102030405060708090A"):
        desk.do("tap", uid=uid)
        name, data = desk.bench.plant.calls.pop()
        assert name == "tap" and data.hex() == uid.lower()
    for uid in ("", "0102", "0102030g", "01:02:03:04", "010203040", 1234, None, ["01020304"], "é1020304"):
        assert "uid: " in desk.refusal("tap", uid=uid)


def test_virtual_time_is_granted_in_seconds_and_refused_outside_its_range():
    desk = Desk()
    assert "real time" in desk.refusal("advance", seconds=1)
    desk.bench.virtual = desk.bench
    for seconds, ms in ((0, 0), (1, 1000), (0.001, 1), (0.1, 100), (2678400, 2678400000)):
        assert desk.do("advance", seconds=seconds) is None
        assert desk.bench.granted.pop() == ms and desk.late.pop() == {}
    for wrong in (-1, -0.001, 2678401, float("nan"), float("inf"), "5", True, None, [1]):
        assert "allowed: 0..2678400" in desk.refusal("advance", seconds=wrong)
    assert desk.bench.granted == []


def test_the_supply_goes_now_comes_back_or_goes_at_a_flash_write():
    desk = Desk()
    desk.do("power", on=False)
    desk.do("power", on=True)
    assert desk.bench.plant.calls == ["off", "on"]
    desk.do("power", on=False, at_write=3)
    assert desk.bench.plant.cut_at_write == 3 and desk.bench.plant.calls == ["off", "on"]
    desk.do("power", on=True, at_write=4)
    assert desk.bench.plant.cut_at_write == 4 and desk.bench.plant.calls[2:] == ["on"]
    desk = Desk()
    for wrong in (0, -1, 1.5, "3", True, 10_000_000):
        assert desk.refusal("power", at_write=wrong).startswith("at_write: ")
    for wrong in (0, 1, "on", [True]):
        assert desk.refusal("power", on=wrong).startswith("on: ")


def test_settings_are_read_and_written():
    desk = Desk()
    assert desk.do("settings") == {"settings": {"rated_a": 16}}
    assert desk.do("settings", set={"rated_a": 32}) == {"settings": {"rated_a": 32}}
    assert "speed: unknown" in desk.refusal("settings", set={"speed": 1})
    for wrong in ([], "rated_a", 5, True):
        assert desk.refusal("settings", set=wrong).startswith("set: ")


def test_restart_and_end_are_actions_after_the_answer():
    desk = Desk()
    assert desk.do("reset") == {} and desk.do("quit") == {}
    assert desk.bench.plant.calls == ["reset", "quit"]


# The record of the event log


def entries(record, since=0):
    return json.loads(b"{" + b"".join(record.answer(since)))["log"]


def test_the_record_gives_the_entries_after_a_number_with_the_start_they_belong_to():
    record = Record()
    assert entries(record) == []
    for seq in range(1, 2001):
        record.boot = 1 + seq // 1000
        record.add({"seq": seq, "text": "é" * 50, "extra": [1, None, True]})
    assert [entry["seq"] for entry in entries(record)] == list(range(1, 2001))
    assert entries(record, 1999) == [
        {"seq": 2000, "text": "é" * 50, "extra": [1, None, True], "boot": 3},
    ]
    assert entries(record, 2000) == []
    assert len(entries(record, 500)) == 1500


def test_an_entry_made_while_an_answer_is_on_its_way_comes_with_the_next():
    record = Record()
    record.add({"seq": 1})
    answer = record.answer(0)
    parts = [next(answer)]
    record.add({"seq": 2})
    parts.extend(answer)
    assert len(json.loads(b"{" + b"".join(parts))["log"]) == 1
    assert len(entries(record)) == 2


def test_since_must_be_a_whole_number():
    desk = Desk()
    for wrong in (-1, 1.5, "0", True, None, 1 << 40):
        assert desk.refusal("log", since=wrong).startswith("since: ")
