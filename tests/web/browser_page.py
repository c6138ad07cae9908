"""The panel in a browser: what tests do there, and how they see what is drawn."""

import struct
import time
import zlib
from collections.abc import Callable

import browser
from selenium.webdriver import Chrome

WAIT_SECONDS = 20.0
LOOK_SECONDS = 0.05


class Page:
    """The panel in a browser, with what tests do on it."""

    def __init__(self, driver: Chrome):
        self.browser = driver

    def look(self, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Give the window a size and a colour scheme."""
        browser.look(self.browser, width, height, dark)

    def open(self, url: str) -> None:
        """Load the page and wait until it is connected."""
        self.browser.get(url)
        self.wait(lambda: self.run("return document.body.dataset.link") == "up", "the page is connected")

    def run(self, script: str, *arguments):
        """Run JavaScript in the page."""
        return self.browser.execute_script(script, *arguments)

    def find(self, css: str):
        """The element that a CSS selector names."""
        return self.browser.find_element("css selector", css)

    def click(self, css: str) -> None:
        """Scroll to an element and click it as a person does."""
        element = self.find(css)
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        self.wait(element.is_enabled, f"{css} is enabled")
        element.click()

    def text(self, css: str) -> str:
        """The text of an element; empty while it is not there."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", css)

    def wait(self, condition: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until `condition` holds; AssertionError with `what` and what the page says when it does not."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                said = self.run("return document.querySelector('.story')?.innerText")
                raise AssertionError(f"not reached in {seconds} s: {what}; the page says: {said}")
            time.sleep(LOOK_SECONDS)

    def wait_text(self, css: str, part: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an element's text contains `part`."""
        self.wait(lambda: part in self.text(css), f"{css} says {part!r}", seconds)

    def colour(self, css: str) -> tuple[float, float, float]:
        """The mean red, green and blue of an element as it is drawn, 0 to 255."""
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})", css)
        return mean_colour(self.find(css).screenshot_as_png)


def mean_colour(png: bytes) -> tuple[float, float, float]:
    """The mean colour of an 8-bit RGB or RGBA picture (PNG specification, ISO/IEC 15948, clauses 5 and 9)."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8 and kind in (2, 6), f"unexpected PNG: depth {depth}, colour type {kind}"
    size = 3 if kind == 2 else 4
    data, place = b"", 8
    while place < len(png):
        length, name = struct.unpack(">I4s", png[place : place + 8])
        if name == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += length + 12
    rows = _unfilter(zlib.decompress(data), width * size, height, size)
    pixels = width * height
    red, green, blue = (sum(sum(row[channel::size]) for row in rows) / pixels for channel in range(3))
    return red, green, blue


def _unfilter(raw: bytes, stride: int, height: int, size: int) -> list[bytearray]:
    rows: list[bytearray] = []
    above = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        method, row = raw[start], bytearray(raw[start + 1 : start + 1 + stride])
        for x in range(stride):
            left = row[x - size] if x >= size else 0
            corner = above[x - size] if x >= size else 0
            row[x] = (row[x] + _predict(method, left, above[x], corner)) & 0xFF
        rows.append(row)
        above = row
    return rows


def _predict(method: int, left: int, up: int, corner: int) -> int:
    if method == 4:
        estimate = left + up - corner
        return min((left, up, corner), key=lambda value: abs(estimate - value))
    return (0, left, up, (left + up) // 2)[method]
