"""The installer's app in a real browser, over the whole simulator: connecting, first view, settings, cards, roles."""

import re

import pytest
from app_page import EXPERT, control
from selenium.webdriver.common.keys import Keys

# A session starts after self-test, pilot and contactor (3 s), then time on a busy machine.
CHARGE_SECONDS = 40.0
CARD = "04C01A2B3C4D80"


@pytest.fixture
def box(launch):
    """A running box, set up."""
    return launch()


def test_a_wrong_passkey_is_refused_with_the_reason_at_the_field(app, box):
    app.load(box)
    app.type("#passkey", "12345")
    app.click("#connect-simulator")
    app.wait_text("#passkey-error", "six digits")
    right = box.found(r"passkey (\d{6})$")
    app.type("#passkey", "000000" if right != "000000" else "000001")
    app.click("#connect-simulator")
    app.wait_text("#passkey-error", "the passkey is wrong")
    assert app.find("#passkey").get_attribute("aria-invalid") == "true"
    assert app.link() == "off"


def test_the_first_view_says_how_the_box_is_and_why(app, box):
    app.connect(box)
    app.wait_text("#why", "Ready: no car is plugged in.")
    app.wait_text("#bar-words", "steady blue")
    control(box, "plug", max_a=16)
    app.wait_text("#phase", "Charging", CHARGE_SECONDS)
    app.wait_text("#why", "limited by: House meter")
    app.wait_text("#bar-words", "blue breathes")
    app.wait(lambda: float(app.text(".figures div:nth-child(1) b")) > 10, "11 kW are shown")
    app.wait_text("#say", "Charging")
    control(box, "fault", name="residual_dc")
    app.wait_text("#phase", "Fault")
    app.wait_text("#why", "current leaks to earth")
    app.wait_text("#why", "Unplug the car")
    app.wait_text(".notes", "Current leaks to earth")


def test_an_owner_stops_and_starts_the_charge(app, box):
    app.connect(box)
    control(box, "plug", max_a=16)
    app.wait_text("#phase", "Charging", CHARGE_SECONDS)
    app.wait_there("#charge-stop")
    app.click("#charge-stop")
    app.wait(lambda: not control(box, "state")["state"]["contactor"]["closed"], "the contactor opens", CHARGE_SECONDS)
    app.wait_there("#charge-start")
    app.click("#charge-start")
    app.wait(lambda: control(box, "state")["state"]["contactor"]["closed"], "the contactor closes", CHARGE_SECONDS)
    app.wait_there("#charge-stop")


def test_expert_settings_are_locked_and_a_wrong_password_is_refused(app, box):
    app.connect(box)
    app.go("settings")
    app.run("document.querySelectorAll('main details').forEach((e) => e.open = true)")
    assert not app.find("#set-rated_a").is_enabled()
    assert app.find("#set-name").is_enabled()
    app.click("#unlock")
    app.type("#login-password", "0000")
    app.click("#dialog-confirm")
    app.wait_text("#login-password-error", "The password is wrong.")
    app.log_in(EXPERT)
    app.wait_there("#leave-expert")
    app.wait(lambda: app.find("#set-rated_a").is_enabled(), "an expert may change it")
    app.click("#leave-expert")
    app.wait(lambda: not app.find("#set-rated_a").is_enabled(), "it is locked again")


def test_an_impossible_setting_is_refused_at_its_field_before_and_at_saving(app, box):
    app.connect(box)
    app.go("report")
    app.expert()
    app.go("settings")
    app.run("document.querySelectorAll('main details').forEach((e) => e.open = true)")
    app.type("#set-connection_a", "300")
    app.wait_text("#set-connection_a-error", "300 is not possible. Allowed: 6..125 A")
    assert app.find("#set-connection_a").get_attribute("aria-invalid") == "true"
    app.type("#set-connection_a", "5x")
    app.click("#save")
    app.wait_text("#set-connection_a-error", "5x is not possible")
    assert app.run("return document.activeElement.id") == "set-connection_a"
    app.type("#set-connection_a", "35")
    app.wait(lambda: app.text("#set-connection_a-error") == "", "the reason is gone")
    app.click("#save")
    app.wait_text("form .done", "Saved.")
    assert control(box, "settings")["settings"]["connection_a"] == 35


