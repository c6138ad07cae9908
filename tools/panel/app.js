// Wires the page: messages from the simulator to the parts that show them, requests of the parts to the simulator.

import { addSample, setHistory, setLimit } from "./chart.js";
import { limitCar, setUpControls, showControls } from "./controls.js";
import { $, setText } from "./dom.js";
import { setUpEnergy, showEnergy } from "./energy.js";
import { setUpFaults, showFaultButtons } from "./faults.js";
import { Link } from "./link.js";
import { addEntries, setEntries } from "./log.js";
import { showCar, showLight, showTones } from "./scene.js";
import { loadSettings, setUpSettings } from "./settings.js";
import { playTones } from "./sound.js";
import { showStatus } from "./status.js";
import { setUpVirtual } from "./virtual.js";

const TOAST_MS = 6000;
let connected = false;
let state = {};
let world = { faults: {}, car: {}, ambient: 20, grid: 230, contact: false, network: true, power: true };
let fuseA = null;

function toast(text) {
  setText($("toast"), text);
  $("toast").dataset.on = "";
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => delete $("toast").dataset.on, TOAST_MS);
}

/** Send a request; a refusal is shown. Resolves to whether it was done. */
async function request(name, args) {
  try {
    await link.request(name, args);
    return true;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

function show() {
  showControls(state, world, fuseA);
  showEnergy(state);
  showFaultButtons(Object.keys(world.faults), connected);
  limitCar(connected);
}

function showConnection(up) {
  connected = up;
  document.body.dataset.link = up ? "up" : "down";
  setText($("link-text"), up ? "Connected" : "Connection lost, trying again");
  for (const element of document.querySelectorAll("[data-live]")) element.disabled = !up;
  show();
}

function useSettings(settings) {
  fuseA = settings.connection_a ?? null;
  setLimit(fuseA);
  setText($("name"), settings.name || "wallbox");
  document.title = `${settings.name || "wallbox"} · simulator`;
}

/** Settings are readable only while the firmware runs, so they are asked for again whenever it has started. */
async function refreshSettings() {
  try {
    await loadSettings();
  } catch (error) {
    console.info(`settings: ${error.message}`);
  }
}

function take(next) {
  const started = next.power !== false && state.power !== true;
  state = next;
  showStatus(state);
  showLight(state.led);
  showCar(state);
  show();
  if (started) refreshSettings();
}

function hello(message) {
  world = message.world;
  state = {};
  setHistory(message.history);
  setEntries(message.entries);
  if (message.virtual) setUpVirtual(link);
  take(message.state);
}

function changed(entries) {
  addEntries(entries);
  if (entries.some((entry) => entry.source === "settings")) refreshSettings();
}

const link = new Link({
  link: showConnection,
  hello,
  state: (message) => take(message.state),
  led: (message) => showLight(message.led),
  sample: (message) => addSample(message.sample),
  log: (message) => changed(message.entries),
  world: (message) => {
    world = message.world;
    show();
  },
  beeps: ({ beeps }) => {
    showTones(beeps);
    playTones(beeps);
  },
});

setUpControls(request);
setUpFaults(request);
setUpEnergy(request);
setUpSettings(link, request, useSettings);
