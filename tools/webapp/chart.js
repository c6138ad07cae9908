// Line charts as SVG: axes, series told apart by dash as well as colour, a pointer for mouse, finger and arrow keys.

import { h, mark, s, setText } from "./dom.js";
import { number } from "./i18n.js";

const PAD = { left: 48, right: 12, top: 12, bottom: 26 };
const KEY_STEPS = 40;

/** Round steps for an axis: 1, 2, 2.5 or 5 times a power of ten. */
function stepOf(span, most) {
  const raw = span / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= raw);
}

/**
 * A chart. `series` are {name, index, tone, dash, digits, step}: where in a sample its value is; sample[0] is the x value.
 * `xText(x)` names an x value; `xSteps` are the distances between its marks, smallest first; `mark` is an x value with a line of its own; `least` is a span of y that is always shown.
 */
export class Chart {
  constructor({ label, series, unit, xText, xSteps, mark: event = null, least = [0, 1], height = 220 }) {
    Object.assign(this, { label, series, unit, xText, xSteps, event, least, height });
    this.samples = [];
    this.pointer = null;
    this.svg = s("svg", { class: "plot", role: "img", tabindex: 0, height });
    this.values = series.map(() => h("b", { class: "num" }, "–"));
    this.time = h("span", { class: "when num" });
    const legend = h("ul", { class: "legend" }, series.map((one, i) => h("li", {}, s("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" }, s("path", { d: "M1 4h20", class: `trace ${one.tone}`, "stroke-dasharray": one.dash ?? null })), `${one.name} `, this.values[i])));
    this.element = h("figure", { class: "chart" }, h("figcaption", {}, h("span", {}, label), this.time), this.svg, legend);
    this.svg.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    this.svg.addEventListener("blur", () => this.point(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
  }

  end() {
    this.observer.disconnect();
  }

  show(samples, xSpan) {
    this.samples = samples;
    this.xSpan = xSpan;
    this.draw();
  }

  point(x) {
    this.pointer = x;
    this.draw();
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const right = this.width - PAD.right;
    this.point(Math.min(right, Math.max(PAD.left, (this.pointer ?? right) + (step * (right - PAD.left)) / KEY_STEPS)));
  }

  scale() {
    this.width = this.element.clientWidth || 300;
    const all = this.samples.flatMap((sample) => this.series.map((one) => sample[one.index])).filter((value) => value !== null && value !== undefined);
    const low = Math.min(this.least[0], ...all);
    const high = Math.max(this.least[1], ...all);
    const step = stepOf(high - low, Math.max(2, Math.floor(this.height / 48)));
    this.yStep = step;
    this.low = Math.floor(low / step) * step;
    this.high = Math.ceil(high / step) * step;
    this.first = this.xSpan?.[0] ?? this.samples[0]?.[0] ?? 0;
    this.last = this.xSpan?.[1] ?? this.samples.at(-1)?.[0] ?? 1;
    if (this.last === this.first) this.last += 1;
  }

  x(value) {
    return PAD.left + ((this.width - PAD.left - PAD.right) * (value - this.first)) / (this.last - this.first);
  }

  y(value) {
    return PAD.top + ((this.height - PAD.top - PAD.bottom) * (this.high - value)) / (this.high - this.low);
  }

  draw() {
    this.scale();
    const parts = [...this.grid(), ...this.series.map((one) => s("path", { d: this.path(one), class: `trace ${one.tone}`, "stroke-dasharray": one.dash ?? null }))];
    if (this.event !== null) parts.push(s("path", { class: "event", d: `M${this.x(this.event).toFixed(1)} ${PAD.top}V${this.height - PAD.bottom}` }));
    const chosen = this.chosen();
    if (chosen && this.pointer !== null) parts.push(s("path", { class: "cursor", d: `M${this.x(chosen[0]).toFixed(1)} ${PAD.top}V${this.height - PAD.bottom}` }));
    mark(this.svg, "viewBox", `0 0 ${this.width} ${this.height}`);
    mark(this.svg, "width", this.width);
    this.svg.replaceChildren(...parts);
    this.tell(chosen);
  }

  grid() {
    const parts = [];
    const digits = this.yStep < 1 ? 1 : 0;
    for (let value = this.low; value <= this.high + this.yStep / 2; value += this.yStep) {
      const y = Math.round(this.y(value)) + 0.5;
      parts.push(s("path", { class: Math.abs(value) < this.yStep / 2 ? "grid zero" : "grid", d: `M${PAD.left} ${y}H${this.width - PAD.right}` }));
      const last = value + this.yStep / 2 > this.high;
      parts.push(s("text", { x: PAD.left - 7, y: y + 4, "text-anchor": "end" }, last ? `${number(value, digits)} ${this.unit}` : number(value, digits)));
    }
    const most = this.width < 420 ? 4 : 6;
    const step = this.xSteps?.find((one) => (this.last - this.first) / one <= most) ?? stepOf(this.last - this.first, most);
    for (let value = Math.ceil(this.first / step) * step; value <= this.last; value += step) {
      const x = this.x(value);
      parts.push(s("text", { x, y: this.height - 7, "text-anchor": x > this.width - 40 ? "end" : x < PAD.left + 24 ? "start" : "middle" }, this.xText(value)));
    }
    return parts;
  }

  path(one) {
    let d = "";
    let before = null;
    for (const sample of this.samples) {
      const value = sample[one.index];
      if (value === null || value === undefined || sample[0] < this.first) {
        before = null;
        continue;
      }
      const at = `${this.x(sample[0]).toFixed(1)} ${this.y(value).toFixed(1)}`;
      if (before === null) d += `M${at}`;
      else if (one.step) d += `H${this.x(sample[0]).toFixed(1)}V${this.y(value).toFixed(1)}`;
      else d += `L${at}`;
      before = value;
    }
    return d;
  }

  chosen() {
    if (this.pointer === null || !this.samples.length) return this.samples.at(-1);
    const wanted = this.first + ((this.last - this.first) * (this.pointer - PAD.left)) / (this.width - PAD.left - PAD.right);
    return this.samples.reduce((best, one) => (Math.abs(one[0] - wanted) < Math.abs(best[0] - wanted) ? one : best));
  }

  tell(chosen) {
    const words = this.series.map((one, i) => {
      const value = chosen?.[one.index];
      const text = value === null || value === undefined ? "–" : `${number(value, one.digits ?? 1)} ${this.unit}`;
      setText(this.values[i], text);
      return `${one.name} ${text}`;
    });
    const when = chosen ? this.xText(chosen[0]) : "";
    setText(this.time, this.pointer === null ? "" : when);
    mark(this.svg, "aria-label", `${this.label}. ${when}: ${words.join(", ")}`);
  }
}
