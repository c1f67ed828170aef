// Uploads in parts, several at a time. The node knows which parts it has: a transfer that was cut off, even days ago, asks it and
// sends the rest. The browser keeps only which upload belongs to which file.

const PART_FROM = 16 * 1024 * 1024;
const PARTS_AT_ONCE = 4;
const FILES_AT_ONCE = 3;
const TRIES = 5;
const STORE = "myfsio-uploads";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const element = (name, properties = {}, ...inner) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inner);
  return made;
};

const remembered = () => {
  try { return JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { return []; }
};
const remember = (entries) => localStorage.setItem(STORE, JSON.stringify(entries.slice(-200)));

class Refused extends Error {}

// One request; tells how far its body has gone.
const send = (method, address, body, { signal, onSent, form } = {}) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  request.open(method, document.body.dataset.base + address);
  request.setRequestHeader("x-csrf-token", document.body.dataset.csrf);
  request.setRequestHeader("accept", "application/json");
  if (form) request.setRequestHeader("content-type", "application/x-www-form-urlencoded");
  else if (body) request.setRequestHeader("content-type", "application/octet-stream");
  if (onSent) request.upload.addEventListener("progress", (event) => onSent(event.loaded));
  request.addEventListener("load", () => {
    let answer = {};
    try { answer = JSON.parse(request.responseText); } catch { /* no JSON: the status tells */ }
    if (request.status < 300) return resolve(answer);
    const told = answer.error?.message ?? `HTTP ${request.status}`;
    reject(request.status >= 500 || request.status === 429 ? new Error(told) : new Refused(told));
  });
  request.addEventListener("error", () => reject(new Error("network")));
  request.addEventListener("abort", () => reject(new Error("paused")));
  signal?.addEventListener("abort", () => request.abort());
  if (signal?.aborted) return reject(new Error("paused"));
  request.send(body);
});

const fields = (pairs) => new URLSearchParams(pairs).toString();

class Transfer {
  constructor(bucket, { file, key }, panel) {
    Object.assign(this, { bucket, file, key, panel, state: "waiting", sent: new Map() });
    this.bar = element("progress", { max: Math.max(file.size, 1), value: 0 });
    this.word = element("span", { className: "muted", textContent: panel.dataset.waiting });
    this.button = element("button", { type: "button", className: "quiet", textContent: panel.dataset.pause });
    this.cancel = element("button", { type: "button", className: "quiet", textContent: panel.dataset.cancel });
    this.row = element("div", { className: "transfer" },
      element("span", { className: "transfer-name", textContent: key }), this.word, this.button, this.cancel, this.bar);
    this.bar.setAttribute("aria-label", key);
    this.button.addEventListener("click", () => (this.state === "sending" ? this.stop() : this.again()));
    this.cancel.addEventListener("click", () => this.end());
  }

  address(page, query = {}) {
    return `/ui/buckets/${encodeURIComponent(this.bucket)}/${page}?${fields({ key: this.key, ...query })}`;
  }

  tell(state, text) {
    this.state = state;
    this.row.dataset.state = state;
    this.word.textContent = text;
    this.button.hidden = state === "done";
    this.cancel.hidden = state === "done";
    this.button.textContent = state === "sending" || state === "waiting" ? this.panel.dataset.pause : this.panel.dataset.resume;
  }

  progress() {
    let sum = 0;
    for (const bytes of this.sent.values()) sum += bytes;
    this.bar.value = sum;
    this.word.textContent = `${Math.floor((100 * sum) / Math.max(this.file.size, 1))} %`;
  }

  stop() {
    this.control?.abort();
    this.tell("paused", "");
  }

  again() {
    this.tell("waiting", this.panel.dataset.waiting);
    this.onReady();
  }

  async end() {
    this.control?.abort();
    this.state = "ended";
    this.row.remove();
    if (!this.upload) return;
    this.forget();
    const path = `/ui/buckets/${encodeURIComponent(this.bucket)}/abort`;
    await send("POST", path, fields({ key: this.key, upload: this.upload }), { form: true }).catch(() => {});
  }

  same(entry) {
    return entry.bucket === this.bucket && entry.key === this.key && entry.size === this.file.size &&
      entry.time === this.file.lastModified;
  }

  forget() { remember(remembered().filter((entry) => !this.same(entry))); }

