// Frames and client of the installer's app, on Node: recorded frames, lost frames, transfers that go on after a cut.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BoxError, Client, LinkLost, download, upload } from "../../tools/webapp/client.js";
import { parseCsv } from "../../tools/webapp/csv.js";
import { FrameError, FrameReader, FrameWriter } from "../../tools/webapp/frames.js";

const bytes = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
// As tools/installer/frames.py cuts it for an MTU of 23; then one frame of a transfer.
const HELLO = ["10007b226964223a312c22646f223a2268656c6c", "20016f227d"];
const DATA = "310003000100006869";

test("a message is cut into the recorded frames", () => {
  const frames = new FrameWriter(23).message({ id: 1, do: "hello" });
  assert.deepEqual(frames.map((frame) => Buffer.from(frame).toString("hex")), HELLO);
});

/** The rule of the document, worked out anew: 18 bytes a frame, flags and counter in front. */
function expected(text) {
  const all = Buffer.from(text);
  const found = [];
  for (let at = 0; at < all.length; at += 18) {
    const flags = (at === 0 ? 0x10 : 0) | (at + 18 >= all.length ? 0x20 : 0);
    found.push(Buffer.concat([Buffer.from([flags, found.length]), all.subarray(at, at + 18)]).toString("hex"));
  }
  return found;
}

test("recorded frames are put together, byte for byte in UTF-8", () => {
  const reader = new FrameReader();
  const text = '{"text":"Störung – é"}';
  const frames = expected(text).map(bytes);
  assert.equal(frames.length > 1, true);
  const results = frames.map((frame) => reader.take(frame));
  assert.deepEqual(results.at(-1), { message: { text: "Störung – é" } });
  assert.equal(results.slice(0, -1).every((one) => one === null), true);
});

test("a data frame carries transfer, offset and bytes", () => {
  const { data } = new FrameReader().take(bytes(DATA));
  assert.equal(data.transfer, 3);
  assert.equal(data.offset, 256);
  assert.equal(Buffer.from(data.bytes).toString(), "hi");
  const writer = new FrameWriter(247);
  assert.equal(Buffer.from(writer.data(3, 256, Buffer.from("hi"))).toString("hex"), DATA);
  assert.equal(writer.dataBytes, 237);
});

test("the counter goes round after 255", () => {
  const writer = new FrameWriter(247);
  const reader = new FrameReader();
  for (let i = 0; i < 300; i += 1) assert.deepEqual(reader.take(writer.message({ i })[0]), { message: { i } });
});

test("frames out of order, cut short, of an unknown kind or without a beginning are refused", () => {
  for (const wrong of ["3005aabb", "30", "3200aa", "0000aa", "310001"]) assert.throws(() => new FrameReader().take(bytes(wrong)), FrameError, wrong);
});

/** A box in memory: `answer(message)` gives the answers; `cutAfter` frames of data the connection breaks. */
class Box {
  constructor(answer) {
    this.answer = answer;
    this.reader = new FrameReader();
    this.writer = new FrameWriter(247);
    this.mtu = 247;
    this.drop = 0;
    this.heard = [];
    this.data = [];
  }

  async send(frame) {
    if (this.drop > 0) {
      this.drop -= 1;
      // The box saw a frame that was damaged, and waits for the same counter still.
      this.tell({ event: "frame_error", expected: this.reader.counter, text: "" });
      return;
    }
    const found = this.reader.take(frame);
    if (found?.data) this.data.push(found.data);
    if (found?.data) this.took?.(found.data);
    if (!found?.message) return;
    this.heard.push(found.message);
    const answer = await this.answer(found.message, this);
    if (answer) this.tell({ id: found.message.id, ...answer });
  }

  tell(message) {
    for (const frame of this.writer.message(message)) this.onframe(frame);
  }

  close() {}
}

test("requests are answered in their order, and a refusal tells code, field and text", async () => {
  const box = new Box(({ do: name }) => (name === "bad" ? { ok: false, error: { code: "bad_value", field: "x", text: "x: no" } } : { ok: true, name }));
  const client = new Client(box);
  const [first, second] = await Promise.all([client.request("one"), client.request("two")]);
  assert.deepEqual([first.name, second.name], ["one", "two"]);
  await assert.rejects(client.request("bad"), (error) => error instanceof BoxError && error.code === "bad_value" && error.field === "x");
  assert.equal((await client.request("three")).name, "three");
});

test("a message that the box dropped is sent again", async () => {
  const box = new Box(() => ({ ok: true }));
  const client = new Client(box);
  box.drop = 1;
  assert.equal((await client.request("hello")).ok, true);
  assert.equal(box.heard.length, 1);
});

test("a box that takes no frame at all ends the connection", async () => {
  const box = new Box(() => ({ ok: true }));
  const client = new Client(box);
  box.drop = 50;
  await assert.rejects(client.request("hello"), LinkLost);
});

test("a cut rejects the request that is under way, and events come at any time", async () => {
  const events = [];
  const box = new Box(() => null);
  const client = new Client(box, { onEvent: (event) => events.push(event.event) });
  const waiting = client.request("hello");
  await new Promise((resolve) => setImmediate(resolve));
  box.tell({ event: "live" });
  box.onclose();
  await assert.rejects(waiting, LinkLost);
  assert.deepEqual(events, ["live"]);
});

