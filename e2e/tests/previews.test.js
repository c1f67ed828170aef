// Previews of PDF files, by an origin of their own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, signedIn, start } from "../node.js";

/** A PDF of one empty page. */
function pdf() {
  const objects = ["<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100] >>"];
  let text = "%PDF-1.4\n";
  const offsets = objects.map((object, at) => {
    const offset = text.length;
    text += `${at + 1} 0 obj\n${object}\nendobj\n`;
    return `${offset}`.padStart(10, "0");
  });
  const table = text.length;
  text += `xref\n0 4\n0000000000 65535 f \n${offsets.map((offset) => `${offset} 00000 n \n`).join("")}`;
  return `${text}trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n${table}\n%%EOF\n`;
}

let node;
before(async () => {
  node = await start((uiPort) => ({ CONSOLE_PREVIEW_ORIGIN: `http://localhost:${uiPort}` }));
  await node.s3("PUT", "/files");
  await node.s3("PUT", "/files/paper.pdf", pdf(), { "content-type": "application/pdf" });
  const script = "<script>parent.document.title='run';document.title='run'</script>";
  await node.s3("PUT", "/files/evil.pdf", script, { "content-type": "text/html" });
});
after(() => node.stop());

const object = (key) => `${node.console}/ui/buckets/files/object?key=${key}`;

test("a PDF is shown within the page, by the other origin", async () => {
  const { page, context, quiet } = await signedIn(node);
  const answers = [];
  page.on("response", (answer) => answers.push([new URL(answer.url()).origin, answer.status()]));
  await page.goto(object("paper.pdf"));
  const other = new URL(node.console);
  other.hostname = "localhost";
  const frame = await (await page.waitForSelector(".preview iframe")).contentFrame();
  await frame.waitForLoadState();
  assert.ok(frame.url().startsWith(`${other.origin}/preview/`), frame.url());
  // The browser's viewer is a frame of its own, which only a PDF has that was let in.
  await eventually("the viewer", () => page.frames().some((viewer) => viewer.url().startsWith("chrome-extension:")));
  assert.ok(answers.some(([origin, status]) => origin === other.origin && status === 200), JSON.stringify(answers));
  assert.deepEqual(await context.cookies(other.origin), []);
  assert.deepEqual(quiet(), []);
  await context.close();
});

test("what only claims to be a PDF runs nothing", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(object("evil.pdf"));
  const frame = await (await page.waitForSelector(".preview iframe")).contentFrame();
  await frame.waitForLoadState();
  assert.notEqual(await page.title(), "run");
  assert.notEqual(await frame.title(), "run");
  await context.close();
});

test("another site cannot show a preview", async () => {
  const { page, context } = await signedIn(node);
  await page.goto(object("paper.pdf"));
  const address = await page.getAttribute(".preview iframe", "src");
  await page.route("http://elsewhere.test/", (route) => route.fulfill({ contentType: "text/html", body: `<iframe src="${address}"></iframe>` }));
  await page.goto("http://elsewhere.test/");
  const frame = await (await page.waitForSelector("iframe")).contentFrame();
  await frame.waitForLoadState();
  assert.ok(!frame.url().startsWith(address), frame.url());
  await context.close();
});
