// What a person can do around the wallbox: car, cards, house and sun, surroundings.

import { $, make, paced, setMark, setText, slider } from "./dom.js";
import { showTap } from "./scene.js";
import { CARDS } from "./words.js";

const UID = /^([0-9a-f]{8}|[0-9a-f]{14}|[0-9a-f]{20})$/i;
const PHASES = ["L1", "L2", "L3"];

let act = null;
let plugged = false;

function carOrder() {
  const wanted = $("kwh").value;
  const order = {
    phases: Number(document.querySelector('input[name="phases"]:checked').value),
    max_a: Number($("max-a").value),
    wants: wanted !== "none",
  };
  if (wanted && wanted !== "none") order.soc_wh = Number(wanted) * 1000;
  return order;
}

function setUpCar() {
  $("plug-button").addEventListener("click", () => (plugged ? act("unplug") : act("plug", carOrder())));
  const paint = () => {
    setText($("max-a").nextElementSibling, `${$("max-a").value} A`);
    $("max-a").style.setProperty("--fill", `${(100 * ($("max-a").value - 6)) / 26}%`);
    $("max-a").setAttribute("aria-valuetext", `${$("max-a").value} A`);
  };
  $("max-a").addEventListener("input", paint);
  paint();
  for (const button of document.querySelectorAll("[data-car]")) {
    // The same button again gives the car its own will back.
    button.addEventListener("click", () => act("car", { state: button.getAttribute("aria-pressed") === "true" ? "auto" : button.dataset.car }));
  }
  $("diode").addEventListener("change", (event) => act("car", { diode: !event.target.checked }));
  $("ignore-pwm").addEventListener("change", (event) => act("car", { ignore_pwm: event.target.checked }));
}

function showCar(state, world) {
  plugged = Boolean(state.car?.plugged);
  setText($("plug-button"), plugged ? "Unplug" : "Plug in");
  setMark($("plug-button"), "data-on", plugged);
  for (const button of document.querySelectorAll("[data-car]")) {
    button.setAttribute("aria-pressed", String(plugged && world.car.state === button.dataset.car));
  }
  $("diode").checked = plugged && world.car.diode === false;
  $("ignore-pwm").checked = plugged && world.car.ignore_pwm === true;
}

/** What may be used now: the car's build only while it is away, its behaviour only while it is there. */
export function limitCar(connected) {
  $("car-fields").disabled = !connected || plugged;
  $("car-acts").disabled = !connected || !plugged;
}

async function tap(uid) {
  if (await act("tap", { uid })) showTap();
}

function setUpCards() {
  for (const card of CARDS) {
    const number = make("small", {}, `…${card.uid.slice(-4)}`);
    const button = make("button", { type: "button", class: "tag", "data-kind": card.kind, "data-uid": card.uid, "data-live": "" }, make("b", {}, card.name), number);
    button.addEventListener("click", () => tap(card.uid));
    $("wallet").append(button);
  }
  $("own-card").addEventListener("submit", (event) => {
    event.preventDefault();
    const uid = $("uid").value.replace(/[\s:-]/g, "").toUpperCase();
    const good = UID.test(uid);
    setMark($("uid"), "aria-invalid", good ? null : "true");
    setText($("uid-error"), good ? "" : `${uid || "An empty number"} is not allowed; allowed: 8, 14 or 20 hexadecimal digits.`);
    if (good) tap(uid);
  });
}

function showCards(state) {
  const cards = state.cards;
  const known = new Set(cards ? [cards.setup, ...cards.charging] : []);
  for (const button of $("wallet").children) setMark(button, "data-known", known.has(button.dataset.uid));
  const registering = Boolean(cards?.registration);
  setMark(document.querySelector(".part-cards"), "data-registering", registering);
  const count = cards?.charging.length ?? 0;
  const learnt = count === 1 ? "1 charging card is" : `${count || "No"} charging cards are`;
  setText($("cards-hint"), registering ? "Registration mode: hold a new card to the reader." : `${learnt} registered. The setup card starts registering.`);
}

function onMove(control, send) {
  const later = paced(send);
  control.input.addEventListener("input", () => later(Number(control.input.value)));
}

const houseSliders = [];
let sun = null;

