"""The installer's app in a browser: what tests do in it."""

import json
import socket
from pathlib import Path

import browser
from browser_page import WAIT_SECONDS, Page
from launched import Launched
from selenium.common.exceptions import StaleElementReferenceException

EXPERT = "1916"
# The menu's views; `connect` is shown while there is no connection.
VIEWS = [
    "home",
    "live",
    "history",
    "diagnostics",
    "wizard",
    "settings",
    "meter",
    "network",
    "cards",
    "brightness",
    "passwords",
    "backup",
    "report",
    "update",
    "reset",
    "guide",
    "menu",
]
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
PHONE, LAPTOP = (360, 740), (1280, 860)
# Colours that are still on their way to the other scheme would be judged, and pictured, wrong.
SETTLED = """
const moving = document.getAnimations().filter((one) => one instanceof CSSTransition);
return Promise.allSettled(moving.map((one) => one.finished))
  .then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true)))));
"""
# A picture of a long view is cut here.
PICTURE_MOST_PX = 5000


def control(simulator: Launched, do: str, **arguments) -> dict:
    """One request of the control API: what a person at the box, or the world around it, does."""
    with socket.create_connection(("127.0.0.1", simulator.control), timeout=WAIT_SECONDS) as connection:
        connection.sendall(json.dumps({"id": 1, "do": do, **arguments}).encode() + b"\n")
        answer = json.loads(connection.makefile().readline())
    assert answer["ok"], answer
    return answer


class App(Page):
    """The app of one simulator."""

    def load(self, simulator: Launched, language: str = "en") -> None:
        """Load the app without connecting."""
        self.simulator = simulator
        self.browser.get(f"http://127.0.0.1:{simulator.web}/app/")
        self.run("localStorage.setItem('wallbox-language', arguments[0])", language)
        self.browser.get(f"http://127.0.0.1:{simulator.web}/app/")
        self.wait_there("#passkey")

    def connect(self, simulator: Launched, language: str = "en") -> None:
        """Load the app and connect with the passkey that the simulator prints."""
        self.load(simulator, language)
        self.type("#passkey", simulator.found(r"passkey (\d{6})$"))
        self.click("#connect-simulator")
        self.wait(lambda: self.link() == "up", "the app is connected")
        self.wait_there("#phase .pill")

    def link(self) -> str:
        """The state of the connection."""
        return self.run("return document.body.dataset.link")

    def text(self, css: str) -> str:
        """The text of an element, empty while it is not there."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", css)

    def there(self, css: str) -> bool:
        """Whether an element can be seen."""
        return self.run("const e = document.querySelector(arguments[0]); return Boolean(e?.checkVisibility())", css)

    def wait_there(self, css: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until an element can be seen."""
        self.wait(lambda: self.there(css), f"{css} is there", seconds)

    def wait(self, condition, what: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait as a page does; an element that is being replaced is looked for again."""

        def settled():
            try:
                return condition()
            except StaleElementReferenceException:
                return False

        super().wait(settled, what, seconds)

    def go(self, view: str) -> None:
        """Open a view by its address."""
        self.run("location.hash = `#/${arguments[0]}`", view)
        self.wait(lambda: self.run("return document.getElementById('main').dataset.name") == view, f"view {view}")
        self.wait(lambda: not self.run("return document.querySelector('main [aria-busy=true]')"), f"{view} is complete")

    def type(self, css: str, text: str) -> None:
        """Put text into a field in the place of what is there, and leave it."""
        self.wait_there(css)
        self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "e.focus(); e.select?.()",
            css,
        )
        field = self.find(css)
        field.clear()
        field.send_keys(text)
        self.run("document.activeElement.blur()")

    def choose(self, css: str, value: str) -> None:
        """Choose an option."""
        self.run(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change', {bubbles: true}))",
            css,
            value,
        )

    def log_in(self, password: str = EXPERT) -> None:
        """Give the password that the dialog asks for."""
        self.type("#login-password", password)
        self.click("#dialog-confirm")
        # Another dialog may follow at once.
        self.wait(lambda: not self.there("#login-password"), "the password is taken")

    def expert(self) -> None:
        """Take expert mode on a view that is locked without."""
        self.click("main .locked .primary")
        self.log_in()
        self.wait_there("#leave-expert")

    def main(self) -> str:
        """The text of the view as it is seen."""
        return self.run("return document.getElementById('main').innerText")

    def wait_main(self, part: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until the view says something."""
        try:
            self.wait(lambda: part in self.main(), f"the view says {part!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {self.main()[:900]!r}") from None

    def picture(self, name: str) -> None:
        """Keep the whole view as pictures, on a phone and on a laptop, in light and dark."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for width, height in (PHONE, LAPTOP):
            for dark in (False, True):
                browser.look(self.browser, width, height, dark)
                whole = self.run("return document.documentElement.scrollHeight")
                browser.look(self.browser, width, min(max(whole, height), PICTURE_MOST_PX), dark)
                self.run(SETTLED)
                wide = self.run("return document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{name} is {wide} px too wide at {width} px"
                scheme = "dark" if dark else "light"
                self.browser.save_screenshot(str(SCREENSHOTS / f"{name}-{width}-{scheme}.png"))
        self.look()
