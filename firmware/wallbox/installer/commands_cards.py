"""Commands for cards: the list, one card, registration, the setup card (R17, R18)."""

from wallbox.access.cards import masked, parse_uid
from wallbox.installer import errors


def _uid(arguments) -> str:
    try:
        return parse_uid(arguments.get("uid"))
    except ValueError as error:
        raise errors.CommandError("bad_value", "uid: " + str(error), "uid")


def _card_of(cards, uid: str) -> dict:
    return {"uid": uid, "name": cards.names.get(uid, ""), "blocked": uid in cards.blocked}


def _cards(link, _arguments):
    cards = link.app.cards
    access = link.app.access
    return {
        "setup": cards.setup,
        "charging": [_card_of(cards, uid) for uid in cards.charging],
        "registration": access.registration,
        "awaits_setup": access.awaits_setup_card(),
        "last_unknown": access.last_unknown,
    }


def _add(link, uid: str) -> None:
    result = link.app.cards.add(uid)
    if result in ("added", "known"):
        if link.app.access.last_unknown == uid:
            link.app.access.last_unknown = None
        return
    texts = {
        "full": "the list is full",
        "setup": "the setup card cannot be a charging card",
        "random": "its number changes at every touch, as with phones and bank cards",
    }
    raise errors.CommandError("bad_value", "uid: not registered: " + texts[result], "uid")


def _card(link, arguments):
    cards = link.app.cards
    uid = _uid(arguments)
    if errors.flag(arguments, "delete", False):
        if not cards.remove(uid):
            errors.refuse("uid", masked(uid), "a charging card of the list")
        return {"card": None}
    name = arguments.get("name")
    blocked = errors.flag(arguments, "blocked", False) if "blocked" in arguments else None
    if errors.flag(arguments, "add", False):
        _add(link, uid)
    elif uid not in cards.charging:
        errors.refuse("uid", masked(uid), "a charging card of the list, or add true")
    try:
        cards.edit(uid, name, blocked)
    except ValueError as error:
        raise errors.CommandError("bad_value", str(error), "name")
    session = link.app.session
    if blocked and session.waiting and session.id_tag == uid:
        # What it has permitted and nobody has used yet.
        session.stop("card")
    return {"card": _card_of(cards, uid)}


def _register(link, arguments):
    access = link.app.access
    errors.now_or_never(access.register, errors.flag(arguments, "on"))
    return {"registration": access.registration}


def _setup_card(link, arguments):
    app = link.app
    if errors.flag(arguments, "next", False):
        app.access.await_setup_card()
    else:
        uid = _uid(arguments)
        try:
            app.cards.set_setup(uid)
        except ValueError as error:
            raise errors.CommandError("bad_value", "uid: " + str(error), "uid")
    return {"setup": app.cards.setup, "awaits_setup": app.access.awaits_setup_card()}


COMMANDS = {
    "cards": ("owner", _cards),
    "card": ("owner", _card),
    "register": ("owner", _register),
    "setup_card": ("expert", _setup_card),
}