function setUpHouse() {
  const send = paced((amps) => act("house", { amps }));
  PHASES.forEach((name, i) => {
    const one = slider({ id: `house-${i + 1}`, label: `House ${name}`, min: 0, max: 40, step: 0.5, value: 0, say: (a) => `${a.toFixed(1)} A`, tint: "house" });
    one.input.addEventListener("input", () => {
      const moved = $("together").checked ? houseSliders : [one];
      for (const other of moved) other.set(one.input.value);
      // All three are sent, so none may fall back to what the simulator showed before.
      for (const other of houseSliders) other.hold();
      send(houseSliders.map((other) => Number(other.input.value)));
    });
    houseSliders.push(one);
    $("house-sliders").append(one.row);
    $("phase-bars").append(make("div", { class: "phase-row" }, make("span", {}, name),
      make("div", { class: "track" }, make("i", { class: "house" }), make("i", { class: "car" }), make("i", { class: "mark" })), make("b", {}, "0.0 A")));
  });
  sun = slider({ id: "sun", label: "Sun", min: 0, max: 15000, step: 100, value: 0, say: (w) => `${(w / 1000).toFixed(1)} kW`, tint: "sun" });
  onMove(sun, (watts) => act("house", { pv_w: watts }));
  $("house-sliders").append(sun.row);
}

function showHouse(state, fuseA) {
  const house = state.house;
  if (!house) return;
  house.amps.forEach((amps, i) => houseSliders[i].show(amps));
  sun.show(house.pv_w);
  const scale = Math.max(40, (fuseA ?? 0) * 1.25);
  const words = PHASES.map((name, i) => {
    const total = state.grid_a?.[i] ?? 0;
    const car = state.car?.draw_a?.[i] ?? 0;
    const own = Math.max(0, total - car);
    const row = $("phase-bars").children[i];
    const [houseBar, carBar, mark] = row.querySelectorAll("i");
    houseBar.style.width = `${Math.min(100, (100 * own) / scale)}%`;
    carBar.style.left = houseBar.style.width;
    carBar.style.width = `${Math.max(0, Math.min(100, (100 * (total - own)) / scale))}%`;
    mark.style.left = fuseA ? `${(100 * fuseA) / scale}%` : "-4px";
    row.classList.toggle("over", Boolean(fuseA) && total > fuseA);
    setText(row.lastChild, `${total.toFixed(1).replace("-", "−")} A`);
    return `${name} ${total.toFixed(0)} ampere`;
  });
  setMark($("phase-bars"), "aria-label", `Load of the connection: ${words.join(", ")}${fuseA ? `, fuse ${fuseA} ampere` : ""}`);
}

let ambient = null;
let grid = null;
const switches = [];

function addSwitch(label, hint, name, argument) {
  const text = make("span", {}, label, make("small", {}, hint));
  const button = make("button", { type: "button", class: "switch", role: "switch", "aria-checked": "false", "data-live": "", id: `switch-${name}` }, text, make("i", { "aria-hidden": "true" }));
  button.addEventListener("click", () => act(name, { [argument]: button.getAttribute("aria-checked") !== "true" }));
  $("switches").append(button);
  switches.push([button, name]);
}

function setUpWorld() {
  ambient = slider({ id: "ambient", label: "Air", min: -30, max: 80, step: 1, value: 20, say: (c) => `${String(c).replace("-", "−")} °C`, tint: "warm" });
  onMove(ambient, (celsius) => act("ambient", { celsius }));
  grid = slider({ id: "grid", label: "Grid voltage", min: 150, max: 290, step: 1, value: 230, say: (v) => `${v} V` });
  onMove(grid, (volts) => act("grid", { volts }));
  $("world-sliders").append(ambient.row, grid.row);
  addSwitch("Peak-shaving contact", "closed by the grid operator", "contact", "closed");
  addSwitch("Network", "communication module works", "network", "up");
  addSwitch("Supply", "off is a power cut", "power", "on");
}

function showWorld(world) {
  ambient.show(world.ambient);
  grid.show(world.grid);
  for (const [button, name] of switches) button.setAttribute("aria-checked", String(Boolean(world[name])));
}

/** `request(name, args)` sends a request and resolves to whether it was done. */
export function setUpControls(request) {
  act = request;
  setUpCar();
  setUpCards();
  setUpHouse();
  setUpWorld();
}

/** Let the controls show what is so. */
export function showControls(state, world, fuseA) {
  showCar(state, world);
  showCards(state);
  showHouse(state, fuseA);
  showWorld(world);
}
