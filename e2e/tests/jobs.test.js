// Jobs, access forms, groups and policies, in a browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { signedIn, start } from "../node.js";

let node;
const put = (path, body, headers) => node.s3("PUT", path, body, headers);
const keys = async (target) => [...(await (await node.s3("GET", target)).text()).matchAll(/<Key>([^<]*)<\/Key>/g)].map((found) => found[1]);

before(async () => {
  node = await start();
  for (const bucket of ["work", "kept", "other"]) assert.equal((await put(`/${bucket}`)).status, 200);
  await put("/kept?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
  const puts = [];
  for (let at = 0; at < 60; at += 1) puts.push(put(`/work/folder/${at % 3}/file-${at}.txt`, `${at}`));
  for (let at = 0; at < 20; at += 1) puts.push(put(`/kept/docs/${at}.txt`, "first"));
  await Promise.all(puts);
});
after(() => node.stop());

/** The page of a job that has ended. */
const ended = (page) => page.waitForFunction(() => ["done", "failed", "cancelled"].includes(document.querySelector("[data-job]")?.dataset.status));

const screens = ["/ui/jobs", "/ui/buckets/work/work?item=folder%2F", "/ui/buckets/kept/work", "/ui/buckets/work/access", "/ui/buckets/work/cors",
  "/ui/buckets/work/notifications", "/ui/groups", "/ui/policies", "/ui/buckets/work/space", "/ui/policies/policy?arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAdministratorAccess"];

for (const colorScheme of ["light", "dark"]) {
  test(`no page complains: ${colorScheme}`, async () => {
    const { page, context, quiet } = await signedIn(node, { colorScheme });
    for (const screen of screens) {
      const answer = await page.goto(node.console + screen);
      assert.equal(answer.status(), 200, screen);
      await page.waitForLoadState("networkidle");
    }
    assert.deepEqual(quiet(), []);
    await context.close();
  });
}

test("no page is wider than a phone", async () => {
  const { page, context } = await signedIn(node, { viewport: { width: 360, height: 740 } });
  for (const screen of screens) {
    await page.goto(node.console + screen);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `${screen} is ${width} wide`);
  }
  await context.close();
});

test("a folder is renamed, and its job tells how far it is", async () => {
  const { page, context, quiet } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/work/browse?prefix=folder%2F`);
  await page.click(".heading-actions a[href*='/work?']");
  await page.waitForSelector("[name=to]");
  assert.match(await page.textContent("dl.pairs"), /60.objects/);
  await page.fill("[name=to]", "renamed/");
  await page.click("button[value=move]");
  await page.waitForURL("**/ui/jobs/*");
  await ended(page);
  await page.waitForSelector("[data-job] .badge.good");
  assert.match(await page.textContent("[data-part=done]"), /60.objects/);
  assert.equal((await keys("/work?list-type=2&prefix=renamed/")).length, 60);
  assert.deepEqual(await keys("/work?list-type=2&prefix=folder/"), []);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("a selection is copied into another bucket", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/work/browse?prefix=renamed%2F`);
  await page.check('input[value="renamed/1/"]');
  await page.check('input[value="renamed/2/"]');
  await page.click("button[formaction$='/work']");
  await page.selectOption("[name=to_bucket]", "other");
  await page.fill("[name=to]", "here");
  await page.click("button[value=copy]");
  await page.waitForURL("**/ui/jobs/*");
  await ended(page);
  const copied = await keys("/other?list-type=2");
  assert.equal(copied.length, 40);
  assert.ok(copied.every((key) => /^here\/[12]\//.test(key)), copied.join());
  await context.close();
});

test("a folder is deleted and brought back, without scripts", async () => {
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  const left = async (count) => {
    // A page without scripts loads itself again until its job has ended.
    await page.waitForURL("**/ui/jobs/*");
    await page.waitForSelector("[data-status=done]", { timeout: 30_000 });
    assert.equal((await keys("/kept?list-type=2")).length, count);
  };
  await page.goto(`${node.console}/ui/buckets/kept/work?item=docs%2F`);
  await page.click("button[value=delete]");
  await left(0);
  await page.goto(`${node.console}/ui/buckets/kept/work?item=docs%2F`);
  await page.click("button[value=restore]");
  await left(20);
  await context.close();
});

test("a selection of what was deleted comes back, and then all of it", async () => {
  const { page, context } = await signedIn(node);
  for (const at of [3, 4, 5]) assert.equal((await node.s3("DELETE", `/kept/docs/${at}.txt`)).status, 204);
  const trash = `${node.console}/ui/buckets/kept/browse?show=deleted`;
  await page.goto(trash);
  await page.check('input[name=item][value="docs/3.txt"]');
  await page.check('input[name=item][value="docs/4.txt"]');
  await page.click("button:has-text('Bring back selected')");
  await page.waitForURL("**/ui/jobs/*");
  await ended(page);
  assert.equal((await keys("/kept?list-type=2")).length, 19);
  await page.goto(trash);
  await page.click("button:has-text('Bring back all')");
  await page.waitForURL("**/ui/jobs/*");
  await ended(page);
  assert.equal((await keys("/kept?list-type=2")).length, 20);
  await context.close();
});

test("a bucket is emptied for good, once its name is typed", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/other/delete`);
  await page.click("a[href$='/other/work']");
  await page.waitForSelector("button[value=delete]");
  await page.click("button[value=delete]");
  await page.waitForFunction(() => document.body.textContent.includes("typed the name of the bucket"));
  assert.equal((await keys("/other?list-type=2")).length, 40);
  await page.goto(`${node.console}/ui/buckets/other/work`);
  await page.fill("[name=confirm]", "other");
  await page.press("[name=confirm]", "Enter");
  await page.click("button[value=delete]");
  await page.waitForURL("**/ui/jobs/*");
  assert.match(await page.textContent("h1"), /^Delete/, "Enter presses no other button");
  await ended(page);
  await page.goto(`${node.console}/ui/buckets/other/delete`);
  await page.fill("[name=confirm]", "other");
  await page.click("button.danger");
  await page.waitForURL("**/ui/buckets");
  await context.close();
});

test("the list of jobs leads to each", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/jobs`);
  await page.waitForSelector("tbody tr");
  await page.click("tbody tr:last-child th a");
  await page.waitForURL("**/ui/jobs/*");
  assert.match(await page.textContent("h1"), /^Move/);
  await context.close();
});

