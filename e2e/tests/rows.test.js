// Lists, worked by the keyboard.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import axe from "axe-core";
import { signedIn, start } from "../node.js";

let node;
before(async () => {
  node = await start();
  const put = async (path, body) => assert.ok((await node.s3("PUT", path, body)).ok, path);
  for (const bucket of ["files", "kept", "other"]) await put(`/${bucket}`);
  for (const key of ["a.txt", "b.txt", "c.txt", "folder/inner.txt"]) await put(`/files/${key}`, key);
  for (let at = 10; at < 30; at += 1) await put(`/other/${at}.txt`, `${at}`);
  await put("/kept?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
  for (const key of ["gone.txt", "lost.txt"]) {
    await put(`/kept/${key}`, key);
    assert.ok((await node.s3("DELETE", `/kept/${key}`)).ok, key);
  }
});
after(() => node.stop());

// The way to the list of keys appears when they work.
const ready = (page) => page.locator("[data-shortcuts]").waitFor();

/** Opens a page with a list. */
async function open(page, path) {
  await page.goto(node.console + path);
  await ready(page);
}

const focused = (page) => page.evaluate(() => document.activeElement.textContent.trim());
const isNowhere = (page) => page.evaluate(() => document.activeElement === document.body);
const ticked = (page) => page.$$eval('input[name="item"]:checked', (boxes) => boxes.map((box) => box.value));
const root = (url) => url.pathname.endsWith("/files/browse") && !url.searchParams.get("prefix");

/** Presses a key; answers whether the page took it, so that the browser does not scroll. */
async function takes(page, key) {
  await page.evaluate(() => {
    globalThis.onkeydown = (event) => { globalThis.taken = event.defaultPrevented; };
  });
  await page.keyboard.press(key);
  return page.evaluate(() => globalThis.taken);
}

for (const colorScheme of ["light", "dark"]) {
  test(`from row to row, and the row is seen: ${colorScheme}`, async () => {
    const { page, context, quiet } = await signedIn(node, { colorScheme });
    await open(page, "/ui/buckets/files/browse");
    const way = [["j", "folder/"], ["j", "a.txt"], ["ArrowDown", "b.txt"], ["k", "a.txt"], ["ArrowUp", "folder/"], ["End", "c.txt"],
      ["j", "c.txt"], ["ArrowUp", "b.txt"], ["Home", "folder/"], ["k", "folder/"]];
    for (const [key, name] of way) {
      await page.keyboard.press(key);
      assert.equal(await focused(page), name, key);
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.equal(outline, "solid", `${name} is outlined`);
    }
    assert.deepEqual(quiet(), []);
    await context.close();
  });
}

test("rows are ticked, with Shift all between", async () => {
  const { page, context, quiet } = await signedIn(node);
  await open(page, "/ui/buckets/files/browse");
  for (const key of ["x", "j", "j"]) await page.keyboard.press(key);
  assert.deepEqual(await ticked(page), [], "nothing had the focus");
  assert.ok(await takes(page, "Space"));
  assert.deepEqual(await ticked(page), ["a.txt"]);
  assert.ok(await page.locator("[data-all]").evaluate((box) => box.indeterminate));
  await page.keyboard.press("End");
  await page.keyboard.press("Shift+X");
  assert.deepEqual(await ticked(page), ["a.txt", "b.txt", "c.txt"]);
  assert.equal(await focused(page), "c.txt", "the focus stays");
  // A key that is held is one.
  await page.keyboard.down("x");
  await page.keyboard.down("x");
  await page.keyboard.up("x");
  assert.deepEqual(await ticked(page), ["a.txt", "b.txt"]);
  await page.click('input[value="b.txt"]');
  await page.keyboard.press("j");
  assert.equal(await focused(page), "c.txt", "a box that was clicked is in its row");
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("a folder is opened, and left for the one above", async () => {
  const { page, context } = await signedIn(node);
  await open(page, "/ui/buckets/files/browse");
  for (const key of ["u", "Backspace"]) {
    assert.equal(await takes(page, key), false, "nothing is above a bucket");
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/browse?prefix=folder%2F");
    await ready(page);
    for (const name of ["..", "inner.txt"]) {
      await page.keyboard.press("j");
      assert.equal(await focused(page), name);
    }
    await page.keyboard.press(key);
    await page.waitForURL(root);
    await ready(page);
  }
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/object?key=c.txt");
  await context.close();
});

test("what is typed stays what it is", async () => {
  const { page, context, quiet } = await signedIn(node);
  await open(page, "/ui/buckets/files/browse?prefix=folder%2F");
  const { search } = new URL(page.url());
  await page.keyboard.press("/");
  await page.keyboard.type("jux /?");
  const field = page.locator("main input[type=search]");
  assert.equal(await field.inputValue(), "jux /?");
  await page.keyboard.press("Home");
  await page.keyboard.press("End");
  await page.keyboard.press("Backspace");
  assert.equal(await field.inputValue(), "jux /");
  assert.ok(await field.evaluate((input) => input === document.activeElement));
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.equal(new URL(page.url()).search, search);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("what is not for the list is left to the browser", async () => {
  const { page, context } = await signedIn(node);
  await open(page, "/ui/buckets/files/browse");
  for (const key of ["Shift+ArrowDown", "Control+ArrowDown", "Alt+x"]) {
    assert.equal(await takes(page, key), false, key);
    assert.ok(await isNowhere(page), key);
  }
  assert.ok(await takes(page, "j"));
  for (const key of ["ArrowUp", "Home"]) assert.equal(await takes(page, key), false, `${key} on the first row`);
  await page.locator("tbody td.actions a").first().focus();
  assert.equal(await takes(page, "Space"), false, "it is not the row that has the focus");
  await page.locator(".side nav a").first().focus();
  assert.equal(await takes(page, "j"), false, "nor is it the list");
  await open(page, "/ui/buckets/files/browse?q=no-such-key");
  for (const key of ["ArrowDown", "End", "x"]) assert.equal(await takes(page, key), false, `${key} without rows`);
  assert.equal(await takes(page, "Space"), false, "nothing has the focus");
  assert.ok(await takes(page, "/"));
  await page.goto(`${node.console}/ui/settings`);
  await page.waitForLoadState("networkidle");
  for (const key of ["ArrowDown", "j", "?"]) assert.equal(await takes(page, key), false, `${key} on another page`);
  await context.close();
});

test("deleted objects have no links: their boxes get the focus", async () => {
  const { page, context } = await signedIn(node);
  await open(page, "/ui/buckets/kept/browse?show=deleted");
  await page.keyboard.press("j");
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.evaluate(() => document.activeElement.value), "lost.txt");
  await page.keyboard.press("Space");
  assert.deepEqual(await ticked(page), ["lost.txt"]);
  await page.keyboard.press("x");
  assert.deepEqual(await ticked(page), []);
  await context.close();
});

test("other lists have no boxes, and the same keys", async () => {
  const { page, context, quiet } = await signedIn(node);
  await open(page, "/ui/buckets");
  await page.keyboard.press("End");
  assert.equal(await focused(page), "other");
  for (const key of ["x", "Space"]) assert.equal(await takes(page, key), false, key);
  await page.keyboard.press("Home");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/ui/buckets/files/browse");
  await open(page, "/ui/iam");
  await page.keyboard.press("j");
  assert.equal(await page.evaluate(() => document.activeElement.closest("tbody th") !== null), true);
  assert.deepEqual(quiet(), []);
  await context.close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`the keys are told, and letters can be left alone: ${colorScheme}`, async () => {
    const { page, context, quiet } = await signedIn(node, { colorScheme, viewport: { width: 360, height: 740 } });
    await open(page, "/ui/buckets/files/browse");
    await page.keyboard.press("j");
    await page.keyboard.press("?");
    const dialog = page.getByRole("dialog", { name: "Keyboard" });
    await dialog.waitFor();
    await page.keyboard.press("j");
    // By the protocol of the debugger, which the page's policy does not concern.
    await page.evaluate(axe.source);
    const found = await page.evaluate(() => globalThis.axe.run(document.querySelector("dialog")));
    assert.deepEqual(found.violations.map((violation) => `${violation.id}: ${violation.help}`), []);
    const { x, width } = await dialog.boundingBox();
    assert.ok(x >= 0 && x + width <= 360, `${x} + ${width}`);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    assert.equal(await focused(page), "folder/", "the row has the focus again");
    await page.click("[data-shortcuts]");
    await dialog.getByRole("checkbox").uncheck();
    await dialog.getByRole("button").click();
    await dialog.waitFor({ state: "hidden" });
    await open(page, "/ui/buckets/files/browse");
    for (const key of ["j", "x", "u", "/", "?"]) assert.equal(await takes(page, key), false, key);
    assert.ok(await takes(page, "ArrowDown"));
    assert.ok(await takes(page, "Space"));
    assert.deepEqual(await ticked(page), ["folder/"]);
    assert.deepEqual(quiet(), []);
    await context.close();
  });
}

test("on a phone rows are cards, and none that has the focus is below the bar", async () => {
  const { page, context } = await signedIn(node, { viewport: { width: 360, height: 740 } });
  await open(page, "/ui/buckets/other/browse");
  await page.keyboard.press("End");
  for (let at = 28; at >= 10; at -= 1) {
    await page.keyboard.press("k");
    assert.equal(await focused(page), `${at}.txt`);
    const [top, bar] = await page.evaluate(() => [document.activeElement, document.querySelector(".bar")]
      .map((element, which) => element.getBoundingClientRect()[which === 0 ? "top" : "bottom"]));
    assert.ok(top >= bar, `${at}.txt is at ${top}, the bar ends at ${bar}`);
  }
  await page.keyboard.press("x");
  assert.deepEqual(await ticked(page), ["10.txt"]);
  await context.close();
});
