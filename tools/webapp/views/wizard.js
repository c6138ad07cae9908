// The installation wizard: step by step, each kept by the box, so that a cut or a reload goes on where it was (R6, R23).

import { h, setText } from "../dom.js";
import { amount, named, t } from "../i18n.js";
import { loadBoth, settingsForm } from "../form.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { act, button, card, errorText, facts, guard, later, needing, pill, say, toast } from "../ui.js";
import { optionName, phaseOf, settingName, whyText } from "../words.js";
import { cardManager } from "./cards.js";
import { checkCard, scanCard, settingsOf } from "./meter.js";
import { reportForm } from "./report.js";

/** The settings of each step, in the order in which an electrician knows them. */
const KEYS = {
  electrical: ["rated_a", "phases", "connection_a", "earthing", "pe_mode", "nominal_v", "nominal_hz", "unbalance_a"],
  meter: ["meter_model", "meter_address", "meter_baud", "meter_parity", "load_optimisation", "fallback_a", "solar_mode"],
  network: ["wifi_ssid", "wifi_password", "apn", "apn_user", "apn_password", "sim_pin_password"],
  backend: ["ocpp_url", "charge_point_id", "ocpp_password"],
  cards: ["access_control", "authorisation_timeout_s"],
};
const SKIPPABLE = ["network", "backend", "cards", "test"];
const STATES = { done: "good", skipped: "wait", open: "warn" };

async function read() {
  const { wizard } = await link.request("wizard");
  store.set("wizard", wizard);
  return wizard;
}

async function load() {
  const wizard = await read();
  return { wizard, ...(await loadBoth()) };
}

class Wizard {
  constructor(context) {
    this.context = context;
    this.place = h("div", { class: "stack" });
    this.leave = [];
    context.onLeave(() => this.end());
  }

  end() {
    this.leave.forEach((stop) => stop());
    this.leave = [];
  }

  /** Ask the box how far it is and show a step: the one named, else the one at which it stands. */
  open(name) {
    this.end();
    this.place.replaceChildren(later(load, (found) => {
      this.found = found;
      const { step } = found.wizard;
      this.name = name ?? step;
      return h("div", { class: "wizard" }, this.stepList(), this.name ? this.step() : this.finished());
    }));
  }

  stepList() {
    const { steps } = this.found.wizard;
    const rows = steps.map(({ name, state }, i) => h("li", {}, h("button", { type: "button", "data-step": name, "data-state": state, "aria-current": name === this.name ? "step" : null, onclick: () => this.open(name) }, h("i", { "aria-hidden": "true" }, state === "done" ? "✓" : state === "skipped" ? "–" : String(i + 1)), h("span", {}, t(`step.${name}`)), h("span", { class: "hidden" }, ` (${t(`step_state.${state}`)})`))));
    const done = steps.filter(({ state }) => state !== "open").length;
    return h("nav", { class: "steplist", "aria-label": t("wizard.steps") }, h("p", { class: "hint num" }, t("wizard.progress", { done, all: steps.length })), h("ol", {}, rows));
  }

  step() {
    const heading = h("h2", { tabindex: -1, id: "step-title" }, t(`step.${this.name}`));
    const body = this[`show_${this.name}`]?.() ?? this.form(this.name);
    queueMicrotask(() => heading.isConnected && this.moved && heading.focus());
    return h("section", { class: "stack step", "data-step": this.name, "aria-labelledby": "step-title" }, h("div", {}, heading, h("p", { class: "hint" }, t(`step_text.${this.name}`)), this.missing()), body);
  }

  missing() {
    const { missing = [] } = this.found.wizard.steps.find(({ name }) => name === this.name);
    if (!missing.length || this.name === "summary") return null;
    return h("p", { class: "hint", id: "missing" }, t("wizard.missing", { what: missing.map((key) => named(`missing.${key}`, settingName(key))).join(", ") }));
  }

  skip() {
    return SKIPPABLE.includes(this.name) ? button(t("wizard.skip"), () => this.send(this.name, {}, { confirm: false }), { id: "skip-step" }) : null;
  }

  /** Tell the box what was entered, and go on to the step at which it then stands. */
  async send(step, set, more = { confirm: true }) {
    const { wizard } = await link.request("wizard", { step, ...(Object.keys(set).length ? { set } : {}), ...more });
    store.set("wizard", wizard);
    this.moved = true;
    const names = wizard.steps.map(({ name }) => name);
    const next = names[names.indexOf(step) + 1];
    say(t("wizard.saved", { step: t(`step.${step}`) }));
    this.open(next);
    return null;
  }

