// The language: one table each, chosen by the person, else by the browser, else English.

import de from "./lang/de.js";
import en from "./lang/en.js";
import nl from "./lang/nl.js";
import { store } from "./store.js";

const TABLES = { en, nl, de };
export const LANGUAGES = { en: "English", nl: "Nederlands", de: "Deutsch" };
const KEPT = "wallbox-language";

let language = "en";

/** Choose at start; tables that a person chose before come first. */
export function chooseLanguage() {
  const wanted = [localStorage.getItem(KEPT), ...navigator.languages.map((name) => name.slice(0, 2))];
  take(wanted.find((name) => name in TABLES) ?? "en");
}

export function setLanguage(name) {
  localStorage.setItem(KEPT, name);
  take(name);
}

function take(name) {
  language = name;
  document.documentElement.lang = name;
  store.set("language", name);
}

/** The text of `key`, with {name} replaced from `values`. A key that is missing shows itself, so that a test sees it. */
export function t(key, values = {}) {
  const text = TABLES[language][key];
  if (text === undefined) return `⟦${key}⟧`;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function has(key) {
  return key in TABLES[language];
}

/** The text of `key`, or `other` when no table has it: for names that a newer box may bring. */
export function named(key, other, values) {
  return has(key) ? t(key, values) : other;
}

/** "no_close" -> "No close": for what nobody named. */
export function plain(key) {
  const words = String(key).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A number with so many digits behind the point; a dash for what is not known. */
export function number(value, digits = 0) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value).replace("-", "−");
}

/** Number and unit, which no line break may part. */
export function amount(value, unit, digits = 0) {
  return `${number(value, digits)}\u00a0${unit}`;
}

/** Date and time of an ISO text or a number of seconds since 1970. */
export function moment(when) {
  if (when === null || when === undefined || when === "") return t("unknown_time");
  const date = new Date(typeof when === "number" ? when * 1000 : when);
  if (Number.isNaN(date.getTime())) return t("unknown_time");
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** 75 -> "1:15", 3675 -> "1:01:15". */
export function clockText(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600);
  return hours ? `${hours}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** 75 -> "1 min": coarse, since it must not change with every look. */
export function spanText(seconds) {
  const units = [[60, "second", 1], [3600, "minute", 60], [172_800, "hour", 3600], [Infinity, "day", 86_400]];
  const [, unit, size] = units.find(([below]) => seconds < below);
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: unit === "day" ? "long" : "short" }).format(Math.max(0, Math.round(seconds / size)));
}
