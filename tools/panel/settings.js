// The settings dialog: reads the wallbox's settings, writes those that were changed, shows each refusal at its field.

import { $, make, setMark, setText } from "./dom.js";
import { SETTINGS, plain } from "./words.js";

let link = null;
let stored = {};
let onStored = null;
const inputs = new Map();

function fieldFor([key, label, unit, choices]) {
  const value = stored[key];
  const id = `set-${key}`;
  const flag = typeof value === "boolean";
  let input = null;
  if (flag) input = make("input", { type: "checkbox", id });
  else if (choices) input = make("select", { id }, ...choices.map((choice) => make("option", { value: choice }, String(choice))));
  else input = make("input", { id, type: "text", inputmode: typeof value === "number" ? "numeric" : "text", autocomplete: "off", spellcheck: "false" });
  if (flag) input.checked = value;
  else input.value = String(value);
  const error = make("p", { class: "error", id: `${id}-error` });
  input.setAttribute("aria-describedby", error.id);
  inputs.set(key, { input, error });
  const labelElement = flag ? make("label", { class: "check" }, input, make("span", {}, label)) : make("label", { for: id }, make("span", {}, label), make("span", {}, unit));
  return flag ? make("div", { class: "setting check-row" }, labelElement, error) : make("div", { class: "setting" }, labelElement, input, error);
}

function build() {
  inputs.clear();
  const named = new Set(SETTINGS.flatMap(([, rows]) => rows.map((row) => row[0])));
  // Of a secret the wallbox tells only whether there is one: an installer's app sets it.
  const others = Object.keys(stored).filter((key) => !named.has(key) && !key.endsWith("_password")).map((key) => [key, plain(key), ""]);
  const groups = [...SETTINGS, ["Other", others]]
    .map(([title, rows]) => [title, rows.filter((row) => row[0] in stored)])
    .filter(([, rows]) => rows.length);
  $("settings-fields").replaceChildren(...groups.map(([title, rows]) => make("fieldset", {}, make("legend", {}, title), ...rows.map(fieldFor))));
}

/** The value in a field as the wallbox wants it; text stays text so that the wallbox itself refuses it. */
function read(key) {
  const { input } = inputs.get(key);
  if (input.type === "checkbox") return input.checked;
  const text = input.value;
  return typeof stored[key] === "number" && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** "a: 1 is not allowed; allowed: 2; b: …" -> Map of key to text; what belongs to no field comes under "". */
function splitErrors(message) {
  const found = new Map();
  let current = "";
  for (const part of message.split("; ")) {
    const name = part.slice(0, part.indexOf(": "));
    // A reason may hold semicolons itself: only the name of a field begins the next one.
    const text = inputs.has(name) ? plain(part.slice(name.length + 2)) : part;
    if (inputs.has(name)) current = name;
    found.set(current, found.has(current) ? `${found.get(current)}; ${text}` : text);
  }
  return found;
}

function showErrors(errors) {
  for (const [key, { input, error }] of inputs) {
    setText(error, errors.get(key) ?? "");
    setMark(input, "aria-invalid", errors.has(key) ? "true" : null);
  }
  setText($("settings-error"), errors.get("") ?? "");
  const first = [...inputs].find(([key]) => errors.has(key));
  first?.[1].input.focus();
}

async function save(event) {
  event.preventDefault();
  const changes = {};
  for (const key of inputs.keys()) if (read(key) !== stored[key]) changes[key] = read(key);
  try {
    const answer = Object.keys(changes).length ? await link.request("settings", { set: changes }) : { settings: stored };
    take(answer.settings);
    $("settings").close();
  } catch (error) {
    showErrors(splitErrors(error.message));
  }
}

function take(settings) {
  stored = settings;
  onStored(settings);
}

/** Ask the wallbox for its settings; while it has no supply the last known ones stay. */
export async function loadSettings() {
  const answer = await link.request("settings");
  take(answer.settings);
}

/** `use(settings)` is called with every set of settings; `request(name, args)` as in controls.js. */
export function setUpSettings(connection, request, use) {
  link = connection;
  onStored = use;
  $("open-settings").addEventListener("click", async () => {
    try {
      await loadSettings();
      build();
      showErrors(new Map());
    } catch (error) {
      setText($("settings-error"), error.message);
    }
    $("settings").showModal();
  });
  $("close-settings").addEventListener("click", () => $("settings").close());
  $("restart").addEventListener("click", async () => {
    if (await request("reset")) $("settings").close();
  });
  $("settings-form").addEventListener("submit", save);
}
