"""The whole installation in the app: from the box as delivered to a charging car; backup, restore, report."""

import json

import pytest
from app_page import control
from containers import sealed

CHARGE_SECONDS = 40.0
# The search asks 15 lines of the bus; the test charge takes a minute, the self-check of the meter two.
SCAN_SECONDS = 90.0
TEST_SECONDS = 120.0
CHECK_SECONDS = 240.0


def step(app) -> str:
    return app.run("return document.querySelector('section.step')?.dataset.step ?? ''")


def wait_step(app, name: str, seconds: float = 20.0) -> None:
    app.wait(lambda: step(app) == name, f"step {name}; now: {step(app)}: {app.main()[:500]!r}", seconds)


def open_wizard(app, simulator) -> None:
    app.connect(simulator)
    app.wait_text("#why", "the set-up is not complete")
    app.click("#go-wizard")
    app.expert()
    wait_step(app, "electrical")


def fill_electrical(app) -> None:
    app.choose("#set-rated_a", "16")
    app.choose("#set-phases", "3")
    app.type("#set-connection_a", "25")
    app.click("#save")
    wait_step(app, "meter")


@pytest.mark.timeout(600)
def test_the_wizard_leads_from_the_box_as_delivered_to_a_charging_car(app, launch):
    box = launch("--factory")
    open_wizard(app, box)
    app.choose("#set-rated_a", "32")
    app.type("#set-connection_a", "20")
    app.wait_text("#set-rated_a-error", "At most 20 as in “Main fuse of the house”")
    app.click("#save")
    app.wait_text("#set-rated_a-error", "unless “Protect the house connection” is on")
    assert step(app) == "electrical"
    fill_electrical(app)

    # A reload in the middle: the box knows where it was.
    app.connect(box)
    app.go("wizard")
    app.expert()
    wait_step(app, "meter")
    app.click("#scan")
    app.wait_there(".use-meter", SCAN_SECONDS)
    assert "Inepro PRO380-Mod" in app.text("#scan-found")
    app.click(".use-meter")
    app.wait(
        lambda: app.run("return document.querySelector('#set-meter_model')?.value") == "pro380", "it is taken over"
    )
    app.run("document.getElementById('set-load_optimisation').click()")
    app.click("#save")
    wait_step(app, "network")
    app.click("#skip-step")
    wait_step(app, "backend")
    app.type("#set-ocpp_url", "http://example.org")
    app.wait_text("#set-ocpp_url-error", "ws:// or wss://")
    app.type("#set-ocpp_url", "")
    app.wait(lambda: app.text("#set-ocpp_url-error") == "", "the reason is gone")

    # A cut in the middle.
    control(box, "reset")
    app.wait_text("#link", "Reconnecting")
    app.wait_text("#link", "Connected", CHARGE_SECONDS)
    assert step(app) == "backend"
    app.click("#save")
    wait_step(app, "cards")
    app.click("#save")
    wait_step(app, "summary")
    assert "Rated current" in app.main() and "16\u00a0A" in app.main()
    app.click("#finish-wizard")
    wait_step(app, "test")
    assert control(box, "settings")["settings"]["wizard_complete"]

    control(box, "plug", max_a=16)
    app.wait_main("Charging with up to", CHARGE_SECONDS)
    app.click("#check-meter")
    app.wait_main("The meter sees the car as it should", CHECK_SECONDS)

    def confirmed() -> bool:
        app.click("#test-done")
        app.wait(lambda: not app.run("return document.querySelector('#test-done[aria-busy]')"), "it is judged")
        return step(app) == "end"

    app.wait(confirmed, "the charge of a minute is seen", TEST_SECONDS)
    app.wait_main("The set-up is complete")
    app.picture("wizard-end")
    app.go("home")
    app.wait_text("#phase", "Charging")


def test_a_skipped_test_charge_leaves_the_box_ready(app, launch):
    box = launch("--factory")
    open_wizard(app, box)
    fill_electrical(app)
    app.click("#save")
    for name in ("network", "backend", "cards"):
        wait_step(app, name)
        app.picture(f"wizard-{name}")
        app.click("#skip-step")
    wait_step(app, "summary")
    app.picture("wizard-summary")
    app.click("#finish-wizard")
    wait_step(app, "test")
    app.picture("wizard-test")
    app.click("#skip-step")
    wait_step(app, "end")
    control(box, "plug", max_a=16)
    app.go("home")
    app.wait_text("#phase", "Charging", CHARGE_SECONDS)


def test_charging_is_impossible_while_a_step_is_open(app, launch):
    box = launch("--factory")
    open_wizard(app, box)
    fill_electrical(app)
    app.click('[data-step="summary"] i')
    wait_step(app, "summary")
    assert "Still open: House meter" in app.main()
    app.click("#finish-wizard")
    app.wait_main("Not possible now")
    assert not control(box, "settings")["settings"]["wizard_complete"]


