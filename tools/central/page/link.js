// The connection to the central system: one WebSocket that comes back by itself, requests with answers, messages by type.

const RETRY_MS = 1_000;

/** `handlers` maps message types to functions; "link" is called with true or false as the connection comes and goes. */
export class Link {
  constructor(handlers) {
    this.handlers = handlers;
    this.waiting = new Map();
    this.lastId = 0;
    this.open();
  }

  open() {
    this.socket = new WebSocket(`ws://${location.host}/socket`);
    this.socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    this.socket.onclose = () => this.lost();
  }

  lost() {
    this.handlers.link(false);
    for (const { reject } of this.waiting.values()) reject(new Error("The connection to the central system was lost."));
    this.waiting.clear();
    setTimeout(() => this.open(), RETRY_MS);
  }

  receive(message) {
    if (message.type === "answer") {
      this.settle(message);
      return;
    }
    if (message.type === "hello") this.handlers.link(true);
    this.handlers[message.type]?.(message);
  }

  settle({ id, ok, answer, error }) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (ok) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }

  /** Ask the central system; resolves with the wallbox's answer, rejects with the reason in words. */
  request(name, args) {
    return new Promise((resolve, reject) => {
      if (this.socket.readyState !== WebSocket.OPEN) {
        reject(new Error("The central system is not connected."));
        return;
      }
      this.lastId += 1;
      this.waiting.set(this.lastId, { resolve, reject });
      this.socket.send(JSON.stringify({ ...args, id: this.lastId, do: name }));
    });
  }
}
