// Charts of the last minutes: currents of car and house, power, temperature.

import { Chart } from "../chart.js";
import { h, mark } from "../dom.js";
import { clockText, t } from "../i18n.js";
import { link } from "../link.js";
import { store } from "../store.js";

const WINDOWS_S = [60, 300, 600];
// Marks of the time axis.
const STEPS_S = [10, 15, 30, 60, 120, 300];
const RATES_MS = [500, 1_000, 5_000];

/** Samples of a chart, their times in seconds before `end`. */
function samplesOf(events, end) {
  return events.map((event) => {
    const [l1, l2, l3] = event.currents_a ?? [];
    const [m1, m2, m3] = event.meter_a ?? [];
    return [event.t_ms / 1000 - end, event.offered_a, l1, l2, l3, (event.power_w ?? 0) / 1000, m1, m2, m3, event.temperature_c];
  });
}

/** Buttons of which one is chosen. */
function choice(label, values, name, chosen, choose) {
  const buttons = values.map((value) => h("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => {
    buttons.forEach((one, i) => mark(one, "aria-pressed", String(values[i] === value)));
    choose(value);
  } }, name(value)));
  return h("div", { class: "labelled" }, h("span", { "aria-hidden": "true" }, label), h("div", { class: "segments", role: "group", "aria-label": label }, buttons));
}

export default function live({ onLeave }) {
  let windowS = 300;
  const xText = (x) => (Math.round(x) >= 0 ? t("now") : `−${clockText(-x)}`);
  const phases = (first) => [1, 2, 3].map((n) => ({ name: `L${n}`, index: first + n - 1, tone: `l${n}`, dash: [null, "7 3", "2 3"][n - 1] }));
  const charts = [
    new Chart({ label: t("live.car"), unit: "A", xText, xSteps: STEPS_S, least: [0, 8], series: [{ name: t("offered"), index: 1, tone: "accent", step: true }, ...phases(2)] }),
    new Chart({ label: t("live.power"), unit: "kW", xText, xSteps: STEPS_S, least: [0, 2], height: 170, series: [{ name: t("power"), index: 5, tone: "accent", digits: 2 }] }),
    new Chart({ label: t("live.house"), unit: "A", xText, xSteps: STEPS_S, least: [0, 8], series: phases(6) }),
    new Chart({ label: t("live.temperature"), unit: "°C", xText, xSteps: STEPS_S, least: [0, 40], height: 170, series: [{ name: t("temperature"), index: 9, tone: "house" }] }),
  ];
  const draw = () => {
    const events = store.get("live");
    if (!events.length) return;
    const samples = samplesOf(events, events.at(-1).t_ms / 1000).filter((sample) => sample[0] >= -windowS);
    for (const chart of charts) chart.show(samples, [-windowS, 0]);
  };
  onLeave(store.listen("live", draw));
  onLeave(() => charts.forEach((chart) => chart.end()));
  // The rate belongs to this view; the others need one value a second.
  onLeave(() => link.client?.open && link.request("live", { period_ms: 1_000 }).catch((error) => console.info(error.message)));
  draw();
  return h("div", { class: "stack", "data-keep": true },
    h("div", { class: "row" },
      choice(t("live.window"), WINDOWS_S, (seconds) => `${seconds / 60} min`, windowS, (seconds) => {
        windowS = seconds;
        draw();
      }),
      choice(t("live.rate"), RATES_MS, (ms) => `${ms / 1000} s`, 1_000, (ms) => link.request("live", { period_ms: ms }))),
    h("div", { class: "stack two" }, charts.map((chart) => h("section", { class: "card" }, chart.element))));
}
