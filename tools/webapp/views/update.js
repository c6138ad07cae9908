// Firmware: send an image (R29); the box verifies its signature before it uses it, and goes on after a cut.

import { upload } from "../client.js";
import { h, mark, setText } from "../dom.js";
import { number, t } from "../i18n.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { act, card, errorText, facts, guard, needing, progressBar } from "../ui.js";

function sender() {
  const file = h("input", { type: "file", id: "firmware-file", accept: ".bin,.img,.wbx,application/octet-stream" });
  const error = h("p", { class: "error", role: "alert" });
  const done = h("p", { class: "done", role: "status" });
  const bar = progressBar(t("update.sending"));
  const send = h("button", { type: "button", class: "primary", id: "send-firmware" }, t("update.send"));
  const stop = h("button", { type: "button", class: "quiet", hidden: true }, t("cancel"));
  let control = null;
  stop.addEventListener("click", () => control?.abort());
  send.addEventListener("click", () => act(send, async () => {
    setText(error, "");
    setText(done, "");
    if (!file.files.length) throw new Error(t("update.choose"));
    if (!(await guard("expert"))) return;
    const bytes = new Uint8Array(await file.files[0].arrayBuffer());
    control = new AbortController();
    mark(stop, "hidden", false);
    try {
      const answer = await upload(link, "firmware", bytes, { signal: control.signal, progress: (part, whole) => bar.show(part, whole, `${number(part / 1024)} / ${number(whole / 1024)} KB`) });
      setText(done, t(answer.installed ? "update.done" : "update.no_slot", { version: answer.version }));
    } finally {
      mark(stop, "hidden", true);
      bar.hide();
    }
  }, (failure) => setText(error, errorText(failure))));
  return card(t("update.new"), h("p", { class: "hint" }, t("update.text")), h("div", { class: "setting" }, h("label", { for: "firmware-file" }, t("update.file")), file), bar.row, error, done, h("div", { class: "row end" }, stop, send));
}

/** What the box tells of an update: how far it is, and how the last one ended. */
function progress(found) {
  if (!found) return "–";
  const { state, result, version, percent, text } = found;
  if (state === "receiving") return t("update.receiving", { percent: percent ?? 0 });
  if (state === "restart") return t("update.restart", { version });
  if (state === "trial") return t("update.trial", { version });
  if (result === "committed") return t("update.committed", { version });
  return result === "rolled_back" ? t("update.rolled_back", { version, text }) : t("update.none");
}

/** Version and state, kept up to date over the restart. */
function now(onLeave) {
  const version = h("span", { class: "mono" });
  const state = h("span", { id: "update-state", role: "status" });
  const look = () => {
    setText(version, store.get("hello")?.version ?? "–");
    setText(state, progress(store.get("status")?.update));
  };
  for (const name of ["hello", "status"]) onLeave(store.listen(name, look));
  look();
  return { version, state };
}

export default function update({ onLeave }) {
  const hello = store.get("hello") ?? {};
  const { version, state } = now(onLeave);
  return h("div", { class: "stack two", "data-keep": true },
    card(t("update.now"), facts([[t("version"), version], [t("update.state"), state], [t("serial"), h("span", { class: "mono" }, hello.serial ?? "–")], [t("product"), hello.product ?? "–"]])),
    needing("expert", sender, onLeave));
}
