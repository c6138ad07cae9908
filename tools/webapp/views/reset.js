// Restart and factory reset; the second erases personal data and must be confirmed by a word.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { link } from "../link.js";
import { ask, button, card, guard, toast } from "../ui.js";

async function restart() {
  if (!(await guard("owner"))) return;
  await ask({
    title: t("reset.restart_title"),
    text: t("reset.restart_text"),
    confirm: t("reset.restart"),
    work: async () => {
      await link.request("restart", { confirm: true });
      toast(t("reset.restarting"));
    },
  });
}

async function erase() {
  if (!(await guard("expert"))) return;
  await ask({
    title: t("reset.erase_title"),
    text: t("reset.erase_text"),
    fields: [{ name: "word", label: t("reset.word_label", { word: "erase" }), id: "erase-word" }],
    confirm: t("reset.erase"),
    danger: true,
    work: async ({ word }) => {
      if (word.trim().toLowerCase() !== "erase") throw new Error(t("reset.word_wrong", { word: "erase" }));
      await link.request("factory_reset", { confirm: "erase" });
      toast(t("reset.erased"));
    },
  });
}

export default function reset() {
  return h("div", { class: "stack two" },
    card(t("reset.restart_title"), h("p", { class: "hint" }, t("reset.restart_text")), h("div", { class: "row" }, button(t("reset.restart"), restart, { id: "restart" }))),
    card(t("reset.erase_title"), h("p", { class: "hint" }, t("reset.erase_text")), h("div", { class: "row" }, button(t("reset.erase"), erase, { kind: "danger", id: "erase" }))));
}
