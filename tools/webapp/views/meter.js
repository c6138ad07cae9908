// The house's meter: what it measures now, the search for it, its settings, and the self-check (R36).

import { h, mark, setText } from "../dom.js";
import { amount, number, t } from "../i18n.js";
import { loadBoth, settingsForm } from "../form.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { button, card, errorText, facts, guard, later, pill, progressBar, say, toast } from "../ui.js";
import { optionName } from "../words.js";

const LOOK_MS = 1_000;

/** The keys of the schema that are about the meter. */
function meterKeys(schema) {
  return [...schema].filter(([key]) => key.startsWith("meter_") || ["load_optimisation", "fallback_a"].includes(key)).map(([key]) => key);
}

/** The search: starts it, shows how far it is, and offers what it found. `take(found)` puts it into the settings. */
export function scanCard({ onLeave, take }) {
  const bar = progressBar(t("meter.scan"));
  const results = h("ul", { class: "found", id: "scan-found" });
  let timer = null;
  const row = (found) => h("li", {}, h("div", { class: "grow" }, h("b", {}, found.model ? optionName("meter_model", found.model) : t("meter.unknown_slave")), h("small", {}, t("meter.found_at", { address: found.address, baud: found.baud, parity: optionName("meter_parity", found.parity) }), found.serial ? ` · ${found.serial}` : "")), found.model ? button(t("meter.use"), () => take(found), { kind: "primary", small: true, class: "primary small use-meter" }) : null);
  const look = async () => {
    try {
      show((await link.request("scan")).scan);
    } catch (error) {
      toast(errorText(error));
    }
  };
  const show = (scan) => {
    results.replaceChildren(...scan.found.map(row));
    if (scan.running) {
      bar.show(scan.percent, 100, t("meter.trying", { what: scan.trying ?? "", percent: scan.percent }));
      timer = setTimeout(look, LOOK_MS);
      return;
    }
    bar.hide();
    const text = scan.found.length ? t("meter.found", { count: scan.found.length }) : t("meter.nothing");
    if (scan.percent) {
      setText(said, text);
      say(text);
    }
  };
  const said = h("p", { class: "hint" });
  const start = button(t("meter.scan_start"), async () => {
    if (!(await guard("expert"))) return;
    setText(said, "");
    show((await link.request("scan", { start: true })).scan);
    clearTimeout(timer);
    timer = setTimeout(look, LOOK_MS);
  }, { id: "scan" });
  onLeave(() => clearTimeout(timer));
  return card(t("meter.scan"), h("p", { class: "hint" }, t("meter.scan_text")), h("div", { class: "row" }, start), bar.row, said, results);
}

/** The self-check; `done(result)` hears how it ended. */
export function checkCard({ onLeave, done = () => {} }) {
  const bar = progressBar(t("meter.check"));
  const result = h("div", { class: "stack", id: "check-result" });
  let timer = null;
  let began = false;
  const look = async () => {
    try {
      show((await link.request("check_meter")).check);
    } catch (error) {
      toast(errorText(error));
    }
  };
  const show = (check) => {
    mark(stop, "hidden", !check.running);
    if (check.running) {
      began = true;
      bar.show(check.percent, 100, t("meter.check_running", { percent: check.percent }));
      timer = setTimeout(look, LOOK_MS);
      return;
    }
    bar.hide();
    if (!check.result) return;
    result.replaceChildren(verdict(check.result));
    if (began) say(result.textContent);
    began = false;
    done(check.result);
  };
  const start = button(t("meter.check_start"), async () => {
    if (!(await guard("expert"))) return;
    result.replaceChildren();
    show((await link.request("check_meter", { start: true })).check);
    clearTimeout(timer);
    timer = setTimeout(look, LOOK_MS);
  }, { id: "check-meter" });
  const stop = button(t("cancel"), async () => show((await link.request("check_meter", { start: false })).check), { hidden: true });
  onLeave(() => clearTimeout(timer));
  look();
  return card(t("meter.check"), h("p", { class: "hint" }, t("meter.check_text")), h("div", { class: "row" }, start, stop), bar.row, result);
}

function verdict({ good, text, phases }) {
  const kind = good === null ? "warn" : good ? "good" : "bad";
  const head = pill(kind, t(good === null ? "meter.unfinished" : good ? "meter.right" : "meter.wrong"));
  const rows = phases.map((row, i) => h("li", {}, h("b", {}, `L${i + 1}`), h("span", {}, t(`verdict.${row.verdict}`, { seen: `L${row.seen_on}` }), " ", h("small", { class: "num" }, amount(row.meter_ma / 1000, "A", 1)))));
  return h("div", { class: "stack" }, h("p", {}, head), good === null ? h("p", { class: "hint" }, text) : h("ul", { class: "verdicts" }, rows));
}

function values(onLeave) {
  const place = h("div");
  const show = () => {
    const meter = store.get("status")?.meter;
    if (!meter) return;
    const none = meter.model === "none";
    const state = none ? pill("wait", t("meter.none")) : meter.valid ? pill("good", t("meter.valid")) : pill("bad", meter.problem ?? t("meter.lost"));
    place.replaceChildren(h("p", {}, state), none ? "" : facts([
      [t("meter.model"), optionName("meter_model", meter.model)],
      [t("meter.serial"), meter.serial ? h("span", { class: "mono" }, String(meter.serial)) : null],
      [t("meter.currents"), (meter.currents_a ?? []).map((amps) => number(amps, 1)).join(" / ") + "\u00a0A"],
      [t("meter.volts"), (meter.volts ?? []).map((volts) => number(volts)).join(" / ") + "\u00a0V"],
      [t("meter.import"), meter.import_wh === null ? null : amount(meter.import_wh / 1000, "kWh", 1)],
      [t("meter.export"), meter.export_wh === null ? null : amount(meter.export_wh / 1000, "kWh", 1)],
    ]));
  };
  onLeave(store.listen("status", show));
  show();
  return card(t("meter.now"), place);
}

/** What a found meter means as settings. */
export function settingsOf({ model, address, baud, parity }) {
  return { meter_model: model, meter_address: address, meter_baud: baud, meter_parity: parity };
}

export default function meter({ onLeave }) {
  const place = h("div", { class: "stack" });
  const build = () => place.replaceChildren(later(loadBoth, ({ schema, settings }) => settingsForm({ schema, settings, groups: [[t("meter.settings"), meterKeys(schema)]], onLeave })));
  const take = async (found) => {
    await link.request("settings", { set: settingsOf(found) });
    toast(t("meter.taken"));
    build();
  };
  build();
  return h("div", { class: "stack", "data-keep": true },
    h("div", { class: "stack two" }, values(onLeave), h("div", { class: "stack" }, scanCard({ onLeave, take }), checkCard({ onLeave }))), place);
}
