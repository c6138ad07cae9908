"""The web panel, used in a real browser as a person would, over the whole simulator."""

import time

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

# The LED bar breathes in a few seconds; so long a look sees a whole breath.
BREATH_SECONDS = 6.0
# A card cannot know how fast the machine is: a session starts after self-test, pilot and contactor (3 s), then time.
CHARGE_SECONDS = 30.0
HOLD_SECONDS = 5.0


@pytest.fixture
def panel(page, launch):
    """The panel of a fresh simulator, opened."""
    page.open(launch().url)
    page.wait_text("#phase", "Ready")
    return page


def brightnesses(panel, seconds: float) -> list[float]:
    """How bright the drawn light bar is, looked at for some time."""
    end = time.monotonic() + seconds
    found = []
    while time.monotonic() < end:
        found.append(sum(panel.colour("#bar")))
    return found


def start_charging(panel) -> None:
    panel.click("#plug-button")
    panel.wait(lambda: panel.run("return stage.dataset.look") == "breathing_blue", "the bar breathes", CHARGE_SECONDS)


def test_a_car_plugged_in_by_a_click_charges_and_the_light_bar_breathes(panel):
    panel.wait(lambda: panel.run("return stage.dataset.look") == "blue", "the bar is steady")
    time.sleep(0.5)  # the page draws the bar a little later than it hears of it
    steady = brightnesses(panel, 1.0)
    assert max(steady) - min(steady) < 15, f"without a car the bar is steady: {steady}"
    start_charging(panel)
    panel.wait_text("#phase", "Charging")
    panel.wait_text("#why", "Charging with")
    breathing = brightnesses(panel, BREATH_SECONDS)
    assert len(breathing) > 10, f"too few looks to judge: {breathing}"
    assert max(breathing) - min(breathing) > 60, f"the drawn bar does not breathe: {breathing}"
    red, _green, blue = panel.colour("#bar")
    assert blue > red, "the bar is not blue"
    panel.wait(lambda: float(panel.text("#power")) > 1, "power is shown")
    assert panel.run("return stage.hasAttribute('data-plugged') && stage.hasAttribute('data-flow')")


def hold(panel, uid: str, shown) -> None:
    """Hold a card to the reader, again when a busy machine has missed it, until `shown` holds."""
    for _ in range(3):
        panel.click(f'[data-uid="{uid}"]')
        try:
            panel.wait(shown, f"card {uid} is noticed", HOLD_SECONDS)
            return
        except AssertionError:
            continue
    raise AssertionError(f"card {uid} was not noticed; log: {panel.text('#log')}")


def test_unplugging_by_a_click_ends_the_charge(panel):
    start_charging(panel)
    panel.click("#plug-button")
    panel.wait_text("#phase", "Ready")
    panel.wait_text("#plug-button", "Plug in")
    assert not panel.run("return stage.hasAttribute('data-plugged')")


def test_the_plug_works_from_the_keyboard_with_a_visible_focus(panel):
    panel.run("document.getElementById('open-settings').focus()")
    ActionChains(panel.browser).send_keys(Keys.TAB).perform()
    assert panel.run("return document.activeElement.id") == "plug-button", "Tab goes from the head to the plug"
    assert panel.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    ActionChains(panel.browser).send_keys(Keys.ENTER).perform()
    panel.wait_text("#plug-button", "Unplug")


def test_an_unknown_card_is_refused_and_the_refusal_is_heard_and_read(panel):
    hold(panel, "DEADBEEF", lambda: "was refused: it is not registered" in panel.text("#log"))
    panel.wait_text("#tone-text", "Buzzer")
    assert panel.run("return document.querySelector('#log .warning [role=img]').ariaLabel") == "Warning"


def test_a_new_card_is_registered_with_the_setup_card(panel):
    hold(panel, "04A1B2C3D4E5F6", lambda: "Registration mode" in panel.text("#cards-hint"))
    known = "return document.querySelector('[data-uid=\"5E7A90B1\"]').hasAttribute('data-known')"
    hold(panel, "5E7A90B1", lambda: panel.run(known))


