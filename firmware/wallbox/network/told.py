"""What is told of the links, in the log, in the status and to whoever wants to connect; loaded for one use."""

_WORDS = {"lan": "Ethernet", "wlan": "Wi-Fi", "modem": "4G"}
_STATES = {
    "off": "is off",
    "no_cable": "has no cable",
    "no_network": "finds no network",
    "no_modem": "does not answer",
    "connecting": "connects",
    "wrong_password": "is refused: the password is wrong",
    "wrong_pin": "is refused: the PIN of the SIM card is wrong or missing, or has one try left",
    "no_address": "is given no address",
    "broken": "is defective",
    "up": "is up",
}


def _words(way, state: str) -> str:
    return "%s %s" % (_WORDS[way.name], _STATES.get(state, state))


def error_text(error) -> str:
    """What an OSError says, without its number where there are words."""
    return str(error.args[-1]) if error.args else repr(error)


def why(manager) -> str:
    """Why there is no network."""
    ways = [manager.ways[name] for name in manager.app.settings["network_order"].split() if manager.wanted(name)]
    return "there is no network: %s" % (", ".join([_words(way, way.state) for way in ways]) or "no link is set up")


def status(manager) -> dict:
    """See `Manager.status`."""
    links = {}
    for way in manager.ways.values():
        link = way.link
        links[way.name] = {
            "state": way.state,
            "address": link.address() if way.up else "",
            "signal_dbm": link.signal_dbm() if way.up else None,
            "doubted": way.doubted(manager.now()),
        }
    current = manager.current
    return {
        "link": None if current is None else current.name,
        "since_s": manager.since_s,
        "reason": "" if current else why(manager),
        "time_told": manager.time_told,
        "links": links,
    }


def state(manager, way) -> None:
    """A link is in another state."""
    text = _words(way, way.state) + (": %s" % way.link.address() if way.up else "")
    manager.log.add("info" if way.up or way.state == "no_cable" else "warning", "network", way.state, text)


def used(manager, way, lost: bool, reason: str) -> None:
    """A link is used from now on, or is not any more."""
    if lost:
        manager.log.add("warning", "network", "no_link", "there is no network: " + _words(way, reason))
    else:
        text = "the network is reached over %s: %s" % (_WORDS[way.name], reason.replace("is up", _words(way, "up"), 1))
        manager.log.add("info", "network", "link", text)


def nowhere(manager, way, seconds: int) -> None:
    """Over a link nobody was reached for so long."""
    what = "the central system" if manager.app.settings["ocpp_url"] else "a time server"
    text = "%s is up, but %s was not reached over it for %d s" % (_WORDS[way.name], what, seconds)
    manager.log.add("warning", "network", "leads_nowhere", text)


def untrue(manager, way, reason: str) -> None:
    """A link that was tried leads nowhere."""
    text = "%s is up, but leads nowhere: %s" % (_WORDS[way.name], reason)
    manager.log.add("warning", "network", "leads_nowhere", text)


def not_started(manager, way, error) -> None:
    """The hardware of a link refuses."""
    text = "%s cannot be started: %s" % (_WORDS[way.name], error_text(error))
    manager.log.add("error", "network", "not_started", text)
