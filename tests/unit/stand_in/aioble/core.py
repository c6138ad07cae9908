"""Stands in for aioble.core: one radio, and whoever wants its events, first come first asked."""

import bluetooth

handlers = []


def register_irq_handler(irq, shutdown):
    """Have events told too; the first answer that is not None counts."""
    del shutdown
    handlers.append(irq)


def ensure_active():
    """Switch the radio on, with the bonds of the store."""
    if not ble.active():
        from .security import load_secrets

        load_secrets()
        ble.active(True)


def config(*names, **values):
    """Read or set what the radio's config has."""
    ensure_active()
    return ble.config(*names, **values)


def _dispatch(event, data):
    for handler in handlers:
        answer = handler(event, data)
        if answer is not None:
            return answer
    return None


ble = bluetooth.BLE()
ble.irq(_dispatch)
