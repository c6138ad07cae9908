// Cards: the setup card, the charging cards with their names, registering new ones.

import { h, mark, setText } from "../dom.js";
import { t } from "../i18n.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { ask, button, card, errorText, guard, needing, pill, say, toast } from "../ui.js";

const LOOK_MS = 1_500;

function uidText(uid) {
  return uid ? uid.match(/../g).join(" ") : t("cards.none");
}

export function cardManager({ onLeave }) {
  const list = h("ul", { class: "cardlist", id: "card-list" });
  const count = h("p", { class: "hint num", id: "card-count" });
  const setup = h("p", { class: "mono", id: "setup-uid" });
  const state = h("p", { id: "registration", role: "status" });
  const unknown = h("p", { class: "note", hidden: true });
  let shown = "";
  let registering = false;

  const refresh = async () => {
    const found = await link.request("cards");
    if (registering !== found.registration) say(t(found.registration ? "cards.registering" : "cards.not_registering"));
    registering = found.registration;
    setText(toggle, t(registering ? "cards.stop" : "cards.register"));
    mark(toggle, "aria-pressed", String(registering));
    const text = JSON.stringify(found);
    if (text === shown) return;
    shown = text;
    setText(setup, uidText(found.setup));
    state.replaceChildren(registering ? pill("charge", t("cards.registering")) : pill("wait", t("cards.not_registering")));
    setText(count, t("cards.count", { count: found.charging.length }));
    mark(unknown, "hidden", !found.last_unknown);
    if (found.last_unknown) unknown.replaceChildren(h("span", {}, t("cards.last_unknown"), " ", h("b", { class: "mono" }, uidText(unknownUid(found)))), button(t("cards.add_this"), () => add(unknownUid(found)), { small: true }));
    // While somebody types a name the list stands still.
    if (!list.contains(document.activeElement) || document.activeElement.tagName !== "INPUT") list.replaceChildren(...found.charging.map(row));
    if (!found.charging.length) list.replaceChildren(h("li", { class: "empty" }, t("cards.empty")));
  };
  const unknownUid = (found) => found.last_unknown?.uid ?? found.last_unknown;

  const change = async (uid, args, words) => {
    await link.request("card", { uid, ...args });
    toast(words);
    shown = "";
    await refresh();
  };

  const add = (uid) => change(uid, { add: true }, t("cards.added"));

  const row = ({ uid, name, blocked }) => {
    const label = name || uidText(uid);
    return h("li", { "data-uid": uid, "data-blocked": blocked },
      h("div", { class: "grow" }, h("b", {}, name || t("cards.unnamed")), h("small", { class: "mono" }, uidText(uid)), blocked ? pill("bad", t("cards.blocked")) : null),
      h("div", { class: "row" },
        button(t("cards.name"), () => ask({ title: t("cards.name_title"), text: uidText(uid), fields: [{ name: "name", label: t("cards.name_label"), value: name ?? "", maxlength: 32, id: "card-name" }], confirm: t("save"), work: (values) => change(uid, { name: values.name.trim() }, t("saved")) }), { small: true, "aria-label": `${t("cards.name")}: ${label}` }),
        button(t(blocked ? "cards.unblock" : "cards.block"), () => change(uid, { blocked: !blocked }, t(blocked ? "cards.unblocked" : "cards.was_blocked")), { small: true, "aria-label": `${t(blocked ? "cards.unblock" : "cards.block")}: ${label}` }),
        button(t("delete"), () => ask({ title: t("cards.delete_title"), text: label, confirm: t("delete"), danger: true, work: () => change(uid, { delete: true }, t("cards.deleted")) }), { small: true, "aria-label": `${t("delete")}: ${label}` })));
  };

  const toggle = button(t("cards.register"), async () => {
    await link.request("register", { on: !registering });
    shown = "";
    await refresh();
  }, { kind: "primary", id: "register" });

  const newSetup = async () => {
    if (!(await guard("expert"))) return;
    await ask({ title: t("cards.setup_title"), text: t("cards.setup_text"), confirm: t("cards.setup_next"), work: async () => {
      await link.request("setup_card", { next: true });
      toast(t("cards.setup_hold"));
    } });
  };

  const addByNumber = () => ask({ title: t("cards.add_title"), text: t("cards.add_text"), fields: [{ name: "uid", label: t("cards.uid"), id: "card-uid", maxlength: 30 }], confirm: t("cards.add"), work: ({ uid }) => add(uid.trim()) });

  let timer = null;
  const look = async () => {
    try {
      await refresh();
    } catch (error) {
      if (store.get("link") === "up") setText(count, errorText(error));
    }
    timer = setTimeout(look, LOOK_MS);
  };
  onLeave(() => clearTimeout(timer));
  look();
  return h("div", { class: "stack" },
    h("div", { class: "stack two" },
      card(t("cards.new"), h("p", { class: "hint" }, t("cards.new_text")), state, h("div", { class: "row" }, toggle, button(t("cards.add_number"), addByNumber, { id: "add-card" }))),
      card(t("cards.setup"), h("p", { class: "hint" }, t("cards.setup_hint")), setup, h("div", { class: "row" }, button(t("cards.setup_new"), newSetup, { id: "new-setup-card" })))),
    unknown,
    h("section", { class: "card" }, h("div", { class: "head" }, h("h2", {}, t("cards.charging")), count), list));
}

export default function cards(context) {
  return needing("owner", () => cardManager(context), context.onLeave);
}
