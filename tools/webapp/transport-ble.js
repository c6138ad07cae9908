// The box's link over Web Bluetooth (Chrome, Edge); the operating system asks for the passkey when it pairs.

import { LEAST_MTU } from "./frames.js";

const SERVICE = "5e2a0001-7c1b-4b64-9f0e-3d6c8a51e7f2";
const INFO = "5e2a0002-7c1b-4b64-9f0e-3d6c8a51e7f2";
const REQUEST = "5e2a0003-7c1b-4b64-9f0e-3d6c8a51e7f2";
const RESPONSE = "5e2a0004-7c1b-4b64-9f0e-3d6c8a51e7f2";

/** Whether this browser can do it at all; Firefox and Safari cannot. */
export function canBluetooth() {
  return Boolean(navigator.bluetooth?.requestDevice);
}

/** Let a person choose a box; must be called from a click. Rejects with NotFoundError when none was chosen. */
export function chooseDevice() {
  return navigator.bluetooth.requestDevice({ filters: [{ services: [SERVICE] }] });
}

/** Connect to a chosen box and pair -> transport, with `info` as the box tells it before pairing. */
export async function openBluetooth(device) {
  const server = await device.gatt.connect();
  try {
    const service = await server.getPrimaryService(SERVICE);
    const info = await service.getCharacteristic(INFO);
    const request = await service.getCharacteristic(REQUEST);
    const response = await service.getCharacteristic(RESPONSE);
    const transport = {
      // Web Bluetooth does not tell the MTU; the box does in the answer to `hello`.
      mtu: LEAST_MTU,
      info: JSON.parse(new TextDecoder().decode(await info.readValue())),
      onframe: () => {},
      onclose: () => {},
      send: (frame) => request.writeValueWithResponse(frame),
      close: () => device.gatt.disconnect(),
    };
    response.addEventListener("characteristicvaluechanged", ({ target: { value } }) => {
      transport.onframe(new Uint8Array(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength)));
    });
    await response.startNotifications();
    device.addEventListener("gattserverdisconnected", () => transport.onclose(), { once: true });
    return transport;
  } catch (error) {
    device.gatt.disconnect();
    throw error;
  }
}
