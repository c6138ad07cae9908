"""Gives the tests with a central system one of these, and wallboxes that belong to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bay import QUIET, Bay
from csms import BOX, SPEED, Csms

from simulator import Simulator


@pytest.fixture
def central(request: pytest.FixtureRequest) -> Iterator[Callable[..., Csms]]:
    """Return a function that starts a central system; all end with the test.

    A breach of the protocol that one has found fails the test, unless the test has looked at it and cleared the list.
    """
    started: list[Csms] = []

    def start(**options: Any) -> Csms:
        one = Csms(**{"speed": SPEED, **options})
        started.append(one)
        return one.start()

    yield start
    for one in started:
        one.stop()
        print(one.story())
    assert [text for one in started for text in one.violations] == []


@pytest.fixture
def csms(central: Callable[..., Csms]) -> Csms:
    """A central system that lets everybody in."""
    return central()


@pytest.fixture
def station(csms: Csms, simulator: Callable[..., Simulator]) -> Callable[..., Simulator]:
    """Return a function that starts a wallbox at `SPEED` which belongs to `csms`.

    `settings` are further ones; `ocpp` sets OCPP configuration keys beforehand. Other options are Simulator's; `url` is
    that of another central system, `name` the charge point's.
    """

    def start(
        settings: dict[str, Any] | None = None,
        ocpp: dict[str, Any] | None = None,
        url: str | None = None,
        name: str = BOX,
        **options: Any,
    ) -> Simulator:
        # A car that is plugged in early counts as one that was there when the supply came back, which charges later.
        wanted: dict[str, Any] = {"charge_point_id": name, "restart_delay_max_s": 0, **(settings or {})}
        if ocpp:
            wanted["ocpp"] = ocpp
        options = {"virtual": False, "speed": SPEED, "options": ("--ocpp", url or csms.url), **options}
        return simulator(settings=wanted, **options)

    return start


@pytest.fixture
def bay(csms: Csms, station: Callable[..., Simulator]) -> Callable[..., Bay]:
    """Return a function that starts a `QUIET` wallbox with access control which has told the central system its status.

    Its options are those of `station`.
    """

    def start(settings: dict[str, Any] | None = None, ocpp: dict[str, Any] | None = None, **options: Any) -> Bay:
        return Bay(csms, station({"access_control": True, **QUIET, **(settings or {})}, ocpp, **options))

    return start
