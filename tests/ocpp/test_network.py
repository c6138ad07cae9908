"""The simulated board's connections and time against a server outside of its process (R25)."""

import errno
import shutil
import time
from pathlib import Path

import pytest
from certificates import Authority
from csms import BOX, SPEED

from simulator import ROOT, RUN, Simulator

CALLER = """
import asyncio
import ssl
import hal.net
import wallbox.app

HOST, PORT, CA = %r, %d, %r
HELLO = b"GET /ocpp/SIM-1 HTTP/1.1\\r\\nHost: x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n" \\
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\nSec-WebSocket-Version: 13\\r\\n" \\
    b"Sec-WebSocket-Protocol: ocpp1.6\\r\\n\\r\\n"


async def call(log):
    context = None
    if CA:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(CA)
    net = hal.net.Net()
    while True:
        try:
            reader, writer = await net.open_connection(HOST, PORT, context)
            try:
                writer.write(HELLO)
                await writer.drain()
                log.add("info", "test", "line", str(await reader.readline(), "utf-8"))
                while await reader.read(100):
                    continue
                log.add("info", "test", "ended", "by the server")
            finally:
                await writer.wait_closed()
        except (OSError, ValueError) as error:
            log.add("info", "test", "failed", repr(error))
        await asyncio.sleep(5)


run = wallbox.app.App.run


async def both(app):
    asyncio.create_task(call(app.log))
    await run(app)


wallbox.app.App.run = both
"""


@pytest.fixture
def caller(tmp_path, simulator):
    """A function that starts a wallbox whose firmware connects to a host every 5 s, and says in its log what it saw."""

    def start(host: str, port: int, ca: Path | None = None) -> Simulator:
        root = tmp_path / "copy"
        for part in ("firmware", "boards"):
            shutil.copytree(ROOT / part, root / part)
        (root / ".venv").symlink_to(ROOT / ".venv")
        main = root / "firmware" / "main.py"
        main.write_text(CALLER % (host, port, str(ca or "")) + main.read_text())
        return simulator(virtual=False, speed=SPEED, program=(str(root / RUN),))

    return start


def logged(box: Simulator, code: str, count: int = 1, seconds: float = 10) -> list[str]:
    """The texts of the log's entries with this code, once there are so many."""
    box.wait_for(lambda _state: len(box.log(code=code)) >= count, seconds)
    return [entry["text"] for entry in box.log(code=code)]


def test_the_board_reaches_a_server_and_comes_back_after_its_network_was_down(csms, caller):
    box = caller("127.0.0.1", csms.port)
    assert "101 Switching Protocols" in logged(box, "line")[0]
    csms.wait_connected(BOX)
    box.network(False)
    csms.wait_gone(BOX)
    assert str(errno.ECONNABORTED) in logged(box, "failed")[0]
    assert "the network is down" in logged(box, "failed", 2)[1]
    box.network(True)
    csms.wait_connected(BOX)
    csms.drop("fin")
    logged(box, "ended")
    # It tries every 5 s of its own time.
    count = len(csms.handshakes)
    begin = time.monotonic()
    csms.wait_handshakes(count + 1)
    assert time.monotonic() - begin < 3


@pytest.mark.parametrize("how", ["reset", "power"])
def test_a_restart_leaves_no_connection_open(csms, caller, how):
    box = caller("127.0.0.1", csms.port)
    csms.wait_connected(BOX)
    if how == "reset":
        box.reset()
        csms.wait_handshakes(2)
    else:
        box.power(on=False)
        csms.wait_gone(BOX)
        box.power(on=True)
    csms.wait_connected(BOX)
    open_sockets = [
        fd for fd in Path(f"/proc/{box._process.pid}/fd").iterdir() if fd.readlink().name.startswith("socket:")
    ]
    # The control API's listener and its client, and the one connection.
    assert len(open_sockets) == 3


def test_tls_checks_authority_and_name_of_the_server(central, caller, tmp_path):
    ours = Authority(tmp_path)
    csms = central(ssl=ours.server())
    box = caller("localhost", csms.port, ours.ca_der)
    assert "101 Switching Protocols" in logged(box, "line")[0]
    box.stop()
    shutil.rmtree(tmp_path / "copy")
    box = caller("127.0.0.1", csms.port, ours.ca_der)
    assert logged(box, "failed") and not box.log(code="line")
