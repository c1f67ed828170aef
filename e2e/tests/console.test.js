// The console as people use it.

import assert from "node:assert/strict";
import { mkdir, open as openFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { open, signedIn, start } from "../node.js";

let node;
before(async () => {
  node = await start();
  for (const bucket of ["files", "kept", "big"]) assert.equal((await node.s3("PUT", `/${bucket}`)).status, 200);
  const versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await node.s3("PUT", "/kept?versioning", versioning);
  await node.s3("PUT", "/files/hello.txt", "hello");
  const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/p8dlLwAAAABJRU5ErkJggg==";
  await node.s3("PUT", "/files/pixel.png", Buffer.from(pixel, "base64"), { "content-type": "image/png" });
  await node.s3("PUT", "/files/evil.html", "<script>document.title='run'</script>", { "content-type": "text/html" });
});
after(() => node.stop());

const screens = ["/ui", "/ui/buckets", "/ui/buckets/create", "/ui/buckets/files/browse?sort=size&order=asc", "/ui/buckets/files/browse", "/ui/buckets/files/object?key=hello.txt",
  "/ui/buckets/files/object?key=pixel.png", "/ui/buckets/files/uploads", "/ui/buckets/files/delete", "/ui/account"];

for (const colorScheme of ["light", "dark"]) {
  test(`no page complains: ${colorScheme}`, async () => {
    const { page, context, quiet } = await signedIn(node, { colorScheme });
    for (const screen of screens) {
      await page.goto(node.console + screen);
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

test("icons are drawn under the policy", async () => {
  const { page, context } = await signedIn(node);
  const box = await page.locator(".side nav .icon use").first().boundingBox();
  assert.ok(box && box.width > 5 && box.height > 5);
  await context.close();
});

test("a secret can be shown while it is typed", async () => {
  const { page, context } = await open(node);
  await page.goto(`${node.console}/ui/login`);
  await page.click("[data-reveal]");
  assert.equal(await page.getAttribute("[name=secret_key]", "type"), "text");
  await context.close();
});

test("colours follow the choice, and stay", async () => {
  const { page, context } = await signedIn(node, { colorScheme: "light" });
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.selectOption(".side [name=theme]", "dark");
  await page.waitForSelector("html[data-theme=dark]");
  assert.notEqual(await ground(), light);
  await page.goto(`${node.console}/ui/buckets`);
  assert.equal(await page.getAttribute("html", "data-theme"), "dark");
  await context.close();
});

test("times are of UTC, or of the browser's zone, each with the other beside", async () => {
  const { page, context, quiet } = await signedIn(node, { timezoneId: "Asia/Kolkata" });
  const time = page.locator("td time[datetime]").first();
  const there = (iso) => new Date(Date.parse(iso) + 5.5 * 3_600_000).toISOString().slice(0, 19).replace("T", " ");
  await page.goto(`${node.console}/ui/buckets`);
  await page.waitForSelector("td time[title]");
  const [utc, iso] = [await time.textContent(), await time.getAttribute("datetime")];
  assert.match(utc, / UTC$/);
  assert.ok((await time.getAttribute("title")).startsWith(`${there(iso)} `));
  await page.selectOption(".side [name=zone]", "local");
  await page.waitForSelector("html[data-zone=local]");
  await page.waitForSelector("td time[title$=UTC]");
  assert.equal(await time.getAttribute("title"), utc);
  assert.ok((await time.textContent()).startsWith(`${there(iso)} `));
  await page.goto(`${node.console}/ui/trace`);
  const clock = page.locator("td time[data-clock]").first();
  await page.waitForFunction(() => document.querySelector("[data-trace]").textContent.startsWith("Live"));
  const moment = await clock.getAttribute("datetime");
  assert.equal(await clock.textContent(), there(moment).slice(11));
  assert.match(await clock.getAttribute("title"), / UTC$/);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("keyboard: the first stop skips to the content", async () => {
  const { page, context } = await signedIn(node);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await context.close();
});

test("a bucket is created and deleted", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets`);
  await page.click(".heading-actions .primary");
  const states = () => page.$$eval("#name-rules li", (rules) => rules.map((rule) => rule.dataset.state));
  // A click does not wait for the scripts of the page that it leads to.
  await page.waitForLoadState();
  assert.deepEqual(await states(), ["", "", "", "", ""], "nothing is wrong before something is typed");
  await page.fill("#create [name=name]", "F..");
  assert.deepEqual(await states(), ["kept", "broken", "broken", "broken", "kept"]);
  assert.match(await page.textContent('[data-rule="ends"]'), /broken/);
  await page.fill("#create [name=name]", "fresh");
  assert.deepEqual(await states(), ["kept", "kept", "kept", "kept", "kept"]);
  await page.click("#create button");
  await page.waitForURL("**/ui/buckets/fresh/browse");
  await page.goto(`${node.console}/ui/buckets/fresh/delete`);
  await page.fill("[name=confirm]", "fresh");
  await page.click("button.danger");
  await page.waitForURL("**/ui/buckets");
  assert.match(await page.textContent("#notices"), /fresh was deleted/);
  await context.close();
});

test("everything that is read, and single changes, without scripts", async () => {
  const { page, context } = await signedIn(node, { javaScriptEnabled: false });
  for (const screen of screens) {
    const answer = await page.goto(node.console + screen);
    assert.equal(answer.status(), 200, screen);
  }
  await page.goto(`${node.console}/ui/buckets/files/browse`);
  await page.setInputFiles("[name=file]", { name: "plain.txt", mimeType: "text/plain", buffer: Buffer.from("without scripts") });
  await page.click("#upload button");
  await page.waitForURL("**/browse");
  assert.equal(await (await node.s3("GET", "/files/plain.txt")).text(), "without scripts");
  await page.check('input[value="plain.txt"]');
  await page.click("button.danger");
  await page.click("button.danger");
  assert.match(await page.textContent("#notices"), /1.objects deleted/);
  assert.equal((await node.s3("GET", "/files/plain.txt")).status, 404);
  await context.close();
});

test("a folder of 200 files goes up", async () => {
  const folder = join(node.folder, "many");
  await mkdir(join(folder, "deeper"), { recursive: true });
  for (let at = 0; at < 200; at += 1) await writeFile(join(folder, at % 2 ? "deeper" : "", `file-${at}.txt`), `${at}`);
  const { page, context, quiet } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/files/browse`);
  const reloaded = page.waitForEvent("load", { timeout: 60_000 });
  await page.setInputFiles("input[webkitdirectory]", folder);
  await reloaded;
  const listing = await (await node.s3("GET", "/files?list-type=2&prefix=many/")).text();
  assert.equal(listing.match(/<Key>/g).length, 200);
  assert.ok(listing.includes("<Key>many/deeper/file-1.txt</Key>"));
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("a large file goes on after a reload, and sends no part twice", async () => {
  const path = join(node.folder, "large.bin");
  const part = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < part.length; at += 1) part[at] = at % 251;
  const file = await openFile(path, "w");
  for (let at = 0; at < 300; at += 1) await file.write(part);
  await file.close();
  const { page, context } = await signedIn(node);
  let sent = 0;
  await page.route("**/part?**", async (route) => {
    sent += 1;
    // The network ends after six parts.
    if (sent > 6) await route.abort("connectionfailed");
    else await route.continue();
  });
  await page.goto(`${node.console}/ui/buckets/big/browse`);
  await page.setInputFiles("input[data-pick]:not([webkitdirectory])", path);
  await page.waitForFunction(() => document.querySelector(".transfer progress").value > 40_000_000);
  page.on("dialog", (dialog) => dialog.accept());
  await page.reload();
  // What the browser remembers is written into the page by its script, after the page is there.
  await page.waitForFunction(() => document.querySelector("[data-transfers]").textContent.includes("large.bin"));
  const held = await (await node.s3("GET", "/big?uploads")).text();
  assert.equal(held.match(/<Upload>/g).length, 1);
  await page.unroute("**/part?**");
  const numbers = [];
  page.on("request", (request) => { if (request.url().includes("/part?")) numbers.push(new URL(request.url()).searchParams.get("number")); });
  const reloaded = page.waitForEvent("load", { timeout: 60_000 });
  await page.setInputFiles("input[data-pick]:not([webkitdirectory])", path);
  await reloaded;
  assert.ok(numbers.length < 38, `${numbers.length} of 38 parts were sent again`);
  const head = await node.s3("HEAD", "/big/large.bin");
  assert.equal(head.headers.get("content-length"), `${300 * 1024 * 1024}`);
  assert.ok(!(await (await node.s3("GET", "/big?uploads")).text()).includes("<Upload>"));
  await context.close();
});

test("a selection by shift takes the rows between", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/files/browse?prefix=many%2Fdeeper%2F`);
  const boxes = page.locator('input[name="item"]');
  await boxes.nth(1).click();
  await boxes.nth(5).click({ modifiers: ["Shift"] });
  assert.equal(await page.locator('input[name="item"]:checked').count(), 5);
  await page.click("[data-all]");
  assert.equal(await page.locator('input[name="item"]:checked').count(), await boxes.count());
  await context.close();
});

test("search finds a key across folders", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/files/browse`);
  await page.fill("[name=q]", "FILE-199");
  await page.keyboard.press("Enter");
  await page.waitForURL("**q=FILE-199**");
  assert.deepEqual(await page.locator("tbody th a").allTextContents(), ["many/deeper/file-199.txt"]);
  await context.close();
});

test("a search that has found nothing yet goes on by itself", async () => {
  const { page, context, quiet } = await signedIn(node);
  const later = "/ui/buckets/files/browse?q=FILE-199&after=many%2F&seen=50000";
  // As a page says it that has looked as long as it may.
  await page.route("**/browse?q=begin", async (route) => {
    const response = await route.fetch();
    const goesOn = `class="muted" role="status" data-goes-on="${later.replaceAll("&", "&amp;")}">`;
    await route.fulfill({ response, body: (await response.text()).replace('class="muted" role="status">', goesOn) });
  });
  await page.goto(`${node.console}/ui/buckets/files/browse?q=begin`);
  await page.waitForURL("**after=many**");
  assert.deepEqual(await page.locator("tbody th a").allTextContents(), ["many/deeper/file-199.txt"]);
  assert.match(await page.textContent("[data-looked]"), /50.\d{3}/);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("an image is shown, and HTML only as text", async () => {
  const { page, context, quiet } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/files/object?key=pixel.png`);
  await page.waitForFunction(() => document.querySelector(".preview img").naturalWidth === 1);
  await page.goto(`${node.console}/ui/buckets/files/object?key=evil.html`);
  assert.match(await page.textContent(".preview pre"), /document\.title/);
  await page.goto(`${node.console}/ui/buckets/files/view?key=evil.html`);
  assert.notEqual(await page.title(), "run");
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("a link is made, and whoever has it gets the object", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/files/object?key=hello.txt`);
  await page.fill("[name=expires]", "60");
  await page.click('form[action$="/presign"] button');
  const url = await page.textContent("#signed-url");
  assert.equal(await (await fetch(url)).text(), "hello");
  await context.close();
});

test("what was deleted is undone", async () => {
  await node.s3("PUT", "/kept/report.txt", "one");
  await node.s3("PUT", "/kept/report.txt", "two");
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/kept/object?key=report.txt`);
  await page.click(".heading-actions .danger");
  await page.click(".card.danger button.danger");
  assert.equal((await node.s3("GET", "/kept/report.txt")).status, 404);
  await page.click("#notices .undo button");
  await page.waitForURL("**/browse");
  assert.equal(await (await node.s3("GET", "/kept/report.txt")).text(), "two");
  await page.goto(`${node.console}/ui/buckets/kept/object?key=report.txt`);
  await page.click(".heading-actions .danger");
  await page.click(".card.danger button.danger");
  await page.click("#notices a");
  await page.click("text=Bring back");
  await page.waitForURL("**/object?**");
  assert.equal(await (await node.s3("GET", "/kept/report.txt")).text(), "two");
  await page.click("text=Restore");
  await page.waitForURL("**/object?**");
  assert.equal(await (await node.s3("GET", "/kept/report.txt")).text(), "one");
  await context.close();
});

test("files that are dropped on others are taken back", async () => {
  for (const key of ["one.txt", "two.txt"]) await node.s3("PUT", `/kept/over/${key}`, "old");
  const { page, context, quiet } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets/kept/browse?prefix=over%2F`);
  const reloaded = page.waitForEvent("load");
  const file = (name) => ({ name, mimeType: "text/plain", buffer: Buffer.from("new") });
  await page.setInputFiles("[data-pick][multiple]:not([webkitdirectory])", ["one.txt", "two.txt", "three.txt"].map(file));
  await reloaded;
  assert.match(await page.textContent("#notices"), /2.uploads took the place/);
  assert.equal(await (await node.s3("GET", "/kept/over/one.txt")).text(), "new");
  await page.click("#notices .undo button");
  await page.waitForURL("**/browse?prefix=over%2F");
  for (const key of ["one.txt", "two.txt"]) assert.equal(await (await node.s3("GET", `/kept/over/${key}`)).text(), "old");
  assert.equal(await (await node.s3("GET", "/kept/over/three.txt")).text(), "new");
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("help opens on a phone, without scripts", async () => {
  const { page, context } = await signedIn(node, { viewport: { width: 360, height: 740 }, javaScriptEnabled: false });
  await page.goto(`${node.console}/ui/buckets/files/browse`);
  assert.equal(await page.isVisible("details.help p"), false);
  await page.click("details.help summary");
  assert.equal(await page.isVisible("details.help p"), true);
  assert.match(await page.textContent("details.help p"), /The objects of the bucket/);
  const { x, width } = await page.locator("details.help > div").boundingBox();
  assert.ok(x >= 0 && x + width <= 360, `${x} + ${width}`);
  await context.close();
});

test("a listing is sorted on a phone, too", async () => {
  for (const [key, size] of [["a", 2], ["b", 3], ["c", 1]]) await node.s3("PUT", `/files/sorted/${key}`, "x".repeat(size));
  const { page, context } = await signedIn(node, { viewport: { width: 360, height: 740 }, javaScriptEnabled: false });
  await page.goto(`${node.console}/ui/buckets/files/browse?prefix=sorted%2F`);
  await page.click(".sorts >> text=Size");
  await page.waitForURL("**&sort=size");
  const names = await page.$$eval("tbody th a", (links) => links.map((link) => link.textContent));
  assert.deepEqual(names.filter((name) => name !== ".."), ["b", "a", "c"]);
  await context.close();
});

test("a page that the API serves cannot post to the console", async () => {
  const form = `<form method=post action="${node.console}/ui/buckets"><input name=name value=forged></form><script>document.forms[0].submit()</script>`;
  await node.s3("PUT", "/files/forge.html", form, { "content-type": "text/html" });
  const policy = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::files/*" }] };
  await node.s3("PUT", "/bucket-policy/files", JSON.stringify(policy));
  const { page, context } = await signedIn(node);
  await page.goto(`${node.api}/files/forge.html`);
  await page.waitForURL("**/ui/buckets");
  assert.match(await page.textContent("main"), /did not come from a page of this console/);
  assert.equal((await node.s3("HEAD", "/forged")).status, 404);
  await context.close();
});

test("a time tells what it is where the browser is", async () => {
  await node.s3("PUT", "/files/when.txt", "x");
  const { page, context, quiet } = await signedIn(node, { timezoneId: "Asia/Tokyo", locale: "en-GB" });
  await page.goto(`${node.console}/ui/buckets`);
  const time = page.locator("tbody time").first();
  const told = await time.getAttribute("title");
  assert.match(told, /GMT\+9|JST/);
  const hour = (new Date(await time.getAttribute("datetime")).getUTCHours() + 9) % 24;
  assert.ok(told.includes(`${hour}`.padStart(2, "0") + ":"), told);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("after signing out, the way back shows nothing", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(`${node.console}/ui/buckets`);
  await page.click(".side .who button");
  await page.waitForURL("**/ui/login**");
  await page.goBack();
  assert.match(page.url(), /\/ui\/login/);
  await context.close();
});
