// Small helpers for the page's elements; they change the page only where something is different.

export const $ = (id) => document.getElementById(id);

/** Make an element: make("li", {class: "x", title: "y"}, "text", child, ...). */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/** Set or remove an attribute; true gives an empty one, false, null and undefined remove it. */
export function setMark(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value === true ? "" : value)) element.setAttribute(name, value === true ? "" : value);
}

// How long a slider keeps what was set by hand before it follows the simulator again.
const HOLD_MS = 1000;

/**
 * A labelled slider -> {row, input, show, set, hold}; `say` turns the value into text. `show(value)` follows the
 * simulator, `set(value)` moves it as a hand does, together with `hold()`.
 */
export function slider({ id, label, min, max, step, value, say, tint }) {
  const input = make("input", { type: "range", id, min, max, step, "data-live": "" });
  const output = make("output", { for: id });
  const row = make("div", { class: "field slider" }, make("label", { for: id }, label), input, output);
  if (tint) row.dataset.tint = tint;
  let heldUntil = 0;
  const paint = () => {
    setText(output, say(Number(input.value)));
    input.setAttribute("aria-valuetext", output.textContent);
    input.style.setProperty("--fill", `${(100 * (input.value - min)) / (max - min)}%`);
  };
  const show = (next) => {
    // What a hand is moving is not pulled away by an answer that is still under way.
    if (input.matches(":active") || performance.now() < heldUntil) return;
    set(next);
  };
  const set = (next) => {
    input.value = next;
    paint();
  };
  const hold = () => (heldUntil = performance.now() + HOLD_MS);
  input.addEventListener("input", () => {
    hold();
    paint();
  });
  set(value);
  return { row, input, show, set, hold };
}

/** Call `act` with the newest value at most every `pauseMs`, and always with the last one. */
export function paced(act, pauseMs = 120) {
  let timer = null;
  let waiting = null;
  const fire = () => {
    timer = waiting ? setTimeout(fire, pauseMs) : null;
    if (!waiting) return;
    const args = waiting;
    waiting = null;
    act(...args);
  };
  return (...args) => {
    waiting = args;
    if (!timer) fire();
  };
}
