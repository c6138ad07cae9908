// Diagnostics: faults and what to do, the log, recorded trips as charts (R34), the health book (R33), resets, the meter.

import { Chart } from "../chart.js";
import { download } from "../client.js";
import { parseCsv } from "../csv.js";
import { h, s, saveFile } from "../dom.js";
import { amount, clockText, moment, named, number, spanText, t } from "../i18n.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { ask, button, card, facts, guard, later, needing, pill, tabbed, toast } from "../ui.js";
import { faultTitle, limitName } from "../words.js";

const RESETS = 10;
const KINDS = { red: "bad", pause: "warn", warning: "warn" };

function faultRow(fault) {
  const since = (store.get("status")?.uptime_ms ?? 0) / 1000 - fault.since_s;
  const value = fault.unit ? ` (${number(fault.value)} ${fault.unit})` : "";
  return h("li", { class: "card fault" }, h("div", { class: "head" }, h("h3", {}, faultTitle(fault.name), value), pill(KINDS[fault.severity], t(`severity.${fault.severity}`))), h("p", {}, named(`todo.${fault.name}`, fault.text)), h("p", { class: "hint" }, t("why_since", { time: spanText(since) })), fault.clearable ? serviceButton() : null);
}

function serviceButton() {
  return button(t("service.clear"), async () => {
    if (!(await guard("expert"))) return;
    await ask({ title: t("service.title"), text: t("service.text"), confirm: t("service.clear"), danger: true, work: async () => {
      await link.request("service", { confirm: true });
      toast(t("service.done"));
    } });
  }, { kind: "danger" });
}

function faultsTab() {
  return later(() => link.request("faults"), (answer) => {
    const rows = answer.faults.map((fault) => faultRow({ ...fault, clearable: answer.clearable.includes(fault.name) }));
    return rows.length ? h("ul", { class: "stack" }, rows) : card(null, h("p", {}, pill("good", t("faults.none"))), h("p", { class: "hint" }, t("faults.none_text")));
  });
}

async function entries(security) {
  const found = [];
  for (let since = 0; ; ) {
    const answer = await link.request("log", { since, ...(security ? { security: true } : {}) });
    found.push(...answer.entries);
    const newest = answer.entries.at(-1)?.seq;
    if (!answer.entries.length || newest === undefined || newest >= answer.last) return found.reverse();
    since = newest;
  }
}

function entryRow(entry) {
  const level = entry.level ?? (["wrong", "locked"].includes(entry.result) ? "warning" : "info");
  return h("li", { "data-level": level }, h("span", { class: "when num" }, entry.utc ? moment(entry.utc) : clockText(entry.uptime_s ?? entry.uptime_ms / 1000)), h("span", { class: "hidden" }, t(`level.${level}`)), h("p", {}, entry.text ?? `${entry.what}, ${entry.role}: ${entry.result}`));
}

function logList(security) {
  return later(() => entries(security), (found) => (found.length ? h("ol", { class: "log", tabindex: 0, "aria-label": t("log.label") }, found.map(entryRow)) : h("p", { class: "hint" }, t("log.empty"))));
}

function logTab(onLeave) {
  const save = (name) => button(t("log.save", { name }), async () => saveFile(name, await download(link, name), "text/csv"), { small: true });
  return needing("owner", () => h("div", { class: "stack" },
    h("section", { class: "card" }, h("div", { class: "head" }, h("h2", {}, t("log.title")), save("log.csv")), logList(false)),
    h("section", { class: "card" }, h("div", { class: "head" }, h("h2", {}, t("log.security")), link.may("expert") ? save("security.csv") : null), needing("expert", () => logList(true), onLeave))), onLeave);
}

