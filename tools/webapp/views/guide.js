// The installation guide: what an electrician must know at the wall; needs no connection.

import { h } from "../dom.js";
import { t } from "../i18n.js";

// Chapters with the number of their steps; the texts are in the language tables.
const CHAPTERS = [
  ["safety", 5],
  ["place", 5],
  ["supply", 6],
  ["mount", 6],
  ["wire", 5],
  ["meter", 4],
  ["finish", 4],
  ["lights", 7],
  ["trouble", 4],
];
const FIGURES = [
  ["height", "1.00–1.20 m"],
  ["cable", "3 × 6 mm²"],
  ["rccb", "A, 30 mA"],
  ["breaker", "B, 40 A, 400 V"],
  ["terminals", "16 / 10 mm²"],
  ["sheath", "13–20 mm"],
  ["size", "270 × 370 × 185 mm"],
  ["weight", "6.5 kg"],
];
const TORQUES = [
  ["masonry", "8.8"],
  ["wood", "3.0"],
  ["bracket", "1.5"],
  ["cover_off", "1.4"],
  ["theft", "1.2"],
  ["cover_on", "1.0"],
];

function chapter([name, steps]) {
  return h("details", { class: "card chapter", id: `guide-${name}`, open: name === "safety" }, h("summary", {}, h("h2", {}, t(`guide.${name}`))), h("ol", { class: "steps" }, Array.from({ length: steps }, (_, i) => h("li", {}, t(`guide.${name}.${i + 1}`)))));
}

export default function guide() {
  return h("div", { class: "stack" },
    h("div", { class: "stack two" },
      h("section", { class: "card" }, h("h2", {}, t("guide.figures")), h("dl", { class: "facts" }, FIGURES.map(([name, value]) => h("div", {}, h("dt", {}, t(`guide.figure.${name}`)), h("dd", {}, value))))),
      h("section", { class: "card" }, h("h2", {}, t("guide.torques")), h("dl", { class: "facts" }, TORQUES.map(([name, value]) => h("div", {}, h("dt", {}, t(`guide.torque.${name}`)), h("dd", {}, `${value}\u00a0Nm`)))))),
    ...CHAPTERS.map(chapter));
}
