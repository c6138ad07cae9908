// Frames of the installer's link (docs/installer-protocol.md): splits messages into frames and puts them together again.

const KIND_MESSAGE = 0;
const KIND_DATA = 1;
const KIND_BITS = 0x0f;
const FIRST = 0x10;
const LAST = 0x20;
const HEAD_BYTES = 2;
const DATA_HEAD_BYTES = 5;
// ATT_MTU that every Bluetooth LE device starts with (Core Specification 5.4, vol 3 part F 3.2.8), and what a write costs of it.
export const LEAST_MTU = 23;
const ATT_BYTES = 3;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** A frame that breaks the rules of the link; the connection cannot go on with it. */
export class FrameError extends Error {}

/** Makes the frames of one direction; `counter` goes on from frame to frame. */
export class FrameWriter {
  constructor(mtu = LEAST_MTU) {
    this.mtu = mtu;
    this.counter = 0;
  }

  /** Bytes of a transfer that fit into one frame. */
  get dataBytes() {
    return this.mtu - ATT_BYTES - HEAD_BYTES - DATA_HEAD_BYTES;
  }

  head(bits) {
    const head = [bits, this.counter];
    this.counter = (this.counter + 1) & 0xff;
    return head;
  }

  /** The frames of a message, an object that JSON can carry. */
  message(value) {
    const bytes = encoder.encode(JSON.stringify(value));
    const room = this.mtu - ATT_BYTES - HEAD_BYTES;
    const frames = [];
    for (let at = 0; at < bytes.length; at += room) {
      const piece = bytes.subarray(at, at + room);
      const bits = KIND_MESSAGE | (at === 0 ? FIRST : 0) | (at + room >= bytes.length ? LAST : 0);
      const frame = new Uint8Array(HEAD_BYTES + piece.length);
      frame.set(this.head(bits));
      frame.set(piece, HEAD_BYTES);
      frames.push(frame);
    }
    return frames;
  }

  /** One frame with a piece of a transfer, at most `dataBytes` long. */
  data(transfer, offset, bytes) {
    const frame = new Uint8Array(HEAD_BYTES + DATA_HEAD_BYTES + bytes.length);
    frame.set(this.head(KIND_DATA | FIRST | LAST));
    const view = new DataView(frame.buffer);
    view.setUint8(HEAD_BYTES, transfer);
    view.setUint32(HEAD_BYTES + 1, offset, true);
    frame.set(bytes, HEAD_BYTES + DATA_HEAD_BYTES);
    return frame;
  }
}

/** Puts the frames of the box together. */
export class FrameReader {
  constructor() {
    this.counter = 0;
    this.pieces = null;
  }

  /** -> {message}, {data: {transfer, offset, bytes}}, or null while a message is not complete; throws FrameError. */
  take(frame) {
    if (frame.length < HEAD_BYTES + 1) throw new FrameError(`a frame of ${frame.length} bytes`);
    if (frame[1] !== this.counter) throw new FrameError(`frame ${frame[1]} came in the place of ${this.counter}`);
    this.counter = (this.counter + 1) & 0xff;
    const kind = frame[0] & KIND_BITS;
    if (kind === KIND_DATA) return { data: this.dataOf(frame) };
    if (kind !== KIND_MESSAGE) throw new FrameError(`a frame of kind ${kind}`);
    return this.piece(frame);
  }

  dataOf(frame) {
    if (frame.length < HEAD_BYTES + DATA_HEAD_BYTES) throw new FrameError(`a data frame of ${frame.length} bytes`);
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    return { transfer: view.getUint8(HEAD_BYTES), offset: view.getUint32(HEAD_BYTES + 1, true), bytes: frame.slice(HEAD_BYTES + DATA_HEAD_BYTES) };
  }

  piece(frame) {
    if (frame[0] & FIRST) this.pieces = [];
    if (this.pieces === null) throw new FrameError("the middle of a message without its beginning");
    this.pieces.push(frame.slice(HEAD_BYTES));
    if (!(frame[0] & LAST)) return null;
    const bytes = joined(this.pieces);
    this.pieces = null;
    try {
      return { message: JSON.parse(decoder.decode(bytes)) };
    } catch (error) {
      throw new FrameError(`a message that is no JSON: ${error.message}`);
    }
  }
}

/** Several byte arrays as one. */
export function joined(pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
