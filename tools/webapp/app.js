// Puts the app together: header, navigation, and the view that the address names. Views are in views/, one a file.

import { $, h, icon, mark, setText } from "./dom.js";
import { LANGUAGES, chooseLanguage, setLanguage, t } from "./i18n.js";
import { link } from "./link.js";
import { GROUPS, TABS, place } from "./nav.js";
import { store } from "./store.js";
import { pill, toast } from "./ui.js";
import backup from "./views/backup.js";
import brightness from "./views/brightness.js";
import cards from "./views/cards.js";
import connect, { applyTheme } from "./views/connect.js";
import diagnostics from "./views/diagnostics.js";
import guide from "./views/guide.js";
import history from "./views/history.js";
import home from "./views/home.js";
import live from "./views/live.js";
import menu from "./views/menu.js";
import meter from "./views/meter.js";
import network from "./views/network.js";
import passwords from "./views/passwords.js";
import report from "./views/report.js";
import reset from "./views/reset.js";
import settings from "./views/settings.js";
import update from "./views/update.js";
import wizard from "./views/wizard.js";

const VIEWS = { connect, home, live, wizard, settings, cards, meter, network, passwords, brightness, guide, diagnostics, history, backup, report, update, reset, menu };
// These need no connection.
const FREE = ["connect", "guide", "menu"];

let leave = [];
let shown = "";

function wanted() {
  const name = location.hash.replace(/^#\/?/, "").split("/")[0];
  const view = name in VIEWS ? name : "home";
  if (["off", "connecting"].includes(store.get("link")) && !FREE.includes(view)) return "connect";
  return view === "connect" && store.get("link") === "up" ? "home" : view;
}

function buildFrame() {
  setText($("skip"), t("skip"));
  mark($("side"), "aria-label", t("navigation"));
  mark($("tabs"), "aria-label", t("navigation"));
  $("side").replaceChildren(...GROUPS.flatMap(([group, names]) => [h("h2", {}, t(`group.${group}`)), ...names.map(place)]));
  $("tabs").replaceChildren(...TABS.map(place));
  buildHeader();
}

function languageChoice() {
  const select = h("select", { id: "language", "aria-label": t("language") }, Object.entries(LANGUAGES).map(([key, name]) => h("option", { value: key }, name)));
  select.value = document.documentElement.lang;
  select.addEventListener("change", () => setLanguage(select.value));
  return h("div", { class: "language" }, select);
}

function buildHeader() {
  const state = store.get("link");
  const name = store.get("settings")?.name ?? store.get("hello")?.product ?? "Wallbox";
  const brand = h("div", { class: "brand" }, h("img", { src: "icons/icon.svg", alt: "" }), h("span", { id: "brand" }, state === "off" ? t("app_name") : name));
  const linkPill = state === "off" ? null : h("span", { role: "status" }, pill(state === "up" ? "good" : "warn", t(`link.${state}`), { id: "link" }));
  const expert = store.get("role") === "expert" ? h("button", { type: "button", class: "pill expert", "data-kind": "expert", id: "leave-expert", title: t("login.leave"), onclick: leaveExpert }, h("i", { "aria-hidden": "true" }), t("role.expert")) : null;
  const hangUp = state === "off" ? null : h("button", { type: "button", class: "iconic hangup", title: t("disconnect"), "aria-label": t("disconnect"), onclick: () => link.end() }, icon("close"));
  $("top").replaceChildren(...[brand, linkPill, expert, languageChoice(), hangUp].filter(Boolean));
}

async function leaveExpert() {
  await link.logout();
  toast(t("login.left"));
}

/** Build the view that the address names; `force` builds it again though it is there already. */
function show(force) {
  const name = wanted();
  mark(document.body, "data-link", store.get("link") === "connecting" ? "off" : store.get("link"));
  for (const anchor of document.querySelectorAll("[data-view]")) {
    const tab = anchor.closest(".tabs") && !TABS.includes(name) && anchor.dataset.view === "menu";
    mark(anchor, "aria-current", anchor.dataset.view === name || tab ? "page" : null);
  }
  if (name === shown && !force) return;
  const moved = shown !== "" && shown !== name;
  leave.forEach((stop) => stop());
  leave = [];
  shown = name;
  document.title = `${t(`view.${name}`)} · Wallbox`;
  const content = VIEWS[name]({ onLeave: (stop) => leave.push(stop), go });
  const heading = h("h1", { tabindex: -1 }, t(`view.${name}`));
  const intro = t(`intro.${name}`);
  mark($("main"), "data-name", name);
  $("main").replaceChildren(h("div", { class: "title" }, heading, intro ? h("p", {}, intro) : null), content);
  scrollTo(0, 0);
  if (moved) heading.focus();
}

function go(name) {
  location.hash = `#/${name}`;
}

chooseLanguage();
applyTheme();
buildFrame();
store.listen("language", () => {
  buildFrame();
  show(true);
});
let before = store.get("link");
store.listen("link", (state) => {
  buildHeader();
  // A view that lost its connection asks again for what it shows; one in which somebody types stays as it is.
  show(state === "up" && before === "lost" && !$("main").querySelector("form, [data-keep]"));
  before = state;
});
store.listen("role", buildHeader);
store.listen("settings", buildHeader);
store.listen("refused", (error) => error && toast(error.message));
addEventListener("hashchange", () => show(false));
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
show(false);
if ("serviceWorker" in navigator) navigator.serviceWorker.register("sw.js");
