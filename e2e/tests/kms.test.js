// Keys of the KMS.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { signedIn, start } from "../node.js";

let node;
before(async () => {
  node = await start({ ENCRYPTION_ENABLED: "true", KMS_ENABLED: "true" });
  await node.s3("PUT", "/photos");
});
after(() => node.stop());

test("a key is made, chosen by its alias, and rotated", async () => {
  const { page, context, quiet } = await signedIn(node);
  await page.goto(`${node.console}/ui/kms`);
  await page.fill("#create [name=alias]", "photos");
  await page.fill("#create [name=description]", "Everything of the shop");
  await page.click("#create button.primary");
  await page.waitForURL("**/ui/kms/*");
  await page.click('form[action$="/rotate"] button');
  await page.waitForFunction(() => document.querySelectorAll("#versions tbody tr").length === 2);
  await page.goto(`${node.console}/ui/buckets/photos/properties`);
  await page.check("#encryption [value='aws:kms']");
  const label = await page.locator("#encryption option", { hasText: "alias/photos" }).textContent();
  await page.selectOption("#encryption [name=key]", { label });
  await page.click("#encryption button.primary");
  await page.waitForSelector("#notices .good");
  assert.equal(await page.locator("#encryption option:checked").textContent(), label);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("a deletion says what it costs, waits, and is cancelled, without scripts", async () => {
  await node.s3("PUT", "/photos/sealed.txt", "sealed");
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  await page.goto(`${node.console}/ui/kms`);
  await page.click("tbody a >> text=alias/photos");
  assert.match(await page.textContent("#delete .banner"), /objects and versions: 1/);
  await page.fill("#delete [name=days]", "7");
  await page.fill("#delete [name=confirm]", "alias/photos");
  await page.click("#delete button.danger");
  assert.match(await page.textContent("main"), /is going to be deleted/);
  assert.equal((await node.s3("GET", "/photos/sealed.txt")).status, 400);
  await page.click('form[action$="/cancel"] button');
  await page.click('form[action$="/enable"] button');
  assert.equal(await (await node.s3("GET", "/photos/sealed.txt")).text(), "sealed");
  await context.close();
});
