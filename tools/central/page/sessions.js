// The newest sessions of all wallboxes.

import { $, h } from "./dom.js";
import { clock, kwh } from "./words.js";

export function showSessions(sessions) {
  $("no-sessions").hidden = sessions.length > 0;
  $("sessions-scroll").hidden = sessions.length === 0;
  $("sessions").replaceChildren(...sessions.map((one) => h("tr", { "data-session": one.id }, h("td", { title: one.start }, clock(one.start, false)), h("td", {}, one.box), h("td", {}, one.tag), h("td", {}, `${kwh(one.energy_wh)} kWh`), h("td", { title: one.stop }, one.stop ? `${clock(one.stop, false)} ${one.reason}` : "runs"))));
}
