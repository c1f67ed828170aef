// What axe finds on every screen, in light and dark.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import axe from "axe-core";
import { open, signedIn, start } from "../node.js";

let node;
let screens;
before(async () => {
  node = await start({ ENCRYPTION_ENABLED: "true", KMS_ENABLED: "true" });
  const put = async (path, body, headers) => {
    const answer = await node.s3("PUT", path, body, headers);
    assert.ok(answer.ok, `${path}: ${answer.status}`);
    return answer.headers.get("x-amz-version-id");
  };
  const post = async (path, body) => {
    const answer = await node.s3("POST", path, JSON.stringify(body));
    assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.json();
  };
  await put("/files");
  await put("/copy");
  await put("/files/hello.txt", "hello");
  await put("/files/folder/deep.txt", "deep");
  const { KeyMetadata: { KeyId: key } } = await post("/kms/keys", { alias: "photos" });
  const { user_id: user } = await post("/_myfsio/iam/users", { display_name: "Ann" });
  const { id: connection } = await post("/_myfsio/replication/connections", {
    name: "second site", endpoint_url: node.api, access_key: "localadmin", secret_key: "localadmin" });
  const rule = { target_connection_id: connection, target_bucket: "copy", mode: "new_only" };
  await put("/_myfsio/replication/rules/files", JSON.stringify(rule));
  const refused = await node.s3("GET", "/files/hello.txt", undefined, { "x-secret-key": "wrong" });
  const { id: job } = await post("/_myfsio/jobs", { action: "tag", bucket: "files", prefixes: ["folder/"], tags: { a: "1" } });
  await post("/_myfsio/iam/groups", { name: "team" });
  const statement = { Effect: "Allow", Action: "s3:GetObject", Resource: "*" };
  const { arn: policy } = await post("/_myfsio/iam/policies", { name: "read", document: { Version: "2012-10-17", Statement: [statement] } });
  await put("/_myfsio/iam/groups/team/policies/own", JSON.stringify({ Version: "2012-10-17", Statement: [statement] }));
  await put(`/_myfsio/iam/groups/team/attached/${encodeURIComponent(policy)}`);
  const bucket = "/ui/buckets/files";
  await put("/files/people.parquet", await readFile(join(import.meta.dirname, "../../tests/fixtures/people.parquet")));
  await put("/kept");
  await put("/kept?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
  const [older, newer] = [await put("/kept/a.txt", "one\ntwo\n"), await put("/kept/a.txt", "one\n2\n")];
  screens = ["/ui/buckets/kept/object?key=a.txt", `/ui/buckets/kept/compare?key=a.txt&version=${older}&other=${newer}`, "/ui", "/ui/go", "/ui/go?q=files", `${bucket}/object?key=people.parquet`, "/ui/buckets", "/ui/buckets/create", "/ui/buckets?sort=old", `${bucket}/browse`, `${bucket}/browse?sort=size`, `${bucket}/browse?q=hello`, `${bucket}/object?key=hello.txt`, `${bucket}/uploads`,
    `${bucket}/delete`, `${bucket}/properties`, `${bucket}/policy`, `${bucket}/lifecycle`, `${bucket}/document?name=cors`,
    `${bucket}/replication`, "/ui/buckets/copy/replication", "/ui/connections", `/ui/connections/${connection}`, "/ui/kms", `/ui/kms/${key}`,
    "/ui/iam", `/ui/iam/${user}`, `/ui/iam/${user}/permissions`, "/ui/metrics", "/ui/requests", "/ui/trace", "/ui/audit", "/ui/why",
    `/ui/why?request_id=${refused.headers.get("x-amz-request-id")}`, "/ui/simulate", "/ui/settings", "/ui/self-check", "/ui/integrity", "/ui/backups", "/ui/guide",
    "/ui/account", "/ui/sessions", "/ui/transfer", "/ui/none",
    "/ui/jobs", `/ui/jobs/${job}`, `${bucket}/work`, `${bucket}/work?item=folder%2F`, `${bucket}/space`, `${bucket}/encrypted`, `${bucket}/access`, `${bucket}/cors`,
    `${bucket}/notifications`, "/ui/groups", "/ui/groups/team", "/ui/policies", `/ui/policies/policy?arn=${encodeURIComponent(policy)}`];
});
after(() => node.stop());

/** What is serious or worse, told briefly. */
async function findings(page, rules) {
  // By the protocol of the debugger, which the page's policy does not concern.
  await page.evaluate(axe.source);
  const runOnly = rules ? { type: "rule", values: rules } : { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] };
  const options = { resultTypes: ["violations"], runOnly };
  const { violations } = await page.evaluate((wanted) => globalThis.axe.run(document, wanted), options);
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return grave.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((found) => found.html.slice(0, 160)).join(" | ")}`);
}

/** Opens every screen; answers what is wrong with each. */
async function wrongOf(options, wrongOn) {
  const stranger = await open(node, { ...options, bypassCSP: true });
  await stranger.page.goto(`${node.console}/ui/login`);
  const wrong = (await wrongOn(stranger.page)).map((finding) => `login: ${finding}`);
  await stranger.context.close();
  const { page, context } = await signedIn(node, { ...options, bypassCSP: true });
  // Two pages at once, each with every second screen.
  await Promise.all([page, await context.newPage()].map(async (own, half) => {
    for (const screen of screens.filter((_, at) => at % 2 === half)) {
      await own.goto(node.console + screen);
      for (const finding of await wrongOn(own)) wrong.push(`${screen}: ${finding}`);
    }
  }));
  await context.close();
  return wrong;
}

test("nothing serious on any screen", async () => {
  assert.deepEqual(await wrongOf({ colorScheme: "light" }, (page) => findings(page)), []);
});

test("dark, and on a phone: contrast, and nothing is wider", async () => {
  const options = { colorScheme: "dark", viewport: { width: 360, height: 740 } };
  assert.deepEqual(await wrongOf(options, async (page) => {
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    const wide = width > 360 ? [`${width} pixels wide`] : [];
    // What is read on a screen is on it: nothing within scrolls sideways either.
    const within = await page.evaluate(() => [...document.querySelectorAll("main *")]
      .filter((element) => element.scrollWidth > element.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(element).overflowX))
      .map((element) => `${element.tagName}.${element.className} scrolls sideways`));
    return [...wide, ...within, ...await findings(page, ["color-contrast"])];
  }), []);
});
