// Keeps the app usable without a network: all its files are kept, the newest from the network comes first.

const KEPT = "wallbox-app-1";
// A network that is there but slow must not hold the app up.
const NETWORK_MS = 2_500;
const FILES = [
  "./",
  "app.js",
  "app.webmanifest",
  "base.css",
  "chart.js",
  "client.js",
  "csv.js",
  "dom.js",
  "form.js",
  "frames.js",
  "i18n.js",
  "icons/icon.svg",
  "lang/de.js",
  "lang/en.js",
  "lang/nl.js",
  "ledbar.js",
  "link.js",
  "nav.js",
  "parts.css",
  "shell.css",
  "store.js",
  "transport-ble.js",
  "transport-ws.js",
  "ui.js",
  "views/backup.js",
  "views/brightness.js",
  "views/cards.js",
  "views/connect.js",
  "views/diagnostics.js",
  "views/guide.js",
  "views/history.js",
  "views/home.js",
  "views/live.js",
  "views/menu.js",
  "views/meter.js",
  "views/network.js",
  "views/passwords.js",
  "views/report.js",
  "views/reset.js",
  "views/settings.js",
  "views/update.js",
  "views/wizard.js",
  "words.js",
  "icons/icon-192.png",
  "icons/icon-512.png",
  "icons/icon-maskable-512.png",
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const own = event.request.method === "GET" && event.request.url.startsWith(self.registration.scope);
  if (own) event.respondWith(answer(event.request));
});

async function forgetOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("wallbox-app-") && name !== KEPT).map((name) => caches.delete(name)));
}

async function answer(request) {
  const kept = await caches.match(request, { ignoreSearch: true });
  if (!kept) return fetch(request);
  const late = new Promise((resolve) => setTimeout(() => resolve(kept), NETWORK_MS));
  return Promise.race([fresh(request, kept), late]);
}

async function fresh(request, kept) {
  try {
    const response = await fetch(request);
    if (!response.ok) return kept;
    const cache = await caches.open(KEPT);
    await cache.put(request, response.clone());
    return response;
  } catch {
    // Offline: what is kept is what there is.
    return kept;
  }
}
