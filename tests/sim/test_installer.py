"""The installer's link over the simulated radio: connection, pairing, roles."""

import pytest

from installer_client import InstallerClient, Refused


@pytest.fixture
def app(simulator):
    client = InstallerClient(simulator())
    client.box.advance(5)
    assert client.connect()
    return client


def refused(app, do, **arguments):
    """The error of a request that must be refused."""
    with pytest.raises(Refused) as caught:
        app.ask(do, **arguments)
    return caught.value.error


def test_hello_tells_who_is_there(app):
    hello = app.ask("hello")
    assert hello["serial"] == app.label()["info"]["serial"]
    assert hello["protocol"] == 1 and hello["role"] == "paired" and hello["mtu"] == 247
    assert hello["commissioned"] and not hello["app_password_set"] and not hello["expert_password_changed"]


def test_a_paired_app_may_look_but_not_touch(app):
    assert app.ask("status")["status"]["pilot"]["state"] == "A1"
    assert app.ask("why")["why"]["code"] == "no_car"
    error = refused(app, "settings", set={"name": "garage"})
    assert error["code"] == "not_allowed" and error["field"] == "owner"


def test_an_owner_may_rename_the_box_and_an_expert_set_its_current(app):
    app.login("owner")
    assert app.ask("settings", set={"name": "garage"})["changed"] == ["name"]
    assert app.label()["name"] == "garage"
    error = refused(app, "settings", set={"rated_a": 16})
    assert error["code"] == "not_allowed" and error["field"] == "expert"
    app.login("expert")
    assert app.ask("settings", set={"rated_a": 16})["settings"]["rated_a"] == 16


def test_a_role_ends_with_the_connection(app):
    app.login("expert")
    app.disconnect()
    app.box.advance(1)
    assert app.connect_bonded()
    assert app.ask("hello")["role"] == "paired"
