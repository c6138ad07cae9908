// What several views need: short messages, questions, roles, buttons that work for a while, lists of values.

import { BoxError, LinkLost } from "./client.js";
import { $, h, icon, mark, setText } from "./dom.js";
import { has, spanText, t } from "./i18n.js";
import { link } from "./link.js";
import { store } from "./store.js";
import { PairingRefused } from "./transport-ws.js";
import { refusals } from "./words.js";

const TOAST_MS = 4_500;
let toastTimer = null;

/** A short message at the edge of the screen, read out too. */
export function toast(text) {
  setText($("toast"), text);
  mark($("toast"), "data-on", true);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => mark($("toast"), "data-on", false), TOAST_MS);
}

/** Read out what has changed on the page, without showing it again. */
export function say(text) {
  setText($("say"), text);
}

/** What a person reads of an error. */
export function errorText(error) {
  if (error instanceof LinkLost) return t("error.link");
  if (error instanceof PairingRefused) return t("error.pairing", { text: error.message });
  if (!(error instanceof BoxError)) return t("error.other", { text: error.message });
  if (error.waitSeconds) return t("error.wait", { time: spanText(error.waitSeconds) });
  if (error.code === "bad_value") return [...refusals(error).values()].join(" ");
  if (error.code === "not_allowed") return t(`role_needed.${error.field === "expert" ? "expert" : "owner"}`);
  return has(`error.${error.code}`) ? `${t(`error.${error.code}`)} ${error.message}`.trim() : error.message;
}

/** Do something that takes a while for a button; errors go to `onError`, else to a toast. -> whether it worked. */
export async function act(button, work, onError = (error) => toast(errorText(error))) {
  button.disabled = true;
  mark(button, "aria-busy", "true");
  try {
    await work();
    return true;
  } catch (error) {
    if (error.name === "AbortError") return false;
    onError(error);
    return false;
  } finally {
    button.disabled = false;
    mark(button, "aria-busy", null);
  }
}

/** A button; `kind` is primary, quiet or danger. `onclick` may be asynchronous. */
export function button(label, onclick, { kind = "quiet", small = false, id, ...more } = {}) {
  const element = h("button", { type: "button", class: small ? `${kind} small` : kind, id, ...more }, label);
  element.addEventListener("click", () => act(element, () => onclick(element)));
  return element;
}

let lastField = 0;

/** A labelled input with a place for its error -> {row, input, fail(text)}. */
export function field(label, attributes = {}, hint = "") {
  lastField += 1;
  const id = attributes.id ?? `field-${lastField}`;
  const error = h("p", { class: "error", id: `${id}-error` });
  const hintLine = hint ? h("p", { class: "hint", id: `${id}-hint` }, hint) : null;
  const input = h("input", { autocomplete: "off", spellcheck: "false", ...attributes, id, "aria-describedby": hint ? `${id}-hint ${id}-error` : `${id}-error` });
  const row = h("div", { class: "setting" }, h("label", { for: id }, label), input, hintLine, error);
  const fail = (text) => {
    setText(error, text);
    mark(input, "aria-invalid", text ? "true" : null);
    if (text) input.focus();
  };
  return { row, input, fail };
}

/**
 * Ask in a dialog. `work(values)` is tried when it is confirmed: what it throws is shown and the dialog stays.
 * -> whether it was confirmed and done. `fields` are {name, label, type, hint}.
 */
