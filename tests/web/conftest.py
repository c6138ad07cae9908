"""Gives the tests of panel and app running simulators and a browser."""

from collections.abc import Callable, Iterator

import browser
import pytest
from app_page import App
from browser_page import Page
from launched import Launched
from selenium.webdriver import Chrome


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
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A headless browser without a past."""
    driver = browser.start(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium: Chrome) -> Iterator[Page]:
    """The browser at desk size in light colours; a script error on the page fails the test."""
    page = Page(chromium)
    page.look()
    yield page
    entries = chromium.get_log("browser")
    chromium.get("about:blank")
    # A lost connection is what some tests are about; the browser itself reports it.
    wrong = [e["message"] for e in entries if e["level"] == "SEVERE" and "WebSocket connection" not in e["message"]]
    assert not wrong, f"the page reported errors: {wrong}"


@pytest.fixture
def app(page: Page) -> App:
    """The same browser for the installer's app."""
    return App(page.browser)
