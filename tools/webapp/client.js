// Speaks with the box over a transport: requests with answers, events, and transfers that go on after a cut.

import { FrameError, FrameReader, FrameWriter, joined } from "./frames.js";

export const PROTOCOL = 1;
const ANSWER_MS = 15_000;
const READ_BYTES = 16_384;
const WINDOW_BYTES = 8_192;
// A message that the box dropped because a frame was lost is sent again so many times.
const RESENDS = 3;

/** The box refused a request: `code` and `field` are for programs, the message is the box's own text. */
export class BoxError extends Error {
  constructor({ code, field, text, wait_s: waitSeconds }) {
    super(text || code);
    this.code = code;
    this.field = field ?? null;
    this.waitSeconds = waitSeconds ?? null;
  }
}

/** The connection ended before the answer came. */
export class LinkLost extends Error {}

/** One connection. `transport` has mtu, send(frame) and close(), and calls onframe(bytes) and onclose(). */
export class Client {
  constructor(transport, { onEvent = () => {}, onClose = () => {} } = {}) {
    this.transport = transport;
    this.onEvent = onEvent;
    this.onClose = onClose;
    this.writer = new FrameWriter(transport.mtu);
    this.reader = new FrameReader();
    this.queue = Promise.resolve();
    this.sending = Promise.resolve();
    this.pending = null;
    this.lastId = 0;
    this.open = true;
    this.sinks = new Map();
    transport.onframe = (bytes) => this.receive(bytes);
    transport.onclose = () => this.lost();
  }

  /** How large frames may be from now on; the box tells it in the answer to `hello`. */
  setMtu(mtu) {
    this.writer.mtu = mtu;
  }

  /** One request after the other -> its answer; BoxError when the box refuses, LinkLost when the link is cut. */
  request(name, args = {}, timeoutMs = ANSWER_MS) {
    const turn = this.queue.then(() => this.exchange(name, args, timeoutMs));
    // Whoever asked hears of a refusal; for the next request it means only that its turn has come.
    this.queue = turn.then(() => null, () => null);
    return turn;
  }

  exchange(name, args, timeoutMs) {
    return new Promise((resolve, reject) => {
      if (!this.open) {
        reject(new LinkLost("not connected"));
        return;
      }
      this.lastId = (this.lastId + 1) & 0xffff;
      const message = { id: this.lastId, do: name, ...args };
      const timer = setTimeout(() => this.close(new LinkLost(`no answer to ${name}`)), timeoutMs);
      this.pending = { message, resolve, reject, timer, resends: 0 };
      this.send(this.writer.message(message));
    });
  }

  /** Send frames in their order; a transport that fails ends the connection. */
  send(frames) {
    this.sending = this.sending.then(async () => {
      for (const frame of frames) if (this.open) await this.transport.send(frame);
    }).catch((error) => this.close(new LinkLost(error.message)));
    return this.sending;
  }

