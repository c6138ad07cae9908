"""The installation wizard: steps, what they need, and what is kept (R6, R23)."""

from installer_bench import App, Desk, an_app
from storage_help import Log, cut_everywhere

from wallbox.installer.wizard import STEPS, Wizard

ELECTRICAL = {"rated_a": 16, "phases": 3, "connection_a": 25, "earthing": "TN"}


def steps(desk):
    return {step["name"]: step for step in desk.done("wizard")["wizard"]["steps"]}


def state(desk, name):
    return steps(desk)[name]["state"]


def an_expert(name):
    desk = Desk(an_app("wizard-" + name))
    desk.link.role = "expert"
    return desk


def complete(desk):
    desk.done("wizard", step="electrical", set=ELECTRICAL)
    desk.done("wizard", step="meter", set={"meter_model": "none"})
    for name in ("network", "backend", "cards"):
        desk.done("wizard", step=name, confirm=False)
    return desk.done("wizard", step="summary", confirm=True)["wizard"]


def test_a_new_box_has_all_steps_open_and_says_what_is_missing():
    desk = an_expert("new")
    wizard = desk.done("wizard")["wizard"]
    assert [step["name"] for step in wizard["steps"]] == list(STEPS)
    assert {step["state"] for step in wizard["steps"]} == {"open"}
    assert wizard["step"] == "electrical" and not wizard["complete"]
    assert steps(desk)["electrical"]["missing"] == ["rated_a", "phases", "connection_a", "earthing"]
    assert steps(desk)["meter"]["missing"] == ["meter_model"]


def test_a_step_is_done_when_nothing_is_missing_even_if_the_choice_is_the_default():
    desk = an_expert("default")
    desk.done("wizard", step="electrical", set={"rated_a": 16, "phases": 3, "connection_a": 25})
    assert steps(desk)["electrical"]["missing"] == ["earthing"]
    desk.done("wizard", step="electrical", set={"earthing": "TN"})
    assert state(desk, "electrical") == "done"


def test_a_step_takes_only_settings_that_belong_to_it():
    desk = an_expert("belongs")
    error = desk.refused("wizard", step="electrical", set={"rated_a": 16, "ocpp_url": "ws://x"})
    assert error["code"] == "bad_value" and error["field"] == "ocpp_url"
    assert not desk.app.settings.is_set("rated_a")
    error = desk.refused("wizard", step="summary", set={"wizard_complete": True})
    assert error["field"] == "wizard_complete"
    error = desk.refused("wizard", step="meter", set={"meter_modell": "none"})
    assert error["code"] == "bad_value" and "nearest: meter_model" in error["text"]


def test_what_a_step_sets_is_judged_as_settings_are():
    desk = an_expert("judged")
    error = desk.refused("wizard", step="electrical", set={"rated_a": 15})
    assert error["field"] == "rated_a" and "allowed: 0, 6" in error["text"]
    error = desk.refused("wizard", step="electrical", set={"rated_a": 32, "connection_a": 16})
    assert error["code"] == "bad_value"


def test_a_step_with_something_missing_cannot_be_confirmed():
    desk = an_expert("confirm")
    error = desk.refused("wizard", step="electrical", confirm=True)
    assert error["code"] == "not_now" and "rated_a" in error["missing"]
    error = desk.refused("wizard", step="electrical", confirm=False)
    assert error["code"] == "bad_value" and "cannot be skipped" in error["text"]


def test_a_backend_needs_a_charge_point_id_and_a_wifi_password_a_network():
    desk = an_expert("backend")
    desk.done("wizard", step="backend", set={"ocpp_url": "wss://host/ocpp"})
    assert steps(desk)["backend"]["missing"] == ["charge_point_id"]
    desk.done("wizard", step="backend", set={"charge_point_id": "CP1", "ocpp_password": "geheimnis"})
    assert state(desk, "backend") == "done"
    desk.done("wizard", step="network", set={"wifi_password": "geheimnis"})
    assert steps(desk)["network"]["missing"] == ["wifi_ssid"]


