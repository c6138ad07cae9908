// The energy card: how the sun is used, who limits the current, and a day's profile that plays by itself.

import { $, make, setMark, setText } from "./dom.js";
import { LIMITS, PROFILES, SOLAR_MODES, SOLAR_STATES, plain, spanText } from "./words.js";

const DAY_S = 86_400;
// A day passes in six minutes.
const DAY_PLAYS_S = 360;
const STEP_MS = 1000;
const VOLTS = 230;
const NOT_A_WINNER = ["installer", "cable"];

let act = null;
let timer = null;
let second = 0;

/** House amperes of L1..L3 and sun in watts of a profile at a second of the day: straight lines between its points. */
export function profileAt(profile, at) {
  const hour = (at % DAY_S) / 3600;
  const points = profile.points;
  const next = points.findIndex((point) => point[0] > hour);
  const after = points[next === -1 ? 0 : next];
  const before = points[next === -1 ? points.length - 1 : Math.max(0, next - 1)];
  const span = after[0] - before[0] + (after[0] <= before[0] ? 24 : 0);
  const part = span > 0 ? (hour - before[0]) / span : 0;
  const value = (i) => before[i] + (after[i] - before[i]) * part;
  // A cloud every few minutes of the day takes most of the sun.
  const cloud = profile.clouds && Math.sin(at / 700) + Math.sin(at / 310) > 0.6 ? 0.25 : 1;
  return { amps: [1, 2, 3].map((i) => Math.round(value(i) * 10) / 10), pv_w: Math.round((value(4) * cloud) / 20) * 20 };
}

function clock(at) {
  const minutes = Math.floor((at % DAY_S) / 60);
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

function showDay() {
  setText($("day-time"), clock(second));
  $("day").value = second;
  $("day").style.setProperty("--fill", `${(100 * second) / DAY_S}%`);
  $("day").setAttribute("aria-valuetext", clock(second));
}

function send() {
  showDay();
  return act("house", profileAt(PROFILES[$("profile").value], second));
}

function playing(on) {
  clearInterval(timer);
  timer = on ? setInterval(step, STEP_MS) : null;
  setText($("play-day"), on ? "Pause" : "Play the day");
  setMark($("play-day"), "aria-pressed", String(on));
}

async function step() {
  second = (second + (DAY_S / DAY_PLAYS_S) * (STEP_MS / 1000)) % DAY_S;
  // Whoever does not answer is not asked once a second.
  if (!(await send())) playing(false);
}

/** `request(name, args)` sends a request and resolves to whether it was done. */
export function setUpEnergy(request) {
  act = request;
  for (const [mode, words] of Object.entries(SOLAR_MODES)) {
    const button = make("button", { type: "button", "data-solar": mode, "data-live": "", "aria-pressed": "false" }, words);
    button.addEventListener("click", () => act("settings", { set: { solar_mode: mode } }));
    $("solar-modes").append(button);
  }
  for (const [key, profile] of Object.entries(PROFILES)) $("profile").append(make("option", { value: key }, profile.name));
  $("play-day").addEventListener("click", () => playing(timer === null));
  $("profile").addEventListener("change", send);
  $("day").addEventListener("input", () => {
    second = Number($("day").value);
    send();
  });
  second = 8 * 3600;
  showDay();
}

function sunText(solar) {
  if (!solar || solar.mode === "off") return "The sun is not asked.";
  if (solar.surplus_w === null) return "The meter does not tell what the sun leaves.";
  const parts = [`${SOLAR_STATES[solar.state] ?? solar.state}: ${kilo(solar.surplus_w)} of surplus`];
  if (solar.mode === "only" && solar.state === "waiting") parts.push(`${kilo(solar.needed_w)} start a charge`);
  if (solar.switching?.wait_s) parts.push(`switching budget used up for ${spanText(solar.switching.wait_s)}`);
  return `${parts.join(" · ")}.`;
}

function kilo(watts) {
  return `${(watts / 1000).toFixed(1).replace("-", "−")} kW`;
}

function flowRow(id, watts) {
  setText($(`flow-${id}`), kilo(watts));
}

/** Show what flows between house, sun, car and grid, and who limits it. */
export function showEnergy(state) {
  const solar = state.solar;
  for (const button of $("solar-modes").children) button.setAttribute("aria-pressed", String(button.dataset.solar === solar?.mode));
  setText($("sun-text"), sunText(solar));
  const sum = (amps) => (amps ?? []).reduce((total, a) => total + a, 0) * VOLTS;
  flowRow("house", sum(state.house?.amps));
  flowRow("sun", state.house?.pv_w ?? 0);
  flowRow("car", sum(state.car?.draw_a));
  const grid = sum(state.grid_a);
  flowRow("grid", Math.abs(grid));
  setText($("flow-grid-way"), grid < 0 ? "to the grid" : "from the grid");
  const winner = state.limited_by;
  const words = winner && !NOT_A_WINNER.includes(winner) ? (LIMITS[winner]?.[0] ?? plain(winner)) : "the installation";
  setText($("limit-text"), state.allowed_a === undefined ? "\u00a0" : `${state.allowed_a.toFixed(1)} A allowed, by ${words}`);
}
