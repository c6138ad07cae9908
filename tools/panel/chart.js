// The last five minutes on a canvas: offered current, car, house, sun, the pilot's level, and who limits the current.

import { $, make, setMark, setText } from "./dom.js";
import { LIMITS, plain } from "./words.js";

const WINDOW_MS = 300_000;
const PAD = { left: 34, right: 40, top: 28, bottom: 26 };
// The band over the curves that tells who limits: its height, and how wide a part must be to carry its name.
const BAND = 15;
const NAMED_PX = 44;
const PILOT_TOP_V = 14;
const AMPS_STEP = 8;
const SPEAK_MS = 10_000;
// Sample: [plant ms, offered A, pilot V or null, house A, car A, sun A, name of the limit that decides].
const SERIES = [
  { name: "Offered", index: 1, colour: "--accent", unit: "A", width: 2.4 },
  { name: "Car", index: 4, colour: "--car", unit: "A", width: 0, area: true },
  { name: "House", index: 3, colour: "--house", unit: "A", width: 1.8 },
  { name: "Sun", index: 5, colour: "--sun", unit: "A", width: 1.8 },
  { name: "Pilot high", index: 2, colour: "--pilot", unit: "V", width: 1.4, volts: true },
];

const canvas = $("chart");
const context = canvas.getContext("2d");
let samples = [];
let pointer = null;
let dirty = true;
let limitA = null;

for (const series of SERIES) {
  const value = make("b", {}, "–");
  const key = make("i");
  key.style.borderColor = `var(${series.colour})`;
  if (series.volts) key.style.borderTopStyle = "dashed";
  $("legend").append(make("li", {}, key, `${series.name} `, value));
  series.value = value;
}

export function setHistory(history) {
  samples = history.slice();
  dirty = true;
}

export function addSample(sample) {
  samples.push(sample);
  while (samples.length && sample[0] - samples[0][0] > WINDOW_MS + 2000) samples.shift();
  dirty = true;
}

/** The house's main fuse, drawn as a line; null when it is not known. */
export function setLimit(amps) {
  limitA = amps;
  dirty = true;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function scales() {
  const box = canvas.getBoundingClientRect();
  const highest = Math.max(32, limitA ?? 0, ...samples.map((s) => Math.max(s[1], s[3], s[4], s[5])));
  const lowest = Math.min(0, ...samples.map((s) => s[3]));
  const top = Math.ceil((highest + 1) / AMPS_STEP) * AMPS_STEP;
  const bottom = Math.floor(lowest / AMPS_STEP) * AMPS_STEP;
  const width = box.width - PAD.left - PAD.right;
  const height = box.height - PAD.top - PAD.bottom;
  const end = samples.at(-1)?.[0] ?? 0;
  return {
    box, top, bottom, width, height, end,
    x: (ms) => PAD.left + width * (1 - (end - ms) / WINDOW_MS),
    amps: (a) => PAD.top + (height * (top - a)) / (top - bottom),
    // +12 V of the pilot at the top, 0 V where 0 A is.
    volts: (v) => PAD.top + (height * top) / (top - bottom) * (1 - v / PILOT_TOP_V),
  };
}

function drawGrid(s) {
  context.strokeStyle = colour("--line");
  context.fillStyle = colour("--soft");
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let a = s.bottom; a <= s.top; a += AMPS_STEP) {
    const y = Math.round(s.amps(a)) + 0.5;
    context.globalAlpha = a === 0 ? 1 : 0.6;
    line(PAD.left, y, PAD.left + s.width, y);
    context.globalAlpha = 1;
    context.fillText(a === s.top ? `${a} A` : String(a).replace("-", "−"), PAD.left - 7, y);
  }
  context.textAlign = "left";
  for (const v of [0, 3, 6, 9, 12]) context.fillText(v === 12 ? "12 V" : v, PAD.left + s.width + 7, s.volts(v));
  context.textBaseline = "alphabetic";
  for (let minute = 0; minute <= 5; minute += 1) {
    context.textAlign = minute === 0 ? "right" : minute === 5 ? "left" : "center";
    const x = PAD.left + s.width * (1 - minute / 5);
    // On a phone the unit stands at the edge only, where it takes the next number's place.
    const narrow = s.width < 360;
    if (narrow && minute === 4) continue;
    const text = narrow && minute < 5 ? `−${minute}` : `−${minute} min`;
    context.fillText(minute ? text : "now", minute === 0 ? x + 8 : x, s.box.height - 6);
  }
}

