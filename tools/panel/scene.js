// The drawing: plays the light bar's real frames, moves the plug, lets energy flow along the cable.

import { $, setMark, setText } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
// Frames come ten times a second; showing them this much later leaves always two to blend between.
const DELAY_MS = 140;
const SEGMENT = { x: 97, y: 102, width: 28.5, gap: 3.2, height: 11 };
// What the diodes' colours look like through the diffuser.
const RED = [255, 64, 52];
const GREEN = [60, 224, 130];
const BLUE = [64, 142, 255];
// Light from a diode grows with its current, the eye's impression of it far more slowly (CIE lightness).
const EYE = 0.45;
const DOCKED = { x: 258, y: 230 };
const PLUGGED = { x: 337, y: 298 };
const TRAVEL_MS = 750;

// Tones further apart belong to two messages.
const TONE_GAP_MS = 1500;
const TONE_SHOWN_MS = 2500;
const LONG_TONE_MS = 400;

const bar = [];
let frames = [];
let heard = [];
let heardAt = 0;
let place = 0;
let target = 0;
let movedAt = performance.now();
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function rect(parent, extra) {
  const element = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries(extra)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

for (let i = 0; i < 4; i += 1) {
  const size = { x: SEGMENT.x + i * (SEGMENT.width + SEGMENT.gap), y: SEGMENT.y, width: SEGMENT.width, height: SEGMENT.height, rx: 5 };
  rect($("bar"), { ...size, class: "segment" });
  const inner = { x: size.x + 3, y: size.y + 4, width: size.width - 6, height: 3, rx: 1.5, class: "core" };
  bar.push({ fill: rect($("bar"), { ...size, class: "light" }), core: rect($("bar"), inner), halo: rect($("bar-halo"), size), glow: rect($("bar-glow"), size) });
}

/** Take over what the firmware writes to the light bar now. */
export function showLight(led) {
  const now = performance.now();
  frames.push({ at: now, segments: led?.segments ?? [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]] });
  if (frames.length > 30) frames = frames.slice(-10);
  const text = led?.text ?? "Light bar off";
  setText($("bar-text"), text);
  setMark($("bar-text"), "aria-label", `Light bar: ${text}`);
  setMark($("stage"), "data-look", led?.pattern ?? "off");
}

/** Cable, car and flow from the state. */
export function showCar(state) {
  const plugged = Boolean(state.car?.plugged);
  if (Number(plugged) !== target) {
    target = Number(plugged);
    movedAt = performance.now();
  }
  setMark($("stage"), "data-plugged", plugged);
  const amps = Math.max(0, ...(state.car?.draw_a ?? [0]));
  setMark($("stage"), "data-flow", amps > 0.5);
  $("stage").style.setProperty("--beat", `${Math.max(0.45, 14 / Math.max(amps, 6)).toFixed(2)}s`);
  const wanted = state.car?.soc_wh;
  $("battery-level").setAttribute("width", wanted === null || wanted === undefined ? 40 : 58 - 48 * Math.min(1, wanted / 60000));
}

/** Show that the buzzer sounds, and in words what it says (its readable twin). Tones come one by one. */
export function showTones(beeps) {
  const now = performance.now();
  heard = (now - heardAt > TONE_GAP_MS ? [] : heard).concat(beeps);
  heardAt = now;
  setText($("tone-text"), `♪ Buzzer: ${toneWords(heard)}`);
  $("tone-text").classList.add("on");
  $("tones").classList.add("on");
  clearTimeout(showTones.timer);
  showTones.timer = setTimeout(() => {
    $("tone-text").classList.remove("on");
    $("tones").classList.remove("on");
  }, TONE_SHOWN_MS);
}

function toneWords(beeps) {
  const long = beeps.filter((beep) => beep.ms >= LONG_TONE_MS).length;
  const short = beeps.length - long;
  const parts = [];
  if (short) parts.push(`${short} short`);
  if (long) parts.push(`${long} long`);
  return parts.join(", ");
}

/** A card was held to the reader. */
export function showTap() {
  const spot = $("rfid");
  spot.classList.remove("touched");
  requestAnimationFrame(() => spot.classList.add("touched"));
}

function blend(now) {
  const at = now - DELAY_MS;
  let index = frames.length - 1;
  while (index > 0 && frames[index].at > at) index -= 1;
  const before = frames[index];
  const after = frames[index + 1] ?? before;
  if (!before) return null;
  const part = after === before ? 1 : Math.min(1, Math.max(0, (at - before.at) / (after.at - before.at)));
  return before.segments.map((from, i) => from.map((value, c) => value + (after.segments[i][c] - value) * part));
}

function drawLight(segments) {
  let strongest = 0;
  let wash = BLUE;
  segments.forEach(([r, g, b], i) => {
    const sum = r + g + b || 1;
    const colour = RED.map((red, c) => Math.round((red * r + GREEN[c] * g + BLUE[c] * b) / sum));
    const level = Math.pow(Math.max(r, g, b) / 255, EYE);
    const rgb = `rgb(${colour.join(" ")})`;
    const { fill, core, halo, glow } = bar[i];
    fill.style.fill = rgb;
    fill.style.opacity = level.toFixed(3);
    core.style.opacity = (level * level * 0.75).toFixed(3);
    halo.style.fill = rgb;
    halo.style.opacity = (level * 0.9).toFixed(3);
    glow.style.fill = rgb;
    glow.style.opacity = (level * 0.75).toFixed(3);
    fill.dataset.level = level.toFixed(3);
    if (level > strongest) {
      strongest = level;
      wash = colour;
    }
  });
  const mean = bar.reduce((sum, one) => sum + Number(one.fill.dataset.level), 0) / bar.length;
  $("stage").style.setProperty("--wash", `rgb(${wash.join(" ")})`);
  $("wash-light").style.opacity = (mean * 0.85).toFixed(3);
}

function drawCable() {
  const eased = place * place * (3 - 2 * place);
  const x = DOCKED.x + (PLUGGED.x - DOCKED.x) * eased;
  const y = DOCKED.y + (PLUGGED.y - DOCKED.y) * eased - 40 * Math.sin(Math.PI * eased);
  const turn = 180 * eased;
  $("plug").setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${turn.toFixed(1)})`);
  const angle = (turn * Math.PI) / 180;
  const tail = { x: x + 36 * Math.cos(angle), y: y + 36 * Math.sin(angle) };
  const reach = { x: tail.x + 58 * Math.cos(angle), y: tail.y + 58 * Math.sin(angle) + 130 - 104 * eased };
  const path = `M158 310C158 ${(392 + 30 * eased).toFixed(1)} ${reach.x.toFixed(1)} ${reach.y.toFixed(1)} ${tail.x.toFixed(1)} ${tail.y.toFixed(1)}`;
  for (const id of ["cable", "cable-shadow", "cable-shine", "flow"]) $(id).setAttribute("d", path);
}

function frame(now) {
  const segments = blend(now);
  if (segments) drawLight(segments);
  if (place !== target || frame.first) {
    const step = calm.matches ? 1 : (now - movedAt) / TRAVEL_MS;
    place = target ? Math.min(1, Math.max(place, step)) : Math.max(0, Math.min(place, 1 - step));
    frame.first = false;
    drawCable();
  }
  requestAnimationFrame(frame);
}
frame.first = true;
requestAnimationFrame(frame);
