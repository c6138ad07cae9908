// Numbers and states as a person reads them.

const KINDS = {
  Available: "good",
  Preparing: "wait",
  Charging: "charge",
  SuspendedEV: "warn",
  SuspendedEVSE: "warn",
  Finishing: "wait",
  Reserved: "wait",
  Unavailable: "warn",
  Faulted: "bad",
};
const WORDS = { SuspendedEV: "Paused by the car", SuspendedEVSE: "Paused by the wallbox", Finishing: "Finished, still plugged in", Preparing: "Getting ready" };

/** A time of OCPP as the clock here shows it; what is no time stays as it is. */
export function clock(text, seconds = true) {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toLocaleTimeString([], { hourCycle: "h23", hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}) });
}

export function kwh(wh) {
  return (wh / 1000).toFixed(2);
}

/** {kind, text} of what a wallbox does: the state of its connector, or that it is not there. */
export function stateOf(box) {
  if (!box.connected) return { kind: "wait", text: `Offline since ${clock(box.seen, false)}` };
  const status = box.status["1"]?.status ?? box.status["0"]?.status;
  if (!status) return { kind: "wait", text: "Connected" };
  return { kind: KINDS[status] ?? "wait", text: WORDS[status] ?? status };
}

/** What the wallbox says about its state beside the state itself, "" for nothing. */
export function remarkOf(box) {
  const { errorCode, info, vendorErrorCode } = box.status["1"] ?? {};
  return [errorCode === "NoError" ? "" : errorCode, info, vendorErrorCode].filter(Boolean).join(" · ");
}

/** A quantity over all phases: its total, else the sum of its phases; null when it was not measured. */
export function total(box, measurand) {
  const phases = box.values[measurand];
  if (!phases) return null;
  if (phases[""]) return phases[""][0];
  return Object.values(phases).reduce((sum, [value]) => sum + value, 0);
}

/** The largest of the phases of a quantity; null when it was not measured. */
export function largest(box, measurand) {
  const phases = box.values[measurand];
  return phases ? Math.max(...Object.values(phases).map(([value]) => value)) : null;
}

export function shown(value, digits) {
  return value === null ? "–" : value.toFixed(digits);
}
