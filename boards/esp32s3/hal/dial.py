"""Brings a 3GPP modem up and hands its line to PPP: commands of 3GPP TS 27.007 and ITU-T V.250, one after the other.

It waits for nothing but in asyncio, and is loaded for one use.
"""

import asyncio
import time
from errno import EHOSTUNREACH

import network
from micropython import const

_POLL_MS = const(20)
_ANSWER_MS = const(1_000)
# Hayes escape: silence, three signs, silence; 1 s each by default (V.250 has S12 for it).
_SILENCE_MS = const(1_100)
# A press turns a modem on (SIMCom A7672 hardware design: 50 ms at least, 500 ms in the field), which then starts up.
_PRESS_MS = const(600)
_BOOT_MS = const(20_000)
# A SIM card is ready within seconds of the start.
_SIM_MS = const(10_000)
# TS 27.007, 7.11: entering a PIN; 10.1.1: contexts. Both may take a while.
_SLOW_MS = const(5_000)
_REGISTER_MS = const(180_000)
_REGISTER_LOOK_MS = const(2_000)
_DIAL_MS = const(30_000)
_PPP_MS = const(60_000)
_PPP_LOOK_MS = const(200)
_CLOSE_MS = const(5_000)
# Registered at home, denied, roaming (TS 27.007, 10.1.22).
_HOME, _DENIED, _ROAMING = const(1), const(3), const(5)
# TS 27.007, 8.5.
_UNKNOWN_RSSI = const(99)
_INACTIVE = const(0)  # PPP.status() of a closed PPP: STATE_INACTIVE of ports/esp32/network_ppp.c
_LINE_CHARS = const(200)
_ENDS = ("OK", "ERROR", "NO CARRIER", "NO DIALTONE", "BUSY", "NO ANSWER")


def _fail(state: str):
    raise OSError(EHOSTUNREACH, state)


class Dial:
    """`uart` of the modem, `ppp` on it, `press(on)` for its power key; `dbm` is the signal's strength, or None."""

    def __init__(self, uart, ppp, press):
        self._uart = uart
        self._ppp = ppp
        self._press = press
        self._line = b""
        self.dbm = None

    async def up(self, settings) -> str:
        """Do it all -> "up"; OSError whose second argument is the state that the modem is left in."""
        await self._close()
        await self._wake()
        await self._command("ATE0")
        await self._unlock(settings["sim_pin_password"])
        await self._command('AT+CGDCONT=1,"IP","%s"' % settings["apn"].replace('"', ""), _SLOW_MS)
        await self._register()
        await self._measure()
        if await self._command("ATD*99***1#", _DIAL_MS) is None:
            _fail("no_network")
        user = settings["apn_user"]
        if user:
            self._ppp.connect(security=network.PPP.SEC_PAP, user=user, key=settings["apn_password"])
        else:
            self._ppp.connect()
        return await self._negotiated()

    async def _close(self) -> None:
        """Let an old connection end; its line is ours then."""
        self._ppp.disconnect()
        began = time.ticks_ms()
        while self._ppp.status() > _INACTIVE:
            if time.ticks_diff(time.ticks_ms(), began) > _CLOSE_MS:
                break
            await asyncio.sleep_ms(_PPP_LOOK_MS)

    async def _wake(self) -> None:
        """Have it listen to commands: it may be on, in the middle of a connection of a former start, or off."""
        if await self._answers(2):
            return
        await asyncio.sleep_ms(_SILENCE_MS)
        self._uart.write(b"+++")
        await asyncio.sleep_ms(_SILENCE_MS)
        if await self._answers(2):
            await self._command("ATH", _SLOW_MS)
            return
        self._press(True)
        try:
            await asyncio.sleep_ms(_PRESS_MS)
        finally:
            self._press(False)
        if not await self._answers(_BOOT_MS // _ANSWER_MS):
            _fail("no_modem")

    async def _answers(self, tries: int) -> bool:
        for _ in range(tries):
            if await self._command("AT") is not None:
                return True
        return False

    async def _unlock(self, pin: str) -> None:
        """Enter the PIN, once and never as the last try: the third wrong one locks the card."""
        began = time.ticks_ms()
        while True:
            found = await self._command("AT+CPIN?", _SLOW_MS)
            if found is not None:
                break
            if time.ticks_diff(time.ticks_ms(), began) > _SIM_MS:
                _fail("no_network")
            await asyncio.sleep_ms(_ANSWER_MS)
        if "READY" in found:
            return
        if "SIM PIN" not in found or not pin or not await self._may_try():
            _fail("wrong_pin")
        if await self._command('AT+CPIN="%s"' % pin, _SLOW_MS) is None:
            _fail("wrong_pin")

    async def _may_try(self) -> bool:
        """Whether a wrong PIN would leave another try (TS 27.007, 8.65); modems that cannot tell are believed to."""
        left = _number(await self._command('AT+CPINR="SIM PIN"', _SLOW_MS), 1)
        return left is None or left > 1

    async def _register(self) -> None:
        """Wait until a network has taken it in."""
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < _REGISTER_MS:
            for command in ("AT+CEREG?", "AT+CGREG?"):
                state = _number(await self._command(command), 1)
                if state in (_HOME, _ROAMING):
                    return
                if state == _DENIED:
                    _fail("no_network")
            await asyncio.sleep_ms(_REGISTER_LOOK_MS)
        _fail("no_network")

    async def _measure(self) -> None:
        rssi = _number(await self._command("AT+CSQ"), 0)
        self.dbm = None if rssi is None or rssi >= _UNKNOWN_RSSI else 2 * rssi - 113

    async def _negotiated(self) -> str:
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < _PPP_MS:
            if self._ppp.isconnected():
                return "up"
            if self._ppp.status() < 0:
                _fail("no_network")
            await asyncio.sleep_ms(_PPP_LOOK_MS)
        self._ppp.disconnect()
        return _fail("no_address")

    async def _command(self, text: str, wait_ms: int = _ANSWER_MS):
        """What comes between a command and its OK, or CONNECT, as text; None for an error or no answer."""
        self._uart.read()
        self._line = b""
        self._uart.write(text.encode() + b"\r")
        found = []
        began = time.ticks_ms()
        while time.ticks_diff(time.ticks_ms(), began) < wait_ms:
            line = self._read_line()
            if line is None:
                await asyncio.sleep_ms(_POLL_MS)
            elif line == "OK" or line.startswith("CONNECT"):
                return "\n".join(found)
            elif line in _ENDS or line.startswith("+CME ERROR"):
                return None
            elif line and line != text:
                found.append(line)
        return None

    def _read_line(self):
        """The next whole line without its end, None while there is none. What follows CONNECT is PPP's."""
        while self._uart.any():
            sign = self._uart.read(1)
            if sign == b"\n":
                line = self._line
                self._line = b""
                return "".join([chr(char) for char in line if 32 <= char < 127])
            if len(self._line) < _LINE_CHARS:
                self._line += sign
        return None


def _number(answer, index: int):
    """The number at that place of an answer such as "+CEREG: 0,1", None when there is none."""
    parts = (answer or "").rpartition(":")[2].strip().split(",")
    return int(parts[index]) if index < len(parts) and parts[index].isdigit() else None