def test_settings_that_do_not_fit_together_are_refused_in_the_persons_language(app, box):
    app.connect(box, "nl")
    app.go("report")
    app.expert()
    app.go("settings")
    app.run("document.querySelectorAll('main details').forEach((e) => e.open = true)")
    app.type("#set-fallback_a", "30")
    app.wait_text("#set-fallback_a-error", "Hoogstens 25, zoals bij “Hoofdzekering van het huis”.")


def test_cards_are_registered_named_blocked_and_deleted(app, box):
    app.connect(box)
    app.go("cards")
    app.wait_text("#setup-uid", "04 A1 B2 C3 D4 E5 F6")
    app.click("#register")
    app.wait_text("#registration", "Hold a new card")
    control(box, "tap", uid=CARD)
    row = f'[data-uid="{CARD}"]'
    app.wait_there(row)
    app.click("#register")
    app.wait_text("#registration", "Registering is off")
    app.click(f"{row} button:nth-of-type(1)")
    app.type("#card-name", "Family car")
    app.click("#dialog-confirm")
    app.wait_text(row, "Family car")
    app.click(f"{row} button:nth-of-type(2)")
    app.wait_text(row, "Blocked")
    app.click(f"{row} button:nth-of-type(3)")
    app.click("#dialog-confirm")
    app.wait(lambda: not app.there(row), "the card is gone")


def test_a_bad_card_number_is_explained_in_the_dialog(app, box):
    app.connect(box)
    app.go("cards")
    app.click("#add-card")
    app.type("#card-uid", "12XY")
    app.click("#dialog-confirm")
    app.wait_text("#card-uid-error", "8, 14 or 20 hexadecimal digits")
    app.type("#card-uid", "5E 7A 90 B1")
    app.click("#dialog-confirm")
    app.wait_there('[data-uid="5E7A90B1"]')


def test_a_cut_connection_comes_back_with_its_role_and_what_was_typed(app, launch):
    first = launch()
    app.connect(first)
    app.go("report")
    app.expert()
    app.type("#check-by", "A. Electrician")
    control(first, "reset")
    app.wait_text("#link", "Reconnecting")
    app.wait_text("#link", "Connected", CHARGE_SECONDS)
    app.wait_there("#leave-expert")
    assert app.find("#check-by").get_attribute("value") == "A. Electrician"


def test_the_app_password_locks_cards_for_whoever_does_not_know_it(app, box):
    app.connect(box)
    app.go("passwords")
    app.type("#new-owner", "abc")
    app.click("#save-owner")
    app.wait_text("#new-owner-error", "At least 4 characters.")
    app.type("#new-owner", "secret")
    app.type("#again-owner", "other1")
    app.click("#save-owner")
    app.wait_text("#again-owner-error", "differ")
    app.type("#again-owner", "secret")
    app.click("#save-owner")
    app.wait_text("#toast", "The password was changed.")
    app.connect(box)
    app.go("cards")
    app.click("main .locked .primary")
    app.log_in("secret")
    app.wait_there("#setup-uid")