  form(step, extra = []) {
    const { schema, settings } = this.found;
    return settingsForm({ schema, settings, groups: [["", KEYS[step] ?? []]], submit: t("wizard.next"), whole: true, onLeave: (stop) => this.leave.push(stop), extra, beside: this.skip(), send: (set) => this.send(step, set) });
  }

  /** All is done: what is left is the report. */
  finished() {
    return h("section", { class: "stack step", "data-step": "end" }, h("p", { class: "note good" }, t("wizard.complete")), this.reportCard(), h("div", { class: "row" }, h("a", { class: "primary", href: "#/home" }, t("view.home"))));
  }

  reportCard() {
    return card(t("report.title"), h("p", { class: "hint" }, t("report.text")), reportForm());
  }

  show_meter() {
    const take = async (found) => {
      await link.request("wizard", { step: "meter", set: settingsOf(found) });
      toast(t("meter.taken"));
      this.open("meter");
    };
    return h("div", { class: "stack" }, scanCard({ onLeave: (stop) => this.leave.push(stop), take }), this.form("meter"));
  }

  show_cards() {
    return h("div", { class: "stack" }, this.form("cards"), cardManager({ onLeave: (stop) => this.leave.push(stop) }));
  }

  show_test() {
    const state = h("div", { class: "stack", role: "status" });
    const onLeave = (stop) => this.leave.push(stop);
    const next = button(t("wizard.test_done"), () => this.send("test", {}), { kind: "primary", id: "test-done" });
    const show = () => {
      const status = store.get("status");
      if (!status) return;
      const live = store.get("live").at(-1);
      const [kind, words] = phaseOf(live, status);
      state.replaceChildren(pill(kind, words), h("p", { class: "why" }, whyText(status.why, status)), facts([
        [t("offered"), amount(live?.offered_a ?? status.offered_a, "A", 1)],
        [t("car"), (live?.currents_a ?? []).map((amps) => amount(amps, "A", 1)).join(" / ")],
        [t("connection"), (live?.meter_a ?? []).map((amps) => amount(amps, "A", 1)).join(" / ") || "–"],
      ]));
    };
    onLeave(store.listen("status", show));
    onLeave(store.listen("live", show));
    show();
    const meter = this.found.settings.meter_model === "none" ? null : checkCard({ onLeave });
    return h("div", { class: "stack" }, card(t("wizard.test_now"), state, h("div", { class: "row end" }, this.skip(), next)), meter);
  }

  show_summary() {
    const { wizard, schema, settings } = this.found;
    const rows = Object.values(KEYS).flat().filter((key) => schema.has(key) && settings[key] !== "" && !(schema.get(key).secret && !settings[key])).map((key) => [settingName(key), schema.get(key).secret ? t("secret_set") : optionName(key, settings[key], schema.get(key).unit)]);
    const error = h("p", { class: "error", role: "alert" });
    const finish = h("button", { type: "button", class: "primary", id: "finish-wizard" }, t("wizard.finish"));
    finish.addEventListener("click", () => act(finish, async () => {
      setText(error, "");
      if (!(await guard("expert"))) return;
      await this.send("summary", {});
      store.set("hello", { ...store.get("hello"), commissioned: true });
      toast(t("wizard.complete"));
    }, (failure) => setText(error, errorText(failure))));
    const open = wizard.steps.filter(({ state, name }) => state === "open" && name !== "summary" && name !== "test");
    return h("div", { class: "stack" },
      wizard.complete ? h("p", { class: "note good" }, t("wizard.complete")) : null,
      card(t("wizard.checked"), h("ul", { class: "found" }, wizard.steps.map(({ name, state }) => h("li", {}, h("b", { class: "grow" }, t(`step.${name}`)), pill(STATES[state], t(`step_state.${state}`)))))),
      card(t("wizard.entered"), facts(rows)),
      open.length ? h("p", { class: "note" }, t("wizard.still_open", { steps: open.map(({ name }) => t(`step.${name}`)).join(", ") })) : null,
      error,
      h("div", { class: "row end" }, finish),
      this.reportCard());
  }
}

export default function wizard(context) {
  return needing("expert", () => {
    const one = new Wizard(context);
    one.open();
    return h("div", { "data-wizard": true }, one.place);
  }, context.onLeave);
}
