"""Stands in for micropython-lib's aioble, in the parts that a peripheral uses; a test aid.

Like the original it swallows the cancellation of `advertise` and returns None, has no words for authenticated writes,
and ends a connection in a task of its own, a moment after the radio has told it.
"""

import asyncio

from bluetooth import (
    FLAG_NOTIFY,
    FLAG_READ,
    FLAG_WRITE,
    FLAG_WRITE_NO_RESPONSE,
    IRQ_CENTRAL_CONNECT,
    IRQ_CENTRAL_DISCONNECT,
)

from .core import ble, config, ensure_active, register_irq_handler

__all__ = ["BufferedCharacteristic", "Characteristic", "Service", "advertise", "config", "register_services"]

_connections = {}
_incoming = None
_came = None


class Connection:
    """One connection; its number goes when it has ended."""

    def __init__(self, handle):
        self._conn_handle = handle
        self._ended = asyncio.ThreadSafeFlag()

    def is_connected(self):
        """Whether it has not ended."""
        return self._conn_handle is not None

    async def clean_up(self):
        """Wait for its end."""
        await self._ended.wait()
        del _connections[self._conn_handle]
        self._conn_handle = None


def _irq(event, data):
    global _incoming
    if event == IRQ_CENTRAL_CONNECT:
        _incoming = _connections[data[0]] = Connection(data[0])
        _came.set()
    elif event == IRQ_CENTRAL_DISCONNECT and data[0] in _connections:
        _connections[data[0]]._ended.set()


register_irq_handler(_irq, None)


def _append(first, second, kind, value):
    """Into the advertisement, else into the scan response; ValueError when neither has room."""
    part = bytes((len(value) + 1, kind)) + (value.encode() if isinstance(value, str) else bytes(value))
    if len(first) + len(part) < 31:
        first.extend(part)
    elif len(second) + len(part) < 31:
        second.extend(part)
    else:
        raise ValueError("Advertising payload too long")


async def advertise(interval_us, name=None, services=()):
    """Advertise until a central is connected and return its connection."""
    global _incoming, _came
    ensure_active()
    first, second = bytearray(), bytearray()
    _append(first, second, 0x01, b"\x06")
    _append(first, second, 0x07, b"".join([bytes(uuid) for uuid in services]))
    _append(first, second, 0x09, name or "")
    _came = _came or asyncio.ThreadSafeFlag()
    ble.gap_advertise(interval_us, adv_data=first, resp_data=second, connectable=True)
    try:
        await _came.wait()
    except asyncio.CancelledError:
        ble.gap_advertise(None)
        return None
    found = _incoming
    _incoming = None
    asyncio.create_task(found.clean_up())
    return found


class Service:
    """A service and its characteristics."""

    def __init__(self, uuid):
        self.uuid = uuid
        self.characteristics = []


class Characteristic:
    """A characteristic; `flags` goes to the radio as it is when the service is registered."""

    def __init__(self, service, uuid, read=False, write=False, write_no_response=False, notify=False, initial=None):
        service.characteristics.append(self)
        self.uuid = uuid
        self.flags = read * FLAG_READ | write * FLAG_WRITE | write_no_response * FLAG_WRITE_NO_RESPONSE
        self.flags |= notify * FLAG_NOTIFY
        self._value_handle = None
        self._initial = initial

    def _register(self, handle):
        self._value_handle = handle
        if self._initial is not None:
            self.write(self._initial)

    def read(self):
        """Its value."""
        return ble.gatts_read(self._value_handle)

    def write(self, data):
        """Set its value."""
        ble.gatts_write(self._value_handle, data)

    def notify(self, connection, data=None):
        """Send it to a phone."""
        if not self.flags & FLAG_NOTIFY:
            raise ValueError("Not supported")
        ble.gatts_notify(connection._conn_handle, self._value_handle, data)


class BufferedCharacteristic(Characteristic):
    """A characteristic with room for `max_len` bytes."""

    def __init__(self, *arguments, max_len=20, **options):
        super().__init__(*arguments, **options)
        self._max_len = max_len

    def _register(self, handle):
        super()._register(handle)
        ble.gatts_set_buffer(handle, self._max_len)


def register_services(*services):
    """Register services in the radio."""
    ensure_active()
    rows = []
    for service in services:
        rows.append((service.uuid, tuple([(one.uuid, one.flags) for one in service.characteristics])))
    for service, handles in zip(services, ble.gatts_register_services(tuple(rows))):
        for characteristic, handle in zip(service.characteristics, handles):
            characteristic._register(handle)
