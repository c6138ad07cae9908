// Charging sessions: list, energy by month as a chart, and files for CSV or JSON.

import { download } from "../client.js";
import { h, mark, s, saveFile } from "../dom.js";
import { amount, clockText, moment, named, number, t } from "../i18n.js";
import { link } from "../link.js";
import { button, card, later, needing, progressBar } from "../ui.js";

const SHOWN = 30;
const BARS = 14;

async function sessions() {
  const text = new TextDecoder().decode(await download(link, "history.json"));
  return JSON.parse(text).sessions.reverse();
}

function bars(rows) {
  const newest = rows.slice(0, BARS).reverse();
  const most = Math.max(1, ...newest.map((row) => row.energy_wh / 1000));
  const width = 100 / Math.max(newest.length, 6);
  const label = t("history.chart_label", { values: newest.map((row) => number(row.energy_wh / 1000, 1)).join("; ") });
  const parts = newest.map((row, i) => {
    const height = (70 * row.energy_wh) / 1000 / most;
    return s("rect", { class: "energybar", x: i * width + width * 0.16, width: width * 0.68, y: 76 - height, height: Math.max(height, 0.8), rx: 1 });
  });
  return h("figure", { class: "energybars" }, h("figcaption", { class: "hint" }, t("history.last", { most: amount(Math.max(...newest.map((one) => one.energy_wh / 1000)), "kWh", 2) })), s("svg", { viewBox: "0 0 100 78", preserveAspectRatio: "none", role: "img", "aria-label": label }, s("path", { class: "grid", d: "M0 77h100" }), ...parts));
}

function row(session) {
  return h("li", {},
    h("div", {}, h("b", {}, moment(session.start)), h("small", {}, [session.card_name ?? session.card, named(`stop.${session.stop_reason}`, session.stop_reason ?? "")].filter(Boolean).join(" · "))),
    h("div", { class: "num" }, h("b", {}, amount(session.energy_wh / 1000, "kWh", 2)), h("small", {}, clockText(session.duration_s))));
}

function show(rows) {
  if (!rows.length) return card(null, h("p", { class: "hint" }, t("history.empty")));
  const total = rows.reduce((sum, one) => sum + one.energy_wh, 0);
  const list = h("ul", { class: "sessions" }, rows.slice(0, SHOWN).map(row));
  const more = rows.length > SHOWN ? button(t("history.all", { count: rows.length }), () => {
    list.replaceChildren(...rows.map(row));
    mark(more, "hidden", true);
  }) : null;
  return h("div", { class: "stack" }, card(null, h("dl", { class: "figures few" }, [[t("history.sessions"), number(rows.length)], [t("history.total"), amount(total / 1000, "kWh", 1)], [t("history.mean"), amount(total / 1000 / rows.length, "kWh", 1)]].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value))))), bars(rows)), card(t("history.list"), list, more));
}

function view() {
  const bar = progressBar(t("download"));
  const save = (format, type) => button(format.toUpperCase(), async () => {
    try {
      saveFile(`history.${format}`, await download(link, `history.${format}`, { progress: (part, whole) => bar.show(part, whole, `${number(part / 1024, 1)} KB`) }), type);
    } finally {
      bar.hide();
    }
  }, { id: `save-${format}` });
  return h("div", { class: "stack" }, card(t("download"), h("p", { class: "hint" }, t("history.files")), h("div", { class: "row" }, save("csv", "text/csv"), save("json", "application/json")), bar.row), later(sessions, show));
}

export default function history({ onLeave }) {
  return needing("owner", view, onLeave);
}
