"""The resolver against name servers that answer well, badly, late, never or with malice."""

import asyncio
import errno
import time

import dns
from dns_server import UdpServer, address, alias, answer, asked, name_bytes, record

_HOST = "central.example"
# To the name of the question, which stands behind the header (RFC 1035, 4.1.4).
_TO_QUESTION = b"\xc0\x0c"
# Short, for servers that are to be given up.
_QUICK_MS = (60, 90)


async def _look_up(*replies, host=_HOST, **options):
    """What a resolver finds with one server for each function in `replies` -> (result or error, servers)."""
    servers = [UdpServer(reply) for reply in replies]
    options.setdefault("waits_ms", _QUICK_MS)
    try:
        found = await dns.resolve(host, [server.place for server in servers], **options)
    except OSError as error:
        found = error
    for server in servers:
        await server.close()
    return found, servers


def _says(*records, **how):
    return lambda query: [answer(query, records, **how)]


def _first(reply, count):
    return lambda query: [data[:count] for data in reply(query)]


def _each(*makers):
    return lambda query: [make(query) for make in makers]


def _error(found, kind, *words):
    assert isinstance(found, kind), found
    assert all(word in str(found) for word in words), found


def _silent(_query):
    return []


async def test_an_address_is_asked_of_nobody():
    for host in ("192.168.1.20", "0.0.0.0", "255.255.255.255", "fe80::1", "::"):
        found, servers = await _look_up(_silent, host=host)
        assert found == [host] and servers[0].queries == []


async def test_what_only_looks_like_an_address_is_a_name():
    for host in ("256.1.1.1", "1.2.3", "1.2.3.4.5", "1.2.3.x", "1..2.3", "0001.1.1.1"):
        assert not dns.is_address(host), host
    found, _ = await _look_up(_says(code=3), host="1.2.3.400")
    _error(found, dns.NotFound, "1.2.3.400", "not known")


async def test_a_query_is_what_the_standard_asks_for():
    found, servers = await _look_up(_says(address(_TO_QUESTION, "192.0.2.7")), random=lambda count: b"\x12\x34"[:count])
    assert found == ["192.0.2.7"]
    assert servers[0].queries == [b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name_bytes(_HOST) + b"\0\1\0\1"]


async def test_all_addresses_are_found_in_their_order_and_other_records_left_out():
    others = record(_TO_QUESTION, 28, 60, bytes(15) + b"\1"), record(_TO_QUESTION, 16, 60, b"\x03txt")
    chaos = record(_TO_QUESTION, 1, 60, b"\x09\x09\x09\x09", group=3)
    wrong = record(_TO_QUESTION, 1, 60, b"\x01\x02\x03")
    somebody = address("other.example", "192.0.2.66")
    good = address(_HOST, "192.0.2.2"), address(_TO_QUESTION, "192.0.2.1")
    found, _ = await _look_up(_says(*(others + (chaos, wrong, somebody) + good)))
    assert found == ["192.0.2.2", "192.0.2.1"]


async def test_an_ipv6_address_is_found_when_asked_for():
    raw = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x05"
    found, servers = await _look_up(_says(record(_TO_QUESTION, 28, 60, raw)), kind=dns.AAAA)
    assert found == ["2001:db8:0:0:0:0:0:5"]
    assert servers[0].queries[0][-4:] == b"\x00\x1c\x00\x01"


async def test_capitals_and_a_dot_at_the_end_make_no_other_name():
    found, servers = await _look_up(_says(address("CENTRAL.Example", "192.0.2.1")), host="Central.EXAMPLE.")
    assert found == ["192.0.2.1"] and asked(servers[0].queries[0]) == _HOST


async def test_aliases_are_followed_whatever_their_order():
    chain = address("c.example", "192.0.2.3"), alias("b.example", "C.example"), alias(_TO_QUESTION, "b.example")
    assert (await _look_up(_says(*chain)))[0] == ["192.0.2.3"]
    assert (await _look_up(_says(*reversed(chain))))[0] == ["192.0.2.3"]


async def test_an_alias_without_address_is_asked_for():
    def reply(query):
        if asked(query) == _HOST:
            return [answer(query, [alias(_TO_QUESTION, "far.example")])]
        return [answer(query, [address(_TO_QUESTION, "192.0.2.9")])]

    found, servers = await _look_up(reply)
    assert found == ["192.0.2.9"]
    assert [asked(query) for query in servers[0].queries] == [_HOST, "far.example"]