@pytest.fixture
def saved(app):
    """Let the app's files come into the page instead of onto a disk; -> function that takes the newest as text."""

    def catch() -> None:
        app.run(
            "window.saved = []; URL.createObjectURL = (blob) => { blob.text().then((text) => window.saved.push(text));"
            "return 'blob:none'; }; HTMLAnchorElement.prototype.click = () => {}"
        )

    def take() -> str:
        app.wait(lambda: app.run("return window.saved.length") > 0, "a file is made", CHARGE_SECONDS)
        return app.run("return window.saved.pop()")

    return catch, take


def test_a_backup_is_compared_and_restored_with_its_secrets(app, launch, saved, tmp_path):
    catch, take = saved
    box = launch()
    app.connect(box)
    app.go("backup")
    app.expert()
    catch()
    control(box, "settings", set={"connection_a": 35, "ocpp_url": "ws://example.org/x", "ocpp_password": "s3cret-word"})
    app.type("#backup-password", "short")
    app.click("#save-backup")
    app.wait_text("#backup-password-error", "From 8 to 64 characters.")
    app.type("#backup-password", "paper and ink")
    app.click("#save-backup")
    text = take()
    assert "s3cret-word" not in text, "a secret stands in the file in the clear"
    path = tmp_path / "backup.json"
    path.write_text(text)

    control(box, "settings", set={"connection_a": 25, "ocpp_password": ""})
    app.find("#restore-file").send_keys(str(path))
    app.type("#restore-password", "wrong password")
    app.click("#compare")
    app.wait_text("#restore-password-error", "The password is wrong.", CHARGE_SECONDS)
    app.type("#restore-password", "paper and ink")
    app.click("#compare")
    app.wait_there('[data-key="connection_a"]', CHARGE_SECONDS)
    assert app.text('[data-key="connection_a"]') == "Main fuse of the house2535"
    assert control(box, "settings")["settings"]["connection_a"] == 25, "a comparison changed something"
    app.picture("backup-compared")
    app.click("#restore")
    app.wait_there("#restored", CHARGE_SECONDS)
    settings = control(box, "settings")["settings"]
    assert settings["connection_a"] == 35 and settings["ocpp_password"], settings


def test_a_damaged_backup_is_refused_and_changes_nothing(app, launch, saved, tmp_path):
    catch, take = saved
    box = launch()
    app.connect(box)
    app.go("backup")
    app.expert()
    catch()
    app.click("#save-backup")
    path = tmp_path / "backup.json"
    path.write_text(take().replace('"connection_a": 25', '"connection_a": 63'))
    app.find("#restore-file").send_keys(str(path))
    app.click("#compare")
    app.wait_main("the file is damaged", CHARGE_SECONDS)
    assert not app.there("#restore")
    assert control(box, "settings")["settings"]["connection_a"] == 25


def test_the_report_holds_what_the_electrician_measured(app, launch, saved):
    catch, take = saved
    app.connect(launch())
    app.go("report")
    app.expert()
    catch()
    app.type("#check-by", "A. Electrician")
    app.type("#check-pe_mohm", "0,25")
    app.type("#check-insulation_kohm", "lots")
    app.click("#save-report")
    app.wait_text("#check-insulation_kohm-error", "A number is wanted here.")
    app.type("#check-insulation_kohm", "500")
    app.click("#save-report")
    report = json.loads(take())
    assert report["checks"]["by"] == "A. Electrician"
    assert report["checks"]["pe_mohm"]["value"] == 250
    assert report["checks"]["insulation_kohm"]["value"] == 500_000
    assert report["signature"]
    app.wait_main("The report was saved.")


def test_a_firmware_transfer_goes_on_after_a_cut(app, launch, tmp_path):
    box = launch()
    app.connect(box)
    app.go("update")
    app.expert()
    image = tmp_path / "firmware.bin"
    image.write_bytes(sealed(bytes(range(256)) * 800))
    app.find("#firmware-file").send_keys(str(image))
    app.run(
        "return import('/app/link.js').then(({link}) => { window.starts = []; const ask = link.request;"
        "link.request = async function (name, ...rest) { const answer = await ask.call(this, name, ...rest);"
        "if (name === 'put') window.starts.push(answer.offset); return answer; }; })"
    )
    app.click("#send-firmware")
    app.wait(lambda: app.run("return document.querySelector('main progress').value") > 15, "it is under way", 60)
    app.run("return import('/app/link.js').then(({link}) => link.client.transport.close())")
    app.wait(lambda: not app.run("return document.querySelector('#send-firmware[aria-busy]')"), "it has ended", 120)
    first, *others = app.run("return window.starts")
    assert first == 0 and others and min(others) > 4096, (first, others)
    app.wait_main("Firmware 9.0.0 was verified and written")
    # What is no firmware is refused as soon as its header has come.
    image.write_bytes(bytes(50_000))
    app.find("#firmware-file").send_keys(str(image))
    app.click("#send-firmware")
    app.wait_main("this is no firmware for a wallbox")
