// The installer's report (R37): what the electrician measured, and what the box knows, in one signed file.

import { download } from "../client.js";
import { h, saveFile, setText } from "../dom.js";
import { t } from "../i18n.js";
import { link } from "../link.js";
import { act, card, errorText, field, needing } from "../ui.js";

// What an electrician measures (IEC 60364-6): name, unit, and how many of the box's units make one of these.
const CHECKS = [
  ["by", "", 0],
  ["pe_mohm", "Ω", 1000],
  ["insulation_kohm", "MΩ", 1000],
  ["loop_mohm", "Ω", 1000],
  ["rcd_ac_trip_ms", "ms", 1],
  ["rcd_dc_trip_ms", "ms", 1],
];

/** The form of the checks with the download -> element; the wizard's summary has it too. */
export function reportForm() {
  const fields = CHECKS.map(([name, unit, factor]) => [name, factor, field(`${t(`check.${name}`)}${unit ? ` (${unit})` : ""}`, { id: `check-${name}`, inputmode: factor ? "decimal" : null, maxlength: 64 })]);
  const error = h("p", { class: "error", role: "alert" });
  const done = h("p", { class: "done", role: "status" });
  const save = h("button", { class: "primary", id: "save-report" }, t("report.save"));
  const form = h("form", { novalidate: true, class: "stack" }, h("div", { class: "pair" }, fields.map(([, , one]) => one.row)), error, done, h("div", { class: "row end" }, save));
  const checks = () => {
    const found = {};
    for (const [name, factor, one] of fields) {
      one.fail("");
      const text = one.input.value.trim();
      const value = Number(text.replace(",", "."));
      if (!text) continue;
      if (factor && !Number.isFinite(value)) {
        one.fail(t("report.number"));
        return null;
      }
      found[name] = factor ? Math.round(value * factor) : text;
    }
    return found;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const found = checks();
    if (!found) return;
    act(save, async () => {
      setText(error, "");
      // It keeps the checks and opens a report; the one that is fetched goes on after a cut.
      const { transfer } = await link.request("report", { checks: found });
      await link.request("done", { transfer, cancel: true });
      const bytes = await download(link, "report");
      saveFile(`wallbox-report-${new Date().toISOString().slice(0, 10)}.json`, bytes, "application/json");
      setText(done, t("report.saved"));
    }, (failure) => {
      const [, name] = /^checks\.(\w+)$/.exec(failure.field ?? "") ?? [];
      const wrong = fields.find(([known]) => known === name);
      if (wrong) wrong[2].fail(errorText(failure));
      else setText(error, errorText(failure));
    });
  });
  return form;
}

export default function report({ onLeave }) {
  return needing("expert", () => h("div", { class: "stack", "data-keep": true }, card(t("report.title"), h("p", { class: "hint" }, t("report.text")), reportForm())), onLeave);
}
