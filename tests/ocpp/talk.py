"""What several tests with a central system say and wait for."""

import time

from csms import SPEED, Csms, Gone


def is_of_connector_1(payload) -> bool:
    return payload["connectorId"] == 1


def registered(csms: Csms, count: int = 1) -> None:
    """Wait until the box has registered `count` times and then told the status of connector 1."""
    boot = csms.wait_for("BootNotification", count=count)
    csms.wait_for("StatusNotification", is_of_connector_1, since=csms.messages.index(boot))


def settled(csms: Csms) -> None:
    """Wait until the box has told all that it tells after its first start, and has read the answers."""
    registered(csms)
    csms.wait_for("SecurityEventNotification")
    csms.call("GetLocalListVersion")


def asked(csms: Csms, action: str, payload: dict | None = None, seconds: float = 10.0) -> dict:
    """The answer to a call, over the connection that is about to be made if there is none now."""
    end = time.monotonic() + seconds
    while True:
        try:
            return csms.call(action, payload)
        except Gone:
            if time.monotonic() >= end:
                raise
            time.sleep(0.01)


def sent(csms: Csms, since: int = 0) -> list[str]:
    """What boxes have called since, by name."""
    return [one.action for one in csms.messages[since:] if not one.out and one.kind == "call"]


def gaps(messages, speed: int = SPEED) -> list[float]:
    """The board's seconds between messages or handshakes."""
    return [(after.at - before.at) * speed for before, after in zip(messages, messages[1:], strict=False)]