  async run() {
    this.control = new AbortController();
    this.tell("sending", "0 %");
    try {
      if (this.file.size < PART_FROM) await this.whole();
      else await this.parts();
      this.bar.value = this.bar.max;
      this.tell("done", this.panel.dataset.done);
    } catch (error) {
      if (this.state === "sending") this.tell("failed", `${this.panel.dataset.failed}: ${error.message}`);
    }
  }

  async whole() {
    const onSent = (bytes) => { this.sent.set(0, bytes); this.progress(); };
    await this.retried(() => send("PUT", this.address("upload", { type: this.file.type }), this.file,
      { signal: this.control.signal, onSent }));
  }

  // The parts that the node has of an upload that was begun before, if it still knows it.
  async found() {
    const before = remembered().find((entry) => this.same(entry));
    if (!before) return null;
    try {
      const { parts } = await send("GET", this.address("parts", { upload: before.upload }));
      return { upload: before.upload, part_bytes: before.part, parts: new Map(parts) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.forget();
      return null;
    }
  }

  async begin() {
    const path = `/ui/buckets/${encodeURIComponent(this.bucket)}/uploads`;
    const body = fields({ key: this.key, size: this.file.size, type: this.file.type });
    const begun = await this.retried(() => send("POST", path, body, { form: true }));
    const { lastModified: time, size } = this.file;
    remember([...remembered(), { bucket: this.bucket, key: this.key, size, time, upload: begun.upload, part: begun.part_bytes }]);
    return { ...begun, parts: new Map() };
  }

  async parts() {
    const { upload, part_bytes: part, parts } = (await this.found()) ?? (await this.begin());
    this.upload = upload;
    const due = [];
    for (let number = 1, at = 0; at < this.file.size; number += 1, at += part) {
      const size = Math.min(part, this.file.size - at);
      if (parts.get(number) === size) this.sent.set(number, size);
      else due.push({ number, at, size });
    }
    this.progress();
    const { signal } = this.control;
    const worker = async () => {
      for (let next = due.shift(); next; next = due.shift()) {
        const { number, at, size } = next;
        const address = this.address("part", { upload, number });
        const onSent = (bytes) => { this.sent.set(number, Math.min(bytes, size)); this.progress(); };
        await this.retried(() => send("PUT", address, this.file.slice(at, at + size), { signal, onSent }));
        this.sent.set(number, size);
      }
    };
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, worker));
    const path = `/ui/buckets/${encodeURIComponent(this.bucket)}/complete`;
    await this.retried(() => send("POST", path, fields({ key: this.key, upload }), { form: true }));
    this.forget();
  }

  async retried(attempt) {
    for (let turn = 0; ; turn += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof Refused || this.control.signal.aborted || turn + 1 >= TRIES) throw error;
        await pause(500 * 2 ** turn);
      }
    }
  }
}

export class Transfers {
  constructor(bucket, panel) {
    Object.assign(this, { bucket, panel, all: [], list: panel.querySelector("[data-list]") });
    const lost = remembered().filter((entry) => entry.bucket === bucket);
    if (lost.length) {
      panel.hidden = false;
      this.lost = element("p", { className: "hint", textContent: `${panel.dataset.lost} ${lost.map((entry) => entry.key).join(", ")}` });
      this.list.before(this.lost);
    }
    window.addEventListener("beforeunload", (event) => {
      if (this.all.some((transfer) => transfer.state === "sending")) event.preventDefault();
    });
  }

  add(files) {
    if (!files.length) return;
    this.panel.hidden = false;
    this.lost?.remove();
    for (const file of files) {
      const transfer = new Transfer(this.bucket, file, this.panel);
      transfer.onReady = () => this.next();
      this.all.push(transfer);
      this.list.append(transfer.row);
    }
    this.panel.scrollIntoView({ block: "nearest" });
    this.next();
  }

  next() {
    const sending = this.all.filter((transfer) => transfer.state === "sending").length;
    const due = this.all.filter((transfer) => transfer.state === "waiting").slice(0, Math.max(FILES_AT_ONCE - sending, 0));
    for (const transfer of due) transfer.run().then(() => this.ended());
  }

  // The page shows what is there once everything has arrived.
  ended() {
    this.next();
    const isOver = this.all.every((transfer) => ["done", "ended"].includes(transfer.state));
    if (isOver && this.all.some((transfer) => transfer.state === "done")) location.reload();
  }
}
