// The connection to the simulator: one WebSocket that comes back by itself, requests with answers, messages by type.

const RETRY_FIRST_MS = 400;
const RETRY_MAX_MS = 4000;
// Without any message for this long the simulator hangs or the network path is dead.
const SILENCE_MS = 6000;

/** `handlers` maps message types to functions; "link" is called with true or false as the connection comes and goes. */
export class Link {
  constructor(handlers) {
    this.handlers = handlers;
    this.waiting = new Map();
    this.lastId = 0;
    this.retryMs = RETRY_FIRST_MS;
    this.heardAt = 0;
    this.open();
    setInterval(() => this.checkSilence(), 1000);
  }

  open() {
    const socket = new WebSocket(`ws://${location.host}/socket`);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = () => {
      if (socket === this.socket) this.lost();
    };
  }

  lost() {
    this.socket = null;
    this.handlers.link(false);
    for (const { reject } of this.waiting.values()) reject(new Error("The connection to the simulator was lost."));
    this.waiting.clear();
    setTimeout(() => this.open(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 1.6, RETRY_MAX_MS);
  }

  checkSilence() {
    if (!this.socket || performance.now() - this.heardAt < SILENCE_MS) return;
    const socket = this.socket;
    socket.onclose = null;
    socket.close();
    this.lost();
  }

  receive(message) {
    this.heardAt = performance.now();
    if (message.type === "answer") {
      this.settle(message);
      return;
    }
    if (message.type === "hello") {
      this.retryMs = RETRY_FIRST_MS;
      this.handlers.link(true);
    }
    this.handlers[message.type]?.(message);
  }

  settle({ id, ok, answer, error }) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (ok) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }

  /** Send a request of the control API; resolves with its answer, rejects with the simulator's own words. */
  request(name, args = {}) {
    return new Promise((resolve, reject) => {
      if (this.socket?.readyState !== WebSocket.OPEN) {
        reject(new Error("The simulator is not connected."));
        return;
      }
      this.lastId += 1;
      this.waiting.set(this.lastId, { resolve, reject });
      this.socket.send(JSON.stringify({ ...args, id: this.lastId, do: name }));
    });
  }
}
