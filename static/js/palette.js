// A dialog over the page that is open, for going anywhere by the keyboard: what is found is asked of the page "Go to".

const link = document.querySelector("a[data-go]");
const words = link.dataset;
let dialog;
let input;
let list;
let chosen = -1;
let asked = 0;

function node(name, attributes = {}, ...inner) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...inner);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${words.icons}#${name}`);
  svg.append(use);
  return svg;
}

const options = () => [...list.querySelectorAll("[role=option]")];

function choose(at) {
  const all = options();
  chosen = all.length === 0 ? -1 : (at + all.length) % all.length;
  for (const [index, option] of all.entries()) option.setAttribute("aria-selected", `${index === chosen}`);
  if (chosen < 0) {
    input.removeAttribute("aria-activedescendant");
    return;
  }
  input.setAttribute("aria-activedescendant", all[chosen].id);
  all[chosen].scrollIntoView({ block: "nearest" });
}

function show(found) {
  list.replaceChildren(...found.map((place, at) => {
    const option = node("a", { role: "option", id: `go-${at}`, href: place.address, tabindex: "-1" });
    option.append(icon(place.icon), node("bdi", {}, place.label), node("span", { class: "badge" }, place.kind));
    option.addEventListener("pointermove", () => { if (chosen !== at) choose(at); });
    return option;
  }));
  dialog.querySelector("[data-none]").hidden = found.length > 0;
  input.setAttribute("aria-expanded", `${found.length > 0}`);
  choose(0);
}

async function look() {
  asked += 1;
  const mine = asked;
  const answer = await fetch(`${link.href}?q=${encodeURIComponent(input.value)}`, { headers: { accept: "application/json" } });
  // Whoever was signed out goes where that is told.
  if (!answer.ok) {
    location.assign(link.href);
    return;
  }
  const { found } = await answer.json();
  if (mine === asked) show(found);
}

function go() {
  const option = options()[chosen];
  if (!option) return;
  dialog.close();
  option.click();
}

function key(event) {
  if (event.key === "ArrowDown") choose(chosen + 1);
  else if (event.key === "ArrowUp") choose(chosen - 1);
  else if (event.key === "Enter") go();
  else return;
  event.preventDefault();
}

function build() {
  input = node("input", {
    type: "text", role: "combobox", "aria-label": words.field, "aria-controls": "go-list", "aria-expanded": "false", "aria-autocomplete": "list",
    autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "1200", placeholder: words.field,
  });
  list = node("div", { role: "listbox", id: "go-list", "aria-label": words.title });
  dialog = node("dialog", { class: "palette", "aria-label": words.title }, input, list, node("p", { class: "muted", "data-none": "", role: "status", hidden: "" }, words.nothing));
  input.addEventListener("keydown", key);
  let wait;
  input.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => look().catch(() => {}), 80);
  });
  // A click on what is around it is one on the dialog itself.
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  list.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
}

/** Opens the dialog, or closes it if it is open. */
export async function open() {
  if (!dialog) build();
  if (dialog.open) {
    dialog.close();
    return;
  }
  input.value = "";
  dialog.showModal();
  await look();
}
