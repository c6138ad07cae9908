"""A headless Chromium without a past, for the panel's tests and its picture."""

import shutil
from pathlib import Path

from selenium import webdriver

# The browser itself must not call anybody, and a container has neither a sandbox nor much shared memory.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A window that nobody looks at would slow the page's timers and frames down.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)


def start(profile: Path, *further: str) -> webdriver.Chrome:
    """Start Chromium from PATH with its profile in the folder `profile` and further options.

    RuntimeError when it is not installed.
    """
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        raise RuntimeError("chromium and chromedriver must be on PATH; `make setup-browser` installs them")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in (*OPTIONS, *further, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def look(browser: webdriver.Chrome, width: int, height: int, dark: bool) -> None:
    """Give the window a size in CSS pixels and a colour scheme."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