async def test_aliases_that_go_in_circles_end():
    circle = alias(_TO_QUESTION, "b.example"), alias("b.example", _HOST)
    found, servers = await _look_up(_says(*circle))
    _error(found, dns.NotFound, _HOST, "too many aliases")
    assert len(servers[0].queries) == 1

    def further(query):
        return [answer(query, [alias(_TO_QUESTION, "x" + asked(query))])]

    found, servers = await _look_up(further)
    _error(found, dns.NotFound, _HOST, "too many aliases")
    assert len(servers[0].queries) == 4


async def test_a_name_that_is_not_there_is_asked_for_once():
    found, servers = await _look_up(_says(code=3), _says(address(_TO_QUESTION, "192.0.2.1")))
    _error(found, dns.NotFound, _HOST, "not known")
    assert found.errno == errno.EHOSTUNREACH
    assert [len(server.queries) for server in servers] == [1, 0]


async def test_a_name_without_address_is_no_host():
    for records in ((), (address(_TO_QUESTION, "0.0.0.0"),), (record(_TO_QUESTION, 28, 60, bytes(15) + b"\1"),)):
        found, _ = await _look_up(_says(*records))
        _error(found, dns.NotFound, _HOST, "no address")


async def test_a_text_that_can_be_no_name_is_not_sent():
    for host in ("", ".", "a..b", "x" * 64 + ".example", ".".join(["x" * 60] * 5), "bär.example"):
        found, servers = await _look_up(_silent, host=host)
        _error(found, dns.NotFound, "no host name")
        assert servers[0].queries == []


async def test_the_next_server_is_asked_when_one_is_silent_broken_or_refuses():
    good = _says(address(_TO_QUESTION, "192.0.2.1"))
    for bad in (_silent, _says(code=2), _says(code=5), _says(code=1), _says(count=1), _says(b"\xc0")):
        found, servers = await _look_up(bad, good)
        assert found == ["192.0.2.1"]
        assert [len(server.queries) for server in servers] == [1, 1]


async def test_a_lost_question_is_repeated_with_another_number_from_another_port():
    lost = []

    def reply(query):
        if not lost:
            lost.append(query)
            return []
        return [answer(query, [address(_TO_QUESTION, "192.0.2.1")])]

    found, (server,) = await _look_up(reply)
    assert found == ["192.0.2.1"]
    first, second = server.queries
    assert first[2:] == second[2:] and first[:2] != second[:2]
    assert server.senders[0] != server.senders[1]


async def test_nobody_is_waited_for_longer_than_was_said():
    began = time.ticks_ms()
    found, servers = await _look_up(_silent, _silent, waits_ms=(50, 70))
    took = time.ticks_diff(time.ticks_ms(), began)
    _error(found, dns.Unanswered, _HOST, "no answer from 127.0.0.1")
    assert found.errno == errno.ETIMEDOUT
    assert 230 <= took < 1500, took
    assert [len(server.queries) for server in servers] == [2, 2]


async def test_a_port_where_nobody_listens_costs_no_time():
    server = UdpServer(_silent)
    await server.close()
    began = time.ticks_ms()
    try:
        await dns.resolve(_HOST, [server.place], waits_ms=(5000, 5000))
    except dns.Unanswered as error:
        assert "127.0.0.1" in str(error), error
    else:
        raise AssertionError("nobody has answered")
    assert time.ticks_diff(time.ticks_ms(), began) < 2000


async def test_without_servers_it_says_so():
    found, _ = await _look_up()
    _error(found, dns.Unanswered, _HOST, "no name server is known")


