"""The page of `make csms` in a browser, on a desk and on a phone; pictures lie in build/screenshots/."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from browser_page import Page
from ocpp_box import BoxThread

from simulator import ROOT

PICTURES = ROOT / "build" / "screenshots"
SIZES = {"desk": (1280, 900), "phone": (390, 844), "narrow": (320, 640)}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The page's address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "central", "--port", "0"],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH="tools"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield process.stdout.readline().split()[1]
    process.terminate()
    process.wait(10)
    process.stdout.close()


def box_url(address: str) -> str:
    return address.replace("http", "ws")


def test_without_a_box_it_tells_how_to_start_one(page: Page, address):
    page.open(address)
    assert page.text("#command") == f'make run ARGS="--ocpp {box_url(address)}"'
    assert page.find("#empty").is_displayed()


def card(name: str, rest: str) -> str:
    return f'[data-box="{name}"] {rest}'


def test_a_person_starts_limits_and_stops_a_charge(page: Page, address):
    with BoxThread(box_url(address), "garage") as thread:
        assert thread.box
        page.open(address)
        page.wait_text(card("garage", ".pill"), "Available")
        page.click(card("garage", '[data-order="start"]'))
        page.wait_text(card("garage", ".pill"), "Charging")
        page.wait_text(card("garage", ".figures"), "11.10 kW")
        page.wait_text(card("garage", ".figures"), "1.84 kWh")
        page.run("const s = document.querySelector('.limit input'); s.value = 13; s.dispatchEvent(new Event('input'))")
        page.click(card("garage", '[data-order="limit"]'))
        page.wait_text(card("garage", ".said"), "Limit to 13 A: Accepted")
        page.wait_text(card("garage", ".limit"), "Limited to 13 A")
        assert thread.box.profile is not None
        page.click(card("garage", '[data-order="stop"]'))
        page.wait_text("#sessions", "Remote")
        page.wait_text(card("garage", ".pill"), "Finished")
        assert page.find(card("garage", '[data-order="start"]')).is_displayed()
        page.wait_text("#log", "RemoteStopTransaction")
        page.find("#filter").send_keys("StopTransaction")
        page.wait(lambda: "StatusNotification" not in page.text("#log"), "the filter works")
        page.click("#log summary")
        page.wait_text("#log pre", "{")
    page.wait_text(card("garage", ".pill"), "Offline")
    assert not page.find(card("garage", '[data-order="start"]')).is_enabled()


def test_configuration_keys_are_read_and_set_and_a_refusal_is_shown(page: Page, address):
    with BoxThread(box_url(address), "keys") as thread:
        assert thread.box
        page.open(address)
        page.wait_text(card("keys", ".pill"), "Available")
        page.click(card("keys", ".fold:nth-of-type(2) summary"))
        page.click(card("keys", ".fold:nth-of-type(2) button"))
        page.wait_text(card("keys", ".keys"), "NumberOfConnectors")
        field = page.find(card("keys", '[data-key="HeartbeatInterval"] input'))
        field.clear()
        field.send_keys("77")
        page.click(card("keys", '[data-key="HeartbeatInterval"] button'))
        page.wait_text(card("keys", ".said"), "ChangeConfiguration: Accepted")
        assert thread.box.keys["HeartbeatInterval"] == "77"
        page.click(card("keys", ".fold:nth-of-type(3) summary"))
        page.click(card("keys", ".fold:nth-of-type(3) button"))
        page.wait_text(card("keys", ".said"), "NotImplemented")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_everything_fits_on_the_screen(page: Page, address, size, dark):
    with BoxThread(box_url(address), "the garage beside the old house") as thread:
        assert thread.box
        thread.run(thread.box.charge("0123456789ABCDEF0123"))
        page.look(*SIZES[size], dark)
        page.open(address)
        page.wait_text(card("the garage beside the old house", ".pill"), "Charging")
        page.run("document.querySelectorAll('details.fold').forEach((fold) => { fold.open = true; })")
        page.run("document.querySelector('.log details').open = true")
        page.run("[...document.querySelectorAll('.box')].pop().scrollIntoView({block: 'start', behavior: 'instant'})")
        page.wait_text(".log pre", "{")
        wide = page.run(
            "const room = document.documentElement.clientWidth; return [...document.querySelectorAll('body *')]"
            ".filter((one) => !one.closest('.scroll, .hidden') && one.getBoundingClientRect().right > room + 1)"
            ".map((one) => one.outerHTML.slice(0, 80))"
        )
        assert wide == []
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.browser.save_screenshot(str(PICTURES / f"central-{size}-{'dark' if dark else 'light'}.png"))
