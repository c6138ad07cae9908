"""The app through Web Bluetooth itself: Chromium's emulated radio in front of the simulated box."""

import asyncio
import threading
from collections.abc import Iterator

import browser
import pytest
from app_page import App
from bluetooth_device import NOTIFY_BY_READING, Device


@pytest.fixture
def blue(tmp_path) -> Iterator[App]:
    """A browser with Web Bluetooth, which Linux has behind an option."""
    driver = browser.start(
        tmp_path,
        "--enable-experimental-web-platform-features",
        "--enable-features=WebBluetooth",
        "--remote-allow-origins=*",
    )
    app = App(driver)
    app.look()
    yield app
    driver.quit()


class Running:
    """A Device in a thread of its own, since Selenium blocks."""

    def __init__(self, device: Device):
        self.device = device
        self.ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._task = self._loop.create_task(self.device.run(self.ready.set))
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            self._loop.close()

    def __enter__(self) -> Device:
        self._thread.start()
        assert self.ready.wait(20), "the emulated radio did not start"
        return self.device

    def __exit__(self, *_error) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(20)


def test_the_app_connects_over_web_bluetooth_and_talks_to_the_box(blue, launch):
    box = launch()
    blue.load(box)
    blue.run(NOTIFY_BY_READING)
    debugger = blue.browser.capabilities["goog:chromeOptions"]["debuggerAddress"]
    root = f"127.0.0.1:{box.web}"
    device = Device(debugger, f"http://{root}/app/", f"ws://{root}/installer", box.found(r"passkey (\d{6})$"))
    with Running(device):
        blue.click("#connect-bluetooth")
        blue.wait(lambda: blue.link() == "up", "the app is connected over Bluetooth", 40)
        blue.wait_text("#why", "Ready: no car is plugged in.")
        blue.go("settings")
        blue.run("document.querySelectorAll('main details').forEach((e) => e.open = true)")
        blue.type("#set-name", "garage")
        blue.click("#save")
        blue.wait_text("form .done", "Saved.")
        # Before the box has told its MTU a frame has 20 bytes, later more.
        assert device.writes > 5 and 20 in device.sizes and max(device.sizes) > 20, device.sizes
