// Pictures of every screen: 360 and 1440 pixels wide, light and dark. `node shots.js FOLDER`

import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { signedIn, start } from "./node.js";

const folder = process.argv[2] ?? "shots";
const only = process.argv[3];
await mkdir(folder, { recursive: true });

/** Thirty days in the life of a node, as it keeps them for its charts. */
async function history(root) {
  const now = Math.floor(Date.now() / 1000);
  const series = [10, 240, 7200].map((seconds) => Array.from({ length: 358 }, (_, index) => {
    const back = (358 - index) * seconds;
    const day = 1 + Math.sin(((now - back) / 86_400) * 2 * Math.PI) / 2;
    const wave = day * (1 + Math.sin(index / 7) / 5 + Math.sin(index * 2.7) / 9);
    const days = 30 - back / 86_400;
    return {
      at: now - back, seconds, requests: Math.round(seconds * 40 * wave), client_errors: Math.round(seconds * 0.6 * wave * (1 + Math.sin(index / 3))),
      server_errors: index % 90 === 41 ? seconds : 0, received: Math.round(seconds * 3e6 * wave), sent: Math.round(seconds * 9e6 * wave * day),
      p50_ms: 0.8 * day, p95_ms: 4 * wave, cpu_seconds: seconds * 0.2 * wave, objects: Math.round(41_000 * (20 + days)),
      bytes: Math.round(1.9e9 * (20 + days + Math.sin(days) / 2)), device_free: Math.round(9e10 - 1.9e9 * days), memory: Math.round(9e7 * (1 + wave / 9)),
    };
  }));
  await mkdir(join(root, ".myfsio.sys"), { recursive: true });
  await writeFile(join(root, ".myfsio.sys/metrics.json"), JSON.stringify({ series }));
  const behind = (seconds) => Array.from({ length: 358 }, (_, index) => {
    const late = Math.max(0, Math.sin(index / 23)) ** 3;
    return [now - (358 - index) * seconds, Math.round(42_000 * late), Math.round(1_900 * late + 4 * (1 + Math.sin(index * 2.1)))];
  });
  const buckets = { photos: { hour: behind(10), day: behind(240) } };
  await writeFile(join(root, ".myfsio.sys/replication_history.json"), JSON.stringify({ buckets }));
}