async def test_others_run_while_it_waits():
    turns = []

    async def others():
        while True:
            turns.append(time.ticks_ms())
            await asyncio.sleep_ms(5)

    task = asyncio.create_task(others())
    await _look_up(_silent, waits_ms=(100,))
    task.cancel()
    assert len(turns) > 8
    gaps = [time.ticks_diff(turns[i + 1], turns[i]) for i in range(len(turns) - 1)]
    assert sorted(gaps)[len(gaps) // 2] < 10, gaps


async def test_what_answers_something_else_is_not_believed():
    lie = address(_TO_QUESTION, "203.0.113.66")

    def number(query):
        return answer(bytes((query[0] ^ 1,)) + query[1:], [lie])

    def question(query):
        return answer(query[:12] + b"\x07centrax" + query[20:], [lie])

    def kind(query):
        return answer(query[:-3] + b"\x1c" + query[-2:], [lie])

    def two(query):
        good = bytearray(answer(query, [lie]))
        good[5] = 2
        return bytes(good)

    strangers = (
        number,
        question,
        kind,
        two,
        lambda query: answer(query, [lie], flags=0x0180),  # a question
        lambda query: answer(query, [lie], flags=0xA980),  # another kind of message
        lambda query: query[:2],
        lambda _query: b"",
    )
    truth = address(_TO_QUESTION, "192.0.2.1")
    for stranger in strangers:
        found, servers = await _look_up(_each(stranger, lambda query: answer(query, [truth])))
        assert found == ["192.0.2.1"], (strangers.index(stranger), found)
        assert len(servers[0].queries) == 1
        found, _ = await _look_up(_each(stranger), waits_ms=(30,))
        _error(found, dns.Unanswered, _HOST)


async def test_who_guesses_numbers_has_few_tries():
    def guesser(query):
        lies = [bytes((i, i)) + answer(query, [address(_TO_QUESTION, "203.0.113.66")])[2:] for i in range(40)]
        return [lie for lie in lies if lie[:2] != query[:2]]

    found, servers = await _look_up(guesser, waits_ms=(3000, 3000))
    _error(found, dns.Unanswered, _HOST, "nothing but answers to something else")
    assert len(servers[0].queries) == 2


async def test_another_sender_is_not_heard():
    stranger = UdpServer(_silent)

    class Caught:
        sender = None

    def reply(query):
        server = servers[0]
        Caught.sender = server.senders[-1]
        stranger.sock.sendto(answer(query, [address(_TO_QUESTION, "203.0.113.66")]), Caught.sender)
        return []

    servers = [UdpServer(reply)]
    try:
        await dns.resolve(_HOST, [servers[0].place], waits_ms=(80,))
    except dns.Unanswered as error:
        assert "no answer" in str(error)
    else:
        raise AssertionError("a stranger was believed")
    assert Caught.sender is not None
    await servers[0].close()
    await stranger.close()


def _loop_to(query, at):
    """An answer whose first record's owner is a pointer to `at`."""
    return answer(query, [bytes((0xC0 | at >> 8, at & 0xFF)) + b"\0\1\0\1\0\0\0\1\0\4\1\2\3\4"])


async def test_names_that_go_in_circles_or_out_of_the_answer_are_refused():
    at = 12 + len(name_bytes(_HOST)) + 4

    def mutual(query):
        # Labels, then a pointer to their own begin.
        return [answer(query, [b"\x01a" + bytes((0xC0, at)) + b"\0\1\0\1\0\0\0\1\0\4\1\2\3\4"])]

    bad = (
        lambda query: [_loop_to(query, at)],
        lambda query: [_loop_to(query, at + 2)],
        lambda query: [_loop_to(query, 0x3FFF)],
        mutual,
        _says(b"\x3fabc"),
        _says(b"\x80" + b"a" * 20 + b"\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),
        _says((b"\x3f" + b"x" * 63) * 5 + b"\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4"),
        _says(alias(_TO_QUESTION, b"\xff\xff")),
        _says(record(_TO_QUESTION, 1, 60, b"\1\2\3\4")[:-2]),
        _says(record(_TO_QUESTION, 1, 60, b"\1\2\3\4")[:7]),
    )
    for reply in bad:
        found, _ = await _look_up(reply, waits_ms=(500,))
        _error(found, dns.Unanswered, _HOST, "127.0.0.1")
        assert "no answer" not in str(found), (bad.index(reply), found)


async def test_any_damage_to_an_answer_gives_addresses_or_an_error():
    whole = []

    def reply(query):
        whole.append(answer(query, [alias(_TO_QUESTION, "b.example"), address("b.example", "192.0.2.1")]))
        return [whole[0]]

    await _look_up(reply, random=lambda count: bytes(count))
    good = whole[0]
    query = good[:2] + b"\1\0\0\1\0\0\0\0\0\0" + name_bytes(_HOST) + b"\0\1\0\1"
    ends = {"addresses": 0, "refused": 0}
    for at in range(2, len(good)):
        for value in (0, 1, 0x3F, 0x40, 0xC0, 0xFF):
            data = good[:at] + bytes((value,)) + good[at + 1 :]
            ends[_outcome(data, query)] += 1
        ends[_outcome(good[:at], query)] += 1
    assert ends["addresses"] > 20 and ends["refused"] > 100, ends


def _outcome(data, query):
    if not dns._answers(data, query):
        return "refused"
    try:
        found = dns._read(data, query, _HOST.encode(), dns.A)
    except (OSError, ValueError, IndexError):
        return "refused"
    assert all(dns.is_address(text) for text in found[0]), found
    return "addresses"


async def test_of_an_answer_that_is_cut_off_what_is_whole_is_used():
    records = [address(_TO_QUESTION, "192.0.2.%d" % i) for i in range(1, 41)]

    def reply(query):
        return [answer(query, records, flags=0x8380)[:512]]

    found, _ = await _look_up(reply)
    assert found[0] == "192.0.2.1" and 20 < len(found) < 40
    for records in ([alias(_TO_QUESTION, "b.example"), address("b.example", "192.0.2.1")], []):
        cut = _says(*records, flags=0x8380, count=2)
        found, _ = await _look_up(_first(cut, 60), waits_ms=(500,))
        _error(found, dns.Unanswered, _HOST, "cut off")


async def test_a_captive_portal_is_only_another_network():
    found, _ = await _look_up(_says(address(_TO_QUESTION, "10.0.0.1", 0), address(_TO_QUESTION, "10.0.0.1", 0)))
    assert found == ["10.0.0.1", "10.0.0.1"]


# What is kept


class Keeper:
    """A cache, its clock, and a server that counts."""

    def __init__(self, ttl_s=60):
        self.now = 1000
        self.cache = {}
        self.ttl_s = ttl_s
        self.alive = True
        self.hosts = []

    def reply(self, query):
        if not self.alive:
            return []
        self.hosts.append(asked(query))
        return [answer(query, [address(_TO_QUESTION, "192.0.2.%d" % len(self.hosts), self.ttl_s)])]

    async def ask(self, host=_HOST):
        options = {"cache": self.cache, "now_s": lambda: self.now, "waits_ms": (30,)}
        return (await _look_up(self.reply, host=host, **options))[0]


async def test_an_address_is_kept_as_long_as_the_answer_says():
    keeper = Keeper(60)
    assert await keeper.ask() == ["192.0.2.1"]
    keeper.now += 60
    assert await keeper.ask(_HOST.upper()) == ["192.0.2.1"]
    keeper.now += 1
    assert await keeper.ask() == ["192.0.2.2"]


async def test_the_shortest_life_of_chain_and_addresses_counts_and_none_above_an_hour():
    chain = [alias(_TO_QUESTION, "b.example", 30), address("b.example", "192.0.2.1", 60)]
    for records, life in (
        (chain, 30),
        (chain[:1] + [address("b.example", "192.0.2.1", 10), address("b.example", "192.0.2.2", 20)], 10),
        ([address(_TO_QUESTION, "192.0.2.1", 86400)], 3600),
        ([address(_TO_QUESTION, "192.0.2.1", 1 << 31)], 0),
    ):
        cache = {}
        await _look_up(_says(*records), cache=cache, now_s=lambda: 5)
        assert cache[(_HOST, dns.A)][0] == 5 + life, records


async def test_what_is_too_old_helps_out_when_nobody_answers():
    keeper = Keeper(60)
    await keeper.ask()
    keeper.now += 5000
    keeper.alive = False
    assert await keeper.ask() == ["192.0.2.1"]
    _error(await keeper.ask("other.example"), dns.Unanswered, "other.example")
    keeper.alive = True
    assert await keeper.ask() == ["192.0.2.2"]


async def test_a_clock_that_was_set_back_keeps_nothing_for_ever():
    keeper = Keeper(60)
    keeper.now = 1_000_000
    await keeper.ask()
    keeper.now = 10
    assert await keeper.ask() == ["192.0.2.2"]


async def test_only_a_few_names_are_kept():
    keeper = Keeper(60)
    for i in range(9):
        await keeper.ask("h%d.example" % i)
    assert len(keeper.cache) == 4
    assert ("h8.example", dns.A) in keeper.cache
    before = len(keeper.hosts)
    await keeper.ask("h8.example")
    assert len(keeper.hosts) == before


async def test_a_cancelled_look_up_leaves_no_socket_behind():
    opened = []

    class Watched:
        def __init__(self, sock):
            self.sock = sock
            self.closed = False

        def send(self, data):
            return self.sock.send(data)

        def close(self):
            self.closed = True
            self.sock.close()

    def open_udp(place, port):
        opened.append(Watched(dns.open_udp(place, port)))
        return opened[-1]

    real = dns._readable
    dns._readable = lambda watched: real(watched.sock)
    server = UdpServer(_silent)
    try:
        task = asyncio.create_task(dns.resolve(_HOST, [server.place], open_udp=open_udp))
        while not server.queries:
            await asyncio.sleep_ms(1)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            assert [watched.closed for watched in opened] == [True]
        else:
            raise AssertionError("it went on")
    finally:
        dns._readable = real
        await server.close()
