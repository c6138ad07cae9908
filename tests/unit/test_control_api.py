"""The control API's server, over real sockets of this process."""

import json
import socket

from control import LINE_BYTES, Server


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
