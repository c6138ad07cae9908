// Small helpers for the page's elements; they change the page only where something is different.

export const $ = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: h("li", {class: "x", onclick: f}, "text", child, ...); false, null and undefined are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else mark(element, name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

/** Set or remove an attribute; true gives an empty one, false, null and undefined remove it. */
export function mark(element, name, value) {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value === true ? "" : value)) element.setAttribute(name, value === true ? "" : value);
}

const ICONS = {
  home: "M4 11 12 4l8 7M6.5 9.5V20h11V9.5M10 20v-6h4v6",
  live: "M3 13h4l3-8 4 14 3-9 1.5 3H21",
  wizard: "M9 5h11M9 12h11M9 19h11M3.5 5l1.2 1.2L7 4M3.5 12l1.2 1.2L7 11M4 19h2",
  settings: "M4 7h8m5 0h3M4 17h3m5 0h8M14.5 4.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5zM9.5 14.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
  cards: "M3.5 6.5h17v11h-17zM3.5 10.5h17M7 14.5h4",
  meter: "M5 4h14v16H5zM8 7.5h8v4H8zM8 15.5h2m4 0h2",
  network: "M4.5 10a11 11 0 0 1 15 0M7.5 13.5a6.5 6.5 0 0 1 9 0M12 18h.01",
  passwords: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3M12 15v2",
  brightness: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2m0 15v2m9.5-9.5h-2m-15 0h-2m16.2-6.7-1.4 1.4M6.7 17.3l-1.4 1.4m13.4 0-1.4-1.4M6.7 6.7 5.3 5.3",
  guide: "M4.5 5.5c3-1 5.5-.5 7.5 1.2 2-1.7 4.5-2.2 7.5-1.2V18c-3-1-5.5-.5-7.5 1.2C10 17.5 7.5 17 4.5 18zM12 6.7v12.5",
  diagnostics: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.3h.01",
  history: "M4.5 12a7.5 7.5 0 1 0 2.4-5.5M4 4.5v4h4M12 8v4.5l3 1.8",
  backup: "M12 4v10m-4-4 4 4 4-4M4.5 16v4h15v-4",
  report: "M6 3.5h8.5L18 7v13.5H6zM14 3.5V7.5h4M9 12h6M9 15.5h6",
  update: "M12 20V9m-4 4 4-4 4 4M4.5 7V4h15v3",
  reset: "M19.5 12a7.5 7.5 0 1 1-2.4-5.5M20 4.5v4h-4",
  menu: "M4 7h16M4 12h16M4 17h16",
  plug: "M9 3v5m6-5v5M6.5 8h11v3.5a5.5 5.5 0 0 1-11 0zM12 17v4",
  close: "m6 6 12 12M18 6 6 18",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  check: "m5 12.5 4.5 4.5L19 7.5",
};

/** A line drawing, decoration only: its meaning must stand beside it as text. */
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", class: "line", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}

/** Save bytes or text as a file on the person's device. */
export function saveFile(name, data, type) {
  const url = URL.createObjectURL(new Blob([data], { type }));
  const anchor = h("a", { href: url, download: name });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
