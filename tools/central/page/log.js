// The messages on the wire, newest first; each opens to its whole content.

import { $, h } from "./dom.js";
import { clock } from "./words.js";

const KEPT = 300;
let entries = [];

function matches(entry) {
  if (entry.action === "Heartbeat" && !$("heartbeats").checked) return false;
  const wanted = $("filter").value.trim().toLowerCase();
  return !wanted || `${entry.box} ${entry.action} ${entry.error} ${JSON.stringify(entry.payload)}`.toLowerCase().includes(wanted);
}

/** What the message is about, in a few words. */
function gist({ kind, payload, error }) {
  if (error) return error;
  const parts = Object.entries(payload ?? {}).filter(([name, value]) => typeof value !== "object" && name !== "timestamp");
  const text = parts.map(([name, value]) => (kind === "result" ? value : `${name} ${value}`)).join(", ");
  return text.length > 90 ? `${text.slice(0, 90)}…` : text;
}

function row(entry) {
  const way = entry.out ? "↓" : "↑";
  const says = entry.out ? "to the wallbox" : "from the wallbox";
  const summary = h("summary", {}, h("time", { title: entry.at }, clock(entry.at)), h("span", { class: "way", title: says, role: "img", "aria-label": says }, way), h("span", { class: "what" }, h("b", {}, entry.action || "not understood"), " ", gist(entry)), h("span", { class: "who", title: entry.box }, entry.box));
  const details = h("details", { "data-kind": entry.kind, "data-out": entry.out }, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(h("pre", { class: "mono" }, `${entry.kind} ${entry.id}\n${entry.error || ""}${JSON.stringify(entry.payload, null, 2)}`));
  });
  return h("li", {}, details);
}

function showAll() {
  const rows = entries.filter(matches).map(row);
  $("log").replaceChildren(...(rows.length ? rows : [h("li", { class: "none" }, "No messages.")]));
}

/** Replace everything; oldest first, as the central system keeps them. */
export function setMessages(all) {
  entries = all.toReversed();
  showAll();
}

export function addMessage(entry) {
  entries.unshift(entry);
  entries.length = Math.min(entries.length, KEPT);
  if (!matches(entry)) return;
  const log = $("log");
  log.querySelector(".none")?.remove();
  log.prepend(row(entry));
  while (log.children.length > KEPT) log.lastChild.remove();
}

export function setUpLog() {
  $("filter").addEventListener("input", showAll);
  $("heartbeats").addEventListener("change", showAll);
}