test("everybody is told from the page that they are let in, and let in no more", async () => {
  const { page, context } = await signedIn(node);
  await node.s3("PUT", "/_myfsio/buckets/work/policy", JSON.stringify({ preset: "public" }));
  await page.goto(`${node.console}/ui/buckets/work/access`);
  assert.match(await page.textContent("#public"), /by its policy/);
  await page.check("[name=RestrictPublicBuckets]");
  await page.click("#block button.primary");
  await page.waitForSelector("#notices .good");
  assert.ok(await page.isChecked("[name=RestrictPublicBuckets]"));
  assert.equal((await fetch(`${node.api}/work/renamed/1/file-1.txt`)).status, 403);
  await context.close();
});

test("a rule for other origins is added, and lets their pages in", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/kept/cors`);
  await page.fill("#add [name=origins]", "https://app.test");
  await page.check("#add [value=PUT]");
  await page.click("#add button.primary");
  await page.waitForSelector("tbody tr");
  await page.fill("#try [name=origin]", "https://app.test");
  await page.selectOption("#try [name=method]", "PUT");
  await page.click("#try button");
  await page.waitForSelector("#try .banner.good");
  const headers = { origin: "https://app.test", "access-control-request-method": "PUT" };
  assert.equal((await fetch(`${node.api}/kept/docs/1.txt`, { method: "OPTIONS", headers })).status, 200);
  await context.close();
});

test("a policy is written, and a group's members have it", async () => {
  const { page, context } = await signedIn(node);
  const made = await (await node.s3("POST", "/_myfsio/iam/users", JSON.stringify({ display_name: "Ann", policies: [] }))).json();
  const read = () => fetch(`${node.api}/kept/docs/1.txt`, { headers: { "x-access-key": made.access_key, "x-secret-key": made.secret_key } });
  assert.equal((await read()).status, 403);
  await page.goto(`${node.console}/ui/groups`);
  await page.fill("#create [name=name]", "readers");
  await page.click("#create button");
  await page.waitForURL("**/ui/groups/readers");
  await page.selectOption("#members select", { label: "Ann" });
  await page.click("#members button[value=add]");
  await page.waitForSelector("#members tbody tr");
  await page.goto(`${node.console}/ui/policies`);
  await page.fill("#create [name=name]", "read-kept");
  const document = (resource) => JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: resource }] });
  await page.fill("#create [name=document]", "{");
  await page.click("#create button.primary");
  await page.waitForSelector("#create .banner.bad");
  assert.equal(await page.inputValue("#create [name=name]"), "read-kept");
  await page.fill("#create [name=document]", document("arn:aws:s3:::other/*"));
  await page.click("#create button.primary");
  await page.waitForURL("**/ui/policies/policy?arn=**");
  await page.click("#holders button:has-text('Attach to group')");
  await page.waitForSelector("#holders tbody tr");
  assert.equal((await read()).status, 403);
  await page.fill("#document textarea", document("arn:aws:s3:::kept/*"));
  await page.click("#document button.primary");
  await page.waitForSelector("#versions details:nth-of-type(2)");
  assert.equal((await read()).status, 200);
  await context.close();
});

test("the largest folder leads to what is in it", async () => {
  const { page, context } = await signedIn(node);
  await put("/work/sizes/small/a", "1");
  await put("/work/sizes/large/b/c", Buffer.alloc(20_000));
  await page.goto(`${node.console}/ui/buckets/work/space?prefix=sizes%2F`);
  assert.deepEqual(await page.locator("tbody th bdi").allTextContents(), ["large/", "small/"]);
  await page.click("tbody th a");
  await page.waitForURL("**prefix=sizes%2Flarge%2F");
  assert.deepEqual(await page.locator("tbody th bdi").allTextContents(), ["b/"]);
  await context.close();
});
