// All settings by group, from the box's own schema; what an electrician alone may change is locked without expert mode.

import { h } from "../dom.js";
import { named, plain } from "../i18n.js";
import { loadBoth, settingsForm } from "../form.js";
import { later } from "../ui.js";

/** Keys by group, in the order in which the box names them. */
function groupsOf(schema) {
  const groups = new Map();
  for (const [key, row] of schema) {
    const { group } = row;
    // Only the wizard's last step may set it.
    if (group === "wizard") continue;
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(key);
  }
  return [...groups].map(([group, keys]) => [named(`set_group.${group}`, plain(group)), keys]);
}

export default function settings({ onLeave }) {
  return h("div", { "data-keep": true }, later(loadBoth, ({ schema, settings: values }) => settingsForm({ schema, settings: values, groups: groupsOf(schema), folded: true, onLeave })));
}
