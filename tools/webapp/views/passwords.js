// Passwords: the owner's app password, and the one of expert mode.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { act, card, errorText, field, needing, pill, toast } from "../ui.js";

const LEAST = 4;
const MOST = 32;

function form(role, isSet) {
  const fresh = field(t("passwords.new"), { type: "password", autocomplete: "new-password", id: `new-${role}`, maxlength: MOST }, t("passwords.rule"));
  const again = field(t("passwords.again"), { type: "password", autocomplete: "new-password", id: `again-${role}`, maxlength: MOST });
  const save = h("button", { class: "primary", id: `save-${role}` }, t("passwords.change"));
  const element = h("form", { novalidate: true, class: "stack" }, fresh.row, again.row, h("div", { class: "row end" }, save));
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    fresh.fail("");
    again.fail("");
    if (fresh.input.value.length < LEAST) {
      fresh.fail(t("passwords.short"));
      return;
    }
    if (fresh.input.value !== again.input.value) {
      again.fail(t("passwords.differ"));
      return;
    }
    act(save, async () => {
      await link.request("password", { role, new: fresh.input.value });
      link.logins.set(role, fresh.input.value);
      store.set("hello", { ...store.get("hello"), ...(role === "owner" ? { app_password_set: true } : { expert_password_changed: true }) });
      element.reset();
      toast(t("passwords.changed"));
    }, (failure) => fresh.fail(errorText(failure)));
  });
  return card(t(`passwords.${role}`), h("p", {}, isSet ? pill("good", t(`passwords.${role}_set`)) : pill("warn", t(`passwords.${role}_factory`))), h("p", { class: "hint" }, t(`passwords.${role}_text`)), element);
}

export default function passwords({ onLeave }) {
  const hello = store.get("hello") ?? {};
  return h("div", { class: "stack two" },
    needing("owner", () => form("owner", hello.app_password_set), onLeave),
    needing("expert", () => form("expert", hello.expert_password_changed), onLeave));
}
