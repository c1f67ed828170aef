// Dragging over a chart marks a part of its time; letting go leads there, Escape does not. Links do the same without a pointer.

const root = document.querySelector("[data-zoom]");
// As the charts' viewBox is.
const WIDTH = 600;
let drag;

/** How far from left to right a pointer is, 0 to 1. */
function share({ clientX }, svg) {
  const { left, width } = svg.getBoundingClientRect();
  return Math.min(1, Math.max(0, (clientX - left) / width));
}

const marked = (event) => [drag.from, share(event, drag.svg)].sort((a, b) => a - b);

function drop() {
  drag?.mark.remove();
  drag = undefined;
}

root.addEventListener("pointerdown", (event) => {
  const svg = event.target.closest("svg");
  if (!svg || !event.isPrimary || event.button !== 0) return;
  drop();
  const mark = document.createElementNS(svg.namespaceURI, "rect");
  mark.setAttribute("class", "mark");
  mark.setAttribute("y", "-4");
  mark.setAttribute("height", "128");
  svg.append(mark);
  svg.setPointerCapture(event.pointerId);
  drag = { svg, mark, pointer: event.pointerId, x: event.clientX, from: share(event, svg) };
});

root.addEventListener("pointermove", (event) => {
  if (event.pointerId !== drag?.pointer) return;
  const [from, to] = marked(event);
  drag.mark.setAttribute("x", from * WIDTH);
  drag.mark.setAttribute("width", (to - from) * WIDTH);
});

root.addEventListener("pointerup", (event) => {
  if (event.pointerId !== drag?.pointer) return;
  const times = drag.svg.parentElement.querySelectorAll(".span time");
  const [begin, end] = [...times].map((time) => Date.parse(time.dateTime) / 1000);
  const [from, to] = marked(event).map((at) => Math.round(begin + at * (end - begin)));
  const isDragged = Math.abs(event.clientX - drag.x) > 3;
  drop();
  if (isDragged && from < to) location.assign(`${root.dataset.zoom}?from=${from}&to=${to}`);
});

root.addEventListener("pointercancel", drop);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") drop(); });
root.querySelector("[data-hint]").hidden = false;
root.classList.add("zoomable");
