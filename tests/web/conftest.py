"""Gives the panel's tests running simulators and a browser."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from browser_page import Page
from launched import Launched
from selenium import webdriver
from selenium.webdriver.remote.webdriver import WebDriver

# No request of the browser itself may leave the machine, and a container has neither a sandbox nor much shared memory.
BROWSER_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # An occluded or unfocused window would slow the page's timers and frames down.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)


@pytest.fixture
def launch() -> Iterator[Callable[..., Launched]]:
    """Return a function that starts tools/simulate.py with options; all are ended when the test ends."""
    started: list[Launched] = []

    def start(*options: str) -> Launched:
        started.append(Launched(*options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """A headless browser without a past."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program and driver, "chromium and chromedriver must be on PATH; `make setup-browser` installs them"
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in (*BROWSER_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def page(chromium: WebDriver) -> Iterator[Page]:
    """The browser at desk size in light colours; a script error on the page fails the test."""
    page = Page(chromium)
    page.look()
    yield page
    entries = chromium.get_log("browser")  # pyright: ignore[reportAttributeAccessIssue]
    chromium.get("about:blank")
    # A lost connection is what some tests are about; the browser itself reports it.
    wrong = [e["message"] for e in entries if e["level"] == "SEVERE" and "WebSocket connection" not in e["message"]]
    assert not wrong, f"the page reported errors: {wrong}"
