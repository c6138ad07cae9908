"""Each view of the app: fits a phone, has all its words, names and contrast for everybody, and no error."""

import json

import pytest
from app_page import LAPTOP, PHONE, SETTLED, VIEWS, control

CHARGE_SECONDS = 40.0
TABS = ("faults", "log", "trips", "health", "system")
# Contrast of text after WCAG 2.2, 1.4.3 (AA): 4.5, and 3 for large text (24 px, or 18.7 px when bold).
CONTRAST = """
const parse = (text) => { const m = /rgba?\\(([^)]+)\\)/.exec(text); if (!m) return null;
  const [r, g, b, a = 1] = m[1].split(/[ ,/]+/).map(Number); return [r, g, b, a]; };
const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
const light = (c) => { const [r, g, b] = c.map((v) => { const s = v / 255;
  return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const found = [];
for (const element of document.querySelectorAll('header *, nav *, main *, dialog *')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || element.closest('.hidden, .front, svg, option, :disabled')) continue;
  if (!element.checkVisibility({opacityProperty: true})) continue;
  const layers = []; let image = false;
  for (let one = element; one; one = one.parentElement) {
    const style = getComputedStyle(one); image ||= style.backgroundImage !== 'none';
    const colour = parse(style.backgroundColor); if (colour && colour[3] > 0) layers.unshift(colour);
  }
  if (image) continue;
  const ground = layers.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  const style = getComputedStyle(element); const ink = over(parse(style.color), ground);
  const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x); const ratio = (a + 0.05) / (b + 0.05);
  const size = parseFloat(style.fontSize); const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${element.outerHTML.slice(0, 140)}`);
}
return found;
"""
# What a finger or a pointer needs (WCAG 2.2, 2.5.8: 24 px; this app wants more), and what a screen reader needs.
STRUCTURE = """
const found = [];
const say = (what, element) => found.push(`${what}: ${element.outerHTML.slice(0, 140)}`);
const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`id twice: ${id}`);
for (const element of document.querySelectorAll('[aria-labelledby], [aria-describedby], label[for]')) {
  const attributes = ['aria-labelledby', 'aria-describedby', 'for'];
  const named = attributes.flatMap((name) => (element.getAttribute(name) ?? '').split(' '));
  for (const id of named) if (id && !document.getElementById(id)) say(`no element ${id}`, element);
}
const controls = 'main :is(button, a, input, select, summary), header :is(button, select)';
for (const element of document.querySelectorAll(controls)) {
  if (!element.checkVisibility()) continue;
  const box = (element.closest('label') ?? element).getBoundingClientRect();
  if (box.height < 28) say(`only ${box.height} px high`, element);
}
if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
const levels = [...document.querySelectorAll('main :is(h1, h2, h3)')].map((element) => Number(element.tagName[1]));
levels.forEach((level, i) => { if (i && level > levels[i - 1] + 1) found.push(`h${level} after h${levels[i - 1]}`); });
if (!document.documentElement.lang) found.push('no language');
return found;
"""
WIDE = """
const found = [...document.querySelectorAll('body *')]
  .filter((element) => !element.closest('.scroll, .hidden, .toast'))
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.outerHTML.slice(0, 140));
return document.documentElement.scrollWidth > innerWidth ? found.concat('the page scrolls sideways') : [];
"""
ROLES = frozenset(("button", "textbox", "combobox", "slider", "switch", "checkbox", "link", "tab", "image", "img"))


def judge(app, where: str) -> list[str]:
    """What is wrong with the view that is shown, on a phone and a laptop, in light and dark."""
    wrong = []
    for (width, height), dark in ((PHONE, False), (PHONE, True), (LAPTOP, False), (LAPTOP, True)):
        app.look(width, height, dark)
        app.run(SETTLED)
        if width == PHONE[0]:
            wrong += [f"{width} px: {what}" for what in app.run(WIDE)]
        wrong += [f"{width} px, {'dark' if dark else 'light'}, contrast {what}" for what in app.run(CONTRAST)]
    wrong += app.run(STRUCTURE)
    wrong += [f"no words: {key}" for key in app.run("return document.body.innerText.match(/⟦[^⟧]*⟧/g) ?? []")]
    for node in app.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]:
        role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value")
        if not node.get("ignored") and role in ROLES and not name:
            wrong.append(f"a {role} without a name: {json.dumps(node.get('properties', []))[:200]}")
    return [f"{where}: {what}" for what in wrong]


@pytest.fixture
def rich(app, launch):
    """The app at a box with something to show everywhere: cards, a session, a trip, a fault, a car."""
    box = launch()
    app.connect(box)
    control(box, "plug", max_a=16)
    app.wait_text("#phase", "Charging", CHARGE_SECONDS)
    control(box, "fault", name="residual_dc")
    app.wait_text("#phase", "Fault")
    control(box, "clear", name="residual_dc")
    control(box, "unplug")
    app.wait_text("#phase", "Ready", CHARGE_SECONDS)
    app.run(
        "return import('/app/link.js').then(async ({link}) => { await link.login('expert', '1916');"
        "await link.request('card', {uid: '04C01A2B3C4D80', add: true, name: 'Family car'});"
        "await link.request('card', {uid: '5E7A90B1', add: true, blocked: true}); })"
    )
    control(box, "plug", max_a=16)
    app.wait_text("#phase", "Charging", CHARGE_SECONDS)
    return app


@pytest.mark.timeout(600)
def test_each_view_is_readable_by_everybody_and_fits_a_phone(rich):
    wrong = []
    for view in VIEWS:
        rich.go(view)
        rich.run("document.querySelectorAll('main details').forEach((e) => e.open = true)")
        wrong += judge(rich, view)
        rich.picture(view)
    rich.go("diagnostics")
    for tab in TABS:
        rich.click(f"#tab-{tab}")
        rich.wait(lambda: not rich.run("return document.querySelector('main [aria-busy=true]')"), f"{tab} is there")
        if tab == "trips":
            rich.click(".found button")
            rich.wait_there(".plot")
        wrong += judge(rich, f"diagnostics, {tab}")
        rich.picture(f"diagnostics-{tab}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("language", ["nl", "de"])
def test_each_view_fits_a_phone_in_every_language(app, launch, language):
    app.connect(launch(), language)
    app.run("return import('/app/link.js').then(({link}) => link.login('expert', '1916'))")
    app.look(*PHONE)
    for view in VIEWS:
        app.go(view)
        app.run("document.querySelectorAll('main details').forEach((e) => e.open = true)")
        assert not app.run(WIDE), view
        assert "⟦" not in app.main(), view


def test_locked_views_and_dialogs_are_readable_too(app, launch):
    app.load(launch())
    wrong = judge(app, "connect")
    app.picture("connect")
    app.connect(app.simulator)
    app.go("wizard")
    wrong += judge(app, "locked")
    app.click("main .locked .primary")
    wrong += judge(app, "dialog")
    app.picture("dialog-expert")
    assert not wrong, "\n".join(wrong)


def test_the_app_opens_without_a_network_once_it_was_there(app, launch):
    box = launch()
    app.load(box)
    app.run("return navigator.serviceWorker.ready.then(() => true)")
    app.wait(lambda: app.run("return Boolean(navigator.serviceWorker.controller)"), "the service worker is in charge")
    assert box.end() == 0
    app.browser.refresh()
    app.wait_there("#passkey")
    app.run("location.hash = '#/guide'")
    app.wait_main("Torques")
    app.choose("#language", "nl")
    app.wait_main("Aanhaalmomenten")