/** The app's link over such boxes: each cut is followed by a new connection. */
function linkOf(makeBox) {
  const listeners = new Set();
  const link = {
    boxes: [],
    connect() {
      const box = makeBox(this.boxes.length);
      this.boxes.push(box);
      this.client = new Client(box, { onEvent: (message) => listeners.forEach((one) => one(message)), onClose: () => listeners.forEach((one) => one({ event: "link" })) });
    },
    request(...args) {
      return this.client.request(...args);
    },
    async up() {
      this.connect();
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  link.connect();
  return link;
}

const FILE = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 7) & 0xff);

/** Serves FILE; the connection numbered in `cutAt` breaks when so many bytes were sent. */
function servingBox(cutAt, etag = () => "a") {
  return (number) => {
    let sent = 0;
    return new Box(async ({ do: name, offset, count }, box) => {
      if (name === "get") return { ok: true, transfer: 1, size: FILE.length, etag: etag(number) };
      if (name !== "read") return { ok: true };
      const end = Math.min(offset + count, FILE.length);
      for (let at = offset; at < end; at += 200) {
        if (cutAt[number] !== undefined && sent >= cutAt[number]) {
          box.onclose();
          return null;
        }
        box.onframe(box.writer.data(1, at, FILE.subarray(at, Math.min(at + 200, end))));
        sent = box.sent = sent + Math.min(200, end - at);
      }
      return { ok: true, offset: end, end: end === FILE.length };
    });
  };
}

test("a download goes on after a cut, with nothing fetched twice", async () => {
  const link = linkOf(servingBox([20_000, 10_000]));
  assert.deepEqual(await download(link, "file"), FILE);
  assert.equal(link.boxes.length, 3);
  assert.equal(link.boxes[1].heard.find((message) => message.do === "get").offset, link.boxes[0].sent);
});

test("a file that changed meanwhile is fetched from its beginning", async () => {
  const link = linkOf(servingBox([20_000], (number) => (number ? "b" : "a")));
  assert.deepEqual(await download(link, "file"), FILE);
  assert.deepEqual(link.boxes[1].heard.filter((message) => message.do === "get").map((message) => message.offset), [link.boxes[0].sent, 0]);
});

/** Takes an upload; keeps what it has over connections, breaks and loses frames as told. */
function takingBoxes({ cutAt = [], loseAt = -1 } = {}) {
  const kept = { bytes: [], told: 0, most: 0, lost: false };
  const make = (number) => {
    const box = new Box(({ do: name }) => {
      if (name === "put") {
        kept.told = kept.bytes.length;
        return { ok: true, transfer: 2, offset: kept.bytes.length };
      }
      return { ok: true, done: true };
    });
    box.took = ({ offset, bytes: piece }) => {
      kept.most = Math.max(kept.most, offset + piece.length - kept.told);
      if (!kept.lost && loseAt >= 0 && offset >= loseAt) {
        kept.lost = true;
        box.tell({ event: "received", transfer: 2, offset: kept.bytes.length });
        return;
      }
      if (offset !== kept.bytes.length) {
        box.tell({ event: "received", transfer: 2, offset: kept.bytes.length });
        return;
      }
      kept.bytes.push(...piece);
      if (cutAt[number] !== undefined && kept.bytes.length >= cutAt[number]) {
        box.onclose();
        return;
      }
      if (kept.bytes.length - kept.told < 4096 && kept.bytes.length < FILE.length) return;
      kept.told = kept.bytes.length;
      box.tell({ event: "received", transfer: 2, offset: kept.told });
    };
    return box;
  };
  return { kept, make };
}

test("an upload keeps within its window and goes on after a cut", async () => {
  const { kept, make } = takingBoxes({ cutAt: [20_000] });
  const link = linkOf(make);
  const seen = [];
  const answer = await upload(link, "firmware", FILE, { progress: (part) => seen.push(part) });
  assert.equal(answer.done, true);
  assert.deepEqual(Uint8Array.from(kept.bytes), FILE);
  assert.equal(kept.most <= 8192, true, `${kept.most} bytes beyond the last received`);
  assert.equal(link.boxes.length, 2);
  assert.equal(seen.at(-1), FILE.length);
});

test("a piece of an upload that got lost is sent again", async () => {
  const { kept, make } = takingBoxes({ loseAt: 6000 });
  await upload(linkOf(make), "firmware", FILE);
  assert.deepEqual(Uint8Array.from(kept.bytes), FILE);
});

test("an upload that the box gives up ends with its reason", async () => {
  const { make } = takingBoxes();
  const link = linkOf(make);
  const failed = { event: "transfer_failed", transfer: 2, code: "bad_value", field: "firmware", text: "it is older" };
  const progress = (part) => part > 4000 && link.boxes[0].tell(failed);
  await assert.rejects(upload(link, "firmware", FILE, { progress }), { code: "bad_value", field: "firmware", message: "it is older" });
  assert.equal(link.boxes.length, 1);
});

test("an upload can be given up", async () => {
  const { make } = takingBoxes();
  const control = new AbortController();
  const link = linkOf(make);
  await assert.rejects(upload(link, "firmware", FILE, { signal: control.signal, progress: (part) => part > 8000 && control.abort() }), { name: "AbortError" });
  assert.equal(link.boxes[0].heard.at(-1).cancel, true);
});

test("CSV with quotes, commas and line ends in its cells is read", () => {
  assert.deepEqual(parseCsv('a,b\r\n1,"x, ""y""\r\nz"\r\n,\r\n'), [{ a: "1", b: 'x, "y"\r\nz' }, { a: "", b: "" }]);
});