export function ask({ title, text = "", fields = [], confirm, danger = false, work = async () => {} }) {
  return new Promise((resolve) => {
    const made = fields.map(({ name, label, hint, ...attributes }) => [name, field(label, attributes, hint)]);
    const error = h("p", { class: "error", role: "alert" });
    const go = h("button", { class: danger ? "danger" : "primary", id: "dialog-confirm" }, confirm);
    const cancel = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, t("cancel"));
    const form = h("form", { novalidate: true }, h("h2", { id: "dialog-title" }, title), text ? h("p", { class: "hint" }, text) : null, ...made.map(([, one]) => one.row), error, h("div", { class: "row end" }, cancel, go));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    let done = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const values = Object.fromEntries(made.map(([name, one]) => [name, one.input.value]));
      setText(error, "");
      act(go, async () => {
        await work(values);
        done = true;
        dialog.close();
      }, (failure) => {
        const first = made[0]?.[1];
        if (first) first.fail(errorText(failure));
        else setText(error, errorText(failure));
      });
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(done);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Make sure of a role, asking for its password when it is not there -> whether it is now. */
export async function guard(role) {
  if (link.may(role)) return true;
  return ask({
    title: t(`login.${role}`),
    text: t(`login.${role}_text`),
    fields: [{ name: "password", label: t(`password.${role}`), type: "password", id: "login-password" }],
    confirm: t("login.go"),
    work: ({ password }) => link.login(role, password),
  });
}

/** What `build()` makes, or a card with a lock while the role is not enough; follows the role. */
export function needing(role, build, onLeave) {
  const place = h("div", { class: "stack" });
  let open = null;
  const look = () => {
    if (open === link.may(role)) return;
    open = link.may(role);
    place.replaceChildren(open ? build() : lockCard(role));
  };
  onLeave(store.listen("role", look));
  look();
  return place;
}

function lockCard(role) {
  return h("section", { class: "card locked" }, icon("lock"), h("h2", {}, t(`role_needed.${role}`)), h("p", { class: "hint" }, t(`login.${role}_text`)), button(t(`login.${role}`), () => guard(role), { kind: "primary" }));
}

/** A list of names and values; rows with a value of null are left out. */
export function facts(rows) {
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value !== null).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** A state in colour, shape and words. */
export function pill(kind, text, attributes = {}) {
  return h("span", { class: "pill", "data-kind": kind, ...attributes }, h("i", { "aria-hidden": "true" }), h("span", {}, text));
}

export function card(title, ...children) {
  return h("section", { class: "card" }, title ? h("h2", {}, title) : null, ...children);
}

/** Tabs over one place: `tabs` are [name, label, build]; only the chosen one is built. */
export function tabbed(label, tabs) {
  const place = h("div", { class: "stack", role: "tabpanel", tabindex: "-1" });
  const choose = (index, focus) => {
    buttons.forEach((one, i) => {
      mark(one, "aria-selected", i === index ? "true" : "false");
      one.tabIndex = i === index ? 0 : -1;
    });
    if (focus) buttons[index].focus();
    mark(place, "aria-label", tabs[index][1]);
    place.replaceChildren(tabs[index][2]());
  };
  const buttons = tabs.map(([name, words], index) => h("button", { type: "button", role: "tab", id: `tab-${name}`, onclick: () => choose(index) }, words));
  const list = h("div", { class: "segments tabset", role: "tablist", "aria-label": label }, buttons);
  list.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const now = buttons.findIndex((one) => one.getAttribute("aria-selected") === "true");
    choose((now + step + buttons.length) % buttons.length, true);
  });
  choose(0);
  return h("div", { class: "stack" }, list, place);
}

/** Fill a place with what a promise brings: a line while it is under way, an error with "again" when it fails. */
export function later(load, show) {
  const place = h("div", { class: "stack", "aria-busy": "true" }, h("p", { class: "hint" }, t("loading")));
  const run = async () => {
    try {
      place.replaceChildren(show(await load()));
    } catch (error) {
      place.replaceChildren(h("p", { class: "error" }, errorText(error)), button(t("again"), run));
    }
    mark(place, "aria-busy", null);
  };
  run();
  return place;
}

/** A bar of progress with its words. */
export function progressBar(label) {
  const bar = h("progress", { max: 100, value: 0, "aria-label": label });
  const words = h("p", { class: "hint num" });
  const row = h("div", { class: "progress", hidden: true }, bar, words);
  const show = (part, whole, text) => {
    mark(row, "hidden", false);
    if (whole) bar.value = (100 * part) / whole;
    else bar.removeAttribute("value");
    setText(words, text ?? `${Math.round(whole ? (100 * part) / whole : 0)} %`);
  };
  return { row, show, hide: () => mark(row, "hidden", true) };
}
