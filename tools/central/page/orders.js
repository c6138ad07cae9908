// Everything that can be asked of a wallbox beyond start, stop and limit: availability, reset, trigger, configuration, any call.

import { h, mark, setText } from "./dom.js";

const TRIGGERS = ["BootNotification", "DiagnosticsStatusNotification", "FirmwareStatusNotification", "Heartbeat", "MeterValues", "StatusNotification"];

function group(title, ...children) {
  return h("div", {}, h("h3", {}, title), h("div", { class: "row" }, children));
}

/** A part of a card that opens and closes. */
function fold(title, ...children) {
  return h("details", { class: "fold" }, h("summary", {}, title), h("div", {}, children));
}

/** Availability, reset, cable lock and trigger; `order(button, action, payload)` sends a call. */
export function upkeep(name, order) {
  const button = (label, action, payload, kind = "quiet") => {
    const element = h("button", { type: "button", class: `${kind} small`, onclick: () => order(element, action, payload) }, label);
    return element;
  };
  const select = h("select", { "aria-label": "Message to send" }, TRIGGERS.map((one) => h("option", {}, one)));
  const trigger = h("button", { type: "button", class: "quiet small", onclick: () => order(trigger, "TriggerMessage", { requestedMessage: select.value }) }, "Ask for it");
  return fold(
    "Upkeep",
    h("div", { class: "pair" },
      group("In service", button("Operative", "ChangeAvailability", { connectorId: 0, type: "Operative" }), button("Inoperative", "ChangeAvailability", { connectorId: 0, type: "Inoperative" })),
      group("Restart", button("Soft", "Reset", { type: "Soft" }), button("Hard", "Reset", { type: "Hard" }, "danger")),
      group("Cable lock", button("Unlock", "UnlockConnector", { connectorId: 1 })),
      group("Cards kept by the wallbox", button("Clear the cache", "ClearCache", {})),
    ),
    h("div", {}, h("h3", {}, "A message from the wallbox"), h("div", { class: "row" }, h("div", { class: "grow" }, select), trigger)),
  );
}

/** All configuration keys, those that may be changed with a field; `ask(action, payload)` calls the wallbox. */
export function configuration(name, ask, order) {
  const list = h("ul", { class: "keys" });
  const show = ({ configurationKey = [] }) => list.replaceChildren(...configurationKey.map(keyRow));
  const keyRow = ({ key, readonly, value = "" }) => {
    if (readonly) return h("li", {}, h("b", {}, key), h("span", { class: "fixed" }, value || "–"));
    const id = `key-${name}-${key}`;
    const input = h("input", { id, value, autocomplete: "off", spellcheck: "false" });
    const set = h("button", { type: "button", class: "quiet small" }, "Set");
    const save = () => order(set, "ChangeConfiguration", { key, value: input.value });
    set.addEventListener("click", save);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") save();
    });
    return h("li", { "data-key": key }, h("label", { for: id }, key), input, set);
  };
  const load = h("button", { type: "button", class: "quiet small", onclick: async () => show((await ask(load, "GetConfiguration", {})) ?? {}) }, "Read all");
  return fold("Configuration", h("div", { class: "row" }, load), list);
}

/** Any call in JSON, for what has no button. */
export function anyCall(name, ask) {
  const action = h("input", { id: `action-${name}`, value: "GetCompositeSchedule", autocomplete: "off", spellcheck: "false" });
  const payload = h("textarea", { id: `payload-${name}`, class: "mono", spellcheck: "false" });
  payload.value = JSON.stringify({ connectorId: 1, duration: 3600 }, null, 2);
  const answer = h("pre", { class: "mono", hidden: true });
  const send = h("button", { type: "button", class: "quiet small", onclick: () => go() }, "Send");
  async function go() {
    let parsed;
    try {
      parsed = JSON.parse(payload.value);
    } catch (error) {
      setText(answer, `The payload is no JSON: ${error.message}`);
      mark(answer, "hidden", false);
      return;
    }
    const got = await ask(send, action.value, parsed);
    setText(answer, JSON.stringify(got, null, 2));
    mark(answer, "hidden", got === null);
  }
  return fold("Any call", h("div", {}, h("label", { for: action.id }, "Action"), action), h("div", {}, h("label", { for: payload.id }, "Payload, JSON"), payload), h("div", { class: "row" }, send), answer);
}
