// Which views there are, in groups, as the navigation shows them.

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

export const GROUPS = [
  ["watch", ["home", "live", "history", "diagnostics"]],
  ["setup", ["wizard", "settings", "meter", "network", "cards", "brightness"]],
  ["care", ["passwords", "backup", "report", "update", "reset", "guide"]],
];
export const TABS = ["home", "live", "wizard", "menu"];

export function place(name) {
  return h("a", { href: `#/${name}`, "data-view": name }, icon(name), h("span", {}, t(`view.${name}`)));
}
