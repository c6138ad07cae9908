// Virtual time: moves it by a step, or runs it at a speed, in pieces small enough for the chart to follow.

import { $, make, setText } from "./dom.js";
import { spanText } from "./words.js";

const STEPS = [["1 s", 1], ["10 s", 10], ["1 min", 60], ["10 min", 600], ["1 h", 3600], ["8 h", 28800]];
const PIECES = 150;
const PIECE_MIN_S = 0.5;
const RUN_EVERY_MS = 100;
let link = null;
let running = false;
let busy = false;

async function advance(seconds) {
  if (busy) return;
  busy = true;
  const piece = Math.max(PIECE_MIN_S, seconds / PIECES);
  try {
    for (let done = 0; done < seconds; done += piece) {
      await link.request("advance", { seconds: Math.min(piece, seconds - done) });
      if (seconds > 5) setText($("advance-text"), `${spanText(done + piece)} of ${spanText(seconds)}`);
    }
    setText($("advance-text"), "");
  } catch (error) {
    setText($("advance-text"), error.message);
    run(false);
  }
  busy = false;
}

function run(on) {
  running = on;
  $("play").setAttribute("aria-pressed", String(on));
  setText($("play"), on ? "Stop" : "Run");
}

async function tick() {
  const began = performance.now();
  if (running) await advance((Number($("speed").value) * RUN_EVERY_MS) / 1000);
  setTimeout(tick, Math.max(0, RUN_EVERY_MS - (performance.now() - began)));
}

/** Offer the controls; called once it is known that time is virtual. */
export function setUpVirtual(connection) {
  if (link) return;
  link = connection;
  $("virtual").hidden = false;
  for (const [label, seconds] of STEPS) {
    const button = make("button", { type: "button", class: "quiet small", "data-live": "", "data-advance": seconds }, `+ ${label}`);
    button.addEventListener("click", () => advance(seconds));
    $("advance-buttons").append(button);
  }
  $("play").addEventListener("click", () => run(!running));
  tick();
}
