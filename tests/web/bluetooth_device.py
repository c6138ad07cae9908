"""A wallbox for Web Bluetooth: Chromium's emulated radio (DevTools, BluetoothEmulation) before the simulator."""

import asyncio
import base64
import json
import urllib.request
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

ADDRESS = "02:00:00:00:00:09"
UUID = "5e2a000%d-7c1b-4b64-9f0e-3d6c8a51e7f2"
SERVICE, INFO, REQUEST, RESPONSE = 1, 2, 3, 4
PROPERTIES = {INFO: {"read": True}, REQUEST: {"write": True, "writeWithoutResponse": True}, RESPONSE: {"notify": True}}
ANSWER_SECONDS = 10
# The emulation has no notifications. A read that is answered raises the same event in the page, so the page reads on
# and on what it has subscribed to, and each frame of the box answers one read.
NOTIFY_BY_READING = """
const start = BluetoothRemoteGATTCharacteristic.prototype.startNotifications;
BluetoothRemoteGATTCharacteristic.prototype.startNotifications = async function () {
  await start.call(this);
  (async () => { for (;;) await this.readValue(); })().catch((error) => console.info(error.message));
  return this;
};
"""


class Device:
    """The emulated radio of one browser, as a peripheral that is the box of one simulator."""

    def __init__(self, debugger: str, page_url: str, box_url: str, passkey: str):
        self._debugger = debugger
        self._page_url = page_url
        self._box_url = box_url
        self._passkey = passkey
        self._waiting: dict[int, asyncio.Future] = {}
        self._kinds: dict[str, int] = {}
        self._frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: set[asyncio.Task] = set()
        self._last = 0
        self._session: str | None = None
        self.writes = 0
        self.sizes: set[int] = set()

    async def run(self, ready: Any) -> None:
        """Be there until cancelled; `ready()` is called once the page may look for the box."""
        with urllib.request.urlopen(f"http://{self._debugger}/json/version") as answer:
            url = json.load(answer)["webSocketDebuggerUrl"]
        async with connect(url, max_size=None) as self._tools, connect(self._box_url) as self._box:
            self._keep(self._read_tools(self._tools))
            await self._box.send(json.dumps({"passkey": self._passkey}))
            assert json.loads(await self._box.recv())["paired"]
            self._keep(self._read_box(self._box))
            await self._appear()
            ready()
            try:
                await asyncio.Event().wait()
            finally:
                for task in self._tasks:
                    task.cancel()

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _appear(self) -> None:
        targets = (await self._tell("Target.getTargets"))["targetInfos"]
        page = next(one for one in targets if one["type"] == "page" and one["url"].startswith(self._page_url))
        attached = await self._tell("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self._tell("BluetoothEmulation.enable", state="powered-on", leSupported=True)
        await self._tell(
            "BluetoothEmulation.simulatePreconnectedPeripheral",
            address=ADDRESS,
            name="wallbox",
            manufacturerData=[],
            knownServiceUuids=[UUID % SERVICE],
        )
        await self._tell("DeviceAccess.enable")

    async def _tell(self, method: str, **parameters) -> dict[str, Any]:
        self._last += 1
        number = self._last
        heard = self._waiting[number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session and not method.startswith("BluetoothEmulation."):
            message["sessionId"] = self._session
        await self._tools.send(json.dumps(message))
        answer = await asyncio.wait_for(heard, ANSWER_SECONDS)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    async def _read_tools(self, tools: ClientConnection) -> None:
        async for text in tools:
            message = json.loads(text)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif message["method"] in self.EVENTS:
                self._keep(self.EVENTS[message["method"]](self, message["params"]))

    async def _read_box(self, box: ClientConnection) -> None:
        async for frame in box:
            assert isinstance(frame, bytes)
            self._frames.put_nowait(frame)

    async def _choose(self, prompt: dict[str, Any]) -> None:
        """What a person does in the browser's chooser; it is told of anew with each change of its list."""
        if prompt["devices"] and not self._kinds:
            self._kinds[""] = 0
            device = prompt["devices"][0]["id"]
            await self._tell("DeviceAccess.selectPrompt", id=prompt["id"], deviceId=device)

    async def _gatt(self, operation: dict[str, Any]) -> None:
        if operation["type"] == "discovery":
            added = await self._tell("BluetoothEmulation.addService", address=ADDRESS, serviceUuid=UUID % SERVICE)
            for kind, properties in PROPERTIES.items():
                made = await self._tell(
                    "BluetoothEmulation.addCharacteristic",
                    serviceId=added["serviceId"],
                    characteristicUuid=UUID % kind,
                    # Readable, for NOTIFY_BY_READING.
                    properties={**properties, "read": kind != REQUEST},
                )
                self._kinds[made["characteristicId"]] = kind
                if kind == RESPONSE:
                    await self._tell(
                        "BluetoothEmulation.addDescriptor",
                        characteristicId=made["characteristicId"],
                        descriptorUuid="00002902-0000-1000-8000-00805f9b34fb",
                    )
        await self._tell(
            "BluetoothEmulation.simulateGATTOperationResponse", address=ADDRESS, type=operation["type"], code=0
        )

    async def _characteristic(self, operation: dict[str, Any]) -> None:
        kind = self._kinds[operation["characteristicId"]]
        answer = {"characteristicId": operation["characteristicId"], "type": operation["type"], "code": 0}
        if operation["type"] == "read":
            data = b'{"protocol": 1, "product": "wallbox"}' if kind == INFO else await self._frames.get()
            answer["data"] = base64.b64encode(data).decode()
        elif operation["type"] == "write":
            frame = base64.b64decode(operation["data"])
            assert kind == REQUEST and operation["writeType"] == "write-with-response", operation
            self.writes += 1
            self.sizes.add(len(frame))
            await self._box.send(frame)
        await self._tell("BluetoothEmulation.simulateCharacteristicOperationResponse", **answer)

    EVENTS = {  # noqa: RUF012
        "DeviceAccess.deviceRequestPrompted": _choose,
        "BluetoothEmulation.gattOperationReceived": _gatt,
        "BluetoothEmulation.characteristicOperationReceived": _characteristic,
    }