/** Three charts and a band over one time axis: the 2 s before a trip and the 1 s after it. */
function tripCharts(rows, onLeave) {
  const value = (row, name, factor) => (row[name] === "" || row[name] === undefined ? null : Number(row[name]) / factor);
  const samples = rows.map((row) => [Number(row.ms), value(row, "high_mv", 1000), value(row, "low_mv", 1000), value(row, "dc_ua", 1000), value(row, "ac_ua", 1000), value(row, "offered_ma", 1000), value(row, "l1_ma", 1000), value(row, "l2_ma", 1000), value(row, "l3_ma", 1000)]);
  const xText = (ms) => `${number(ms / 1000, 1)} s`;
  const span = [samples[0]?.[0] ?? -2000, samples.at(-1)?.[0] ?? 1000];
  const charts = [
    new Chart({ label: t("trip.pilot"), mark: 0, unit: "V", xText, least: [-12, 12], height: 170, series: [{ name: t("trip.high"), index: 1, tone: "accent", step: true }, { name: t("trip.low"), index: 2, tone: "violet", dash: "7 3", step: true }] }),
    new Chart({ label: t("trip.residual"), mark: 0, unit: "mA", xText, least: [0, 6], height: 170, series: [{ name: "DC", index: 3, tone: "bad", step: true }, { name: "AC", index: 4, tone: "house", dash: "7 3", step: true }] }),
    new Chart({ label: t("trip.currents"), mark: 0, unit: "A", xText, least: [0, 16], height: 190, series: [{ name: t("offered"), index: 5, tone: "accent", step: true }, { name: "L1", index: 6, tone: "l1", step: true }, { name: "L2", index: 7, tone: "l2", dash: "7 3", step: true }, { name: "L3", index: 8, tone: "l3", dash: "2 3", step: true }] }),
  ];
  for (const chart of charts) chart.show(samples, span);
  onLeave(() => charts.forEach((chart) => chart.end()));
  return h("div", { class: "stack" }, charts.map((chart) => chart.element), contactorBand(rows, span));
}

/** When the contactor was told to be closed, and when its poles were. */
function contactorBand(rows, [first, last]) {
  const band = (name, on) => {
    const runs = [];
    rows.forEach((row, i) => {
      if (!on(row)) return;
      const to = Number(rows[i + 1]?.ms ?? last);
      if (i && on(rows[i - 1])) runs.at(-1)[1] = to;
      else runs.push([Number(row.ms), to]);
    });
    const parts = runs.map(([from, to]) => s("rect", { x: ((from - first) * 1000) / (last - first), width: Math.max(1, ((to - from) * 1000) / (last - first)), y: 0, height: 12 }));
    return h("div", { class: "band" }, h("span", {}, name), s("svg", { viewBox: "0 0 1000 12", preserveAspectRatio: "none", role: "img", "aria-label": `${name}: ${changes(rows, on)}` }, ...parts));
  };
  return h("div", { class: "bands" }, band(t("trip.commanded"), (row) => Number(row.commanded) > 0), band(t("trip.closed"), (row) => Number(row.live) > 0));
}

function changes(rows, on) {
  let before = null;
  const parts = [];
  for (const row of rows) {
    if (on(row) === before) continue;
    before = on(row);
    parts.push(`${t(before ? "on" : "off")} ${number(Number(row.ms) / 1000, 2)} s`);
  }
  return parts.join(", ");
}

function tripsTab(onLeave) {
  const place = h("div");
  const open = async (trip) => {
    const bytes = await download(link, "trip.csv", { args: { index: trip.index } });
    const text = new TextDecoder().decode(bytes);
    place.replaceChildren(h("section", { class: "card" }, h("div", { class: "head" }, h("h2", { tabindex: -1 }, faultTitle(trip.code)), button(t("trip.save"), () => saveFile(`trip-${trip.sequence ?? trip.index}.csv`, bytes, "text/csv"), { small: true })), h("p", { class: "hint" }, t("trip.axis")), tripCharts(parseCsv(text), onLeave)));
    place.querySelector("h2").focus();
  };
  return needing("owner", () => h("div", { class: "stack" }, later(() => link.request("trips"), ({ trips }) => (trips.length
    ? card(t("trip.title"), h("ul", { class: "found" }, trips.map((trip) => h("li", {}, h("div", { class: "grow" }, h("b", {}, faultTitle(trip.code)), h("small", {}, trip.utc ? moment(trip.utc) : t("trip.uptime", { time: clockText((trip.uptime_ms ?? 0) / 1000) }))), button(t("trip.open"), () => open(trip), { small: true })))))
    : card(t("trip.title"), h("p", { class: "hint" }, t("trip.none"))))), place), onLeave);
}

