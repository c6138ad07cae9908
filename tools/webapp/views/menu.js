// All views as a list, for phones; and what belongs to this device.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { link } from "../link.js";
import { GROUPS, place } from "../nav.js";
import { store } from "../store.js";
import { button, card } from "../ui.js";
import { appearance } from "./connect.js";

export default function menu() {
  const hello = store.get("hello");
  return h("div", { class: "stack" },
    h("div", { class: "menu" }, GROUPS.map(([group, names]) => h("section", {}, h("h2", {}, t(`group.${group}`)), h("ul", {}, names.map((name) => h("li", {}, place(name))))))),
    appearance(),
    hello ? card(t("connection_word"), h("p", { class: "hint" }, t("connected_to", { serial: hello.serial, version: hello.version })), h("div", { class: "row" }, button(t("disconnect"), () => link.end()))) : null);
}
