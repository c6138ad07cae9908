"""One short line about the simulated wallbox: live on a terminal, a line per change elsewhere."""

import asyncio
import shutil
from typing import TextIO

from panel_feed import Feed

UPDATE_S = 0.5
ERASE_LINE = "\r\x1b[K"


def summary(state: dict) -> str:
    """What matters of `state` in words, without numbers that move all the time."""
    if not state:
        return "starting"
    if not state.get("power", True):
        return "no supply"
    pilot = (state.get("pilot") or {}).get("state", "?")
    pattern = (state.get("led") or {}).get("pattern", "?")
    return f"{pilot}  {pattern.replace('_', ' ')}"


def figures(state: dict) -> str:
    """The moving numbers of `state`: offered current and the session's energy."""
    if not state or not state.get("power", True):
        return ""
    energy_wh = (state.get("session") or {}).get("energy_wh") or 0
    return f"  {state.get('offered_a') or 0:.1f} A  {energy_wh / 1000:.2f} kWh"


class StatusLine:
    """Writes the line until closed; closing leaves the cursor at the start of a fresh line."""

    def __init__(self, out: TextIO):
        self._out = out
        self._live = out.isatty()
        self._last = ""

    async def run(self, feed: Feed, address: str) -> None:
        """Follow `feed` for ever; `address` ends the live line, where a terminal makes it a link."""
        while True:
            self._show(feed.state, address)
            await asyncio.sleep(UPDATE_S)

    def close(self) -> None:
        """Leave the live line where it is and start a new one below."""
        if self._live and self._last:
            self._write("\n")
            self._last = ""

    def _show(self, state: dict, address: str) -> None:
        text = summary(state)
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            text = f"{text}{figures(state)}  {address}"[:width]
        if text == self._last:
            return
        self._last = text
        self._write(f"{ERASE_LINE}{text}" if self._live else f"wallbox {text}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
