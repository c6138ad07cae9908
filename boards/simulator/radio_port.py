"""The socket of a radio process (`run.py --ble PORT`): packets between it and the simulated board, in real time.

A packet is one byte type, two bytes length little endian, and a payload. To the radio: "A" JSON {"name",
"passkey", "info"}, "N" a notification, "X" disconnect the central, "O" off the air until the next "A", "U" forget
all bonds, "P" JSON {"allow"} in answer to "Q". From it: "C" JSON {"peer", "mtu"} a central is connected, "M" JSON
{"mtu"}, "S" JSON {"secure"}, "Q" a central wants to pair, "F" pairing has failed, "W" a frame was written, "K" a
notification is out, "D" the central is gone. A secured link without a former "Q" is one with a bond.
"""

import json
import sys
from errno import EAGAIN
from select import POLLIN, POLLOUT

from control import listen
from micropython import const

_HEAD_BYTES = const(3)
_READ_BYTES = const(4 * 1024)


class RadioPort:
    """One radio process at a time; a later one takes the place of an earlier one."""

    def __init__(self, port: int, plant, server):
        """Listen on `port` (0: any free one); OSError when it cannot be had."""
        self._radio = plant.radio
        self._plant = plant
        self._server = server
        self._sock, self.port = listen(port)
        self._peer = None
        self._in = b""
        self._out = b""
        self._asked = False
        # What the poll set waits for on the connection.
        self._events = POLLIN
        server.add(self._sock, self._accept, POLLIN)

    # -- what the board does ----------------------------------------------------------------------------

    def advertise(self, name: str, passkey: str, info: bytes) -> None:
        """Show name and info, and take this passkey."""
        self._send_json("A", {"name": name, "passkey": passkey, "info": str(info, "utf-8")})

    def notify(self, frame: bytes) -> None:
        """Send a notification."""
        self._send(b"N", frame)

    def hang_up(self) -> None:
        """Disconnect the central."""
        self._send(b"X", b"")

    def fall_silent(self) -> None:
        """Advertise no more, until the firmware is back."""
        self._send(b"O", b"")

    def forget(self) -> None:
        """Forget all bonds."""
        self._send(b"U", b"")

    # -- the socket ---------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            peer, _ = self._sock.accept()
        except OSError as error:
            if error.errno != EAGAIN:
                print("radio port:", error, file=sys.stderr)
            return
        if self._peer is not None:
            self._drop()
        peer.setblocking(False)
        self._peer = peer
        self._in = self._out = b""
        self._events = POLLIN
        self._server.add(peer, self._work, POLLIN)
        self._radio.attach(self)

    def _drop(self) -> None:
        peer = self._peer
        self._peer = None
        self._server.remove(peer)
        peer.close()
        self._radio.attach(None)

    def _send_json(self, kind: str, content: dict) -> None:
        self._send(kind.encode(), json.dumps(content).encode())

    def _send(self, kind: bytes, payload: bytes) -> None:
        if self._peer is None:
            return
        self._out += kind + len(payload).to_bytes(2, "little") + payload
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self._peer.write(self._out)
        except OSError:
            # The radio process is gone; the next one finds a board without a connection.
            self._drop()
            return
        if sent:
            self._out = self._out[sent:]
        events = POLLIN | POLLOUT if self._out else POLLIN
        if events != self._events:
            self._events = events
            self._server.add(self._peer, self._work, events)

    def _work(self) -> None:
        """The socket is ready."""
        if self._out:
            self._flush()
        if self._peer is None:
            return
        try:
            chunk = self._peer.read(_READ_BYTES)
        except OSError:
            chunk = b""
        if chunk is None:
            return
        if not chunk:
            self._drop()
            return
        self._in += chunk
        self._plant.sync()
        while self._peer is not None and len(self._in) >= _HEAD_BYTES:
            end = _HEAD_BYTES + int.from_bytes(self._in[1:3], "little")
            if len(self._in) < end:
                return
            kind, payload = chr(self._in[0]), self._in[_HEAD_BYTES:end]
            self._in = self._in[end:]
            try:
                self._take(kind, payload)
            except (ValueError, KeyError) as error:
                print("radio port: packet %r was not understood: %r" % (kind, error), file=sys.stderr)
                self._drop()

    def _take(self, kind: str, payload: bytes) -> None:
        box = self._radio.listener()
        if kind == "W":
            box.wrote(payload)
        elif kind == "K":
            box.sent()
        elif kind == "C":
            found = json.loads(payload)
            self._asked = False
            if self._radio.box is None:
                # The firmware is starting and would never learn of it.
                self.hang_up()
            box.connected(found["peer"], found["mtu"], False)
        elif kind == "M":
            box.resized(json.loads(payload)["mtu"])
        elif kind == "S":
            self._secured(box, json.loads(payload)["secure"])
        elif kind == "Q":
            self._asked = True
            self._send_json("P", {"allow": bool(box.may_pair())})
        elif kind == "F":
            self._asked = False
            box.paired(False)
        elif kind == "D":
            box.gone()
        else:
            raise ValueError("unknown type")

    def _secured(self, box, secure: bool) -> None:
        if secure and self._asked:
            self._asked = False
            box.paired(True)
        box.secured(secure)
