"""The installer's way over a real adapter, against stand-ins that have bleak's own signatures."""

import asyncio
import inspect
import json
from types import SimpleNamespace

import bleak
import pytest
from bleak.exc import BleakError
from contract_box import BoxLink, ContractBox

from installer.client import Client
from installer.errors import LinkLost, NoConnection, PairingRefused
from installer.transports import INFO, REQUEST, RESPONSE, SERVICE, ble

ADDRESS = "C0:FF:EE:00:00:01"


class World:
    """What is on the air and how it behaves."""

    def __init__(self):
        self.box = ContractBox()
        self.names = {ADDRESS: "Garage"}
        self.refuses: dict[str, Exception] = {}
        self.payload = 244
        self.options: list[dict] = []
        self.written: list[bytes] = []
        self.clients: list[StandInClient] = []


world: World


def check(real, *arguments, **keywords) -> dict:
    """The arguments by name; TypeError when bleak itself would not take them."""
    return inspect.signature(real).bind(*arguments, **keywords).arguments


class StandInClient:
    """Stands in for BleakClient."""

    def __init__(self, *arguments, **keywords):
        given = check(bleak.BleakClient.__init__, self, *arguments, **keywords)
        world.options.append(given)
        self._ended = given.get("disconnected_callback")
        self._link: BoxLink | None = None
        self._reading: asyncio.Task | None = None
        request = SimpleNamespace(uuid=REQUEST, max_write_without_response_size=world.payload)
        self.services = SimpleNamespace(get_characteristic={REQUEST: request}.get)
        world.clients.append(self)

    def _try(self, what: str) -> None:
        if what in world.refuses:
            raise world.refuses[what]

    async def connect(self, *arguments, **keywords) -> None:
        check(bleak.BleakClient.connect, self, *arguments, **keywords)
        self._try("connect")

    async def disconnect(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._link:
            await self._link.close()

    async def start_notify(self, *arguments, **keywords) -> None:
        given = check(bleak.BleakClient.start_notify, self, *arguments, **keywords)
        assert given["char_specifier"] == RESPONSE
        self._try("notify")
        self._link = await world.box.connect()
        self._reading = asyncio.create_task(self._read(given["callback"]))

    async def _read(self, callback) -> None:
        assert self._link
        try:
            while True:
                callback(SimpleNamespace(uuid=RESPONSE), bytearray(await self._link.receive()))
        except LinkLost:
            if self._ended:
                self._ended(self)

    async def write_gatt_char(self, *arguments, **keywords) -> None:
        given = check(bleak.BleakClient.write_gatt_char, self, *arguments, **keywords)
        assert given["char_specifier"] == REQUEST and given["response"] is True
        assert len(given["data"]) <= world.payload
        world.written.append(given["data"])
        self._try("write")
        assert self._link
        await self._link.send(given["data"])

    async def read_gatt_char(self, *arguments, **keywords) -> bytearray:
        given = check(bleak.BleakClient.read_gatt_char, self, *arguments, **keywords)
        assert given["char_specifier"] == INFO
        self._try("read")
        return bytearray(json.dumps({"serial": "W1", "commissioned": False}).encode())


class StandInScanner:
    """Stands in for BleakScanner; a neighbour's headphones are there too."""

    @staticmethod
    def _heard():
        for address, name in {**world.names, "00:00:00:00:00:09": "headphones"}.items():
            services = [] if name == "headphones" else [SERVICE]
            advertisement = SimpleNamespace(local_name=name, rssi=-60, service_uuids=services)
            yield SimpleNamespace(address=address, name=name), advertisement

    @classmethod
    async def discover(cls, *arguments, **keywords):
        given = check(bleak.BleakScanner.discover, *arguments, **keywords)
        if "scan" in world.refuses:
            raise world.refuses["scan"]
        assert given["return_adv"] is True and given["kwargs"]["service_uuids"] == [SERVICE]
        return {device.address: (device, seen) for device, seen in cls._heard() if SERVICE in seen.service_uuids}

    @classmethod
    async def find_device_by_filter(cls, *arguments, **keywords):
        given = check(bleak.BleakScanner.find_device_by_filter, *arguments, **keywords)
        if "scan" in world.refuses:
            raise world.refuses["scan"]
        return next((device for device, seen in cls._heard() if given["filterfunc"](device, seen)), None)


@pytest.fixture(autouse=True)
def air(monkeypatch):
    global world
    world = World()
    monkeypatch.setattr(ble.bleak, "BleakClient", StandInClient)
    monkeypatch.setattr(ble.bleak, "BleakScanner", StandInScanner)
    return world


# The real ones, before the fixture puts the stand-ins in their place.
bleak = SimpleNamespace(BleakClient=bleak.BleakClient, BleakScanner=bleak.BleakScanner)


def open_and(story=None, wanted: str = ""):
    async def run():
        async with asyncio.timeout(10), Client(ble.BleWay(wanted).open, pause_s=0.01, reconnect_s=1) as client:
            return await story(client) if story else client.hello

    return asyncio.run(run())


@pytest.mark.parametrize("wanted", ["", "Garage", "garage", ADDRESS, ADDRESS.lower()])
def test_a_wallbox_is_found_by_name_by_address_or_as_the_only_one(wanted):
    assert open_and(wanted=wanted)["serial"] == "W1"


def test_the_system_is_asked_to_pair_before_anything_is_written(air):
    open_and()
    assert [given.get("pair") for given in air.options] == [True]


def test_another_name_is_not_taken():
    with pytest.raises(NoConnection, match="no wallbox 'Cellar' advertises"):
        open_and(wanted="Cellar")


def test_headphones_are_no_wallbox(air):
    air.names.clear()
    with pytest.raises(NoConnection, match="no wallbox advertises"):
        open_and()


@pytest.mark.parametrize("payload", [20, 100, 182, 244])
def test_frames_fit_the_mtu_whatever_it_is(air, payload):
    air.payload = payload
    content = bytes(range(256)) * 60

    async def story(client):
        await client.upload("firmware", content)

    open_and(story)
    assert air.box.taken["firmware"][0] == content
    assert max(len(frame) for frame in air.written) == payload


def test_frames_never_exceed_what_the_wallbox_knows_of_the_mtu(air):
    air.payload = 509

    async def story(client):
        await client.upload("firmware", bytes(5000))

    open_and(story)
    assert max(len(frame) for frame in air.written[2:]) == 244


def test_a_connection_that_ends_is_opened_again(air):
    async def story(client):
        air.box.cut_out.add(air.box.frames_out + 1)
        return await client.request("why")

    assert open_and(story)["why"]["code"] == "no_car"
    assert len(air.clients) == 2


@pytest.mark.parametrize("step", ["connect", "notify"])
@pytest.mark.parametrize(
    "words", ["org.bluez.Error.AuthenticationFailed", "Encryption is insufficient", "Access Denied", "not paired"]
)
def test_a_refused_pairing_is_told_with_what_to_do(air, step, words):
    air.refuses[step] = BleakError(words)
    with pytest.raises(PairingRefused, match="in the system's Bluetooth settings with the passkey of the label"):
        open_and()


@pytest.mark.parametrize("error", [BleakError("Device not connected"), TimeoutError(), OSError("no adapter")])
@pytest.mark.parametrize("step", ["connect", "notify"])
def test_other_failures_are_no_connection(air, step, error):
    air.refuses[step] = error
    with pytest.raises(NoConnection):
        open_and()


def test_a_write_that_fails_is_a_lost_link(air):
    async def story(client):
        air.refuses["write"] = BleakError("gone")
        with pytest.raises(LinkLost, match="did not come back"):
            await client.request("why")

    open_and(story)


def test_a_scan_lists_wallboxes_with_their_info(air):
    air.names["C0:FF:EE:00:00:02"] = "Cellar"
    found = asyncio.run(ble.BleWay("").scan(1))
    assert [(box.address, box.name, box.rssi_dbm, box.info["serial"]) for box in found] == [
        (ADDRESS, "Garage", -60, "W1"),
        ("C0:FF:EE:00:00:02", "Cellar", -60, "W1"),
    ]


def test_a_busy_wallbox_is_listed_without_its_info(air):
    air.refuses["read"] = BleakError("busy")
    (found,) = asyncio.run(ble.BleWay("").scan(1))
    assert (found.name, found.info) == ("Garage", {})


@pytest.mark.parametrize("step", ["scan", "open"])
def test_a_computer_without_bluetooth_is_told_so(air, step):
    air.refuses["scan"] = BleakError("No Bluetooth adapters found.")
    with pytest.raises(NoConnection, match=r"this computer's Bluetooth cannot scan \(No Bluetooth adapters found\.\)"):
        asyncio.run(ble.BleWay("").scan(1)) if step == "scan" else open_and()
