// The simulator's link: a WebSocket on the page's own origin; a text message with the passkey stands in for pairing.

import { LEAST_MTU } from "./frames.js";

const OPEN_MS = 8_000;

/** The passkey was refused, or is locked; the message is the box's own text. */
export class PairingRefused extends Error {}

/** Where the simulator that serves this page listens. */
export function ownSocket() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/installer`;
}

/** Open and pair -> transport; PairingRefused for a wrong passkey, Error when nobody answers. */
export function openWebSocket(url, passkey) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const transport = {
      mtu: LEAST_MTU,
      onframe: () => {},
      onclose: () => {},
      send: async (frame) => socket.send(frame),
      close: () => socket.close(),
    };
    const timer = setTimeout(() => socket.close(), OPEN_MS);
    socket.onopen = () => socket.send(JSON.stringify({ passkey }));
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") {
        transport.onframe(new Uint8Array(data));
        return;
      }
      clearTimeout(timer);
      const answer = JSON.parse(data);
      if (answer.paired) {
        transport.mtu = answer.mtu;
        resolve(transport);
        return;
      }
      // With another code the wallbox is busy or starts, and may be asked again.
      reject(answer.code === "refused" ? new PairingRefused(answer.text) : new Error(answer.text));
      socket.close();
    };
    socket.onclose = () => {
      clearTimeout(timer);
      reject(new Error("closed"));
      transport.onclose();
    };
  });
}
