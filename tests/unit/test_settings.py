"""Settings: all or nothing, a clear answer to bad input, and a start whatever is stored."""

from storage_help import MOUNT, Flash, Log, cut_everywhere, noise, scratch, write

from wallbox.energy.meters import MODELS
from wallbox.storage.settings import SCHEMA, SettingError, Settings, describe, group_of, is_secret, role_of
from wallbox.storage.store import Store

INSTALLED = {
    "wizard_complete": True,
    "rated_a": 32,
    "connection_a": 25,
    "meter_model": "pro380",
    "load_optimisation": True,
}


# Texts of a certain form: good ones, bad ones.
FORMS = {
    "lan_address": (
        "192.168.1.20/24 10.0.0.1/8 172.16.0.2/30 192.168.255.254/16 192.168.1.0/23",
        "x 192.168.1.20 192.168.1.20/ 192.168.1.20/31 192.168.1.20/7 192.168.1.0/24 192.168.1.255/24 0.0.0.0/8 "
        "192.168.1.256/24 192.168.1/24 192.168.1.20/24/24 1.2.3.4.5/24 -1.2.3.4/24 192.168.1.20/x",
    ),
    "lan_gateway": ("192.168.1.1 10.0.0.138", "x 0.0.0.0 192.168.1 192.168.1.1/24 256.1.1.1 1..2.3 1.2.3.0004"),
    "lan_dns": ("192.168.1.1 9.9.9.9", "x 0.0.0.0 192.168.1 dns.example 1.1.1.300"),
    "sim_pin_password": ("1234 00000000 12345", "123 123456789 12a4 -123"),
}


def settings(folder, log=None):
    log = log or Log()
    return Settings(Store(folder, "settings", 1, log), log)


def fresh(name):
    return settings(scratch("settings-" + name))


def found(name, stored):
    """Settings at a start with `stored` on flash, and the log."""
    folder = scratch("settings-" + name)
    Store(folder, "settings", 1, Log()).save(stored)
    log = Log()
    return settings(folder, log), log


def shown(values):
    """Settings as they may be shown: of secrets only whether there is one."""
    return {key: bool(value) if is_secret(key) else value for key, value in values.items()}


def refused(target, changes):
    """The text of the refusal; nothing may have changed."""
    before = target.as_dict()
    try:
        target.update(changes)
    except SettingError as error:
        assert target.as_dict() == before, "a refused change changed something"
        return str(error)
    raise AssertionError("accepted: %r" % (changes,))


def test_a_new_box_has_the_defaults_and_is_locked():
    target = fresh("defaults")
    assert target["wizard_complete"] is False
    assert target["rated_a"] == 0
    assert target.as_dict() == shown({row[0]: row[1] for row in SCHEMA})


def test_every_default_is_allowed():
    target = fresh("allowed")
    values = {row[0]: row[1] for row in SCHEMA}
    assert target.update(values) == ()
    assert target.as_dict() == shown(values)


def test_an_unknown_key_is_a_key_error():
    try:
        fresh("key")["rated"]
        raise AssertionError("an unknown key has a value")
    except KeyError:
        pass  # as a dict does


def test_a_password_of_a_link_that_is_set_again_is_told_since_somebody_wants_it_tried_again():
    log = Log()
    target = settings(scratch("settings-again"), log)
    target.update({"sim_pin_password": "1234", "wifi_password": "long enough", "ocpp_password": "another"})
    told = []
    target.listeners.append(told.append)
    for key, value in (("sim_pin_password", "1234"), ("wifi_password", "long enough")):
        assert target.update({key: value}) == (), "nothing has changed"
        assert told.pop() == (key,) and not told
        assert log.entries[-1][3] == "installer set " + key
    target.update({"ocpp_password": "another"})
    target.update({"sim_pin_password": "1234", "apn": "internet"})
    assert told == [("apn", "sim_pin_password")]
    target.update({"sim_pin_password": ""})
    target.update({"sim_pin_password": ""})
    assert told[1:] == [("sim_pin_password",)]


def test_a_change_is_kept_over_a_restart_and_told_to_listeners_and_log():
    folder = scratch("settings-change")
    log = Log()
    target = settings(folder, log)
    told = []
    target.listeners.append(told.append)
    assert target.update({"rated_a": 16, "name": "garage", "phases": 3}, "app") == ("rated_a", "name")
    assert told == [("rated_a", "name")]
    assert log.text() == "app set rated_a=16, name=garage", log.text()
    again = settings(folder)
    assert again["rated_a"] == 16 and again["name"] == "garage"


