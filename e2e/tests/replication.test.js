// Two nodes: connections, the Replication tab, pause and resume.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { addUser, eventually, signedIn, start } from "../node.js";

let source;
let target;
const tab = () => `${source.console}/ui/buckets/photos/replication`;
const arrived = (key) => eventually(key, async () => (await target.s3("HEAD", `/copy/${key}`)).status === 200);
const figure = (page, name, text) => page.waitForFunction(
  ([figureName, wanted]) => document.querySelector(`[data-figure=${figureName}]`).textContent === wanted, [name, text]);

before(async () => {
  source = await start();
  target = await start();
  assert.equal((await source.s3("PUT", "/photos")).status, 200);
  assert.equal((await target.s3("PUT", "/copy")).status, 200);
  await source.s3("PUT", "/photos/first.txt", "first");
});
after(async () => {
  await source.stop();
  await target.stop();
});

test("a connection is made and tested, and a bucket replicated over it", async () => {
  const { page, context, quiet } = await signedIn(source);
  await page.goto(`${source.console}/ui/connections`);
  await page.fill("#create [name=name]", "second site");
  await page.fill("#create [name=endpoint_url]", target.api);
  await page.fill("#create [name=access_key]", "localadmin");
  await page.fill("#create [name=secret_key]", "localadmin");
  await page.click("#create button.primary");
  await page.waitForURL("**/ui/connections/*");
  await page.fill("#test [name=bucket]", "copy");
  await page.click("#test button.primary");
  await page.waitForSelector("#found");
  assert.match(await page.textContent("#found"), /Everything works/);
  await page.goto(tab());
  await page.fill("#rule [name=target_bucket]", "copy");
  await page.click("#rule button.primary");
  await page.waitForSelector("[data-figure=state]");
  assert.equal(await page.textContent("[data-figure=state]"), "Active");
  await arrived("first.txt");
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("paused, changes wait, and the page tells so by itself; resumed, they are sent", async () => {
  const { page, context, quiet } = await signedIn(source);
  await page.goto(tab());
  await page.click('form[action$="/pause"] button');
  await page.waitForSelector('form[action$="/resume"]');
  await source.s3("PUT", "/photos/second.txt", "second");
  await figure(page, "pending", "1");
  // So do the lines, in place.
  await page.waitForFunction(() => document.querySelectorAll(".chart .legend strong")[1].textContent === "1");
  assert.equal((await target.s3("HEAD", "/copy/second.txt")).status, 404);
  await page.click('form[action$="/resume"] button');
  await page.waitForSelector('form[action$="/pause"]');
  await arrived("second.txt");
  await figure(page, "pending", "0");
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("what changes elsewhere is told, and not changed under one's hands", async () => {
  const { page, context } = await signedIn(source);
  await page.goto(tab());
  assert.equal(await page.isVisible("[data-stale]"), false);
  await source.s3("POST", "/_myfsio/replication/rules/photos/pause");
  await page.waitForSelector("[data-stale]:not([hidden])");
  assert.equal(await page.textContent("[data-figure=state]"), "Paused");
  await page.click("[data-stale] a");
  await page.waitForSelector('form[action$="/resume"]');
  await source.s3("POST", "/_myfsio/replication/rules/photos/resume");
  await context.close();
});

test("pause and resume without scripts, by a user with `replication`", async () => {
  const who = await addUser(source, "replicator", [{ bucket: "photos", actions: ["list", "read", "replication"] }]);
  const { page, context } = await signedIn(source, { javaScriptEnabled: false }, who);
  await page.goto(`${source.console}/ui/buckets/photos/browse`);
  await page.click(".tabs a >> text=Replication");
  assert.equal(await page.locator("#rule, #remove").count(), 0);
  await page.click('form[action$="/pause"] button');
  assert.equal(await page.textContent("[data-figure=state]"), "Paused");
  await page.click('form[action$="/resume"] button');
  assert.equal(await page.textContent("[data-figure=state]"), "Active");
  await context.close();
});

test("others do not see the tab, and a connection that is used stays", async () => {
  const who = await addUser(source, "reader", [{ bucket: "*", actions: ["list", "read"] }]);
  const reader = await signedIn(source, {}, who);
  await reader.page.goto(`${source.console}/ui/buckets/photos/browse`);
  assert.equal(await reader.page.locator(".tabs a >> text=Replication").count(), 0);
  assert.equal((await reader.page.goto(tab())).status(), 403);
  await reader.context.close();
  const { page, context } = await signedIn(source);
  await page.goto(`${source.console}/ui/connections`);
  await page.click("tbody th a");
  await page.waitForURL("**/ui/connections/*");
  assert.match(await page.textContent("#delete"), /cannot be deleted while.*photos/s);
  assert.equal(await page.locator("#delete button").count(), 0);
  await context.close();
});

test("both sides of a conflict stand side by side, and one is chosen", async () => {
  const links = "/_myfsio/replication";
  for (const [here, there] of [[source, target], [target, source]]) {
    assert.equal((await here.s3("PUT", "/shared")).status, 200);
    const connection = { name: "the other side", endpoint_url: there.api, access_key: "localadmin", secret_key: "localadmin" };
    const { id } = await (await here.s3("POST", `${links}/connections`, JSON.stringify(connection))).json();
    const rule = { target_connection_id: id, target_bucket: "shared", mode: "new_only" };
    assert.ok((await here.s3("PUT", `${links}/rules/shared`, JSON.stringify(rule))).ok);
    assert.ok((await here.s3("POST", `${links}/rules/shared/pause`)).ok);
  }
  await source.s3("PUT", "/shared/plan.txt", "from here");
  await target.s3("PUT", "/shared/plan.txt", "from there, later");
  await target.s3("POST", `${links}/rules/shared/resume`);
  const { page, context, quiet } = await signedIn(source);
  const board = `${source.console}/ui/buckets/shared/replication`;
  await eventually("the conflict is told", async () => {
    await page.goto(board);
    return (await page.locator(".conflict").count()) === 1;
  });
  assert.equal(await page.textContent(".conflict h3"), "plan.txt");
  const [holds, lost] = await page.locator(".conflict .side-card").allTextContents();
  assert.match(holds, /17.B/);
  assert.match(lost, /9.B/);
  assert.match(lost, /This node/i);
  const sides = await page.locator(".conflict .side-card").evaluateAll((found) => found.map((side) => side.getBoundingClientRect().top));
  assert.equal(sides[0], sides[1], "they stand side by side");
  const version = await page.locator(".conflict .side-card:nth-of-type(2) a").getAttribute("href");
  await page.goto(source.console + version);
  assert.match(await page.textContent(".preview pre"), /from here/);
  await page.goto(board);
  await page.click(".conflict button[value=copy]");
  await page.waitForSelector("#notices .good");
  assert.equal(await page.locator(".conflict").count(), 0);
  assert.equal(await (await source.s3("GET", "/shared/plan.txt")).text(), "from here");
  await source.s3("POST", `${links}/rules/shared/resume`);
  await eventually("the choice arrives", async () => (await (await target.s3("GET", "/shared/plan.txt")).text()) === "from here");
  assert.deepEqual(quiet(), []);
  await context.close();
});
