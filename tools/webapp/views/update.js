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
      await upload(link, "firmware", bytes, { signal: control.signal, progress: (part, whole) => bar.show(part, whole, `${number(part / 1024)} / ${number(whole / 1024)} KB`) });
      setText(done, t("update.done"));
    } finally {
      mark(stop, "hidden", true);
      bar.hide();
    }
  }, (failure) => setText(error, errorText(failure))));
  return card(t("update.new"), h("p", { class: "hint" }, t("update.text")), h("div", { class: "setting" }, h("label", { for: "firmware-file" }, t("update.file")), file), bar.row, error, done, h("div", { class: "row end" }, stop, send));
}

export default function update({ onLeave }) {
  const hello = store.get("hello") ?? {};
  return h("div", { class: "stack two", "data-keep": true },
    card(t("update.now"), facts([[t("version"), h("span", { class: "mono" }, hello.version ?? "–")], [t("serial"), h("span", { class: "mono" }, hello.serial ?? "–")], [t("product"), hello.product ?? "–"]])),
    needing("expert", sender, onLeave));
}
