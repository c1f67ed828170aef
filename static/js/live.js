// Figures that change while a page is open: the same address tells them as JSON, every two seconds as long as the page is seen.

import { tell } from "./zone.js";

const root = document.querySelector("[data-live]");
const stale = document.querySelector("[data-stale]");
const wait = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** Puts other lines into charts that are there. */
function redraw({ charts, begin, end }) {
  for (const [at, figure] of [...root.querySelectorAll(".chart")].entries()) {
    const chart = charts[at];
    if (!chart) return;
    figure.querySelector("[data-most]").textContent = chart.most;
    const each = (selector, change) => figure.querySelectorAll(selector).forEach((element, line) => change(element, chart.lines[line]));
    each("path.line", (path, line) => path.setAttribute("d", line.path));
    each("path.area", (path, line) => path.setAttribute("d", line.area));
    each(".legend strong", (word, line) => { word.textContent = line.last; });
    [begin, end].forEach((when, side) => {
      const time = figure.querySelectorAll(".span time")[side];
      time.dateTime = when.iso;
      time.textContent = when.text;
      tell(time);
    });
  }
}

async function refresh() {
  const answer = await fetch(location.pathname + location.search, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  const told = await answer.json();
  for (const element of root.querySelectorAll("[data-figure]")) {
    const text = told.figures[element.dataset.figure];
    if (text !== undefined && element.textContent !== text) element.textContent = text;
  }
  for (const element of root.querySelectorAll("[data-tone]")) element.className = `value ${told.tone}`;
  if (told.drawn) redraw(told.drawn);
  // What is more than a figure is not changed under somebody's hands.
  stale.hidden = told.stamp === root.dataset.live;
}

async function watch() {
  for (;;) {
    await wait(2000);
    // The node may be away for a while.
    if (!document.hidden) await refresh().catch(() => {});
  }
}
watch();
