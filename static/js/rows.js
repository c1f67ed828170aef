// Lists by the keyboard. What gets the focus is a row's own link: Enter opens it, and a screen reader tells it.

const list = document.querySelector("[data-listing]");
const search = document.querySelector("main input[type=search]");
const up = document.querySelector("[data-up]");
const dialog = document.querySelector("[data-module='./rows.js']");
const letters = dialog.querySelector("input");
const opener = document.querySelector("[data-shortcuts]");

// Deleted objects have no link: their boxes tell their names.
const handle = (row) => row.querySelector("th a") ?? row.querySelector(".box input");

const next = (at) => at + 1;
const previous = (at) => at - 1;
const places = { j: next, arrowdown: next, k: previous, arrowup: previous, home: () => 0, end: (at, last) => last };

/** Gives the focus to another row, if there is one there; else the page scrolls as ever. */
function go(from, place) {
  const rows = [...(list?.querySelectorAll("tbody tr") ?? [])].filter(handle);
  let at = rows.findIndex((row) => row.contains(from));
  // From nowhere, the first row in sight is the next one.
  if (at < 0) at = rows.findIndex((row) => row.getBoundingClientRect().top >= 0) - 1;
  const row = rows[place(at, rows.length - 1)];
  if (!row || row.contains(from)) return false;
  handle(row).focus();
  return true;
}

/** As a click on the row's box, which with Shift takes the rows between. */
function tick(target, { shiftKey, repeat }) {
  const box = target.closest("[data-listing] tbody tr")?.querySelector(".box input");
  if (!box) return false;
  if (!repeat) box.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey }));
  return true;
}

/** Does what a key is for; answers whether that was anything. */
function act(name, event) {
  const { target, shiftKey, repeat } = event;
  if (name === "?") dialog.showModal();
  else if (name === "/") {
    search?.focus();
    search?.select();
    return Boolean(search);
  } else if (name === "x" || (name === " " && target.matches("th a"))) return tick(target, event);
  else if (shiftKey) return false;
  else if (name === "u" || name === "backspace") {
    if (up && !repeat) location.assign(up.dataset.up);
    return Boolean(up);
  } else {
    const isFree = target === document.body || target.id === "main" || list?.contains(target);
    return Boolean(isFree && places[name] && go(target, places[name]));
  }
  return true;
}

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (target.isContentEditable || target.closest("input:not([type=checkbox]), select, textarea")) return;
  if (!key || document.querySelector("dialog[open]") || (key.length === 1 && key !== " " && !letters.checked)) return;
  if (act(key.toLowerCase(), event)) event.preventDefault();
});

// Whoever speaks to the browser may not want that a letter does something.
letters.checked = localStorage.getItem("letters") !== "off";
letters.addEventListener("change", () => localStorage.setItem("letters", letters.checked ? "on" : "off"));
dialog.addEventListener("click", ({ target }) => { if (target === dialog || target.closest("button")) dialog.close(); });
opener.addEventListener("click", () => dialog.showModal());
opener.hidden = false;
