// The first view: choose a wallbox over Bluetooth, or the simulator that serves this page.

import { h, icon, mark, setText } from "../dom.js";
import { LANGUAGES, setLanguage, t } from "../i18n.js";
import { link } from "../link.js";
import { store } from "../store.js";
import { canBluetooth, chooseDevice } from "../transport-ble.js";
import { ownSocket } from "../transport-ws.js";
import { act, card, errorText, field } from "../ui.js";

const THEMES = ["auto", "light", "dark"];
const KEPT = "wallbox-theme";

/** Take over the theme that was chosen; "auto" follows the system. */
export function applyTheme(theme = localStorage.getItem(KEPT) ?? THEMES[0]) {
  localStorage.setItem(KEPT, theme);
  mark(document.documentElement, "data-theme", theme === "auto" ? null : theme);
}

/** Language and theme, which belong to this device and not to a box. */
export function appearance() {
  const language = h("select", { id: "language-here" }, Object.entries(LANGUAGES).map(([key, name]) => h("option", { value: key }, name)));
  language.value = document.documentElement.lang;
  language.addEventListener("change", () => setLanguage(language.value));
  const theme = h("select", { id: "theme" }, THEMES.map((name) => h("option", { value: name }, t(`theme.${name}`))));
  theme.value = localStorage.getItem(KEPT) ?? THEMES[0];
  theme.addEventListener("change", () => applyTheme(theme.value));
  return card(t("appearance"), h("div", { class: "pair" }, h("div", { class: "setting" }, h("label", { for: "language-here" }, t("language")), language), h("div", { class: "setting" }, h("label", { for: "theme" }, t("theme")), theme)));
}

function bluetoothCard({ go }) {
  const error = h("p", { class: "error", role: "alert" });
  const able = canBluetooth();
  const connect = h("button", { type: "button", class: "primary", id: "connect-bluetooth", disabled: !able }, icon("network"), t("connect.bluetooth"));
  connect.addEventListener("click", () => {
    setText(error, "");
    act(connect, async () => {
      const device = await chooseDevice();
      await link.connectBluetooth(device);
      go("home");
    }, (failure) => {
      // Nothing was chosen: no error.
      if (failure.name !== "NotFoundError") setText(error, errorText(failure));
    });
  });
  return card(t("connect.bluetooth_title"), h("p", { class: "hint" }, t("connect.bluetooth_text")), able ? null : h("p", { class: "note" }, t("connect.no_bluetooth")), h("div", { class: "row" }, connect), error);
}

function simulatorCard({ go }) {
  const passkey = field(t("connect.passkey"), { inputmode: "numeric", maxlength: 6, id: "passkey", class: "code" }, t("connect.passkey_hint"));
  const connect = h("button", { class: "quiet", id: "connect-simulator" }, icon("plug"), t("connect.simulator"));
  const form = h("form", { novalidate: true, class: "stack" }, passkey.row, h("div", { class: "row" }, connect));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const digits = passkey.input.value.trim();
    if (!/^\d{6}$/.test(digits)) {
      passkey.fail(t("connect.six_digits"));
      return;
    }
    passkey.fail("");
    act(connect, async () => {
      await link.connectSimulator(ownSocket(), digits);
      go("home");
    }, (failure) => passkey.fail(errorText(failure)));
  });
  return card(t("connect.simulator_title"), h("p", { class: "hint" }, t("connect.simulator_text")), form);
}

export default function connect(context) {
  const refused = store.get("refused");
  store.set("refused", null);
  return h("div", { class: "stack two" },
    refused ? h("p", { class: "note wide" }, errorText(refused)) : null,
    bluetoothCard(context), simulatorCard(context), appearance(),
    card(t("connect.guide_title"), h("p", { class: "hint" }, t("connect.guide_text")), h("div", { class: "row" }, h("a", { class: "quiet", href: "#/guide" }, icon("guide"), t("view.guide")))));
}
