// The light bar as a picture, with its meaning in words beside it (R42): position and movement tell what colour tells.

import { h, mark, setText } from "./dom.js";
import { named } from "./i18n.js";

/** -> {element, show(pattern)}; the patterns are those of R15. */
export function ledBar() {
  const words = h("p", { class: "bar-words", id: "bar-words" });
  const bar = h("div", { class: "bar", role: "img", "aria-labelledby": "bar-words" }, [1, 2, 3, 4].map((n) => h("i", { "data-n": n })));
  const element = h("div", { class: "front" }, h("div", { class: "recess" }, bar), words);
  const show = (pattern) => {
    mark(bar, "data-pattern", pattern);
    setText(words, named(`led.${pattern}`, pattern));
  };
  show("off");
  return { element, show };
}
