// A node of its own for each test file, and a browser at its console.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const BINARY = process.env.MYFSIO_BIN ?? join(import.meta.dirname, "../target/debug/myfsio");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** Starts a node and a browser. Stop both with `stop()`. `settings` may be made of the console's port; `prepare` is given the node's folder before it starts. */
export async function start(settings = {}, prepare = async () => {}) {
  const folder = await mkdtemp(join(tmpdir(), "myfsio-e2e-"));
  await prepare(join(folder, "data"));
  const [port, uiPort] = [await freePort(), await freePort()];
  const environment = {
    HOME: folder, HOST: "127.0.0.1", PORT: `${port}`, UI_PORT: `${uiPort}`, STORAGE_ROOT: join(folder, "data"),
    JOURNAL_SEGMENT_BYTES: "4194304", LOG_LEVEL: "warn",
    ...(typeof settings === "function" ? settings(uiPort) : settings),
  };
  const child = spawn(BINARY, [], { cwd: folder, env: environment, stdio: "ignore" });
  const api = `http://127.0.0.1:${port}`;
  const console_ = `http://127.0.0.1:${uiPort}`;
  const end = Date.now() + 20_000;
  while (!(await fetch(`${console_}/healthz`).then((answer) => answer.ok, () => false))) {
    if (Date.now() > end || child.exitCode !== null) throw new Error("the node did not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  const stop = async () => {
    await browser.close();
    child.kill("SIGTERM");
    await new Promise((resolve) => child.once("exit", resolve));
    await rm(folder, { recursive: true, force: true });
  };
  const s3 = (method, path, body, headers = {}) => fetch(api + path, {
    method, body, headers: { "x-access-key": "localadmin", "x-secret-key": "localadmin", ...headers },
  });
  return { api, console: console_, browser, stop, s3, folder };
}

/** A page whose errors, and refusals by its policy, fail the test that asks `quiet()`. */
export async function open(node, options = {}) {
  const context = await node.browser.newContext(options);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    // The log of a refused request is the browser's own.
    const isOurs = !message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && isOurs) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(`${error}`));
  page.setDefaultTimeout(15_000);
  return { context, page, quiet: () => complaints };
}

/** The same, signed in. */
export async function signedIn(node, options = {}, [key, secret] = ["localadmin", "localadmin"]) {
  const opened = await open(node, options);
  await opened.page.goto(`${node.console}/ui/login`);
  await opened.page.fill("[name=access_key]", key);
  await opened.page.fill("[name=secret_key]", secret);
  await opened.page.click("button.primary");
  await opened.page.waitForURL(`${node.console}/ui`);
  return opened;
}

/** Makes a user with these policies; answers its access key and secret. */
export async function addUser(node, name, policies) {
  const answer = await node.s3("POST", "/_myfsio/iam/users", JSON.stringify({ display_name: name, policies }));
  if (!answer.ok) throw new Error(`${name}: ${await answer.text()}`);
  const { access_key: key, secret_key: secret } = await answer.json();
  return [key, secret];
}

/** Waits until something holds that no page tells. */
export async function eventually(what, holds) {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