def test_setting_what_is_set_already_writes_nothing():
    with Flash() as flash:
        target = settings(MOUNT)
        target.update(INSTALLED)
        writes = flash.device.writes
        assert target.update(INSTALLED) == ()
        assert settings(MOUNT).update(INSTALLED) == ()
        assert flash.device.writes == writes


def limits(key, default, allowed):
    """Good and bad values of a setting."""
    if key == "ocpp_url":
        good = ["", "ws://box", "wss://host.example:443/ocpp/1"]
        bad = ["http://host", "wss://", "wss:///x", "wss://me:secret@host", "wss://a b", "ws://" + "x" * 260, 5]
        return good, bad
    if key == "wifi_password":
        return ["", "12345678", "x" * 63], ["1234567", "x" * 64, "12345678\n", 12345678]
    if key in FORMS:
        good, bad = FORMS[key]
        return [""] + good.split(), bad.split() + [7, None]
    if isinstance(allowed, int):
        return ["", "x", "x" * allowed], ["x" * (allowed + 1), "a\nb", "a\x00", "a\x7f", 5, None]
    if not allowed:
        return [False, True], [0, 1, "True", None, ""]
    good = [part for part in allowed if not isinstance(part, tuple)]
    bad = [None, "nonsense", 1 << 40, -1, 16.0, True, [], {}, allowed]
    for part in allowed:
        if isinstance(part, tuple):
            good += part
            bad += [part[0] - 1] if part[0] - 1 not in good else []
            bad += [part[1] + 1, str(part[0]), float(part[0])]
    return good, bad


def test_the_limits_of_every_setting_hold():
    for key, default, allowed, _unit, _group in SCHEMA:
        good, bad = limits(key, default, allowed)
        for value in bad:
            text = refused(fresh("limits"), {key: value})
            assert text.startswith(key + ": ") and describe(key) in text, text
        for value in good:
            target = fresh("limits")
            if key in ("load_optimisation", "solar_mode"):
                target.update({"meter_model": "pro380"})
            if key == "wizard_complete":
                target.update({"rated_a": 0})
            if key == "meter_model":
                target.update({"phases": MODELS.get(value, 3)})
            if key in ("rated_a", "fallback_a"):
                target.update({"connection_a": 125})
            if key == "connection_a":
                target.update({"fallback_a": 0})
            if key == "nominal_v":
                target.update({"phases": 1})
            target.update({key: value})
            assert target[key] == value


def test_a_refusal_names_field_value_and_what_is_allowed():
    text = refused(fresh("words"), {"rated_a": 15})
    assert text == "rated_a: 15 is not allowed; allowed: 0, 6, 10, 12, 16, 20, 24, 32 A", text
    text = refused(fresh("words"), {"meter_timeout_s": 99})
    assert text == "meter_timeout_s: 99 is not allowed; allowed: 2..10 s", text
    text = refused(fresh("words"), {"name": "y" * 5000})
    assert len(text) < 200, text


def test_a_refusal_lists_every_bad_field_and_changes_none():
    target = fresh("several")
    text = refused(target, {"rated_a": 15, "phases": 2, "name": "good", "pe_mode": "on"})
    for key in ("rated_a", "phases", "pe_mode"):
        assert key + ": " in text, text
    assert "name" not in text and target["name"] == "wallbox"


def test_a_gateway_belongs_to_the_network_of_the_address():
    for gateway in ("192.168.2.1", "192.168.1.20", "10.0.0.1"):
        text = refused(fresh("gateway"), {"lan_address": "192.168.1.20/24", "lan_gateway": gateway})
        assert text.startswith("lan_gateway: '%s' is not allowed" % gateway), text
    target = fresh("gateway")
    target.update({"lan_address": "192.168.1.20/24", "lan_gateway": "192.168.1.254"})
    assert "lan_gateway" in refused(target, {"lan_address": "192.168.3.20/24"})
    target.update({"lan_address": "192.168.3.20/24", "lan_gateway": ""})
    target.update({"lan_address": "", "lan_gateway": "10.0.0.1"})


def test_an_unknown_key_is_refused_with_the_nearest_one():
    for wrong, nearest in (("rated_amps", "rated_a"), ("Phases", "phases"), ("metre_baud", "meter_baud"), ("", "apn")):
        text = refused(fresh("unknown"), {wrong: 1})
        assert text == "'%s': unknown setting; nearest: %s" % (wrong, nearest), text


