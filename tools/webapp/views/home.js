// The first screen: how the wallbox is and why, what it gives, and what a person may do about it.

import { h, mark, setText } from "../dom.js";
import { amount, clockText, named, number, spanText, t } from "../i18n.js";
import { ledBar } from "../ledbar.js";
import { store } from "../store.js";
import { link } from "../link.js";
import { button, card, guard, pill, say } from "../ui.js";
import { faultTitle, limitName, phaseOf, whyText } from "../words.js";

const SAY_PAUSE_MS = 8_000;

function figure(name, unit) {
  const value = h("b", {}, "–");
  return { row: h("div", {}, h("dt", {}, name), h("dd", {}, value, ` ${unit}`)), value };
}

function whyMeta(why, status) {
  const now = (status?.uptime_ms ?? 0) / 1000;
  const parts = [];
  if (why?.who) parts.push(t("why_by", { who: named(`who.${why.who.replaceAll(" ", "_")}`, why.who) }));
  if (typeof why?.since_s === "number") parts.push(t("why_since", { time: spanText(now - why.since_s) }));
  if (typeof why?.until_s === "number") parts.push(t("why_until", { time: spanText(why.until_s - now) }));
  return parts.join(" · ");
}

function limitRows(status) {
  return Object.entries(status.limits ?? {}).sort((a, b) => a[1] - b[1]).map(([name, amps]) => {
    const wins = name === status.limited_by;
    return h("li", { "data-winner": wins }, h("span", {}, limitName(name)), h("b", { class: "num" }, amount(amps, "A", 1)), wins ? h("small", {}, t("limit_decides")) : null);
  });
}

export default function home({ onLeave }) {
  const bar = ledBar();
  const phase = h("div", { id: "phase" });
  const why = h("p", { class: "why", id: "why" });
  const meta = h("p", { class: "hint why-meta", id: "why-meta" });
  const power = figure(t("power"), "kW");
  const offered = figure(t("offered"), "A");
  const energy = figure(t("energy"), "kWh");
  const time = figure(t("time"), "");
  const actions = h("div", { class: "row actions" });
  const limits = h("ul", { class: "limits" });
  const phases = h("tbody");
  const faults = h("ul", { class: "notes" });
  let said = "";
  let saidAt = -SAY_PAUSE_MS;

  const tell = (kind, code, text) => {
    const now = performance.now();
    if (`${kind} ${code}` === said || now - saidAt < SAY_PAUSE_MS) return;
    said = `${kind} ${code}`;
    saidAt = now;
    say(text);
  };

  const show = () => {
    const status = store.get("status");
    const live = store.get("live").at(-1);
    if (!status) return;
    const reason = status.why;
    const [kind, words] = phaseOf(live, status);
    if (phase.dataset.words !== words) {
      phase.dataset.words = words;
      phase.replaceChildren(pill(kind, words));
    }
    bar.show(live?.led ?? status.led?.pattern ?? "off");
    const text = whyText(reason, { ...status, offered_a: live?.offered_a ?? status.offered_a });
    setText(why, text);
    setText(meta, whyMeta(reason, status) || "\u00a0");
    tell(kind, reason?.code, `${words}. ${text}`);
    const watts = live?.power_w ?? (status.currents_a ?? []).reduce((sum, amps, i) => sum + amps * (status.volts?.[i] ?? 0), 0);
    setText(power.value, number(Math.max(0, watts) / 1000, 1));
    setText(offered.value, number(live?.offered_a ?? status.offered_a, 1));
    setText(energy.value, number((live?.energy_wh ?? status.session?.energy_wh ?? 0) / 1000, 2));
    setText(time.value, clockText(status.session?.duration_s ?? 0));
    limits.replaceChildren(...limitRows(status));
    const currents = live?.currents_a ?? status.currents_a ?? [];
    const volts = live?.volts ?? status.volts ?? [];
    const atFuse = live?.meter_a ?? status.meter?.currents_a ?? [];
    phases.replaceChildren(...[0, 1, 2].map((i) => h("tr", {}, h("th", { scope: "row" }, `L${i + 1}`), h("td", { class: "num" }, amount(volts[i], "V")), h("td", { class: "num" }, amount(currents[i], "A", 1)), h("td", { class: "num" }, amount(atFuse[i], "A", 1)))));
    const names = (status.faults ?? []).map((fault) => fault.name).join();
    if (faults.dataset.names !== names) {
      faults.dataset.names = names;
      faults.replaceChildren(...(status.faults ?? []).map((fault) => h("li", { "data-severity": fault.severity }, h("a", { href: "#/diagnostics" }, faultTitle(fault.name)))));
    }
    mark(faults, "hidden", !names);
    showActions(status);
  };

  const charge = async (on) => {
    if (await guard("owner")) await link.request("charge", { on });
  };

  const showActions = (status) => {
    const complete = store.get("hello")?.commissioned && status.why?.code !== "not_set_up";
    const { active, authorised } = status.session ?? {};
    const car = /^[BCD]/.test(status.pilot?.state ?? "");
    const offers = active && authorised ? "stop" : car && !active ? "start" : "";
    const wanted = `${complete} ${offers}`;
    if (actions.dataset.wanted === wanted) return;
    actions.dataset.wanted = wanted;
    actions.replaceChildren(
      ...(complete && offers ? [button(t(`home.${offers}`), () => charge(offers === "start"), { id: `charge-${offers}` })] : []),
      complete ? h("a", { class: "primary", href: "#/live" }, t("home.live")) : h("a", { class: "primary", href: "#/wizard", id: "go-wizard" }, t("home.wizard")),
      h("a", { class: "quiet", href: "#/diagnostics" }, t("home.diagnostics")));
  };

  const hero = h("section", { class: "card hero wide", "aria-label": t("view.home") },
    h("div", { class: "hero-top" }, bar.element, h("div", { class: "story" }, phase, why, meta, faults, actions)),
    h("dl", { class: "figures" }, power.row, offered.row, energy.row, time.row));
  onLeave(store.listen("status", show));
  onLeave(store.listen("live", show));
  show();
  return h("div", { class: "stack two" }, hero,
    card(t("home.limits"), limits),
    card(t("home.phases"), h("table", { class: "values" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "hidden" }, t("phase_word"))), h("th", { scope: "col" }, t("voltage")), h("th", { scope: "col" }, t("car")), h("th", { scope: "col" }, t("connection")))), phases)));
}
