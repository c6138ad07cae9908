// The faults that can be injected: a toggle each, those that are there marked by shape and colour.

import { $, make } from "./dom.js";
import { FAULTS } from "./words.js";

let present = [];

/** `request(name, args)` as in controls.js. */
export function setUpFaults(request) {
  FAULTS.forEach(([title, faults], i) => {
    const buttons = faults.map(([name, label]) => {
      const button = make("button", { type: "button", class: "fault", "aria-pressed": "false", "data-fault": name, "data-live": "" }, label);
      button.addEventListener("click", () => request(present.includes(name) ? "clear" : "fault", { name }));
      return button;
    });
    $("faults").append(make("div", { class: "fault-group", role: "group", "aria-labelledby": `fault-group-${i}` }, make("h3", { id: `fault-group-${i}` }, title), make("div", {}, ...buttons)));
  });
  $("clear-faults").addEventListener("click", () => {
    for (const name of present) request("clear", { name });
  });
}

/** Mark the injected faults, a list of names. */
export function showFaultButtons(names, connected) {
  present = names;
  for (const button of document.querySelectorAll("[data-fault]")) button.setAttribute("aria-pressed", String(names.includes(button.dataset.fault)));
  $("clear-faults").disabled = !connected || !names.length;
}