const node = await start({ ENCRYPTION_ENABLED: "true", KMS_ENABLED: "true" }, history);
const put = (path, body, headers) => node.s3("PUT", path, body, headers);
await put("/photos");
await put("/photos?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
await put("/website");
await put("/bucket-policy/website", JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: "*", Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::website/*"] }] }));
await put("/empty-bucket");
for (let at = 0; at < 24; at += 1) await put(`/photos/2026/holiday/IMG_${1000 + at}.jpg`, Buffer.alloc(3000 * (at + 7)));
const version = async (text) => (await put("/photos/readme.md", text, { "content-type": "text/markdown" })).headers.get("x-amz-version-id");
const older = await version("# Photos\n\nEverything by year, then by occasion.\n");
const newer = await version("# Photos\n\nEverything by year, then by occasion, then by number.\n");
await put("/photos/a rather long key that goes on/and on/and-never-seems-to-come-to-its-end.tar.zst", Buffer.alloc(9000));
await put("/website/index.html", "<h1>Hello</h1>");
await put("/photos/people.parquet", await readFile(join(import.meta.dirname, "../tests/fixtures/people.parquet")));
await node.s3("GET", "/photos/none.jpg");
await node.s3("GET", "/photos/readme.md", undefined, { "x-secret-key": "wrong" });

const post = async (path, body) => (await node.s3("POST", path, JSON.stringify(body))).json();
const { KeyMetadata: { KeyId: key } } = await post("/kms/keys", { alias: "photos", description: "Everything of the shop", tags: [{ TagKey: "team", TagValue: "photos" }] });
await post(`/kms/keys/${key}/rotate`, {});
await put("/photos/sealed.txt", "sealed", { "x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": key });
await put("/copy");
const endpoint = { endpoint_url: node.api, access_key: "localadmin", secret_key: "localadmin" };
const { id: connection } = await post("/_myfsio/replication/connections", { name: "Second site", ...endpoint });
const rule = (bucket, target) => put(`/_myfsio/replication/rules/${bucket}`, JSON.stringify({ target_connection_id: connection, target_bucket: target, mode: "all" }));
await rule("photos", "copy");
await rule("website", "not-there");
const order = (body) => node.s3("POST", "/_myfsio/jobs", JSON.stringify(body)).then((answer) => answer.json());
await put("/photos/gone.txt", "gone");
const job = await order({ action: "copy", bucket: "photos", prefixes: ["2026/"], from: "2026/", to: "archive/2026/" });
const denied = await order({ action: "delete", bucket: "photos", keys: ["gone.txt"], versions: true });
await node.s3("POST", "/_myfsio/iam/groups", JSON.stringify({ name: "photographers" }));
await put("/_myfsio/iam/groups/photographers/attached/arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAdministratorAccess");
const { user_id: user } = await post("/_myfsio/iam/users", { display_name: "Ann", policies: [{ bucket: "photos", actions: ["list", "read"] }] });
const cors = "<CORSConfiguration><CORSRule><AllowedOrigin>https://app.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>";
await put("/photos?cors", cors, { "content-md5": createHash("md5").update(cors).digest("base64") });

await put("/locked", undefined, { "x-amz-bucket-object-lock-enabled": "true" });
await put("/locked/contract.txt", "signed", { "content-md5": createHash("md5").update("signed").digest("base64"), "x-amz-object-lock-legal-hold": "ON" });

await post("/_myfsio/scrub", {});

const screens = {
  login: "/ui/login",
  dashboard: "/ui?range=30d",
  buckets: "/ui/buckets",
  browse: "/ui/buckets/photos/browse",
  folder: "/ui/buckets/photos/browse?prefix=2026%2Fholiday%2F",
  empty: "/ui/buckets/empty-bucket/browse",
  object: "/ui/buckets/photos/object?key=readme.md",
  compare: `/ui/buckets/photos/compare?key=readme.md&version=${older}&other=${newer}`,
  parquet: "/ui/buckets/photos/object?key=people.parquet",
  go: "/ui/buckets",
  "delete-bucket": "/ui/buckets/empty-bucket/delete",
  error: "/ui/buckets/none/browse",
  account: "/ui/account",
  sessions: "/ui/sessions",
  transfer: "/ui/transfer",
  user: `/ui/iam/${user}`,
  permissions: `/ui/iam/${user}/permissions`,
  create: "/ui/buckets/create",
  locked: "/ui/buckets/locked/object?key=contract.txt",
  backups: "/ui/backups",
  policy: "/ui/buckets/website/policy",
  lifecycle: "/ui/buckets/photos/lifecycle",
  uploads: "/ui/buckets/photos/uploads",
  iam: "/ui/iam",
  metrics: "/ui/metrics",
  requests: "/ui/requests",
  audit: "/ui/audit",
  why: "/ui/why",
  simulate: "/ui/simulate",
  connections: "/ui/connections",
  connection: `/ui/connections/${connection}`,
  replication: "/ui/buckets/photos/replication",
  "replication-failed": "/ui/buckets/website/replication",
  "replication-none": "/ui/buckets/empty-bucket/replication",
  kms: "/ui/kms",
  "kms-key": `/ui/kms/${key}`,
  settings: "/ui/settings",
  "self-check": "/ui/self-check",
  guide: "/ui/guide",
  integrity: "/ui/integrity",
  trace: "/ui/trace",
  jobs: "/ui/jobs",
  job: `/ui/jobs/${job.id}`,
  "job-deleted": `/ui/jobs/${denied.id}`,
  work: "/ui/buckets/photos/work?item=2026%2F",
  "work-whole": "/ui/buckets/website/work",
  space: "/ui/buckets/photos/space",
  access: "/ui/buckets/website/access",
  cors: "/ui/buckets/photos/cors?origin=https%3A%2F%2Fapp.example.com&method=GET",
  notifications: "/ui/buckets/photos/notifications",
  properties: "/ui/buckets/website/properties",
  groups: "/ui/groups",
  group: "/ui/groups/photographers",
  policies: "/ui/policies",
  "managed-policy": "/ui/policies/policy?arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAdministratorAccess",
};
for (const width of [360, 1440]) {
  for (const colorScheme of ["light", "dark"]) {
    const { page, context } = await signedIn(node, { viewport: { width, height: 900 }, colorScheme });
    for (const [name, address] of Object.entries(screens)) {
      if (only && !name.startsWith(only)) continue;
      if (name === "login") await context.clearCookies();
      await page.goto(node.console + address);
      if (name === "go") {
        await page.keyboard.press("Control+k");
        await page.getByRole("combobox", { name: "Where to?" }).fill("photos");
        await page.getByRole("option", { name: "photos: Properties" }).waitFor();
      }
      await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      if (name === "login") {
        await page.fill("[name=access_key]", "localadmin");
        await page.fill("[name=secret_key]", "localadmin");
        await page.click("button.primary");
      }
    }
    await context.close();
  }
}
await node.stop();
