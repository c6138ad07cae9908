// Data connection: the way to the backend, and how it is now.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { loadBoth, settingsForm } from "../form.js";
import { store } from "../store.js";
import { card, facts, later, pill } from "../ui.js";

/** What is to be seen of one link: its state, its address, how well its radio hears. */
function linkRow([name, link]) {
  const words = t(`network.state.${link.state === "up" && link.doubted ? "doubted" : link.state}`);
  const more = [link.address, link.signal_dbm === null ? "" : `${link.signal_dbm} dBm`].filter(Boolean);
  return [t(`network.link.${name}`), [words, ...more].join(", ")];
}

function state() {
  const { backend, network: links, faults = [] } = store.get("status") ?? {};
  const broken = faults.some((fault) => fault.name === "communication");
  return card(t("network.now"), facts([
    [t("network.module"), broken ? pill("bad", t("network.module_lost")) : pill("good", t("network.module_ok"))],
    [t("network.link"), links?.link ? t(`network.link.${links.link}`) : t("network.no_link")],
    ...Object.entries(links?.links ?? {}).map(linkRow),
    [t("network.backend"), backend?.url ? pill(backend.connected ? "good" : "warn", t(backend.connected ? "network.connected" : "network.not_connected")) : t("network.none")],
    ...(backend?.url && !backend.connected && backend.reason ? [[t("network.reason"), backend.reason]] : []),
    ...(backend?.waiting ? [[t("network.waiting"), backend.waiting]] : []),
  ]));
}

/** The keys of the schema that are about the data connection. */
function networkKeys(schema) {
  return [...schema].filter(([, row]) => row.group === "network" || row.group === "backend").map(([key]) => key);
}

export default function network({ onLeave }) {
  const place = h("div", {}, state());
  // The form below keeps what is typed, so this part alone is made anew.
  onLeave(store.listen("status", () => place.replaceChildren(state())));
  return h("div", { class: "stack", "data-keep": true }, place, later(loadBoth, ({ schema, settings }) => settingsForm({ schema, settings, groups: [[t("network.settings"), networkKeys(schema)]], onLeave })));
}
