// What the wallbox says: phase, the why-not sentence, figures, limits, measured values, active faults.

import { $, make, setMark, setText } from "./dom.js";
import { ACTIVE, LIMITS, clockText, plain, spanText } from "./words.js";

// A live region that speaks more often than this cannot be listened to.
const SAY_PAUSE_MS = 8000;
const LIMIT_SCALE_A = 32;

function phaseOf(state) {
  if (state.power === false) return ["off", "No supply"];
  if ((state.faults ?? []).some((fault) => fault.severity === "red")) return ["fault", "Fault"];
  const pattern = state.led?.pattern ?? "";
  if (pattern.startsWith("breathing")) return ["charge", "Charging"];
  if (pattern.startsWith("running")) return ["wait", "Out of use"];
  if (state.why?.code === "starting") return ["wait", "Starting"];
  if (state.car?.plugged) return ["wait", state.why?.code === "no_card" ? "Waiting for a card" : "Car connected"];
  return ["ready", "Ready"];
}

function whyText(state) {
  if (state.power === false) return "The wallbox has no supply or is starting.";
  return state.why?.text ?? "Waiting for the wallbox.";
}

function whyMeta(state) {
  const why = state.why;
  if (!why || state.power === false) return "";
  const now = (state.uptime_ms ?? 0) / 1000;
  const parts = [];
  if (why.who) parts.push(`Decided by: ${plain(why.who).toLowerCase()}`);
  if (why.since_s !== null && why.since_s !== undefined) parts.push(`for ${spanText(now - why.since_s)}`);
  if (why.until_s !== null && why.until_s !== undefined) parts.push(`changes in ${spanText(why.until_s - now)}`);
  return parts.join(" · ");
}

let saidCode = "";
let saidAt = 0;

/** Speak the sentence to screen readers when its reason changes, not whenever a number in it does. */
function say(code, text) {
  const now = performance.now();
  if (code === saidCode && now - saidAt < SAY_PAUSE_MS * 6) return;
  if (code === saidCode && $("say").textContent === text) return;
  saidCode = code;
  saidAt = now;
  setText($("say"), text);
}

function showFigures(state) {
  const amps = state.currents_a ?? state.car?.draw_a ?? [0];
  const volts = state.volts ?? [230, 230, 230];
  const watts = amps.reduce((sum, a, i) => sum + a * (volts[i] ?? 0), 0);
  setText($("power"), (Math.max(0, watts) / 1000).toFixed(1));
  setText($("offered"), (state.offered_a ?? 0).toFixed(1));
  setText($("energy"), ((state.session?.energy_wh ?? 0) / 1000).toFixed(2));
  setText($("duration"), clockText(state.session?.duration_s ?? 0));
}

function limitRow() {
  const row = make("li", {}, make("span"), make("b"), make("div", { class: "track" }, make("i")), make("small"));
  return row;
}

function showLimits(state) {
  const entries = Object.entries(state.limits ?? {}).sort((a, b) => a[1] - b[1]);
  const list = $("limits");
  const rows = [...list.children];
  if (!entries.length) {
    if (rows.length !== 1 || !rows[0].matches(".none")) list.replaceChildren(make("li", { class: "none" }, "No limits while the wallbox is off."));
    return;
  }
  if (rows.length !== entries.length || rows[0].matches(".none")) list.replaceChildren(...entries.map(limitRow));
  const winner = state.limited_by ?? entries[0][0];
  entries.forEach(([name, amps], i) => {
    const row = list.children[i];
    const [label, meaning] = LIMITS[name] ?? [plain(name), ""];
    const wins = name === winner;
    setMark(row, "data-winner", wins);
    setText(row.children[0], label);
    setText(row.children[1], `${amps.toFixed(1)} A`);
    row.querySelector("i").style.width = `${Math.min(100, (100 * amps) / LIMIT_SCALE_A)}%`;
    setText(row.children[3], wins ? `Decides now: ${meaning}` : plain(meaning));
  });
}

function cells(values, digits) {
  return [0, 1, 2].map((i) => (values?.[i] === undefined || values?.[i] === null ? "–" : values[i].toFixed(digits)));
}

const ROWS = ["Voltage, V", "Car, A", "Connection, A"];
$("values").append(...ROWS.map((name) => make("tr", {}, make("th", { scope: "row" }, name), make("td"), make("td"), make("td"))));
const FACTS = ["Pilot", "Contactor", "Board temperature", "House meter", "Backend"];
$("facts").append(...FACTS.map((name) => make("div", {}, make("dt", {}, name), make("dd", {}, "–"))));

function pilotText(pilot) {
  if (!pilot) return "–";
  const volts = (mv) => `${mv < 0 ? "−" : "+"}${(Math.abs(mv) / 1000).toFixed(1)}`;
  const levels = pilot.duty_permille === 1000 || pilot.duty_permille === 0 ? volts(pilot.high_mv) : `${volts(pilot.high_mv)}/${volts(pilot.low_mv)}`;
  return `${pilot.state} · ${levels} V · ${(pilot.duty_permille / 10).toFixed(1)} %`;
}

function counted(n, word) {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

function meterText(meter) {
  if (!meter || meter.model === "none") return "none";
  if (!meter.valid) return meter.problem ?? "no valid reading";
  return counted(meter.reads, "reading");
}

function backendText(backend) {
  if (!backend?.url) return "none";
  const waiting = backend.waiting ? ` · ${counted(backend.waiting, "message")} to send` : "";
  if (backend.connected) return `connected · ${backend.connector}${waiting}`;
  return `${backend.reason || backend.state || "starting"}${waiting}`;
}

function showValues(state) {
  const data = [cells(state.volts, 0), cells(state.currents_a, 1), cells(state.meter?.currents_a, 1)];
  data.forEach((row, r) => row.forEach((text, c) => setText($("values").rows[r].cells[c + 1], text)));
  const contactor = state.contactor;
  const facts = [
    pilotText(state.pilot),
    contactor ? `${contactor.closed ? "closed" : "open"} · ${counted(contactor.operations ?? 0, "operation")}` : "–",
    state.temperature_c === undefined ? "–" : `${state.temperature_c.toFixed(1)} °C`,
    meterText(state.meter),
    backendText(state.backend),
  ];
  facts.forEach((text, i) => setText($("facts").children[i].lastChild, text));
}

function showFaults(faults) {
  const list = $("active-faults");
  const names = faults.map((fault) => fault.name).join();
  if (list.dataset.names === names) return;
  list.dataset.names = names;
  list.replaceChildren(...faults.map((fault) => make("li", { title: fault.text ?? "", "data-severity": fault.severity }, ACTIVE[fault.name] ?? plain(fault.name))));
}

/** Show everything the wallbox says about itself. */
export function showStatus(state) {
  const [kind, word] = phaseOf(state);
  setMark($("phase"), "data-kind", kind);
  setText($("phase").lastElementChild, word);
  const text = whyText(state);
  setText($("why"), text);
  setText($("why-meta"), whyMeta(state) || "\u00a0");
  say(`${kind} ${state.why?.code ?? ""}`, `${word}. ${text}`);
  showFigures(state);
  showLimits(state);
  showValues(state);
  showFaults(state.faults ?? []);
  setText($("clock"), state.utc ? state.utc.replace("T", " ").slice(0, 19) : clockText((state.plant_ms ?? 0) / 1000));
}