def test_access_control_needs_cards():
    desk = an_expert("cards")
    desk.done("wizard", step="cards", set={"access_control": True})
    assert steps(desk)["cards"]["missing"] == ["setup", "charging"]
    desk.app.cards.set_setup("04A1B2C3D4E5F6")
    desk.app.cards.add("DEADBEEF")
    desk.done("wizard", step="cards", confirm=True)
    assert state(desk, "cards") == "done"
    # The last card is gone: the step is open again.
    desk.app.cards.remove("DEADBEEF")
    assert steps(desk)["cards"] == {"name": "cards", "state": "open", "missing": ["charging"]}


def test_the_summary_needs_every_step_and_completes_the_wizard():
    desk = an_expert("summary")
    error = desk.refused("wizard", step="summary", confirm=True)
    assert error["missing"] == ["electrical", "meter", "network", "backend", "cards"]
    assert not desk.app.settings["wizard_complete"]
    wizard = complete(desk)
    assert wizard["complete"] and wizard["step"] == "test"
    assert desk.app.settings["wizard_complete"]


def test_only_an_expert_writes_and_everybody_reads():
    desk = Desk(an_app("wizard-roles"))
    for role in ("paired", "owner"):
        desk.link.role = role
        assert desk.done("wizard")["wizard"]["step"] == "electrical"
        assert desk.refused("wizard", step="meter", set={"meter_model": "none"})["field"] == "expert"
        assert desk.refused("wizard", step="network", confirm=False)["field"] == "expert"
    assert not desk.app.settings.is_set("meter_model")


def test_nobody_completes_the_wizard_by_a_setting():
    desk = an_expert("setting")
    desk.done("settings", set={"rated_a": 16})
    error = desk.refused("settings", set={"wizard_complete": True})
    assert error["code"] == "bad_value" and error["field"] == "wizard_complete"


def test_steps_are_kept_over_restarts():
    desk = an_expert("kept")
    desk.done("wizard", step="electrical", set=ELECTRICAL)
    desk.done("wizard", step="network", confirm=False)
    again = Desk(App(desk.app.folder))
    found = steps(again)
    assert found["electrical"]["state"] == "done" and found["network"]["state"] == "skipped"
    assert again.done("wizard")["wizard"]["step"] == "meter"


def test_a_skipped_step_can_be_taken_up_again():
    desk = an_expert("again")
    desk.done("wizard", step="network", confirm=False)
    desk.done("wizard", step="network")
    assert state(desk, "network") == "open"
    desk.done("wizard", step="network", set={"wifi_ssid": "home"})
    assert state(desk, "network") == "done"


def test_the_test_charge_is_done_by_a_minute_with_energy_after_the_summary():
    desk = an_expert("test")
    sessions = desk.app.store
    sessions.closed = [{"id": 4, "duration_s": 900, "energy_wh": 3000}]
    complete(desk)
    assert state(desk, "test") == "open", "a session from before the installation counts"
    for record in ({"id": 5, "duration_s": 59, "energy_wh": 9}, {"id": 5, "duration_s": 60, "energy_wh": 0}):
        sessions.closed = [record]
        assert state(desk, "test") == "open", record
    sessions.closed = [{"id": 5, "duration_s": 60, "energy_wh": 9}]
    assert state(desk, "test") == "done"
    assert desk.done("wizard")["wizard"]["step"] is None


def test_the_test_charge_may_be_left_out_with_no_car_there_and_not_with_one():
    desk = an_expert("no-car")
    complete(desk)
    desk.app.snapshot.car_connected = True
    assert desk.refused("wizard", step="test", confirm=True)["code"] == "not_now"
    desk.app.snapshot.car_connected = False
    desk.done("wizard", step="test", confirm=True)
    assert state(desk, "test") == "skipped"


def test_a_store_without_sense_is_a_new_wizard():
    app = an_app("wizard-damaged")
    Wizard(app)._store.save([1, 2])
    assert Wizard(app).status()["step"] == "electrical"


def test_a_power_cut_leaves_a_step_done_or_open():
    def prepare(folder):
        app = App(folder, Log())
        app.settings.update(ELECTRICAL)
        return Wizard(app)

    def run(_folder, wizard):
        wizard.mark("electrical", "done")
        wizard.mark("network", "skipped")

    def verify(folder, _wizard):
        found = Wizard(App(folder))
        states = found.state("electrical"), found.state("network")
        assert states in (("open", "open"), ("done", "open"), ("done", "skipped")), states

    assert cut_everywhere(prepare, run, verify) > 0