  receive(bytes) {
    let found = null;
    try {
      found = this.reader.take(bytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.close(new LinkLost(error.message));
      return;
    }
    if (found?.data) this.sinks.get(found.data.transfer)?.(found.data);
    else if (found?.message) this.heard(found.message);
  }

  heard(message) {
    if (message.event === "frame_error") this.resend(message.expected);
    if (message.event) {
      this.onEvent(message);
      return;
    }
    const { pending } = this;
    if (!pending || message.id !== pending.message.id) return;
    this.pending = null;
    clearTimeout(pending.timer);
    if (message.ok) pending.resolve(message);
    else pending.reject(new BoxError(message.error ?? { code: "internal", text: "" }));
  }

  /** The box dropped a message: count on as it expects and send it again. */
  resend(expected) {
    this.writer.counter = expected;
    const { pending } = this;
    if (!pending) return;
    pending.resends += 1;
    if (pending.resends > RESENDS) this.close(new LinkLost("the box does not take our frames"));
    else this.send(this.writer.message(pending.message));
  }

  close(reason = new LinkLost("closed")) {
    if (!this.open) return;
    this.transport.close();
    this.lost(reason);
  }

  lost(reason = new LinkLost("the connection was cut")) {
    if (!this.open) return;
    this.open = false;
    const { pending } = this;
    this.pending = null;
    if (pending) {
      clearTimeout(pending.timer);
      pending.reject(reason);
    }
    this.onClose(reason);
  }
}

/**
 * Fetch a file, and go on after a cut. `link` has request(), client and up(), which waits for the connection.
 * `progress(bytes, size or null)`; `signal` of an AbortController ends it.
 */
export async function download(link, name, { args, progress = () => {}, signal } = {}) {
  const part = { pieces: [], offset: 0, etag: null };
  for (;;) {
    try {
      return await fetchRest(link, name, args, part, progress, signal);
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      await link.up(signal);
    }
  }
}

async function fetchRest(link, name, args, part, progress, signal) {
  const opening = { name, offset: part.offset, ...(args ? { arguments: args } : {}) };
  let opened = null;
  try {
    opened = await link.request("get", opening);
  } catch (error) {
    // What was begun may be gone or changed after a cut; from its beginning it can be had once more.
    if (!(error instanceof BoxError) || !part.offset) throw error;
    restart(part);
    opened = await link.request("get", { ...opening, offset: 0 });
  }
  if (part.offset && opened.etag !== part.etag) {
    await link.request("done", { transfer: opened.transfer, cancel: true });
    restart(part);
    opened = await link.request("get", { ...opening, offset: 0 });
  }
  part.etag = opened.etag;
  const { client } = link;
  client.sinks.set(opened.transfer, ({ offset, bytes }) => {
    if (offset !== part.offset) return;
    part.pieces.push(bytes);
    part.offset += bytes.length;
    progress(part.offset, opened.size);
  });
  try {
    for (let end = false; !end; ) {
      signal?.throwIfAborted();
      const answer = await link.request("read", { transfer: opened.transfer, offset: part.offset, count: READ_BYTES });
      end = answer.end && answer.offset === part.offset;
    }
  } finally {
    client.sinks.delete(opened.transfer);
    if (client.open) await client.request("done", { transfer: opened.transfer });
  }
  return joined(part.pieces);
}

function restart(part) {
  part.pieces = [];
  part.offset = 0;
}

/**
 * Send a file, and go on after a cut -> the answer of `done`. `done` holds further arguments of it.
 * The box takes or refuses the file there.
 */
export async function upload(link, name, bytes, { done = {}, progress = () => {}, signal } = {}) {
  const sha256 = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  for (;;) {
    try {
      const opened = await link.request("put", { name, size: bytes.length, sha256 });
      await sendRest(link, opened, bytes, progress, signal);
      return await link.request("done", { transfer: opened.transfer, ...done }, 60_000);
    } catch (error) {
      if (!(error instanceof LinkLost)) throw error;
      await link.up(signal);
    }
  }
}

async function sendRest(link, { transfer, offset: begin = 0 }, bytes, progress, signal) {
  const { client } = link;
  let stored = begin;
  let sent = begin;
  let wake = () => {};
  let failed = null;
  const forget = link.listen((message) => {
    if (message.event === "transfer_failed" && message.transfer === transfer) failed = new BoxError(message);
    else if (message.event === "received" && message.transfer === transfer) {
      // The same place again means that a frame was lost: from there everything is wanted once more.
      if (message.offset > sent || message.offset === stored) sent = message.offset;
      stored = message.offset;
    }
    // A frame was lost: what came after it was not taken either.
    else if (message.event === "frame_error") sent = stored;
    else if (message.event !== "link") return;
    wake();
  });
  progress(stored, bytes.length);
  try {
    while (stored < bytes.length) {
      if (failed) throw failed;
      if (!client.open) throw new LinkLost("the connection was cut");
      if (signal?.aborted) {
        await client.request("done", { transfer, cancel: true });
        signal.throwIfAborted();
      }
      if (sent < bytes.length && sent - stored < WINDOW_BYTES) {
        const piece = bytes.subarray(sent, Math.min(sent + client.writer.dataBytes, stored + WINDOW_BYTES));
        const frame = client.writer.data(transfer, sent, piece);
        sent += piece.length;
        await client.send([frame]);
      } else {
        await heardWithin((resolve) => (wake = resolve));
      }
      progress(stored, bytes.length);
    }
  } finally {
    forget();
  }
}

/** Wait for news of an upload; LinkLost when there are none for too long. */
function heardWithin(listen) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new LinkLost("the box takes nothing")), ANSWER_MS);
    listen(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Bytes as hexadecimal digits. */
export function hex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