def test_brightness_is_previewed_and_kept(app, box):
    app.connect(box)
    app.go("brightness")
    app.run(
        "const s = document.getElementById('brightness'); s.value = 20;"
        "s.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    peak = max(control(box, "state")["state"]["led"]["segments"][0])
    app.wait(lambda: max(control(box, "state")["state"]["led"]["segments"][0]) < peak, "the bar is darker already")
    assert control(box, "settings")["settings"]["led_brightness_percent"] == 80
    app.click("#keep-brightness")
    app.wait_text("#toast", "Saved.")
    assert control(box, "settings")["settings"]["led_brightness_percent"] == 20


def test_a_trip_is_shown_as_charts_and_in_the_log(app, box):
    app.connect(box)
    control(box, "plug", max_a=16)
    app.wait_text("#phase", "Charging", CHARGE_SECONDS)
    control(box, "fault", name="residual_dc")
    app.wait_text("#phase", "Fault")
    app.go("diagnostics")
    app.wait_main("Current leaks to earth")
    app.wait_main("Unplug the car and have it checked.")

    def recorded():
        app.click("#tab-trips")
        app.wait(lambda: not app.run("return document.querySelector('main [aria-busy=true]')"), "trips are there")
        return app.there(".found button")

    app.wait(recorded, "the trip is recorded")
    app.click(".found button")
    app.wait_there(".plot")
    label = app.run("return document.querySelectorAll('.plot')[1].getAttribute('aria-label')")
    assert "Residual current" in label
    points = app.run("return document.querySelectorAll('.plot')[1].querySelector('.trace').getAttribute('d').length")
    assert points > 100, "the curve has no points"
    bands = app.run("return [...document.querySelectorAll('.band svg')].map((e) => e.getAttribute('aria-label'))")
    assert len(bands) == 2 and all("On" in text and "Off" in text for text in bands), bands
    app.click("#tab-log")
    app.wait_main("current leaks to earth;")


def test_a_charge_is_in_the_history_and_its_files(app, box):
    app.connect(box)
    control(box, "plug", max_a=32)
    app.wait_text("#phase", "Charging", CHARGE_SECONDS)
    app.wait(lambda: float(app.text(".figures div:nth-child(3) b")) >= 0.02, "energy is counted", CHARGE_SECONDS)
    control(box, "unplug")
    app.wait_text("#phase", "Ready")
    app.go("history")
    app.wait_there(".sessions li")
    assert re.search(r"0\.0[2-9] ?kWh", app.text(".sessions li").replace("\u00a0", " ")), app.text(".sessions li")
    assert "unplugged" in app.text(".sessions li")
    app.run(
        "window.saved = []; URL.createObjectURL = (blob) => { blob.text().then((text) => window.saved.push(text));"
        "return 'blob:none'; }; HTMLAnchorElement.prototype.click = () => {}"
    )
    app.click("#save-csv")
    app.wait(lambda: app.run("return window.saved.length") == 1, "the file is made")
    lines = app.run("return window.saved[0]").split("\r\n")
    assert lines[0].startswith("id,start,duration_s,energy_wh") and len(lines) == 3, lines


def test_the_language_changes_everywhere_and_is_remembered(app, box):
    app.connect(box)
    app.choose("#language", "de")
    app.wait_text("#why", "Bereit: Kein Auto ist angesteckt.")
    assert app.run("return document.documentElement.lang") == "de"
    app.choose("#language", "nl")
    app.wait_text("#why", "Gereed: er is geen auto aangesloten.")
    assert "Laadgeschiedenis" in app.text("#side")
    app.browser.refresh()
    app.wait_main("Wallbox in de buurt")


def test_the_app_works_from_the_keyboard(app, box):
    app.load(box)
    app.run("document.getElementById('skip').focus()")
    assert app.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    app.find("#skip").send_keys(Keys.ENTER)
    assert app.run("return document.activeElement.id") == "main"
    app.find("#passkey").send_keys(box.found(r"passkey (\d{6})$") + Keys.ENTER)
    app.wait(lambda: app.link() == "up", "Enter connects")
    app.find('#side [data-view="diagnostics"]').send_keys(Keys.ENTER)
    app.wait(lambda: app.run("return document.activeElement.tagName") == "H1", "the heading has the focus")
    app.find("#tab-faults").send_keys(Keys.ARROW_RIGHT)
    assert app.run("return document.activeElement.id") == "tab-log"
    assert app.find("#tab-log").get_attribute("aria-selected") == "true"


def test_a_restart_and_a_factory_reset_must_be_confirmed(app, box):
    app.connect(box)
    app.go("reset")
    app.click("#restart")
    app.click("#dialog-confirm")
    app.wait_text("#link", "Reconnecting")
    app.wait_text("#link", "Connected", CHARGE_SECONDS)
    app.click("#erase")
    app.log_in()
    app.type("#erase-word", "delete")
    app.click("#dialog-confirm")
    app.wait_text("#erase-word-error", "“erase” is wanted")
    app.type("#erase-word", "erase")
    app.click("#dialog-confirm")
    app.wait(lambda: app.link() != "up", "the box restarts", CHARGE_SECONDS)
    app.wait(lambda: not control(box, "settings")["settings"]["wizard_complete"], "it is as delivered", CHARGE_SECONDS)


def test_the_data_connection_shows_which_network_is_used_and_why_others_are_not(app, box):
    control(box, "settings", set={"wifi_ssid": "home", "wifi_password": "long enough"})
    control(box, "network", link="lan", up=False)
    app.connect(box)
    app.wait(lambda: control(box, "state")["state"]["network"]["link"] == "wlan", "Wi-Fi is used", CHARGE_SECONDS)
    app.go("network")
    app.wait_main("No cable")
    app.wait_main("-58 dBm")
    assert "192.0.2.30" in app.text("#main")
