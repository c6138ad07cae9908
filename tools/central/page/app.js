// Wires the page: messages from the central system to the parts that show them.

import { BoxCard } from "./box.js";
import { $, mark, setText } from "./dom.js";
import { Link } from "./link.js";
import { addMessage, setMessages, setUpLog } from "./log.js";
import { showSessions } from "./sessions.js";

const cards = new Map();

function showBox(box) {
  if (!cards.has(box.name)) {
    const card = new BoxCard(box.name, link);
    cards.set(box.name, card);
    $("boxes").append(card.element);
  }
  cards.get(box.name).show(box);
  mark($("empty"), "hidden", true);
}

function hello({ url, boxes, sessions, messages }) {
  setText($("command"), `make run ARGS="--ocpp ${url}"`);
  setText($("address"), url);
  mark($("empty"), "hidden", boxes.length > 0);
  $("boxes").replaceChildren();
  cards.clear();
  boxes.forEach(showBox);
  showSessions(sessions);
  setMessages(messages);
}

function showLink(up) {
  document.body.dataset.link = up ? "up" : "down";
  setText($("link-text"), up ? "Live" : "Connection lost, trying again");
  mark($("link"), "data-kind", up ? "good" : "warn");
}

setUpLog();
const link = new Link({
  link: showLink,
  hello,
  box: ({ box }) => showBox(box),
  sessions: ({ sessions }) => showSessions(sessions),
  message: ({ message }) => addMessage(message),
});
