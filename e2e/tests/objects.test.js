// The page of an object: headers, versions side by side, links.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { signedIn, start } from "../node.js";

let node;
before(async () => {
  node = await start();
  await node.s3("PUT", "/kept");
  const versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await node.s3("PUT", "/kept?versioning", versioning);
  const long = `${"a very long line that goes on ".repeat(20)}\n`;
  await node.s3("PUT", "/kept/note.txt", `one\n${long}three\n`);
  await node.s3("PUT", "/kept/note.txt", `one\n${long}3\nfour\n`, { "cache-control": "no-cache" });
});
after(() => node.stop());

const note = () => `${node.console}/ui/buckets/kept/object?key=note.txt`;

for (const colorScheme of ["light", "dark"]) {
  for (const width of [360, 1440]) {
    test(`versions, headers and a link fit: ${colorScheme}, ${width}`, async () => {
      const { page, context, quiet } = await signedIn(node, { colorScheme, viewport: { width, height: 800 } });
      const fits = async (what) => {
        const found = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(found <= width, `${what} is ${found} wide`);
      };
      await page.goto(note());
      await page.click("summary:has-text('Edit')");
      await fits("the form of headers");
      await page.click("a:has-text('Compare')");
      await page.waitForSelector(".diff .added");
      await fits("the comparison");
      await page.goto(note());
      await page.click("button:has-text('Presign')");
      await page.click(".signed summary");
      const code = await page.locator(".signed svg.qr").boundingBox();
      assert.ok(code.width > 150 && Math.abs(code.width - code.height) < 1, JSON.stringify(code));
      await fits("the link");
      await page.click("button:has-text('Test this link')");
      await page.waitForSelector(".signed .banner.good");
      await fits("the tried link");
      assert.deepEqual(quiet(), []);
      await context.close();
    });
  }
}

test("the forms of a lock stand apart from one another", async () => {
  await node.s3("PUT", "/locked", undefined, { "x-amz-bucket-object-lock-enabled": "true" });
  await node.s3("PUT", "/locked/held.txt", "kept");
  const { page, context } = await signedIn(node, { viewport: { width: 360, height: 800 } });
  await page.goto(`${node.console}/ui/buckets/locked/object?key=held.txt`);
  const forms = page.locator("form[action$='/lock']");
  assert.equal(await forms.count(), 2);
  const [hold, retention] = [await forms.nth(0).boundingBox(), await forms.nth(1).boundingBox()];
  const apart = retention.y - hold.y - hold.height;
  assert.ok(apart >= 16, `${apart} pixels apart`);
  await context.close();
});

test("without scripts: headers, versions and links", async () => {
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  await page.goto(note());
  await page.click("summary:has-text('Edit')");
  await page.fill("[name=Content-Language]", "de");
  await page.click("button:has-text('Save headers')");
  await page.waitForSelector("text=The headers are saved.");
  assert.equal((await node.s3("HEAD", "/kept/note.txt")).headers.get("content-language"), "de");
  await page.click("a:has-text('Compare') >> nth=0");
  await page.waitForSelector("text=Content-Language");
  await page.goto(note());
  await page.click("button:has-text('Presign')");
  await page.click("button:has-text('Test this link')");
  await page.waitForSelector("text=The node would accept this link now.");
  await context.close();
});
