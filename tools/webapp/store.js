// What the app knows now: named values, and whoever listens to them. It asks nothing of the box.

class Store {
  constructor() {
    this.values = new Map([["link", "off"], ["live", []]]);
    this.listeners = new Map();
  }

  get(name) {
    return this.values.get(name) ?? null;
  }

  set(name, value) {
    this.values.set(name, value);
    for (const listener of [...(this.listeners.get(name) ?? [])]) listener(value);
  }

  /** Call `listener(value)` after each change of `name`; -> function to stop. */
  listen(name, listener) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set());
    this.listeners.get(name).add(listener);
    return () => this.listeners.get(name).delete(listener);
  }
}

export const store = new Store();
