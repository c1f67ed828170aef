// Requests as they end, from a stream of server-sent events, newest first.

import { tell as tellTime } from "./zone.js";

const ROWS_MAX = 200;
const state = document.querySelector("[data-trace]");
const rows = document.querySelector("[data-rows]");
const headings = rows.parentElement.tHead.rows[0].cells;
const button = document.querySelector("[data-pause]");
const words = state.dataset;
const waiting = [];
let paused = false;

/** Makes control characters and those that turn the direction of writing visible, as the node does in its pages. */
function legible(text) {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g, (letter) => {
    const code = letter.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return "\u2421";
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

function node(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function moment(iso) {
  const time = node("time", iso.slice(11, 19));
  time.dateTime = iso;
  time.title = `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
  time.dataset.clock = "";
  tellTime(time);
  return time;
}

function link(address, id, text) {
  const element = node("a", text);
  element.href = `${address}?request_id=${encodeURIComponent(id)}`;
  return element;
}

function row(told) {
  const line = node("tr");
  const what = told.bucket ? (told.key ? `${told.bucket}/${told.key}` : told.bucket) : (told.path ?? "");
  const when = node("td");
  const way = link(words.details, told.request_id);
  way.append(moment(told.time));
  when.append(way);
  const operation = node("th", told.operation);
  operation.scope = "row";
  const status = node("td");
  const tone = told.status >= 500 ? "bad" : told.status >= 400 ? "warn" : "good";
  status.append(node("span", `${told.status}`, `badge ${tone}`));
  if (told.code) status.append(" ", node("span", told.code, "muted"));
  if (told.status === 403) status.append(" ", link(words.why, told.request_id, words.whyWord));
  line.append(when, operation, node("td", legible(what), "name"), node("td", legible(told.user ?? words.nobody), "by"),
    status, node("td", told.milliseconds.toFixed(1), "number"));
  // On a narrow screen a cell stands without its column.
  [...line.cells].forEach((cell, at) => { if (cell.tagName === "TD") cell.dataset.label = headings[at].textContent; });
  return line;
}

function show(told) {
  document.querySelector("[data-none]")?.remove();
  rows.prepend(row(told));
  while (rows.rows.length > ROWS_MAX) rows.lastElementChild.remove();
}

function tell(word, tone = "") {
  state.textContent = word;
  state.className = `trace-state ${tone}`;
}

const source = new EventSource(words.trace);
source.addEventListener("open", () => { if (!paused) tell(words.liveWord, "good"); });
source.addEventListener("error", () => tell(words.lostWord, "warn"));
source.addEventListener("missed", (event) => tell(`${JSON.parse(event.data).requests} ${words.missedWord}`, "warn"));
source.addEventListener("request", (event) => {
  const told = JSON.parse(event.data);
  if (!paused) {
    show(told);
    return;
  }
  waiting.push(told);
  if (waiting.length > ROWS_MAX) waiting.shift();
  tell(`${words.pausedWord} ${waiting.length} ${words.waitingWord}`, "warn");
});
// A page that is left takes its place among the listeners along.
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

button.hidden = false;
state.hidden = false;
const word = button.querySelector("span");
const pause = word.textContent;
button.addEventListener("click", () => {
  paused = !paused;
  word.textContent = paused ? button.dataset.resume : pause;
  button.setAttribute("aria-pressed", `${paused}`);
  if (paused) {
    tell(words.pausedWord, "warn");
    return;
  }
  for (const told of waiting.splice(0)) show(told);
  tell(words.liveWord, "good");
});
