// Charts, and the parts of their time.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { signedIn, start } from "../node.js";

/** Thirty days in the life of a node, as it keeps them. */
async function history(root) {
  const now = Math.floor(Date.now() / 1000);
  const series = [10, 240, 7200].map((seconds) => Array.from({ length: 350 }, (_, index) => (
    { at: now - (350 - index) * seconds, seconds, requests: seconds * (1 + (index % 7)), memory: 9e7 }
  )));
  await mkdir(join(root, ".myfsio.sys"), { recursive: true });
  await writeFile(join(root, ".myfsio.sys/metrics.json"), JSON.stringify({ series }));
}

let node;
before(async () => {
  node = await start({}, history);
});
after(() => node.stop());

/** When the first chart begins and ends, in seconds since 1970. */
const span = (page) => page.locator(".chart").first().locator(".span time")
  .evaluateAll((times) => times.map((time) => Date.parse(time.dateTime) / 1000));
/** The window that an address names. */
const named = (page) => ["from", "to"].map((name) => Number(new URL(page.url()).searchParams.get(name)));
const isNear = (found, wanted, within) => assert.ok(Math.abs(found - wanted) <= within, `${found}, not ${wanted}`);

/** Puts the pointer's button down on the first chart, and moves it from one share of its width to another. */
async function drag(page, from, to) {
  const chart = page.locator(".zoomable .chart svg").first();
  await chart.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await chart.boundingBox();
  await page.mouse.move(x + width * from, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * to, y + height / 2, { steps: 5 });
}

test("what is dragged over is shown, whichever way", async () => {
  const { page, context, quiet } = await signedIn(node);
  for (const [first, last] of [[0.25, 0.75], [0.75, 0.25]]) {
    await page.goto(`${node.console}/ui/metrics?range=24h`);
    const [begin, end] = await span(page);
    await drag(page, first, last);
    assert.ok(Number(await page.getAttribute(".chart .mark", "width")) > 250);
    await page.mouse.up();
    await page.waitForURL(/metrics\?from=\d+&to=\d+$/);
    const [from, to] = named(page);
    // A pixel is some minutes of a day.
    isNear(from, begin + (end - begin) / 4, 900);
    isNear(to, end - (end - begin) / 4, 900);
    assert.deepEqual(await span(page), [from, to]);
    assert.equal(await page.locator("main .tabs [aria-current]").count(), 0);
  }
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("a click does nothing, and Escape takes the mark away", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/metrics`);
  const asked = [];
  page.on("request", (request) => { if (request.isNavigationRequest()) asked.push(request.url()); });
  await drag(page, 0.5, 0.5);
  await page.mouse.up();
  await drag(page, 0.2, 0.6);
  assert.equal(await page.locator(".chart .mark").count(), 1);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".chart .mark").count(), 0);
  await page.mouse.up();
  // Only this one leads on.
  await drag(page, 0.1, 0.3);
  await page.mouse.up();
  await page.waitForURL(/from=/);
  assert.equal(asked.length, 1, asked.join(" "));
  await context.close();
});

test("without scripts, links lead closer, elsewhere and back", async () => {
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  await page.goto(`${node.console}/ui/metrics?range=24h`);
  assert.equal(await page.isVisible("[data-hint]"), false);
  const follow = async (word) => {
    const former = page.url();
    await page.click(`main nav.pager >> text=${word}`);
    await page.waitForURL((url) => url.href !== former);
    return named(page);
  };
  const [from, to] = await follow("Closer");
  assert.equal(to - from, 43_200);
  assert.deepEqual(await follow("Earlier"), [from - 21_600, to - 21_600]);
  assert.deepEqual(await follow("Later"), [from, to]);
  const wider = await follow("Wider");
  assert.equal(wider[1] - wider[0], 86_400);
  await page.click("main .tabs >> text=1 hour");
  await page.waitForURL("**/ui/metrics?range=1h");
  await context.close();
});
