"""Takes the picture of the web panel that the README shows: `.venv/bin/python tools/panel_picture.py`."""

import argparse
import base64
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from browser import look, start
from selenium import webdriver

ROOT = Path(__file__).resolve().parent.parent
SIMULATE = ROOT / "tools" / "simulate.py"
WIDTH = 1280
HEIGHT = 900
# What happens before the picture: second, then the house's load on L1..L3. The car is plugged in first.
STORY = ((10, (4, 7.5, 2)), (45, (4, 15, 2)), (80, (9, 4.5, 6)), (110, (6, 5, 3)))
BRIGHT = 0.8


def panel_address(simulator: subprocess.Popen[str]) -> str:
    """What the simulator prints; RuntimeError when it ends without."""
    assert simulator.stdout is not None
    for line in simulator.stdout:
        if line.startswith("panel "):
            return line.split()[1]
    raise RuntimeError("the simulator ended before it told the panel's address")


def play(browser: webdriver.Chrome, seconds: float) -> None:
    """Plug a car in and change the house's load."""
    began = time.monotonic()
    browser.execute_script("document.getElementById('plug-button').click()")
    for at, amps in STORY:
        if at >= seconds:
            break
        time.sleep(max(0.0, began + at - time.monotonic()))
        for phase, value in enumerate(amps, 1):
            move = "const s = arguments[0]; s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
            browser.execute_script(move, browser.find_element("id", f"house-{phase}"), value)
    time.sleep(max(0.0, began + seconds - time.monotonic()))


def wait_bright(browser: webdriver.Chrome) -> None:
    """Wait for the light bar's brightest moment, up to one long breath."""
    level = "return Number(document.querySelector('#bar .light').dataset.level)"
    end = time.monotonic() + 10
    while browser.execute_script(level) < BRIGHT and time.monotonic() < end:
        time.sleep(0.02)


def take(browser: webdriver.Chrome, path: Path) -> None:
    """Save the page from its top to the end of the chart."""
    measure = "return document.querySelector('.part-chart').getBoundingClientRect().bottom + scrollY + 16"
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": browser.execute_script(measure), "scale": 1}
    wait_bright(browser)
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Start the simulator and a browser, play the story, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "panel.png", help="file to write (docs/panel.png)")
    parser.add_argument("--seconds", type=float, default=150, help="how long the car charges before (150)")
    parser.add_argument("--dark", action="store_true", help="in dark colours")
    options = parser.parse_args()
    command = [sys.executable, str(SIMULATE), "--control", "0", "--web", "0"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with tempfile.TemporaryDirectory() as profile, simulator:
        try:
            browser = start(Path(profile))
            look(browser, WIDTH, HEIGHT, options.dark)
            browser.get(panel_address(simulator))
            time.sleep(3)
            play(browser, options.seconds)
            take(browser, options.out)
            browser.quit()
        finally:
            simulator.terminate()
    print(f"{options.out}: {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
