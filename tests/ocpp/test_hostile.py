"""A wallbox that charges against a central system that sends what it should not (scenarios 70 and 71; R25, R27).

Whatever comes: the charge goes on, its transaction is told once, and the log says what came. The heap of
the simulated wallbox, board and all, is half of the largest message.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile import CALL, CLOSE, ERROR, PING, RESULT, TEXT, Connection, Hostile, good_answer, result
from transport import accept, frame

from simulator import Simulator

HEAP = "2M"
BINARY, CONTINUED = 2, 0
OCPP: dict[str, Any] = {
    "MessageTimeout": 5,
    "MeterValueSampleInterval": 5,
    "TransactionMessageAttempts": 5,
    "TransactionMessageRetryInterval": 1,
    "WebSocketPingInterval": 0,
}


@pytest.fixture
def peer() -> Iterator[Hostile]:
    with Hostile() as started:
        yield started


@pytest.fixture
def start(peer: Hostile, station: Callable[..., Simulator]) -> Callable[..., Simulator]:
    """Return a function that starts a wallbox of little heap; its keyword arguments are OCPP configuration keys."""

    def begin(**ocpp: Any) -> Simulator:
        return station(settings={"restart_delay_max_s": 0}, url=peer.url, ocpp={**OCPP, **ocpp}, heap=HEAP)

    return begin


@pytest.fixture
def box(peer: Hostile, start: Callable[..., Simulator]) -> Simulator:
    """A wallbox that charges in a transaction."""
    started = start()
    charge(peer, started)
    return started


def charge(peer: Hostile, box: Simulator) -> None:
    peer.wait(lambda: len(peer.calls("StatusNotification")) >= 2)
    box.plug()
    peer.wait(lambda: peer.calls("StartTransaction"))
    box.wait_for(charging, 10)


def charging(state: dict) -> bool:
    return state["contactor"]["closed"] and state["car"]["draw_a"][0] > 6


def unhurt(peer: Hostile, box: Simulator) -> None:
    """It charges, answers, and its one transaction ends as it should."""
    assert charging(box.state())
    assert peer.call("ClearCache")[2] == {"status": "Accepted"}
    box.unplug()
    (stop,) = peer.wait(lambda: peer.calls("StopTransaction"))
    assert stop[3]["transactionId"] == 77 and stop[3]["reason"] == "EVDisconnected"
    assert len({message[1] for message in peer.calls("StartTransaction")}) == 1
    assert box.log(code="failed") == [] and box.log(code="handler_failed") == []


def refused(box: Simulator) -> str:
    """What the log says of frames that were not taken."""
    return " ".join(entry["text"] for entry in box.log(code="frame_refused"))


# -- scenario 70: frames that are none -------------------------------------------------------------------

LONG_ID = "x" * 41
FORMATION, TYPE = "FormationViolation", "TypeConstraintViolation"
# Text, id and code of the error in answer; without an id none can be given.
FRAMES: list[tuple[str, str, str]] = [
    ("{", "", ""),
    ("nonsense", "", ""),
    ("", "", ""),
    ("null", "", ""),
    ("{}", "", ""),
    ("[]", "", ""),
    ("[2]", "", ""),
    ('["2","1","ClearCache",{}]', "", ""),
    ('[9,"1",{}]', "", ""),
    ('[2,1,"ClearCache",{}]', "", ""),
    ('[2,"","ClearCache",{}]', "", ""),
    ('[3,"nobody",{}]', "", ""),
    ('[4,"nobody","GenericError","",{}]', "", ""),
    ('[4,"nobody"]', "", ""),
    (f'[2,"{LONG_ID}","ClearCache",{{}}]', LONG_ID, FORMATION),
    ('[2,"a1","ClearCache"]', "a1", FORMATION),
    ('[2,"a2","ClearCache",[]]', "a2", FORMATION),
    ('[2,"a3",7,{}]', "a3", FORMATION),
    ('[2,"a4","ClearCache",{},{}]', "a4", FORMATION),
    ('[2,"a5","ClearCache",{"x":1', "a5", FORMATION),
    ('[2,"b1","Dance",{}]', "b1", "NotImplemented"),
    ('[2,"b2","StartTransaction",{}]', "b2", "NotImplemented"),
    ('[2,"c1","Reset",{}]', "c1", "OccurrenceConstraintViolation"),
    ('[2,"c2","Reset",{"type":5}]', "c2", TYPE),
    ('[2,"c3","Reset",{"type":"Warm"}]', "c3", "PropertyConstraintViolation"),
    ('[2,"c4","Reset",{"type":"Soft","now":true}]', "c4", FORMATION),
    ('[2,"c5","RemoteStopTransaction",{"transactionId":"77"}]', "c5", TYPE),
    ('[2,"c6","RemoteStopTransaction",{"transactionId":77.5}]', "c6", TYPE),
    ('[2,"d1","ClearCache",' + "[" * 3000 + "]" * 3000 + "]", "d1", FORMATION),
    ('[2,"d2","ClearCache",' + '{"a":' * 2500 + "1" + "}" * 2500 + "]", "d2", FORMATION),
    ('[2,"d3","ClearCache",' + "[" * 15000, "d3", FORMATION),
    ('[2,"e1","UnlockConnector",{"connectorId":' + "9" * 9000 + "}]", "e1", FORMATION),
    ('[2,"e2","UnlockConnector",{"connectorId":1e999}]', "e2", TYPE),
    ('[2,"e3","ClearCache",{"' + "\\ud83d" * 2000 + '":1}]', "e3", FORMATION),
]


def test_every_frame_that_is_none_gets_its_error_and_ends_nothing(peer, box):
    connection = peer.now
    for text, number, code in FRAMES:
        connection.send(text)
        if number:
            answer = peer.wait(lambda number=number: peer.answers(number))[0]
            assert (answer[0], answer[2]) == (ERROR, code), (text[:60], answer)
    assert "frame without type or id" in refused(box) or "not JSON" in refused(box)
    assert peer.now is connection
    unhurt(peer, box)


def test_messages_that_are_too_long_are_dropped_without_taking_heap(peer, box):
    connection = peer.now
    for size in (17 << 10, 64 << 10, 1 << 20, 4 << 20):
        connection.send(f'[2,"{size}","ChangeConfiguration",{{"key":"{"x" * size}"}}]')
        answer = peer.wait(lambda size=size: peer.answers(str(size)))[0]
        assert (answer[0], answer[2]) == (ERROR, FORMATION)
    assert "too long" in refused(box)
    assert peer.now is connection
    unhurt(peer, box)


def test_a_message_in_fragments_is_whole_with_pings_between_them(peer, box):
    connection = peer.now
    data = b'[2,"parts","GetConfiguration",{"key":["HeartbeatInterval"]}]'
    parts = [data[at : at + 1] for at in range(len(data))]
    for number, part in enumerate(parts):
        opcode = TEXT if number == 0 else CONTINUED
        connection.raw(frame(opcode, part, fin=number == len(parts) - 1) + frame(PING, b"%d" % number))
    answer = peer.wait(lambda: peer.answers("parts"))[0]
    assert answer[2]["configurationKey"][0]["key"] == "HeartbeatInterval"
    # The last ping may come in after the message is whole, and is answered beside it.
    peer.wait(lambda: len(connection.pongs) == len(parts))
    # A binary message counts as text.
    connection.send('[2,"binary","ClearCache",{}]', BINARY)
    assert peer.wait(lambda: peer.answers("binary"))[0][0] == RESULT
    unhurt(peer, box)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b'[2,"m","ClearCache",{}]', mask=b"abcd"), 1002),
        (frame(TEXT, b'[2,"r","ClearCache",{}]', reserved=4), 1002),
        (frame(3, b"x"), 1002),
        (frame(CONTINUED, b"x"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(TEXT, b'[2,"u","ClearCache",{"\xff":1}]'), 1007),
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), 1009),
        (frame(CLOSE, b"\x03"), 1002),
    ],
    ids=[
        "masked",
        "reserved bits",
        "opcode",
        "continues nothing",
        "long ping",
        "no UTF-8",
        "a terabyte",
        "half a code",
    ],
)
def test_a_breach_of_the_websocket_is_answered_by_its_code_and_a_new_connection(peer, box, data, code):
    connection = peer.now
    connection.raw(data)
    peer.wait(lambda: connection.over)
    assert connection.closed == code
    assert peer.now is not connection
    texts = [entry["text"] for entry in box.log(code="disconnected")]
    assert len(texts) == 1 and str(code) in texts[0], texts
    unhurt(peer, box)


def test_a_flood_of_frames_keeps_the_wallbox_from_nothing(peer, box):
    connection = peer.now
    connection.raw(frame(PING, b"x" * 125) * 2000 + frame(TEXT, b"{") * 1000)
    peer.wait(lambda: len(connection.pongs) == 2000)
    # One entry tells of many.
    assert len(box.log(code="frame_refused")) <= 2
    unhurt(peer, box)


# -- scenario 71: wrong order, wrong time ----------------------------------------------------------------


def test_a_call_that_comes_twice_is_done_once_and_answered_twice(peer, box):
    call = json.dumps([CALL, "same", "TriggerMessage", {"requestedMessage": "Heartbeat"}])
    before = len(peer.calls("Heartbeat"))
    peer.now.send(call)
    peer.wait(lambda: peer.answers("same"))
    peer.now.send(call)
    peer.wait(lambda: len(peer.answers("same")) == 2)
    other = json.dumps([CALL, "other", "TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}])
    count = len(peer.calls("StatusNotification"))
    peer.now.send(other)
    peer.wait(lambda: len(peer.calls("StatusNotification")) > count)
    assert len(peer.calls("Heartbeat")) == before + 1
    unhurt(peer, box)


def flood(peer: Hostile, count: int) -> list[str]:
    """Send so many CALLs at once -> their ids."""
    numbers = [f"n{number}-{count}" for number in range(count)]
    peer.now.raw(b"".join(frame(TEXT, json.dumps([CALL, number, "ClearCache", {}]).encode()) for number in numbers))
    return numbers


def test_calls_without_waiting_for_answers_are_answered_or_told_to_wait(peer, box):
    for number in flood(peer, 4):
        assert peer.wait(lambda number=number: peer.answers(number)) == [[RESULT, number, {"status": "Accepted"}]]
    # Read no faster than others get their turn, most are handled; one too many is told, if the server listens at all.
    numbers = flood(peer, 50)
    assert peer.call("ClearCache")[0] == RESULT
    answers = [peer.answers(number) for number in numbers]
    assert all(len(found) <= 1 for found in answers)
    assert answers[0] and {found[0][2] for found in answers if found and found[0][0] == ERROR} <= {"GenericError"}
    unhurt(peer, box)


def test_a_server_that_never_answers_hears_one_call_at_a_time_and_later_all(peer, start):
    box = start()
    peer.wait(lambda: len(peer.calls("StatusNotification")) >= 2)
    asked: list[float] = []

    def silent(message: list) -> bytes | None:
        if message[2] == "Heartbeat":
            return good_answer(message)
        asked.append(time.monotonic())
        return None

    peer.answer = silent
    box.plug()
    box.wait_for(charging, 10)
    # What is heard between keeps the link: the server lives, it only does not answer.
    peer.wait(lambda: len(asked) >= 3)
    gaps = [after - before for before, after in zip(asked, asked[1:], strict=False)]
    # Five of the box's seconds, or a new connection.
    assert len(peer.connections) > 1 or min(gaps) > 0.3, gaps
    assert charging(box.state())
    peer.answer = good_answer
    peer.wait(lambda: [message for message in peer.calls("MeterValues") if message[3].get("transactionId") == 77])
    starts = peer.calls("StartTransaction")
    assert len({message[1] for message in starts}) == 1
    unhurt(peer, box)


def test_an_answer_that_comes_twice_counts_once(peer, start):
    box = start()

    def twice(message: list) -> bytes | None:
        answer = good_answer(message)
        if message[2] == "StartTransaction":
            other = {"transactionId": 78, "idTagInfo": {"status": "Blocked"}}
            return answer + result(message, other) + result(["", "nobody"], other)
        return answer * 2

    peer.answer = twice
    charge(peer, box)
    box.wait_for(lambda _: "answer to no CALL" in refused(box), 10)
    unhurt(peer, box)


def test_a_start_without_an_answer_is_repeated_and_a_late_second_answer_ignored(peer, start):
    box = start()
    late: list[list] = []

    def answer(message: list) -> bytes | None:
        if message[2] != "StartTransaction":
            return good_answer(message)
        late.append(message)
        if len(late) == 1:
            return None
        # The first one's answer comes in the middle of the second, which has the same id.
        return good_answer(message) + result(message, {"transactionId": 5, "idTagInfo": {"status": "Blocked"}})

    peer.answer = answer
    peer.wait(lambda: len(peer.calls("StatusNotification")) >= 2)
    box.plug()
    peer.wait(lambda: len(peer.calls("StartTransaction")) == 2)
    box.wait_for(charging, 10)
    peer.wait(lambda: [message for message in peer.calls("MeterValues") if message[3].get("transactionId") == 77])
    unhurt(peer, box)


BAD_ANSWERS: list[Callable[[list], bytes]] = [
    lambda message: result(message, {}),
    lambda message: result(message, {"transactionId": "77", "idTagInfo": {"status": "Accepted"}}),
    lambda message: frame(TEXT, json.dumps([RESULT, message[1], []]).encode()),
    lambda message: frame(TEXT, json.dumps([ERROR, message[1]]).encode()),
]


def test_answers_of_a_wrong_form_are_no_answers_and_the_start_is_sent_again(peer, start):
    box = start(TransactionMessageRetryInterval=0)
    left = list(BAD_ANSWERS)

    def answer(message: list) -> bytes:
        return left.pop(0)(message) if message[2] == "StartTransaction" and left else good_answer(message)

    peer.answer = answer
    charge(peer, box)
    peer.wait(lambda: len(peer.calls("StartTransaction")) == len(BAD_ANSWERS) + 1)
    peer.wait(lambda: [message for message in peer.calls("MeterValues") if message[3].get("transactionId") == 77])
    unhurt(peer, box)


@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
def test_a_server_that_closes_amid_the_handshake_is_tried_again(peer, start, place):
    box = start()
    charge(peer, box)

    def greet(connection: Connection) -> bool:
        data = accept(connection.request)
        connection.raw(data[: int(len(data) * place)])
        peer.greet = peer.welcome
        return False

    peer.greet = greet
    peer.now.cut()
    peer.wait(lambda: len(peer.connections) == 3)
    assert peer.now is peer.connections[2]
    assert len(box.log(code="no_link")) == 1
    unhurt(peer, box)


@pytest.mark.parametrize("count", [1, 3])
def test_a_server_that_closes_amid_a_frame_loses_nothing(peer, box, count):
    connection = peer.now

    def answer(message: list) -> bytes | None:
        if message[2] != "MeterValues":
            return good_answer(message)
        peer.answer = good_answer
        connection.raw(good_answer(message)[:count])
        connection.cut()
        return None

    peer.answer = answer
    peer.wait(lambda: connection.over)
    values = connection.messages[-1]
    assert values[2] == "MeterValues"
    # What was not answered comes again in the next connection, under its id.
    peer.wait(lambda: [message for message in peer.now.messages if message[1] == values[1]])
    unhurt(peer, box)


GREETINGS = {
    "no HTTP": b"\x00\x01\x02\r\n\r\n",
    "a line without end": b"HTTP/1.1 101 " + b"x" * (1 << 20),
    "headers without end": b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 100_000,
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
    "elsewhere": b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
}


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=list(GREETINGS))
def test_a_server_that_is_no_central_system_is_left_and_tried_again(peer, start, greeting):
    box = start()
    charge(peer, box)

    def greet(connection: Connection) -> bool:
        peer.greet = peer.welcome
        connection.raw(greeting)
        return False

    peer.greet = greet
    peer.now.cut()
    peer.wait(lambda: len([one for one in peer.connections if one.open]) == 2)
    assert box.log(code="no_link")[-1]["text"]
    unhurt(peer, box)


def test_a_server_of_five_bytes_a_second_is_served_at_its_pace(peer, box):
    connection = peer.now
    connection.slowly(frame(TEXT, b'[2,"slow","ClearCache",{}]'), 0.02)
    assert peer.wait(lambda: peer.answers("slow"))[0][0] == RESULT
    assert peer.now is connection
    unhurt(peer, box)


def test_a_handshake_of_one_byte_a_second_is_given_up_in_time(peer, start):
    box = start()
    charge(peer, box)

    def greet(connection: Connection) -> bool:
        peer.greet = peer.welcome
        data = accept(connection.request)
        for at in range(len(data)):
            connection.raw(data[at : at + 1])
            if peer.connections[-1] is not connection:
                break
            time.sleep(0.1)  # a second of the box's
        return False

    peer.greet = greet
    peer.now.cut()
    peer.wait(lambda: len([one for one in peer.connections if one.open]) == 2)
    assert "within 30 s" in box.log(code="no_link")[-1]["text"]
    unhurt(peer, box)


def test_a_server_that_reads_nothing_is_given_up_and_the_next_hears_all(peer, start):
    box = start(WebSocketPingInterval=5)
    charge(peer, box)
    first = peer.now
    first_count = len(peer.calls("MeterValues"))
    pong = peer.on_ping
    peer.on_ping = lambda _connection, _data: None
    peer.answer = lambda _message: None
    peer.wait(lambda: peer.connections[-1] is not first)
    peer.on_ping = pong
    peer.answer = good_answer
    peer.wait(lambda: len(peer.calls("MeterValues")) > first_count + 1)
    assert box.log(code="disconnected")
    unhurt(peer, box)
