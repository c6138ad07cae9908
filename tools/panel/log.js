// The event log: newest first, by level and by words.

import { $, make } from "./dom.js";
import { clockText } from "./words.js";

const SHOWN = 300;
const KEPT = 2000;
const RANK = { info: 0, warning: 1, error: 2 };
const LEVEL_WORDS = { info: "Information", warning: "Warning", error: "Error" };
let entries = [];
let level = "info";
let words = "";

function matches(entry) {
  if ((RANK[entry.level] ?? 0) < RANK[level]) return false;
  return !words || `${entry.source} ${entry.code} ${entry.text}`.toLowerCase().includes(words);
}

function row(entry) {
  const when = entry.utc ? entry.utc.slice(11, 19) : clockText(entry.uptime_ms / 1000);
  const text = make("p", {}, entry.text);
  if (entry.repeated) text.append(" ", make("small", {}, `(${entry.repeated} more before)`));
  return make("li", { class: entry.level, title: `${entry.source} ${entry.code}` },
    make("span", { class: "level", role: "img", "aria-label": LEVEL_WORDS[entry.level] ?? entry.level }),
    make("time", {}, when), make("span", { class: "source" }, entry.source), text);
}

function redraw() {
  const found = [];
  for (let i = entries.length - 1; i >= 0 && found.length < SHOWN; i -= 1) if (matches(entries[i])) found.push(entries[i]);
  const rows = found.length ? found.map(row) : [make("li", { class: "empty" }, "No event of this kind so far.")];
  $("log").replaceChildren(...rows);
}

/** Start anew with these entries, oldest first. */
export function setEntries(all) {
  entries = all.slice(-KEPT);
  redraw();
}

/** Add what has just happened; what is being read does not move. */
export function addEntries(fresh) {
  entries = entries.concat(fresh).slice(-KEPT);
  const list = $("log");
  const before = list.scrollHeight;
  const found = fresh.filter(matches);
  if (!found.length) return;
  list.querySelector(".empty")?.remove();
  list.prepend(...found.map(row).reverse());
  while (list.children.length > SHOWN) list.lastChild.remove();
  if (list.scrollTop > 0) list.scrollTop += list.scrollHeight - before;
}

for (const button of document.querySelectorAll("[data-level][aria-pressed]")) {
  button.addEventListener("click", () => {
    level = button.dataset.level;
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
    redraw();
  });
}
$("log-filter").addEventListener("input", (event) => {
  words = event.target.value.trim().toLowerCase();
  redraw();
});
redraw();
