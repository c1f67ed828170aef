// The way to anywhere, by the keyboard.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import axe from "axe-core";
import { addUser, signedIn, start } from "../node.js";

let node;
before(async () => {
  node = await start();
  for (const bucket of ["photos", "private"]) assert.equal((await node.s3("PUT", `/${bucket}`)).status, 200);
});
after(() => node.stop());

test("control and K, a few letters, Enter", async () => {
  const { page, context, quiet } = await signedIn(node);
  await page.keyboard.press("Control+k");
  const input = page.getByRole("combobox", { name: "Where to?" });
  await input.waitFor();
  assert.ok(await input.evaluate((element) => element === document.activeElement));
  await input.fill("photos");
  await page.getByRole("option", { name: "photos: Properties" }).waitFor();
  assert.equal(await page.locator("[role=option][aria-selected=true]").count(), 1);
  await page.keyboard.press("ArrowDown");
  const active = await input.getAttribute("aria-activedescendant");
  assert.equal(await page.locator("[aria-selected=true]").getAttribute("id"), active);
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/ui/buckets/photos/browse");
  assert.deepEqual(quiet(), []);
  await context.close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`screen readers find nothing wrong with it: ${colorScheme}`, async () => {
    const { page, context, quiet } = await signedIn(node, { colorScheme });
    // By the protocol of the debugger, which the page's policy does not concern.
    await page.evaluate(axe.source);
    await page.keyboard.press("Control+k");
    await page.getByRole("dialog").getByRole("option").first().waitFor();
    const found = await page.evaluate(() => globalThis.axe.run(document.querySelector("dialog")));
    assert.deepEqual(found.violations.map((violation) => `${violation.id}: ${violation.help}`), []);
    assert.deepEqual(quiet(), []);
    await context.close();
  });
}

test("Escape and a second press close it, and nothing that is found says so", async () => {
  const { page, context } = await signedIn(node);
  await page.click(".side a[data-go]");
  await page.getByRole("combobox", { name: "Where to?" }).fill("no such thing");
  await page.getByText("Nothing is called that").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.keyboard.press("Control+k");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await context.close();
});

test("it finds what its user may see", async () => {
  const who = await addUser(node, "Ann", [{ bucket: "photos", actions: ["list", "read"] }]);
  const { page, context } = await signedIn(node, {}, who);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Where to?" }).fill("p");
  await page.getByRole("option", { name: "photos", exact: false }).first().waitFor();
  assert.equal(await page.getByRole("option", { name: "private" }).count(), 0);
  await page.getByRole("combobox", { name: "Where to?" }).fill("private");
  await page.getByText("Nothing is called that").waitFor();
  await context.close();
});

test("without scripts it is a page", async () => {
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  await page.click(".side a[data-go]");
  await page.fill("[name=q]", "photos");
  await page.click("main form button");
  await page.click("main .settings a");
  await page.waitForURL("**/ui/buckets/photos/browse");
  await context.close();
});
