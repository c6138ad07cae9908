// The connection as the app sees it: comes back by itself after a cut, logs in again, and keeps the store up to date.

import { BoxError, Client, LinkLost, PROTOCOL } from "./client.js";
import { store } from "./store.js";
import { openBluetooth } from "./transport-ble.js";
import { PairingRefused, openWebSocket } from "./transport-ws.js";

const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8_000;
const LIVE_MS = 1_000;
const STATUS_MS = 3_000;
const LIVE_KEPT = 600;
export const RANKS = { paired: 0, owner: 1, expert: 2 };

/** The box speaks another version of the link. */
class OtherProtocol extends Error {}

/** States in the store's "link": "off", "connecting", "up", "lost" (being reconnected). */
class Link {
  constructor() {
    this.client = null;
    this.way = null;
    // Passwords of this visit, to take the role again after a cut; they are kept nowhere else.
    this.logins = new Map();
    this.listeners = new Set();
    this.polling = null;
  }

  /** Connect over a WebSocket of the simulator. */
  async connectSimulator(url, passkey) {
    await this.connect(() => openWebSocket(url, passkey));
  }

  /** Connect to a box that was chosen for Bluetooth. */
  async connectBluetooth(device) {
    await this.connect(() => openBluetooth(device));
  }

  async connect(way) {
    this.end();
    this.way = way;
    store.set("link", "connecting");
    try {
      await this.open();
    } catch (error) {
      this.end();
      throw error;
    }
  }

  async open() {
    const { way } = this;
    const transport = await way();
    if (this.way !== way) {
      transport.close();
      throw new LinkLost("given up");
    }
    const client = new Client(transport, {
      onEvent: (message) => this.tell(message),
      onClose: () => this.cut(client),
    });
    this.client = client;
    const hello = await client.request("hello");
    if (hello.protocol !== PROTOCOL) {
      client.close();
      throw new OtherProtocol(String(hello.protocol));
    }
    client.setMtu(hello.mtu);
    store.set("hello", hello);
    if (!hello.app_password_set) this.logins.set("owner", this.logins.get("owner") ?? "");
    store.set("role", await this.retake(hello.role));
    store.set("live", []);
    store.set("link", "up");
    this.tell({ event: "link" });
    await this.request("live", { period_ms: LIVE_MS });
    this.poll();
  }

  /**
   * After a cut: take the highest role there was -> the role. A password that is not right any more is forgotten,
   * and the person asked when it is needed.
   */
  async retake(least) {
    for (const role of ["expert", "owner"]) {
      const password = this.logins.get(role);
      if (password === undefined) continue;
      try {
        return (await this.request("login", { role, password })).role;
      } catch (error) {
        if (!(error instanceof BoxError)) throw error;
        this.logins.delete(role);
      }
    }
    return least;
  }

  cut(client) {
    if (client !== this.client) return;
    clearTimeout(this.polling);
    if (!this.way) return;
    this.tell({ event: "link" });
    if (store.get("link") === "connecting") return;
    store.set("link", "lost");
    this.retry(RETRY_FIRST_MS, this.way);
  }

  async retry(pauseMs, way) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (this.way !== way || store.get("link") === "up") return;
    try {
      await this.open();
    } catch (error) {
      if (error instanceof PairingRefused || error instanceof OtherProtocol) {
        this.end();
        store.set("refused", error);
        return;
      }
      console.info(`reconnecting: ${error.message}`);
      if (this.way === way && store.get("link") === "lost") this.retry(Math.min(pauseMs * 1.6, RETRY_MAX_MS), way);
    }
  }

  /** Wait until the connection is back; LinkLost when it was ended, the signal's reason when that is aborted. */
  up(signal) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const state = store.get("link");
        if (state !== "up" && state !== "off" && !signal?.aborted) return;
        forget();
        signal?.removeEventListener("abort", look);
        if (signal?.aborted) reject(signal.reason);
        else if (state === "up") resolve();
        else reject(new Error("the connection was ended"));
      };
      const forget = store.listen("link", look);
      signal?.addEventListener("abort", look);
      look();
    });
  }

  /** End the connection and forget its passwords. */
  end() {
    this.way = null;
    this.logins.clear();
    clearTimeout(this.polling);
    this.client?.close();
    this.client = null;
    for (const name of ["hello", "role", "status", "schema", "settings", "wizard"]) store.set(name, null);
    store.set("live", []);
    store.set("link", "off");
  }

  request(name, args, timeoutMs) {
    if (!this.client) return Promise.reject(new LinkLost("not connected"));
    return this.client.request(name, args, timeoutMs);
  }

  /** Hear all events of the box, and {event: "link"} when the connection comes or goes; -> function to stop. */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell(message) {
    if (message.event === "live") {
      const kept = store.get("live");
      // Live data tell the why-not answer as text only; when it changes, its code and who decided are wanted as well.
      if (kept.length && kept.at(-1).why !== message.why) this.poll();
      kept.push(message);
      if (kept.length > LIVE_KEPT) kept.shift();
      store.set("live", kept);
    }
    for (const listener of [...this.listeners]) listener(message);
  }

  async poll() {
    clearTimeout(this.polling);
    const { client } = this;
    try {
      await this.refresh();
    } catch (error) {
      if (error instanceof LinkLost) return;
      console.info(`status: ${error.message}`);
    }
    if (client === this.client && client.open) this.polling = setTimeout(() => this.poll(), STATUS_MS);
  }

  async refresh() {
    const { status } = await this.request("status");
    store.set("status", status);
  }

  /** Take a role; BoxError when the password is wrong. */
  async login(role, password) {
    const answer = await this.request("login", { role, password });
    this.logins.set(role, password);
    store.set("role", answer.role);
  }

  async logout() {
    this.logins.delete("expert");
    this.logins.delete("owner");
    const answer = await this.request("logout");
    store.set("role", answer.role);
    if (!store.get("hello").app_password_set) await this.login("owner", "");
  }

  /** Whether the role now is at least `role`. */
  may(role) {
    return (RANKS[store.get("role")] ?? -1) >= RANKS[role];
  }
}

export const link = new Link();
