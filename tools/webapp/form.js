// Fields for settings, made from the box's own schema; the box judges each change, and its reason stands at the field.

import { BoxError, download } from "./client.js";
import { h, icon, mark, setText } from "./dom.js";
import { named, t } from "./i18n.js";
import { RANKS, link } from "./link.js";
import { store } from "./store.js";
import { act, errorText, guard, say } from "./ui.js";
import { allowedText, optionName, refusals, settingName } from "./words.js";

/** The box's schema as a Map of key to {default, allowed, unit, role, group, secret}; fetched once a connection. */
async function loadSchema() {
  const known = store.get("schema");
  if (known) return known;
  const { settings } = JSON.parse(new TextDecoder().decode(await download(link, "settings-schema")));
  const schema = new Map(settings.map((row) => [row.key, row]));
  store.set("schema", schema);
  return schema;
}

/** All settings that this role may read. */
export async function loadSettings() {
  const { settings } = await link.request("settings");
  store.set("settings", settings);
  return settings;
}

export async function loadBoth() {
  const schema = await loadSchema();
  return { schema, settings: await loadSettings() };
}

function isChoice(row) {
  return Array.isArray(row.allowed) && row.allowed.length > 0 && row.allowed.every((part) => !Array.isArray(part));
}

/** One field -> {row, input, read(), fail(text), lock(on)}. */
function settingField(key, row, value) {
  const id = `set-${key}`;
  const flag = typeof row.default === "boolean";
  const { secret } = row;
  const hint = [named(`hint.${key}`, ""), flag || isChoice(row) ? "" : allowedText(row)].filter(Boolean).join(" · ");
  const attributes = { id, "aria-describedby": `${id}-hint ${id}-error` };
  const error = h("p", { class: "error", id: `${id}-error` });
  const hintLine = h("p", { class: "hint", id: `${id}-hint` }, secret && value ? t("secret_kept") : hint);
  const label = settingName(key);
  let input = null;
  let element = null;
  if (flag) {
    input = h("input", { type: "checkbox", role: "switch", ...attributes });
    input.checked = value;
    element = h("div", { class: "setting" }, h("label", { class: "switch" }, h("span", {}, label), input, h("i", { "aria-hidden": "true" })), hintLine, error);
  } else {
    if (isChoice(row)) {
      input = h("select", attributes, row.allowed.map((one) => h("option", { value: one }, optionName(key, one, row.unit))));
      input.value = String(value);
    } else {
      const number = typeof row.default === "number";
      input = h("input", { type: secret ? "password" : "text", inputmode: number ? "numeric" : null, autocomplete: "off", spellcheck: "false", ...attributes });
      input.value = secret ? "" : String(value ?? "");
    }
    const body = row.unit && !isChoice(row) ? h("div", { class: "with-unit" }, input, h("span", { "aria-hidden": "true" }, row.unit)) : input;
    element = h("div", { class: "setting" }, h("label", { for: id }, label), body, hintLine, error);
  }
  const lockWords = h("span", { class: "hidden" }, ` (${t("role_needed.expert")})`);
  const lock = (on) => {
    input.disabled = on;
    mark(element, "data-locked", on);
    if (on) element.querySelector("label").append(lockWords);
    else lockWords.remove();
  };
  const read = () => {
    if (flag) return input.checked;
    const text = input.value;
    // An empty field keeps the secret that is stored.
    if (secret && text === "") return value;
    // What is no number stays text, so that the box itself says what is wrong with it.
    return typeof row.default === "number" && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
  };
  const fail = (text) => {
    setText(error, text);
    mark(input, "aria-invalid", text ? "true" : null);
  };
  return { row: element, input, read, fail, lock };
}

/**
 * A form of settings. `keys` are shown in groups [[title, [key...]]...]; `send(changes)` writes them, by default as
 * settings; `after(answer)` hears of a success. `whole` sends all fields, changed or not: a default may be somebody's choice. `beside` stands beside the button.
 * `folded` puts each group into a part that opens.
 */
export function settingsForm({ schema, settings, groups, onLeave, send, after, submit = t("save"), whole = false, folded = false, extra = [], beside = null }) {
  const stored = { ...settings };
  const fields = new Map();
  const general = h("p", { class: "error", role: "alert" });
  const done = h("p", { class: "done", role: "status" });
  const locked = (key) => RANKS[schema.get(key)?.role ?? "owner"] > (RANKS[store.get("role")] ?? 0);
  const sets = groups.map(([title, keys]) => {
    const rows = keys.filter((key) => schema.has(key) && key in stored).map((key) => {
      fields.set(key, settingField(key, schema.get(key), stored[key]));
      return fields.get(key).row;
    });
    if (!rows.length) return null;
    if (!folded) return h("fieldset", { class: "card fields" }, title ? h("legend", {}, title) : null, rows);
    return h("details", { class: "card chapter" }, h("summary", {}, h("h2", {}, title)), h("div", { class: "fields" }, rows));
  });
  const changes = (all) => Object.fromEntries([...fields].filter(([key, one]) => !one.input.disabled && (one.read() !== stored[key] || (all && !schema.get(key).secret))).map(([key, one]) => [key, one.read()]));

  const show = (errors, focus) => {
    for (const [key, one] of fields) one.fail(errors.get(key) ?? "");
    const elsewhere = [...errors].filter(([key]) => !fields.has(key));
    setText(general, elsewhere.map(([key, text]) => (key ? `${settingName(key)}: ${text}` : text)).join(" "));
    const first = [...fields].find(([key]) => errors.has(key));
    const part = first?.[1].row.closest("details");
    if (part) part.open = true;
    if (first && focus) first[1].input.focus();
    if (first) say(`${settingName(first[0])}: ${errors.get(first[0])}`);
  };
  const failed = (error, focus) => {
    if (error instanceof BoxError && error.code === "bad_value") show(refusals(error), focus);
    else setText(general, errorText(error));
  };
  const check = async () => {
    setText(done, "");
    const wanted = changes(false);
    try {
      if (Object.keys(wanted).length) await link.request("settings", { set: wanted, check: true });
      show(new Map());
    } catch (error) {
      failed(error, false);
    }
  };
  const save = h("button", { class: "primary", id: "save" }, submit);
  const unlock = h("button", { type: "button", class: "quiet", id: "unlock", onclick: () => guard("expert") }, icon("lock"), t("login.expert"));
  // Where it stands: what was typed stays when the role comes or goes.
  const relock = () => {
    for (const [key, one] of fields) one.lock(locked(key));
    mark(unlock, "hidden", ![...fields.keys()].some(locked));
  };
  onLeave(store.listen("role", relock));
  relock();
  const form = h("form", { class: "stack", novalidate: true, onchange: check }, sets, ...extra, general, done, h("div", { class: "row end savebar" }, unlock, beside, save));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(save, async () => {
      const wanted = changes(whole);
      setText(done, "");
      if (!whole && !Object.keys(wanted).length) {
        setText(done, t("nothing_changed"));
        return;
      }
      const answer = send ? await send(wanted) : await link.request("settings", { set: wanted });
      Object.assign(stored, wanted);
      if (answer?.settings) store.set("settings", answer.settings);
      show(new Map());
      setText(done, t("saved"));
      after?.(answer);
    }, (error) => failed(error, true));
  });
  return form;
}