def test_what_is_no_object_is_refused():
    for changes in (None, 5, "rated_a", [], ["rated_a"], True):
        assert refused(fresh("object"), changes).startswith("settings: ")


def test_the_fallback_current_must_fit_the_connection():
    target = fresh("fallback")
    assert "connection_a 16" in refused(target, {"connection_a": 16, "fallback_a": 20})
    target.update({"connection_a": 6, "fallback_a": 6})
    target.update({"fallback_a": 0})


def test_the_rated_current_must_fit_the_connection_unless_load_is_optimised():
    target = fresh("rated")
    assert "connection_a 25" in refused(target, {"rated_a": 32})
    target.update({"rated_a": 24})
    assert "connection_a 20" in refused(target, {"connection_a": 20})
    target.update({"rated_a": 32, "load_optimisation": True, "meter_model": "pro380"})


def test_load_optimisation_needs_a_meter_and_stays_on():
    target = fresh("load")
    assert "meter_model" in refused(target, {"load_optimisation": True})
    target.update({"load_optimisation": True, "meter_model": "pro380"})
    assert "factory reset" in refused(target, {"load_optimisation": False})
    assert "factory reset" in refused(target, {"load_optimisation": False, "meter_model": "none"})
    assert "meter_model" in refused(target, {"meter_model": "none"})


def test_the_wizard_is_complete_only_with_a_rated_current_set_by_hand():
    target = fresh("wizard")
    assert "rated_a" in refused(target, {"wizard_complete": True})
    target.update({"wizard_complete": True, "rated_a": 0})
    folder = scratch("settings-wizard")
    settings(folder).update({"rated_a": 0})
    settings(folder).update({"wizard_complete": True})
    assert settings(folder)["wizard_complete"] is True


def test_a_three_phase_net_has_a_voltage_the_hardware_is_made_for():
    target = fresh("volts")
    assert "nominal_v" in refused(target, {"nominal_v": 120})
    target.update({"nominal_v": 120, "phases": 1})
    assert "nominal_v" in refused(target, {"phases": 3})
    target.update({"phases": 3, "earthing": "IT"})


def test_a_backend_address_does_not_reach_the_log():
    log = Log()
    settings(scratch("settings-secret"), log).update({"ocpp_url": "wss://host/token-4711"})
    assert "ocpp_url" in log.text() and "4711" not in log.text()


def test_a_damaged_value_costs_that_setting_alone():
    stored = dict(INSTALLED)
    for key, bad in (("led_brightness_percent", 400), ("name", 7), ("meter_baud", "fast"), ("nominal_hz", None)):
        stored[key] = bad
        target, log = found("damaged", stored)
        assert target[key] == [row[1] for row in SCHEMA if row[0] == key][0]
        assert all(target[other] == INSTALLED[other] for other in INSTALLED)
        assert log.codes() == ["settings_lost"] and key in log.text(), log.entries
        del stored[key]


def test_a_lost_electrical_setting_locks_charging_until_the_wizard_is_done_again():
    for key, bad in (("connection_a", 3), ("load_optimisation", "yes"), ("rated_a", 13), ("pe_mode", 1)):
        stored = dict(INSTALLED)
        stored[key] = bad
        target, log = found("electrical", stored)
        assert target["wizard_complete"] is False, key
        assert key in log.text() and "wizard_reopened" in log.codes(), log.entries
        target.update(INSTALLED)
        assert target["wizard_complete"] is True


def test_stored_settings_that_do_not_fit_together_lock_charging():
    stored = dict(INSTALLED)
    stored["fallback_a"] = 32
    target, log = found("conflict", stored)
    assert target["wizard_complete"] is False and target["load_optimisation"] is True
    assert log.codes() == ["settings_conflict", "wizard_reopened"], log.entries


def test_unknown_stored_keys_are_left_out_and_logged():
    stored = dict(INSTALLED)
    stored["of_the_future"] = 1
    target, log = found("future", stored)
    assert target["wizard_complete"] is True
    assert "of_the_future" not in target.as_dict() and "of_the_future" in log.text()


def test_stored_values_of_any_shape_never_stop_the_start():
    for stored in (5, "text", [1, 2], True, None, 1.5, {"": ""}, {"rated_a": {"rated_a": []}}, [[]] * 100):
        target, log = found("shape", stored)
        assert target["wizard_complete"] is False
        assert log.codes() or stored is None, stored
        for key in target.as_dict():
            target, log = found("shape", {key: stored})
            assert target["wizard_complete"] is False or (key, stored) == ("wizard_complete", True)


