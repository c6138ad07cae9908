// Backup, comparison and restore of everything an installer set (R35); secrets go into the file encrypted or not at all.

import { download, upload } from "../client.js";
import { h, mark, saveFile, setText } from "../dom.js";
import { loadSettings } from "../form.js";
import { moment, t } from "../i18n.js";
import { link } from "../link.js";
import { act, card, errorText, field, needing, toast } from "../ui.js";
import { optionName, settingName } from "../words.js";

function saver() {
  const password = field(t("backup.password"), { type: "password", id: "backup-password", autocomplete: "new-password", maxlength: 64 }, t("backup.password_hint"));
  const error = h("p", { class: "error", role: "alert" });
  const save = h("button", { class: "primary", id: "save-backup" }, t("backup.save"));
  const form = h("form", { class: "stack", novalidate: true }, password.row, error, h("div", { class: "row end" }, save));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(save, async () => {
      setText(error, "");
      password.fail("");
      const words = password.input.value;
      const bytes = await download(link, "backup", { args: words ? { password: words } : {} });
      saveFile(`wallbox-backup-${new Date().toISOString().slice(0, 10)}.json`, bytes, "application/json");
      toast(t("backup.saved"));
    }, (failure) => (failure.field === "password" ? password.fail(errorText(failure)) : setText(error, errorText(failure))));
  });
  return card(t("backup.save_title"), h("p", { class: "hint" }, t("backup.save_text")), form);
}

function shown(key, value) {
  // Of a secret the box tells only whether there is one.
  if (key.endsWith("_password")) return value ? t("secret_set") : "–";
  if (value === "" || value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : optionName(key, value);
}

function settingsTable(differences) {
  const rows = Object.entries(differences);
  if (!rows.length) return null;
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": t("backup.differences") }, h("table", { id: "differences" }, h("thead", {}, h("tr", {}, [t("backup.what"), t("backup.now"), t("backup.then")].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map(([key, [now, then]]) => h("tr", { "data-key": key }, h("th", { scope: "row" }, settingName(key)), h("td", {}, shown(key, now)), h("td", {}, h("b", {}, shown(key, then))))))));
}

function cardsLine({ add, remove, change, setup }) {
  if (!add.length && !remove.length && !change.length && !setup) return null;
  return h("p", { id: "card-differences" }, t("backup.cards", { add: add.length, remove: remove.length, change: change.length }), setup ? ` ${t("backup.setup_differs")}` : "");
}

/** What a restore would change, as the box tells it. */
function comparison(answer) {
  const table = settingsTable(answer.differences);
  const cards = cardsLine(answer.cards);
  return [
    h("p", { class: "hint" }, t("backup.of", { serial: answer.serial ?? "–", version: answer.firmware ?? "–", when: moment(answer.utc) })),
    answer.other_box ? h("p", { class: "note" }, t("backup.other_box")) : null,
    answer.secrets === "locked" ? h("p", { class: "note" }, t("backup.locked")) : null,
    answer.refused ? h("p", { class: "error" }, t("backup.refused", { text: answer.refused })) : null,
    table,
    cards,
    table || cards ? null : h("p", { class: "done" }, t("backup.same")),
  ].filter(Boolean);
}

function restorer() {
  const file = h("input", { type: "file", id: "restore-file", accept: ".json,application/json" });
  const password = field(t("backup.password"), { type: "password", id: "restore-password", maxlength: 64 }, t("backup.restore_password_hint"));
  const error = h("p", { class: "error", role: "alert" });
  const place = h("div", { class: "stack", role: "status" });
  const compare = h("button", { class: "primary", id: "compare" }, t("backup.compare"));
  const apply = h("button", { type: "button", class: "danger", id: "restore", hidden: true }, t("backup.restore"));
  const send = async (really) => {
    setText(error, "");
    password.fail("");
    if (!file.files.length) throw new Error(t("backup.choose"));
    const bytes = new Uint8Array(await file.files[0].arrayBuffer());
    const words = password.input.value;
    return upload(link, "restore", bytes, { done: { apply: really, ...(words ? { password: words } : {}) } });
  };
  const failed = (failure) => {
    place.replaceChildren();
    mark(apply, "hidden", true);
    if (failure.field === "password") password.fail(errorText(failure));
    else setText(error, errorText(failure));
  };
  const form = h("form", { class: "stack", novalidate: true }, h("div", { class: "setting" }, h("label", { for: "restore-file" }, t("backup.file")), file), password.row, error, place, h("div", { class: "row end" }, apply, compare));
  // What was compared is not what would be restored any more.
  form.addEventListener("change", () => mark(apply, "hidden", true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act(compare, async () => {
      const answer = await send(false);
      place.replaceChildren(...comparison(answer));
      mark(apply, "hidden", Boolean(answer.refused));
    }, failed);
  });
  apply.addEventListener("click", () => act(apply, async () => {
    await send(true);
    await loadSettings();
    place.replaceChildren(h("p", { class: "done", id: "restored" }, t("backup.restored")));
    mark(apply, "hidden", true);
  }, failed));
  return card(t("backup.restore_title"), h("p", { class: "hint" }, t("backup.restore_text")), form);
}

export default function backup({ onLeave }) {
  return needing("expert", () => h("div", { class: "stack two", "data-keep": true }, saver(), restorer()), onLeave);
}
