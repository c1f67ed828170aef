// The object browser: selection, uploads.

import { Transfers } from "./upload.js";

const selection = document.querySelector("[data-selection]");
if (selection) {
  const all = selection.querySelector("[data-all]");
  const boxes = [...selection.querySelectorAll('input[name="item"]')];
  if (all && boxes.length) {
    let last = null;
    all.hidden = false;
    const tell = () => {
      const on = boxes.filter((box) => box.checked).length;
      all.checked = on === boxes.length;
      all.indeterminate = on > 0 && on < boxes.length;
    };
    all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
    boxes.forEach((box, at) => box.addEventListener("click", (event) => {
      if (event.shiftKey && last !== null) {
        const [from, to] = [Math.min(at, last), Math.max(at, last)];
        for (const other of boxes.slice(from, to + 1)) other.checked = box.checked;
      }
      last = at;
      tell();
    }));
  }
}

// Where a page has looked as long as it may and found nothing yet, the next one is asked, until there is something to show.
const looking = document.querySelector("[data-goes-on]");
const lookOn = async () => {
  for (let next = looking.dataset.goesOn; next;) {
    const answer = await fetch(next, { headers: { accept: "application/json" } });
    if (!answer.ok) return;
    const told = await answer.json();
    looking.querySelector("[data-looked]").textContent = told.looked_at;
    if (told.rows > 0 || !told.next) location.replace(next);
    next = told.rows > 0 ? null : told.next;
  }
};
if (looking) lookOn();

const form = document.querySelector("[data-upload]");
const panel = document.querySelector("[data-transfers]");
if (form && panel) {
  const transfers = new Transfers(form.dataset.bucket, panel);
  const prefix = form.dataset.prefix;
  form.hidden = true;
  const pickers = document.querySelector("[data-pickers]");
  pickers.hidden = false;
  for (const input of pickers.querySelectorAll("[data-pick]")) {
    input.addEventListener("change", () => {
      transfers.add([...input.files].map((file) => ({ file, key: prefix + (file.webkitRelativePath || file.name) })));
      input.value = "";
    });
  }

  // A folder that is dropped is walked through; a file is itself.
  const walk = async (entry, path, found) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, key: path + file.name });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (entries.length === 0) return;
      for (const inner of entries) await walk(inner, `${path}${entry.name}/`, found);
    }
  };
  const drop = document.querySelector("[data-drop]");
  const carries = (event) => [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.hidden = true; });
  document.addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    drop.hidden = true;
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const found = [];
    for (const entry of entries) await walk(entry, prefix, found);
    transfers.add(found);
  });
}
