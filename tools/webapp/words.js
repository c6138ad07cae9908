// Puts what the box tells as data into the person's language: why-not answers, faults, limits, refusals.

import { amount, has, named, plain, t } from "./i18n.js";

export function limitName(name) {
  return named(`limit.${name}`, plain(name));
}

function faultName(name) {
  return named(`fault.${name}`, plain(name));
}

/** A fault as a heading: its words begin with a capital. */
export function faultTitle(name) {
  const words = faultName(name);
  return words.charAt(0).toUpperCase() + words.slice(1);
}


/** The name of a setting. */
export function settingName(key) {
  return named(`set.${key}`, plain(key));
}

/** The name of a value of a setting. */
export function optionName(key, value, unit = "") {
  if (typeof value === "boolean") return t(value ? "on" : "off");
  const words = named(`opt.${key}.${value}`, null);
  if (words) return words;
  return unit ? `${value}\u00a0${unit}` : String(value);
}

/** The why-not answer (R32) in one sentence; the box's own words for a code that is not known here. */
export function whyText(why, status = {}) {
  if (!why) return t("why.unknown");
  const [, kind, limit] = /^(limit|charging)_(\w+)$/.exec(why.code) ?? [];
  const amps = amount(status.allowed_a ?? status.offered_a ?? 0, "A", 1);
  if (kind) return t(`why.${kind}`, { amps, limit: limitName(limit), meaning: named(`limit_text.${limit}`, "") });
  if (has(`fault.${why.code}`)) return `${t("why.fault", { fault: faultName(why.code) })} ${named(`todo.${why.code}`, "")}`.trim();
  return named(`why.${why.code}`, why.text, { amps, reason: named(`stop.${status.session?.stop_reason}`, status.session?.stop_reason ?? "") });
}

/** What is allowed for a setting, in words: [0, [6, 32]] A -> "0, 6–32 A". */
export function allowedText({ allowed, unit }) {
  if (typeof allowed === "number") return t("allowed.text", { count: allowed });
  const parts = allowed.map((part) => (Array.isArray(part) ? `${part[0]}–${part[1]}` : String(part)));
  return `${parts.join(", ")}${unit ? `\u00a0${unit}` : ""}`;
}

// The box's reasons why settings do not fit together: they are the same in every version of the link.
const RULES = [
  [/^text of (\d+)\.\.(\d+) characters$/, "rule.characters", (m) => ({ least: m[1], most: m[2] })],
  [/^up to (\w+) (\d+) without (\w+)$/, "rule.up_to_without", (m) => ({ key: settingName(m[1]), value: m[2], other: settingName(m[3]) })],
  [/^up to (\w+) (\d+)$/, "rule.up_to", (m) => ({ key: settingName(m[1]), value: m[2] })],
  [/^True only with a (\w+)$/, "rule.only_with", (m) => ({ key: settingName(m[1]) })],
  [/^off without a (\w+)$/, "rule.off_without", (m) => ({ key: settingName(m[1]) })],
  [/^a meter for (\d) phases.*measures (\d)$/, "rule.meter_phases", (m) => ({ phases: m[1], other: m[2] })],
  [/^True only once rated_a/, "rule.rated_first", () => ({})],
  [/^from (\d+) V with 3 phases/, "rule.volts", (m) => ({ value: m[1] })],
  [/^True once it is on/, "rule.stays_on", () => ({})],
];

function ruleText(allowed) {
  for (const [pattern, key, values] of RULES) {
    const match = pattern.exec(allowed);
    if (match) return t(key, values(match));
  }
  return t("refused.allowed", { allowed });
}

function refusalText(text) {
  const [, secretAllowed] = /^not allowed; allowed: (.*)$/.exec(text) ?? [];
  // The value of a password is not repeated.
  if (secretAllowed) return ruleText(secretAllowed);
  const match = /^(.*) is not allowed; allowed: (.*)$/.exec(text);
  if (!match) return text;
  return `${t("refused.value", { value: match[1].replace(/^'(.*)'$/, "$1") })} ${ruleText(match[2])}`;
}

/** A refusal -> Map of field to text. One text of the box may name several fields: "a: ...; b: ...". */
export function refusals(error) {
  const found = new Map();
  let current = error.field ?? "";
  for (const part of error.message.split("; ")) {
    const match = /^(?!allowed:)([a-z0-9_]+): (.*)$/.exec(part);
    if (match) current = match[1];
    const text = match ? match[2] : part;
    found.set(current, found.has(current) ? `${found.get(current)}; ${text}` : text);
  }
  for (const [key, text] of found) found.set(key, refusalText(text));
  return found;
}

/** How the wallbox is, as [kind, words]: the kind gives colour and shape. */
export function phaseOf(live, status) {
  const pattern = live?.led ?? status?.led?.pattern ?? "";
  const why = status?.why;
  if (pattern === "red") return ["bad", t("phase.fault")];
  if (pattern.startsWith("breathing")) return ["charge", t("phase.charging")];
  if (pattern.startsWith("running")) return ["wait", t(why?.code === "starting" ? "phase.starting" : "phase.out_of_use")];
  if (why?.code === "not_set_up") return ["warn", t("phase.not_set_up")];
  if (why?.code === "no_card") return ["wait", t("phase.card")];
  const state = String(live?.state ?? status?.pilot?.state ?? "A");
  return state.startsWith("A") ? ["good", t("phase.ready")] : ["wait", t("phase.connected")];
}
