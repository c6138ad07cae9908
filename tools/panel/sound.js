// The buzzer, for those who switch it on: browsers allow sound only after a click.

import { $ } from "./dom.js";

const VOLUME = 0.08;
const GAP_S = 0.08;
let audio = null;

/** Play finished tones one after the other: [{hz, ms}, ...]. */
export function playTones(beeps) {
  if (!audio || audio.state !== "running") return;
  let at = audio.currentTime + 0.02;
  for (const { hz, ms } of beeps) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.type = "square";
    tone.frequency.value = hz;
    volume.gain.value = VOLUME;
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    at += ms / 1000;
    tone.stop(at);
    at += GAP_S;
  }
}

$("sound").addEventListener("click", async () => {
  const on = $("sound").getAttribute("aria-pressed") !== "true";
  audio ??= new AudioContext();
  await (on ? audio.resume() : audio.suspend());
  $("sound").setAttribute("aria-pressed", String(on));
});
