// Names for people: what the wallbox and the simulator call things in data, said in words.

export const CARDS = [
  { uid: "04A1B2C3D4E5F6", name: "Setup card", kind: "setup" },
  { uid: "04C01A2B3C4D80", name: "Card 1", kind: "charging" },
  { uid: "5E7A90B1", name: "Card 2", kind: "charging" },
  { uid: "04D2F1A09B8C7D6E5F40", name: "Card 3", kind: "charging" },
  { uid: "DEADBEEF", name: "Unknown", kind: "unknown" },
];

export const FAULTS = [
  ["Residual current", [["residual_dc", "DC leak"], ["residual_ac", "AC leak"], ["rcm_test_fails", "Self-test fails"]]],
  ["Contactor", [["weld_l1", "L1 welded"], ["weld_l2", "L2 welded"], ["weld_l3", "L3 welded"], ["no_close", "Does not close"], ["slow_open", "Opens slowly"]]],
  ["Supply", [["overvoltage", "Over-voltage"], ["undervoltage", "Under-voltage"], ["phase_loss", "Phase lost"], ["overcurrent", "Over-current"], ["pe", "Earth lost"]]],
  ["Pilot and sensors", [["pilot_short", "Pilot shorted"], ["temperature_sensor", "Temperature sensor"]]],
  ["Bus and memory", [["meter_silent", "Meter silent"], ["meter_garbage", "Meter garbled"], ["flash_error", "Flash fails"]]],
];

/** The wallbox's own faults whose names do not read well as they are. */
export const ACTIVE = {
  rcm_self_test: "Self-test",
  weld: "Contactor welded",
  no_close: "Contactor does not close",
  contactor_worn: "Contactor worn",
  pe_lost: "Earth lost",
  pe_monitor: "Earth lost, watched",
  over_voltage: "Over-voltage",
  under_voltage: "Under-voltage",
  phase_loss: "Phase lost",
  phase_count: "Wrong phases",
  over_current: "Over-current",
  over_temperature: "Too hot",
  diode: "Pilot diode",
  meter: "House meter",
  storage: "Flash memory",
};

export const LIMITS = {
  installer: ["Installation", "rated current set by the installer"],
  cable: ["Cable", "what the charging cable carries"],
  meter: ["House meter", "what the house leaves of the connection"],
  solar: ["Solar", "what the sun gives"],
  peak_shaving: ["Peak shaving", "the grid operator's contact is closed"],
  grid: ["Weak grid", "voltage or frequency of the grid is low"],
  temperature: ["Temperature", "the wallbox is warm"],
  check: ["Meter check", "the charge is stepped to check the meter"],
  backend: ["Backend", "charging profile of the backend"],
  iso15118: ["Car's schedule", "agreed with the car"],
  update: ["Firmware update", "a firmware is being received"],
};

export const SOLAR_MODES = { off: "Off", only: "Sun only", minimum: "Minimum + sun" };
export const SOLAR_STATES = { off: "Off", waiting: "Waiting for sun", charging: "Charging with the sun" };

/** Days to play: points of [hour, L1 A, L2 A, L3 A, sun W], joined by straight lines. */
export const PROFILES = {
  sunny: {
    name: "Sunny summer day",
    points: [[0, 1, 1, 1, 0], [5.5, 1, 1, 1, 0], [7, 6, 2, 3, 900], [9, 2, 2, 2, 4500], [13, 3, 2, 2, 9500], [17, 3, 3, 2, 5500], [19, 9, 5, 4, 2000], [21, 4, 3, 2, 0], [24, 1, 1, 1, 0]],
  },
  clouds: {
    name: "Sun and clouds",
    clouds: true,
    points: [[0, 1, 1, 1, 0], [6, 1, 1, 1, 0], [7, 6, 2, 3, 600], [9, 2, 2, 2, 4000], [13, 3, 2, 2, 9000], [17, 3, 3, 2, 4500], [19, 9, 5, 4, 800], [21, 4, 3, 2, 0], [24, 1, 1, 1, 0]],
  },
  winter: {
    name: "Grey winter day",
    points: [[0, 4, 4, 4, 0], [6, 6, 5, 5, 0], [8, 9, 6, 6, 0], [12, 5, 4, 4, 1200], [15, 5, 5, 4, 500], [16.5, 6, 5, 5, 0], [19, 12, 9, 8, 0], [22, 5, 5, 4, 0], [24, 4, 4, 4, 0]],
  },
  evening: {
    name: "Busy evening",
    points: [[0, 1, 1, 1, 0], [7, 4, 2, 2, 500], [13, 2, 2, 2, 3000], [17, 5, 3, 3, 800], [18, 19, 8, 6, 0], [18.5, 23, 12, 7, 0], [19.5, 14, 20, 9, 0], [21, 6, 5, 4, 0], [24, 1, 1, 1, 0]],
  },
};

/** Settings in groups: [key, label, unit, choices or null for a free field, hint]. */
export const SETTINGS = [
  ["Installation", [
    ["wizard_complete", "Installation complete", ""],
    ["rated_a", "Rated current", "A", [0, 6, 10, 12, 16, 20, 24, 32]],
    ["phases", "Phases", "", [1, 3]],
    ["connection_a", "Main fuse of the house", "A"],
    ["pe_mode", "Earth monitoring", "", ["enable", "monitor", "off"]],
    ["earthing", "Earthing", "", ["TN", "TT", "IT"]],
    ["nominal_v", "Nominal voltage", "V"],
    ["nominal_hz", "Nominal frequency", "Hz", [50, 60]],
  ]],
  ["Charging", [
    ["access_control", "Charge with a card only", ""],
    ["authorisation_timeout_s", "Card waits for the car", "s"],
    ["restart_delay_max_s", "Longest delay after an outage", "s"],
    ["wake_up", "Wake up a car that sleeps", ""],
    ["peak_shaving_w", "Peak-shaving limit", "W"],
  ]],
  ["House meter", [
    ["load_optimisation", "Protect the house connection", ""],
    ["fallback_a", "Current without a meter", "A"],
    ["meter_model", "Meter", "", ["none", "pro380"]],
    ["meter_address", "Modbus address", ""],
    ["meter_baud", "Speed", "Bd", [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]],
    ["meter_parity", "Parity", "", ["N", "E", "O"]],
    ["meter_timeout_s", "Meter is lost after", "s"],
  ]],
  ["Wallbox", [
    ["name", "Name", ""],
    ["led_brightness_percent", "Light bar brightness", "%"],
    ["ocpp_url", "Backend address", ""],
  ]],
];

/** 75 -> "1:15", 3675 -> "1:01:15". */
export function clockText(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600);
  return hours ? `${hours}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** 75 -> "1 min". Coarse on purpose: it must not change with every look. */
export function spanText(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** The word for a key nobody named here: "no_close" -> "No close". */
export function plain(key) {
  const words = String(key).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