def test_a_wrong_card_number_is_explained_at_its_field(panel):
    panel.find("#uid").send_keys("XYZ" + Keys.ENTER)
    panel.wait_text("#uid-error", "XYZ is not allowed; allowed: 8, 14 or 20 hexadecimal digits")
    assert panel.find("#uid").get_attribute("aria-invalid") == "true"


def test_an_injected_fault_turns_the_bar_red_and_says_why(panel):
    start_charging(panel)
    panel.click('[data-fault="residual_dc"]')
    panel.wait_text("#phase", "Fault")
    panel.wait_text("#why", "leaks to earth")
    panel.wait_text("#active-faults", "Residual current")
    panel.wait(lambda: panel.colour("#bar")[0] > panel.colour("#bar")[2] + 20, "the drawn bar is red")
    assert panel.find('[data-fault="residual_dc"]').get_attribute("aria-pressed") == "true"
    panel.click('[data-fault="residual_dc"]')
    panel.wait(
        lambda: panel.find('[data-fault="residual_dc"]').get_attribute("aria-pressed") == "false", "it is removed"
    )


def test_the_house_slider_makes_the_car_give_way(panel):
    start_charging(panel)
    panel.run(
        "const s = document.getElementById('house-2'); s.value = 15;"
        "s.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    panel.wait(lambda: 9 <= float(panel.text("#offered")) <= 10, "15 A of 25 A leave 10 A", CHARGE_SECONDS)
    panel.wait_text("#limits [data-winner] span", "House meter")


def test_a_refused_setting_is_explained_at_its_field_and_changes_nothing(panel):
    panel.click("#open-settings")
    panel.wait(lambda: panel.run("return Boolean(document.getElementById('set-connection_a'))"), "fields are there")
    field = panel.find("#set-connection_a")
    field.clear()
    field.send_keys("300")
    panel.click("#save-settings")
    panel.wait_text("#set-connection_a-error", "6..125")
    assert field.get_attribute("aria-invalid") == "true"
    field.clear()
    field.send_keys("35")
    panel.click("#save-settings")
    panel.wait(lambda: not panel.run("return settings.open"), "the dialog closes")
    panel.wait_text("#log", "connection_a=35")


def test_the_chart_draws_and_tells_its_values(panel):
    start_charging(panel)
    painted = (
        "const c = document.getElementById('chart');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
        "return new Set(new Uint32Array(d.data.buffer)).size"
    )
    panel.wait(lambda: panel.run(painted) > 20, "curves in several colours")
    panel.wait_text("#legend", "25.0 A")


def test_no_window_width_needs_sideways_scrolling(panel):
    for width in (320, 360, 768, 1024, 1280):
        for dark in (False, True):
            panel.look(width=width, dark=dark)
            wide = panel.run("return document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"at {width} px the page is {wide} px too wide"


def test_dark_mode_has_a_dark_page_and_light_text(panel):
    script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    light = panel.run(script)
    panel.look(dark=True)
    dark = panel.run(script)
    assert light[0] != dark[0], "both schemes have the same background"
    assert brightness(dark[0]) < 60 < brightness(dark[1]), dark
    assert brightness(light[1]) < 60 < brightness(light[0]), light


def brightness(rgb: str) -> float:
    """The mean of "rgb(1, 2, 3)"."""
    numbers = [float(part) for part in rgb[rgb.index("(") + 1 : -1].split(",")[:3]]
    return sum(numbers) / 3


def test_every_control_has_a_name_and_is_large_enough_to_touch(panel):
    panel.look(width=360, height=740)
    unnamed = panel.run(
        "return [...document.querySelectorAll('main button, header button, main input, main select')]"
        ".filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length))"
        ".map((e) => e.outerHTML)"
    )
    assert not unnamed
    small = panel.run(
        "return [...document.querySelectorAll('main button, header button, main select, main input[type=range]')]"
        ".filter((e) => e.offsetParent && e.getBoundingClientRect().height < 32).map((e) => e.outerHTML)"
    )
    assert not small


def test_nothing_moves_when_the_state_changes(panel):
    panel.look(width=360, height=740)
    places = (
        "return [...document.querySelectorAll('main > section')].filter((e) => !e.hidden)"
        ".map((e) => [e.className, Math.round(e.getBoundingClientRect().top + scrollY)])"
    )
    panel.run("scrollTo(0, 0)")
    before = panel.run(places)
    panel.run("document.getElementById('plug-button').click()")
    panel.wait(lambda: panel.run("return stage.dataset.look") == "breathing_blue", "it charges", CHARGE_SECONDS)
    assert panel.run(places) == before, "charging moved something"
    for name in ("rcm_test_fails", "residual_dc", "temperature_sensor", "meter_silent"):
        panel.run("document.querySelector(`[data-fault=${arguments[0]}]`).click()", name)
    panel.wait_text("#phase", "Fault")
    panel.wait_text("#active-faults", "Temperature sensor")
    assert panel.run(places) == before, "faults moved something"


def test_a_lost_connection_is_shown_and_comes_back_by_itself(page, launch):
    first = launch()
    page.open(first.url)
    port = first.web
    assert first.end() == 0
    page.wait_text("#link-text", "Connection lost")
    assert not page.find("#plug-button").is_enabled(), "nothing can be done without a connection"
    launch("--web", str(port))
    page.wait_text("#link-text", "Connected")
    page.wait_text("#phase", "Ready")
    page.click("#plug-button")
    page.wait_text("#plug-button", "Unplug")


def test_a_power_cut_darkens_the_bar(panel):
    panel.click("#switch-power")
    panel.wait_text("#phase", "No supply")
    panel.wait(lambda: sum(panel.colour("#bar")) < 130, "the drawn bar is dark")
    panel.click("#switch-power")
    panel.wait_text("#phase", "Ready")


def test_virtual_time_moves_only_when_it_is_advanced(page, launch):
    page.open(launch("--virtual").url)
    page.wait(lambda: page.find("#virtual").is_displayed(), "the control is there")
    page.wait_text("#clock", "00:00:00")
    before = page.text("#clock")
    time.sleep(1.5)
    assert page.text("#clock") == before, "time moved by itself"
    page.click('[data-advance="3600"]')
    page.wait(lambda: page.text("#clock")[11:13] != before[11:13], "an hour has passed", 60)


def test_the_energy_card_chooses_how_the_sun_is_used_and_says_what_it_waits_for(page, launch):
    box = launch()
    page.open(box.url)
    page.wait_text("#phase", "Ready")
    page.click('[data-solar="only"]')
    page.wait(
        lambda: page.run("return document.querySelector('[data-solar=only]').getAttribute('aria-pressed')") == "true",
        "the mode is chosen",
        CHARGE_SECONDS,
    )
    page.wait_text("#sun-text", "Waiting for sun", CHARGE_SECONDS)
    page.click("#plug-button")
    page.wait_text("#why", "solar", CHARGE_SECONDS)
    page.wait_text("#limit-text", "by Solar", CHARGE_SECONDS)


def test_a_day_that_plays_moves_house_and_sun_and_the_chart_tells_the_sun(page, launch):
    page.open(launch().url)
    page.wait_text("#phase", "Ready")
    before = page.text("#day-time")
    page.click("#play-day")
    page.wait(lambda: page.text("#day-time") not in ("", before), "the day goes on", CHARGE_SECONDS)
    page.wait(lambda: page.text("#flow-sun") != "0.0 kW", "the sun shines", CHARGE_SECONDS)
    page.wait(lambda: float(page.run("return document.getElementById('sun').value")) > 0, "the slider follows")
    label = "return document.getElementById('chart').getAttribute('aria-label')"
    page.wait(lambda: "ampere a phase" in page.run(label), "the chart is told in words", CHARGE_SECONDS)
    page.click("#play-day")
    page.wait_text("#play-day", "Play")
