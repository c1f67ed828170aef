// What every page has: everything works without it.

import { tell } from "./zone.js";

const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

for (const element of $$("[data-noscript]")) element.hidden = true;
// What has a title already tells how long ago it was, or is a clock alone.
for (const time of $$("time[datetime]:not([title]), time[data-clock]")) tell(time);
for (const select of $$("select[data-submit]")) select.addEventListener("change", () => select.form.requestSubmit());

for (const button of $$("[data-reveal]")) {
  const input = button.parentElement.querySelector("input");
  const show = button.textContent;
  button.hidden = false;
  button.addEventListener("click", () => {
    const hidden = input.type === "password";
    input.type = hidden ? "text" : "password";
    button.textContent = hidden ? button.dataset.hide : show;
  });
}

if (navigator.clipboard) {
  for (const button of $$("[data-copy]")) {
    const word = button.querySelector("span");
    const copy = word.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = button.dataset.copy ? document.getElementById(button.dataset.copy) : button.previousElementSibling;
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      word.textContent = word.dataset.copied;
      button.classList.add("done");
      setTimeout(() => {
        word.textContent = copy;
        button.classList.remove("done");
      }, 1500);
    });
  }
}

// The way to anywhere, by the keyboard or by the link that leads there without scripts.
const ways = $$("a[data-go]");
const go = async (event) => {
  event.preventDefault();
  (await import("./palette.js")).open();
};
const isMac = /^Mac|^iP/.test(navigator.platform);
for (const way of ways) {
  way.addEventListener("click", (event) => { if (!event.ctrlKey && !event.metaKey && !event.shiftKey) go(event); });
  const keys = way.querySelector("[data-keys]");
  if (isMac) keys.textContent = keys.dataset.keys;
  keys.hidden = false;
}
if (ways.length > 0) {
  document.addEventListener("keydown", (event) => {
    const isHeld = isMac ? event.metaKey : event.ctrlKey;
    if (isHeld && !event.altKey && !event.shiftKey && event.key?.toLowerCase() === "k") go(event);
  });
}

// Of a row of tabs that is wider than the screen, the one that is open is seen.
for (const tab of $$(".tabs [aria-current]")) tab.closest(".tabs").scrollLeft = tab.offsetLeft - tab.closest(".tabs").offsetLeft - 16;

// A form is sent once: the second click of a double click does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
  setTimeout(() => delete form.dataset.sent, 3000);
});

for (const page of $$("[data-module]")) await import(page.dataset.module);
