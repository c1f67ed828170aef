// Settings, self-check and guide.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { signedIn, start } from "../node.js";

let node;
before(async () => {
  node = await start({ UI_PAGE_SIZE: "50", METRICS_TOKEN: "hunter2-hunter2-hunter2" });
});
after(() => node.stop());

test("settings tell their source, and no secret", async () => {
  const { page, context, quiet } = await signedIn(node);
  await page.goto(`${node.console}/ui/settings`);
  await page.click(".heading-actions a");
  await page.waitForURL("**changed=on");
  assert.match(await page.textContent("#UI_PAGE_SIZE"), /50.*environment/s);
  assert.ok(!(await page.content()).includes("hunter2"));
  assert.equal(await page.locator("#AWS_SERVICE").count(), 0);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("the self-check finds the well-known secret, and that it is gone", async () => {
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  await page.goto(`${node.console}/ui/self-check`);
  assert.match(await page.textContent("#administrator"), /Mend this.*Rotate the secret/s);
  await page.goto(`${node.console}/ui/iam`);
  await page.click("tbody th a");
  await page.click("#keys summary");
  await page.click('form[action$="/rotate"] button');
  const secret = await page.textContent("#secret-key");
  await context.close();
  const again = await signedIn(node, {}, ["localadmin", secret]);
  await again.page.goto(`${node.console}/ui/self-check`);
  assert.match(await again.page.textContent("#administrator"), /Good/);
  await again.context.close();
  node.secret = secret;
});

test("a command of the guide is copied", async () => {
  const { page, context } = await signedIn(node, { permissions: ["clipboard-read", "clipboard-write"] }, ["localadmin", node.secret]);
  await page.goto(`${node.console}/ui/guide`);
  await page.click('[data-copy="command-aws"]');
  await page.waitForFunction(() => document.querySelector('[data-copy="command-aws"]').textContent.includes("Copied"));
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `aws --endpoint-url ${node.api} s3 ls`);
  await context.close();
});
