// Requests as they end.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, signedIn, start } from "../node.js";

let node;
before(async () => {
  node = await start();
  await node.s3("PUT", "/files");
});
after(() => node.stop());

/** A page that listens. */
async function listening(page, query = "") {
  await page.goto(`${node.console}/ui/trace${query}`);
  await page.waitForFunction(() => document.querySelector("[data-trace]").textContent.startsWith("Live"));
}
const seen = (page, text) => page.waitForFunction(
  (wanted) => document.querySelector("[data-rows]").textContent.includes(wanted), text);

test("a request appears as it ends, and what it names stays text", async () => {
  const { page, context, quiet } = await signedIn(node);
  await listening(page);
  await node.s3("PUT", `/files/${encodeURIComponent('"><img src=x onerror=alert(1)>\u202e')}`, "x");
  await seen(page, "onerror=alert(1)>⟨U+202E⟩");
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("paused, requests wait; going on shows them", async () => {
  const { page, context } = await signedIn(node);
  await listening(page, "?operation=PutObject&bucket=files");
  await page.click("[data-pause]");
  await node.s3("PUT", "/files/waits.txt", "x");
  await node.s3("GET", "/files/waits.txt");
  await page.waitForFunction(() => document.querySelector("[data-trace]").textContent.startsWith("Paused. 1 "));
  assert.ok(!(await page.textContent("[data-rows]")).includes("waits.txt"));
  await page.click("[data-pause]");
  await seen(page, "waits.txt");
  assert.ok(!(await page.textContent("[data-rows]")).includes("GetObject"), "only what the filter wants");
  await context.close();
});

test("without scripts it is a list that is loaded again", async () => {
  await node.s3("PUT", "/files/plain.txt", "x");
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  await page.goto(`${node.console}/ui/trace`);
  await page.fill("[name=prefix]", "plain");
  await page.click(".toolbar button.primary");
  assert.equal(await page.locator("tbody tr").count(), 1);
  await node.s3("GET", "/files/plain.txt");
  await page.click(".heading-actions a");
  assert.equal(await page.locator("tbody tr").count(), 2);
  await context.close();
});

test("signing out ends the stream", async () => {
  const { page, context } = await signedIn(node);
  await listening(page);
  const other = await context.newPage();
  await other.goto(`${node.console}/ui/buckets`);
  await other.click(".side .who button");
  await other.waitForURL("**/ui/login**");
  await page.waitForFunction(() => document.querySelector("[data-trace]").textContent.includes("broke off"));
  await context.close();
  const stranger = await open(node);
  const answer = await stranger.page.goto(`${node.console}/ui/trace/stream`);
  assert.match(answer.url(), /\/ui\/login/);
  await stranger.context.close();
});
