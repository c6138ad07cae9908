"""What files may show of settings and cards: never a secret, card numbers only to an expert (R31)."""

from wallbox.access.cards import masked


def settings(found) -> dict:
    """All settings; of secrets whether there is one, of a URL, which may carry a token, scheme and host."""
    shown = found.as_dict()
    shown["ocpp_url"] = host_of(shown["ocpp_url"])
    return shown


def host_of(url: str) -> str:
    """Scheme and host of a URL."""
    scheme, mark, rest = url.partition("://")
    return scheme + mark + rest.split("/", 1)[0].split("?", 1)[0]


def card(uid, role: str):
    """A card's number as `role` may see it; None stays None."""
    return uid if role == "expert" or not uid else masked(uid)


def status(app, role: str) -> dict:
    """The status as a file may show it to `role`."""
    found = app.status()
    backend = found["backend"]
    backend["url"] = host_of(backend["url"])
    cards = found["cards"]
    cards["setup"] = card(cards["setup"], role)
    cards["charging"] = [card(uid, role) for uid in cards["charging"]]
    for part in (found["session"], found["car_memory"]):
        if part and part["id_tag"]:
            part["id_tag"] = card(part["id_tag"], role)
    return found