function healthTab() {
  const { contactor = {}, lifetime = {} } = store.get("status") ?? {};
  const time = (times) => (times?.new_ms ? t("health.times", { fresh: times.new_ms, recent: times.recent_ms, worst: times.worst_ms }) : t("health.too_few"));
  return card(t("health.title"), h("p", {}, contactor.worn ? pill("bad", t("health.worn", { what: named(`health.${contactor.worn}`, contactor.worn) })) : pill("good", t("health.good"))), h("p", { class: "hint" }, t("health.text")), facts([
    [t("health.operations"), number(contactor.operations)],
    [t("health.load_openings"), number(contactor.load_openings)],
    [t("health.load_max"), amount((contactor.load_max_ma ?? 0) / 1000, "A", 1)],
    [t("health.opening"), time(contactor.opening)],
    [t("health.closing"), time(contactor.closing)],
    [t("health.closed"), spanText(contactor.closed_s ?? 0)],
    [t("health.energy"), amount((lifetime.total_wh ?? 0) / 1000, "kWh", 1)],
    [t("history.sessions"), number(lifetime.sessions)],
  ]));
}

function systemTab(onLeave) {
  const status = store.get("status") ?? {};
  const restarts = Object.entries(status.restarts ?? {}).filter(([, count]) => count > 0);
  const { meter = {} } = status;
  return h("div", { class: "stack two" },
    card(t("system.title"), facts([
      [t("version"), h("span", { class: "mono" }, store.get("hello")?.version ?? "–")],
      [t("serial"), h("span", { class: "mono" }, store.get("hello")?.serial ?? "–")],
      [t("system.uptime"), spanText((status.uptime_ms ?? 0) / 1000)],
      [t("system.clock"), moment(status.utc)],
      [t("temperature"), amount(status.temperature_c, "°C", 1)],
      [t("system.tasks"), restarts.length ? restarts.map(([name, count]) => `${name} ${count}`).join(", ") : t("system.no_restarts")],
      [t("limited_by"), limitName(status.limited_by)],
    ]), h("div", { class: "row end" }, button(t("system.save"), async () => {
      if (await guard("owner")) saveFile("diagnostics.json", await download(link, "diagnostics.json"), "application/json");
    }, { id: "save-diagnostics" }))),
    card(t("stats.title"), facts([
      [t("stats.reads"), number(meter.reads)],
      [t("stats.timeouts"), number(meter.timeouts)],
      [t("stats.errors"), number(meter.errors)],
      [t("stats.exceptions"), number(meter.exceptions)],
      [t("stats.implausible"), number(meter.implausible)],
      [t("stats.cycle"), meter.cycle_ms ? amount(meter.cycle_ms, "ms") : "–"],
      [t("stats.response"), meter.response_ms ? t("stats.response_value", { last: meter.response_ms, most: meter.response_max_ms }) : "–"],
    ])), resetsCard(onLeave));
}

/** Starts and resets in the log, newest first: why the box began anew. */
async function resets() {
  const rows = parseCsv(new TextDecoder().decode(await download(link, "log.csv")));
  return rows.filter((row) => row.code === "start" || row.code === "reset").reverse().slice(0, RESETS);
}

function resetsCard(onLeave) {
  return h("section", { class: "card" }, h("h2", {}, t("system.resets")), needing("owner", () => later(resets, (rows) => (rows.length ? h("ol", { class: "log" }, rows.map((row) => entryRow({ ...row, uptime_ms: Number(row.uptime_ms) }))) : h("p", { class: "hint" }, t("log.empty")))), onLeave));
}

export default function diagnostics({ onLeave }) {
  return tabbed(t("view.diagnostics"), [
    ["faults", t("tab.faults"), faultsTab],
    ["log", t("tab.log"), () => logTab(onLeave)],
    ["trips", t("tab.trips"), () => tripsTab(onLeave)],
    ["health", t("tab.health"), healthTab],
    ["system", t("tab.system"), () => systemTab(onLeave)],
  ]);
}