function line(x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function trace(s, series) {
  const y = series.volts ? s.volts : s.amps;
  let open = false;
  context.beginPath();
  for (const sample of samples) {
    const value = sample[series.index];
    if (value === null) {
      open = false;
      continue;
    }
    const x = s.x(sample[0]);
    if (open) context.lineTo(x, y(value));
    else context.moveTo(x, y(value));
    open = true;
  }
}

function drawSeries(s, series) {
  context.strokeStyle = colour(series.colour);
  context.fillStyle = colour(series.colour);
  if (series.area && samples.length) {
    trace(s, series);
    context.lineTo(s.x(samples.at(-1)[0]), s.amps(0));
    context.lineTo(s.x(samples[0][0]), s.amps(0));
    context.globalAlpha = 0.3;
    context.fill();
    context.globalAlpha = 1;
  }
  context.lineWidth = series.width || 1.4;
  context.setLineDash(series.volts ? [5, 4] : []);
  trace(s, series);
  context.stroke();
  context.setLineDash([]);
}

/** Who limits the current: parts of a band with the name, told apart by the line between them too. */
function drawBand(s) {
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  let from = 0;
  for (let i = 1; i <= samples.length; i += 1) {
    if (i < samples.length && samples[i][6] === samples[from][6]) continue;
    const left = Math.max(PAD.left, s.x(samples[from][0]));
    const right = i < samples.length ? s.x(samples[i][0]) : PAD.left + s.width;
    const name = samples[from][6];
    from = i;
    if (right <= left || !name) continue;
    context.fillStyle = colour(name === "installer" || name === "cable" ? "--sunk" : "--accent-soft");
    context.fillRect(left, PAD.top - BAND - 6, right - left, BAND);
    context.fillStyle = colour("--text");
    context.fillRect(left, PAD.top - BAND - 6, 1, BAND);
    const words = winner(name);
    if (right - left > Math.max(NAMED_PX, context.measureText(words).width + 10)) context.fillText(words, left + 5, PAD.top - BAND / 2 - 5.5);
  }
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "alphabetic";
}

function winner(name) {
  return LIMITS[name]?.[0] ?? plain(name);
}

function drawLimit(s) {
  if (limitA === null) return;
  context.strokeStyle = colour("--limit");
  context.fillStyle = colour("--limit");
  context.setLineDash([2, 4]);
  line(PAD.left, s.amps(limitA), PAD.left + s.width, s.amps(limitA));
  context.setLineDash([]);
  context.textAlign = "left";
  context.fillText(`fuse ${limitA} A`, PAD.left + 6, s.amps(limitA) - 5);
}

/** The sample under the pointer, else the newest. */
function chosen(s) {
  if (pointer === null || !samples.length) return samples.at(-1);
  const ms = s.end - WINDOW_MS * (1 - (pointer - PAD.left) / s.width);
  return samples.reduce((best, one) => (Math.abs(one[0] - ms) < Math.abs(best[0] - ms) ? one : best));
}

function showLegend(sample) {
  for (const series of SERIES) {
    const value = sample?.[series.index];
    setText(series.value, value === null || value === undefined ? "–" : `${value.toFixed(1).replace("-", "−")} ${series.unit}`);
  }
}

function drawPointer(s, sample) {
  if (pointer === null || !sample) return;
  const x = s.x(sample[0]);
  context.strokeStyle = colour("--faint");
  context.lineWidth = 1;
  line(x, PAD.top, x, PAD.top + s.height);
  context.fillStyle = colour("--soft");
  context.textAlign = x > s.box.width / 2 ? "right" : "left";
  const seconds = Math.round((s.end - sample[0]) / 1000);
  context.fillText(`${seconds} s ago, ${winner(sample[6])}`, x + (x > s.box.width / 2 ? -6 : 6), PAD.top + 10);
}

function draw() {
  const s = scales();
  const ratio = devicePixelRatio || 1;
  const size = [Math.round(s.box.width * ratio), Math.round(s.box.height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, s.box.width, s.box.height);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  drawGrid(s);
  context.save();
  context.beginPath();
  context.rect(PAD.left, 0, s.width, s.box.height - PAD.bottom + 2);
  context.clip();
  for (const series of [SERIES[1], SERIES[4], SERIES[3], SERIES[2], SERIES[0]]) drawSeries(s, series);
  drawBand(s);
  drawLimit(s);
  const sample = chosen(s);
  drawPointer(s, sample);
  context.restore();
  showLegend(sample);
}

function frame() {
  if (dirty) {
    dirty = false;
    draw();
  }
  requestAnimationFrame(frame);
}

/** A sentence for those who cannot see the curve. */
function describe() {
  const last = samples.at(-1);
  if (!last) return;
  const amps = samples.map((sample) => sample[1]);
  const text = `Chart of the last five minutes. Offered now ${last[1].toFixed(1)} ampere, between ${Math.min(...amps).toFixed(1)} and ${Math.max(...amps).toFixed(1)}. House ${last[3].toFixed(1)} ampere, car ${last[4].toFixed(1)} ampere, sun ${last[5].toFixed(1)} ampere a phase. Limited by: ${winner(last[6])}.`;
  setMark(canvas, "aria-label", text);
}

function point(x) {
  pointer = x;
  dirty = true;
}

canvas.addEventListener("pointermove", (event) => point(event.offsetX));
canvas.addEventListener("pointerleave", () => point(null));
canvas.addEventListener("blur", () => point(null));
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -12, ArrowRight: 12 }[event.key];
  if (!step) return;
  event.preventDefault();
  const right = canvas.clientWidth - PAD.right;
  point(Math.min(right, Math.max(PAD.left, (pointer ?? right) + step)));
});
new ResizeObserver(() => (dirty = true)).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (dirty = true));
setInterval(describe, SPEAK_MS);
requestAnimationFrame(frame);
