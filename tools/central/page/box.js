// The card of one wallbox: what it does, and what a person orders of it.

import { h, mark, setText } from "./dom.js";
import { anyCall, configuration, upkeep } from "./orders.js";
import { kwh, largest, remarkOf, shown, stateOf, total } from "./words.js";

const MOST_A = 32;
const DEFAULT_TAG = "APP";

function figure(label, unit) {
  const value = h("b", {}, "–");
  return { value, row: h("div", {}, h("dt", {}, label), h("dd", {}, value, ` ${unit}`)) };
}

/** A card that `show(box)` brings up to date; `link` carries its orders. */
export class BoxCard {
  constructor(name, link) {
    this.name = name;
    this.link = link;
    this.box = null;
    this.title = h("h2", {}, name);
    this.pillText = h("span", {});
    this.pill = h("p", { class: "pill", role: "status" }, h("i", { "aria-hidden": "true" }), this.pillText);
    this.about = h("p", { class: "hint about" });
    this.info = h("p", { class: "info" });
    this.power = figure("Power", "kW");
    this.current = figure("Current", "A");
    this.energy = figure("This session", "kWh");
    this.meter = figure("Meter", "kWh");
    this.said = h("p", { class: "said", role: "status" });
    const order = (button, action, payload) => this.order(button, action, payload);
    const ask = (button, action, payload) => this.call(button, action, payload);
    this.orders = h("fieldset", { class: "orders" }, h("legend", { class: "hidden" }, `Orders to ${name}`), this.startRow(), this.limitRow());
    this.folds = [upkeep(name, order), configuration(name, ask, order), anyCall(name, ask)];
    this.element = h("section", { class: "card box", "data-box": name, "aria-label": name }, h("header", {}, this.title, this.pill), this.about, this.info, h("dl", { class: "figures" }, this.power.row, this.current.row, this.energy.row, this.meter.row), this.orders, this.said, ...this.folds);
  }

  startRow() {
    const id = `tag-${this.name}`;
    this.tag = h("input", { id, value: DEFAULT_TAG, maxlength: 20, autocomplete: "off", spellcheck: "false" });
    this.start = h("button", { type: "button", class: "primary", "data-order": "start", onclick: () => this.order(this.start, "RemoteStartTransaction", { idTag: this.tag.value, connectorId: 1 }) }, "Start charging");
    this.stop = h("button", { type: "button", class: "danger", "data-order": "stop", onclick: () => this.order(this.stop, "RemoteStopTransaction", { transactionId: this.box.session.id }) }, "Stop charging");
    this.tagField = h("div", { class: "tag" }, h("label", { for: id }, "Card"), this.tag);
    return h("div", { class: "row start" }, this.tagField, this.start, this.stop);
  }

  limitRow() {
    const id = `limit-${this.name}`;
    this.slider = h("input", { type: "range", id, min: 0, max: MOST_A, step: 1, value: MOST_A });
    this.amps = h("output", { for: id });
    const set = h("button", { type: "button", class: "quiet small", "data-order": "limit", onclick: () => this.limit(set, Number(this.slider.value)) }, "Limit");
    this.lift = h("button", { type: "button", class: "quiet small", "data-order": "lift", onclick: () => this.limit(this.lift, null) }, "No limit");
    this.limitText = h("span", { class: "hint" });
    this.slider.addEventListener("input", () => this.paint());
    this.paint();
    return h("div", { class: "limit" }, h("div", {}, h("label", { for: id }, "Current of each phase"), this.slider), this.amps, h("div", { class: "row" }, set, this.lift, this.limitText));
  }

  paint() {
    const amps = Number(this.slider.value);
    setText(this.amps, amps < 6 ? `${amps} A, pause` : `${amps} A`);
    this.slider.setAttribute("aria-valuetext", this.amps.textContent);
    this.slider.style.setProperty("--fill", `${(100 * amps) / MOST_A}%`);
  }

  show(box) {
    this.box = box;
    const { kind, text } = stateOf(box);
    setText(this.pillText, text);
    mark(this.pill, "data-kind", kind);
    const { chargePointVendor = "", chargePointModel = "", firmwareVersion, chargePointSerialNumber } = box.about;
    const model = chargePointModel.startsWith(chargePointVendor) ? chargePointModel : `${chargePointVendor} ${chargePointModel}`;
    const about = [model, firmwareVersion && `firmware ${firmwareVersion}`, chargePointSerialNumber].filter(Boolean).join(" · ");
    setText(this.about, about || "It has not told yet what it is.");
    const remark = box.connected ? remarkOf(box) : "";
    setText(this.info, remark);
    mark(this.info, "hidden", !remark);
    const power = total(box, "Power.Active.Import");
    setText(this.power.value, shown(power === null ? null : power / 1000, 2));
    setText(this.current.value, shown(largest(box, "Current.Import"), 1));
    setText(this.energy.value, box.session ? kwh(box.session.energy_wh) : "–");
    const register = total(box, "Energy.Active.Import.Register");
    setText(this.meter.value, shown(register === null ? null : register / 1000, 1));
    mark(this.start, "hidden", Boolean(box.session));
    mark(this.tagField, "hidden", Boolean(box.session));
    mark(this.stop, "hidden", !box.session);
    setText(this.limitText, box.limit_a === null ? "Not limited from here." : `Limited to ${box.limit_a} A from here.`);
    this.orders.disabled = !box.connected;
    for (const fold of this.folds) for (const button of fold.querySelectorAll("button")) button.disabled = !box.connected;
  }

  say(kind, text) {
    setText(this.said, text);
    mark(this.said, "data-kind", kind);
  }

  /** Call the wallbox for a button -> its answer, or null after an error, which is shown. */
  async call(button, action, payload) {
    return this.work(button, () => this.link.request("call", { box: this.name, action, payload }), action);
  }

  async work(button, ask, what) {
    mark(button, "aria-busy", "true");
    try {
      return await ask();
    } catch (error) {
      this.say("bad", `${what}: ${error.message}`);
      return null;
    } finally {
      mark(button, "aria-busy", null);
    }
  }

  tell(what, answer) {
    if (answer) this.say(["Accepted", "Unlocked", "Scheduled", "RebootRequired"].includes(answer.status) ? "good" : "bad", `${what}: ${answer.status}`);
  }

  async order(button, action, payload) {
    this.tell(action, await this.call(button, action, payload));
  }

  async limit(button, amps) {
    const what = amps === null ? "No limit" : `Limit to ${amps} A`;
    const answer = await this.work(button, () => this.link.request("limit", { box: this.name, amps }), what);
    this.tell(what, answer);
  }
}
