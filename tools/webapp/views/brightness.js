// Brightness of the light bar: each move of the slider is shown on the box for a few seconds, "keep" makes it the setting.

import { h, mark, setText } from "../dom.js";
import { t } from "../i18n.js";
import { loadSettings } from "../form.js";
import { ledBar } from "../ledbar.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { button, errorText, later, needing, toast } from "../ui.js";

const PAUSE_MS = 250;

function control(percent) {
  const bar = ledBar();
  bar.show(store.get("status")?.led?.pattern ?? "blue");
  const output = h("output", { for: "brightness", class: "num" });
  const slider = h("input", { type: "range", id: "brightness", min: 5, max: 100, step: 5, value: percent });
  const paint = () => {
    setText(output, `${slider.value} %`);
    mark(slider, "aria-valuetext", `${slider.value} %`);
    slider.style.setProperty("--fill", `${((slider.value - 5) / 95) * 100}%`);
    bar.element.style.setProperty("--bright", 0.25 + (0.75 * slider.value) / 100);
  };
  let timer = null;
  slider.addEventListener("input", () => {
    paint();
    clearTimeout(timer);
    timer = setTimeout(() => link.request("brightness", { percent: Number(slider.value) }).catch((error) => toast(errorText(error))), PAUSE_MS);
  });
  paint();
  const keep = button(t("brightness.keep"), async () => {
    clearTimeout(timer);
    await link.request("brightness", { percent: Number(slider.value), keep: true });
    toast(t("saved"));
  }, { kind: "primary", id: "keep-brightness" });
  return h("section", { class: "card stack" }, bar.element, h("div", { class: "slide" }, h("label", { for: "brightness" }, t("view.brightness")), slider, output), h("p", { class: "hint" }, t("brightness.hint")), h("div", { class: "row end" }, keep));
}

export default function brightness({ onLeave }) {
  return needing("owner", () => later(loadSettings, (settings) => control(settings.led_brightness_percent)), onLeave);
}