def test_random_bytes_never_stop_the_start():
    folder = scratch("settings-noise")
    for seed in range(30):
        write(folder + "/settings.0", noise(seed * 30, seed))
        write(folder + "/settings.1", noise(seed * 30, seed + 99))
        log = Log()
        target = settings(folder, log)
        assert target["rated_a"] == 0 and "value_lost" in log.codes()
        target.update({"rated_a": 16})
        assert settings(folder)["rated_a"] == 16


def test_a_flash_that_refuses_changes_nothing_and_says_so():
    with Flash() as flash:
        log = Log()
        target = settings(MOUNT, log)
        target.update({"rated_a": 16})
        flash.device.fails = True
        assert "flash refused" in refused(target, {"rated_a": 10})
        flash.device.fails = False
        assert "flash_refused" in log.codes()
        assert settings(MOUNT)["rated_a"] == 16
        target.update({"rated_a": 10})
        assert settings(MOUNT)["rated_a"] == 10


def test_a_power_cut_at_any_write_leaves_the_old_or_the_new_settings_whole():
    steps = [
        {"rated_a": 16, "phases": 1},
        {"name": "garage", "led_brightness_percent": 20, "ocpp_url": "wss://host/" + "x" * 200},
        {"rated_a": 32, "meter_model": "pro2", "load_optimisation": True, "wizard_complete": True},
        {"ocpp_url": "", "name": "wallbox", "led_brightness_percent": 100},
    ]

    def prepare(folder):
        target = settings(folder)
        target.update({"connection_a": 40})
        return {"old": target.as_dict(), "new": target.as_dict()}

    def run(folder, state):
        target = settings(folder)
        for step in steps * 2:
            changes = dict(step)
            if target["load_optimisation"]:
                changes["access_control"] = not target["access_control"]
            state["new"] = dict(state["old"])
            state["new"].update(changes)
            target.update(changes)
            state["old"] = state["new"]

    def check(folder, state):
        log = Log()
        target = settings(folder, log)
        assert target.as_dict() in (state["old"], state["new"]), target.as_dict()
        assert "value_lost" not in log.codes()
        target.update({"rated_a": 10})
        assert settings(folder)["rated_a"] == 10

    cuts = cut_everywhere(prepare, run, check)
    assert cuts > 35, cuts


def test_a_meter_must_measure_as_many_phases_as_the_installation_has():
    target = fresh("phases")
    text = refused(target, {"meter_model": "b21"})
    assert text.startswith("meter_model: 'b21' is not allowed; allowed: a meter for 3 phases") and "measures 1" in text
    target.update({"phases": 1, "meter_model": "b21"})
    assert "measures 1" in refused(target, {"phases": 3})
    assert "measures 3" in refused(target, {"meter_model": "pro380"})


def test_a_secret_is_told_neither_in_answers_nor_in_the_log_nor_in_a_refusal():
    folder = scratch("settings-secrets")
    log = Log()
    target = settings(folder, log)
    changes = {"wifi_password": "geheimnis", "ocpp_password": "geheimnis", "apn_password": "geheimnis"}
    assert sorted(target.update(changes)) == sorted(changes)
    assert target["wifi_password"] == "geheimnis"
    assert [target.as_dict()[key] for key in changes] == [True, True, True]
    assert "geheim" not in log.text() and "wifi_password" in log.text()
    assert "geheim" not in refused(target, {"wifi_password": "geheim"})


def test_a_lost_secret_is_not_told_in_the_log():
    _, log = found("secret-lost", {"wifi_password": "geheim", "ocpp_url": "token"})
    assert "wifi_password" in log.text() and "geheim" not in log.text() and "token" not in log.text()


def test_every_setting_has_a_group_and_only_what_harms_nobody_is_the_owners():
    groups = {row[0]: group_of(row[0]) for row in SCHEMA}
    assert set(groups.values()) == {"wizard", "electrical", "solar", "access", "general", "meter", "network", "backend"}
    owners = {key for key in groups if role_of(key) == "owner"}
    assert owners == {key for key, group in groups.items() if group in ("solar", "access", "general")}


def test_judging_changes_nothing():
    target = fresh("judge")
    assert target.judge({"rated_a": 16, "name": "wallbox"}) == ("rated_a",)
    assert target["rated_a"] == 0 and not target.is_set("name")
    try:
        target.judge({"rated_a": 15})
        raise AssertionError("accepted")
    except SettingError as error:
        assert str(error).startswith("rated_a: 15")
