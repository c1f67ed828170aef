//! Properties, lifecycle rules, documents and permissions of a bucket.

use myfsio::console::route::Role;
use serde_json::Value;

use crate::browser::{Browser, Shown};
use crate::world;

const PAGE: &str = "/ui/buckets/shared/properties";

async fn save(browser: &Browser, setting: &str, fields: &[(&str, &str)]) -> Shown {
    let page = browser.get(PAGE).await;
    browser.submit(&page, &format!("/ui/buckets/shared/{setting}"), fields).await
}

#[actix_rt::test]
async fn versioning_encryption_tags_and_website() {
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true")]);
    let admin = world::browser(&node, Role::Admin).await;
    let told = |sub: &str| node.node.ask("GET", &format!("/shared?{sub}"), &[], b"").text();
    assert_eq!(save(&admin, "versioning", &[("status", "Enabled")]).await.location(), PAGE);
    assert!(told("versioning").contains("<Status>Enabled</Status>"));
    assert_eq!(save(&admin, "versioning", &[("status", "Suspended")]).await.location(), PAGE);
    assert!(told("versioning").contains("<Status>Suspended</Status>"));

    let done = save(&admin, "encryption", &[("algorithm", "AES256")]).await;
    assert_eq!(done.location(), PAGE, "{}", done.text);
    assert!(told("encryption").contains("<SSEAlgorithm>AES256</SSEAlgorithm>"));
    assert_eq!(admin.get(PAGE).await.form("/ui/buckets/shared/encryption")["algorithm"], "AES256");
    assert_eq!(save(&admin, "encryption", &[("algorithm", "none")]).await.location(), PAGE);
    assert!(!told("encryption").contains("<SSEAlgorithm>"));

    assert_eq!(save(&admin, "bucket-tags", &[("tags", "team=a b\nempty\n")]).await.location(), PAGE);
    let tags = told("tagging");
    assert!(tags.contains("<Value>a b</Value>") && tags.contains("<Key>empty</Key>"), "{tags}");
    assert_eq!(admin.get(PAGE).await.form("/ui/buckets/shared/bucket-tags")["tags"].trim(), "team=a b\nempty=");
    assert_eq!(save(&admin, "bucket-tags", &[("tags", "")]).await.location(), PAGE);
    assert!(told("tagging").contains("NoSuchTagSet"));

    assert_eq!(save(&admin, "website", &[("index", "index.html"), ("error", "404.html")]).await.location(), PAGE);
    assert!(told("website").contains("<Suffix>index.html</Suffix>"));
    assert_eq!(save(&admin, "website", &[("index", "")]).await.location(), PAGE);
    assert!(told("website").contains("NoSuchWebsiteConfiguration"));
}

#[actix_rt::test]
async fn a_website_that_redirects() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let told = || node.node.ask("GET", "/shared?website", &[], b"").text();
    let to_host = [("host", "www.example.com"), ("protocol", "https")];
    assert_eq!(save(&admin, "website", &to_host).await.location(), PAGE);
    assert!(told().contains("<HostName>www.example.com</HostName><Protocol>https</Protocol>"), "{}", told());
    let form = admin.get(PAGE).await.form("/ui/buckets/shared/website");
    assert_eq!((form["host"].as_str(), form["protocol"].as_str()), ("www.example.com", "https"));
    let both = save(&admin, "website", &[("index", "index.html")]).await;
    assert_eq!(both.status, 400, "what does not go together is refused: {}", both.text);
    assert_eq!(save(&admin, "website", &[("host", "two words")]).await.status, 400);
    assert_eq!(save(&admin, "website", &[("host", "")]).await.location(), PAGE);
    assert!(told().contains("NoSuchWebsiteConfiguration"));

    // Rules are set as a document, and stay when the form is saved.
    let (address, action) = ("/ui/buckets/shared/document?name=website", "/ui/buckets/shared/document");
    assert!(admin.get(PAGE).await.attributes("#website a", "href").contains(&address.to_owned()));
    let page = admin.get(address).await;
    let example = page.texts("details pre").join("");
    assert_eq!(admin.submit(&page, action, &[("document", &example)]).await.location(), PAGE);
    assert!(admin.get(PAGE).await.texts("#website .hint").join("").contains("1 redirect rules"));
    assert_eq!(save(&admin, "website", &[("error", "404.html")]).await.location(), PAGE);
    let now = told();
    assert!(now.contains("<Key>404.html</Key>") && now.contains("<KeyPrefixEquals>docs/<"), "{now}");
}

#[actix_rt::test]
async fn access_logs_go_into_another_bucket() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let told = || node.node.ask("GET", "/shared?logging", &[], b"").text();
    node.node.create_bucket("closed");
    assert_eq!(node.node.ask("PUT", "/logs", &[("x-amz-acl", "log-delivery-write")], b"").status, 200);
    for target in ["", "closed", "missing"] {
        let refused = save(&admin, "logging", &[("enabled", "on"), ("target", target)]).await;
        assert_eq!(refused.status, 400, "{target}: {}", refused.text);
    }
    let fields = [("enabled", "on"), ("target", "logs"), ("prefix", "access/")];
    let done = save(&admin, "logging", &fields).await;
    assert_eq!(done.location(), PAGE, "{}", done.text);
    assert!(told().contains("<TargetBucket>logs</TargetBucket><TargetPrefix>access/</TargetPrefix>"), "{}", told());
    let page = admin.get(PAGE).await;
    let form = page.form("/ui/buckets/shared/logging");
    assert_eq!((form["enabled"].as_str(), form["target"].as_str()), ("on", "logs"));
    assert!(page.texts("#logging h2").join("").contains("On"), "{}", page.text);

    // What the form does not show stays.
    let partitioned = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>a/</TargetPrefix>\
        <TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix>\
        </TargetObjectKeyFormat></LoggingEnabled></BucketLoggingStatus>";
    assert_eq!(node.node.ask("PUT", "/shared?logging", &[], partitioned.as_bytes()).status, 200);
    assert_eq!(save(&admin, "logging", &[("prefix", "b/")]).await.location(), PAGE);
    let now = told();
    assert!(now.contains("<TargetPrefix>b/</TargetPrefix>") && now.contains("EventTime"), "{now}");

    assert_eq!(save(&admin, "logging", &[("enabled", "")]).await.location(), PAGE);
    assert!(!told().contains("LoggingEnabled"));
    let reader = world::browser(&node, Role::Reader).await.get(PAGE).await;
    assert!(reader.attributes("#logging form", "action").is_empty());
}

#[actix_rt::test]
async fn a_quota_is_seen_by_all_and_set_by_administrators() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let done = save(&admin, "quota", &[("max_mb", "3"), ("max_objects", "10"), ("do", "update")]).await;
    assert_eq!(done.location(), PAGE);
    let told = node.node.ask("GET", "/shared?quota", &[], b"").text();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["quota"]["max_bytes"], &told["quota"]["max_objects"]), (&3_145_728.into(), &10.into()), "{told}");
    for role in [Role::Reader, Role::Writer, Role::Replicator] {
        let page = world::browser(&node, role).await.get(PAGE).await;
        let card = page.texts("#quota").join("");
        assert!(card.contains("of 3.00 MiB") && card.contains("of 10 (10 %)"), "{role:?} {card}");
        assert!(page.texts("#quota form").is_empty(), "{role:?}");
    }
    assert_eq!(save(&admin, "quota", &[("max_mb", "x"), ("do", "update")]).await.status, 400);
    // Well below it nobody is warned; from 80 % on all who see the bucket are.
    assert!(!admin.get("/ui").await.text.contains("of the quota of objects"));
    assert_eq!(save(&admin, "quota", &[("max_objects", "1"), ("do", "update")]).await.location(), PAGE);
    for role in [Role::Admin, Role::Reader] {
        let home = world::browser(&node, role).await.get("/ui").await;
        assert!(
            home.texts("li a").contains(&"shared: 100 % of the quota of objects is used".to_owned()),
            "{}",
            home.text
        );
    }
    assert_eq!(save(&admin, "quota", &[("do", "remove")]).await.location(), PAGE);
    assert!(!admin.get("/ui").await.text.contains("of the quota of objects"));
    assert!(admin.get(PAGE).await.texts("#quota").join("").contains("no limit"));
}

#[actix_rt::test]
async fn nobody_saves_over_what_they_have_not_seen() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let old = admin.get(PAGE).await;
    assert_eq!(save(&admin, "quota", &[("max_mb", "1")]).await.status, 303);
    let late = admin.submit(&old, "/ui/buckets/shared/quota", &[("max_mb", "2")]).await;
    assert_eq!(late.status, 409);
    assert!(late.texts("h1").join("").contains("changed meanwhile"));
    // Another setting is not what has changed.
    assert_eq!(admin.submit(&old, "/ui/buckets/shared/versioning", &[("status", "Enabled")]).await.status, 303);
}

#[actix_rt::test]
async fn of_two_who_save_at_once_one_comes_too_late() {
    let node = world::node();
    let (one, two) = (world::browser(&node, Role::Admin).await, world::browser(&node, Role::Admin).await);
    let action = "/ui/buckets/shared/quota";
    for round in 0..6 {
        let (first, second) = (one.get(PAGE).await, two.get(PAGE).await);
        let sizes = [1, 2].map(|more| (2 * round + more).to_string());
        let [mine, theirs] = sizes.each_ref().map(|size| [("max_mb", size.as_str()), ("do", "update")]);
        let taken = world::taken_of(action, (&one, &first, &mine), (&two, &second, &theirs)).await;
        assert_eq!(one.get(PAGE).await.form(action)["max_mb"], sizes[taken]);
    }
}

#[actix_rt::test]
async fn documents_are_edited_as_they_are() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let (address, action) = ("/ui/buckets/shared/document?name=cors", "/ui/buckets/shared/document");
    let page = admin.get(address).await;
    let document = page.texts("details pre").join("");
    let done = admin.submit(&page, action, &[("document", &document)]).await;
    assert_eq!(done.location(), PAGE, "{}", done.text);
    let page = admin.get(address).await;
    let shown = page.form(action)["document"].clone();
    assert!(shown.contains("\n    <AllowedOrigin>https://app.example.com</AllowedOrigin>"), "{shown}");
    let wrong = admin.submit(&page, action, &[("document", "<CORSConfiguration>")]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text.contains("MalformedXML"));
    assert_eq!(admin.submit(&page, action, &[("do", "remove")]).await.location(), PAGE);
    assert_eq!(node.node.ask("GET", "/shared?cors", &[], b"").status, 404);
    assert_eq!(admin.get("/ui/buckets/shared/document?name=policy").await.status, 404);
}

#[actix_rt::test]
async fn lifecycle_rules_are_added_tried_and_removed() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let address = "/ui/buckets/shared/lifecycle";
    let rule = [("id", "old"), ("prefix", "folder/"), ("days", "20"), ("abort_days", "7")];
    let preview = "/ui/buckets/shared/lifecycle/preview";
    let page = admin.get(address).await;
    let mut tried = page.form(address);
    tried.extend(rule.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let fields: Vec<_> = tried.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let seen = admin.post(preview, &fields).await;
    assert_eq!(seen.status, 200);
    assert!(seen.texts("#foreseen tbody tr").join("").contains("folder/a.txt"), "{}", seen.text);
    assert_eq!(seen.form(address)["prefix"], "folder/");

    assert_eq!(admin.submit(&seen, address, &[]).await.location(), address);
    let page = admin.get(address).await;
    assert_eq!(admin.submit(&page, address, &[("id", "two"), ("noncurrent_days", "5")]).await.location(), address);
    let page = admin.get(address).await;
    let rows = page.texts("tbody tr").join("\n");
    assert!(rows.contains("deletes objects after 20 days") && rows.contains("twoeverything"), "{rows}");
    let seen = admin.submit(&page, preview, &[("of", "rules")]).await;
    assert!(seen.texts("#foreseen").join("").contains("In the next 30 days1"));
    let gone = admin.submit(&page, "/ui/buckets/shared/lifecycle/remove", &[("id", "old")]).await;
    assert_eq!(gone.location(), address);
    let left = node.node.ask("GET", "/shared?lifecycle", &[], b"").text();
    assert!(left.contains("<ID>two</ID>") && !left.contains("<ID>old</ID>"), "{left}");
    assert_eq!(admin.submit(&page, address, &[("days", "1")]).await.status, 409);
    let page = admin.get(address).await;
    assert_eq!(admin.submit(&page, address, &[]).await.status, 400);
}

#[actix_rt::test]
async fn a_default_retention() {
    let node = world::node();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    assert_eq!(node.node.ask("PUT", "/locked", &lock, b"").status, 200);
    let admin = world::browser(&node, Role::Admin).await;
    let (address, action) = ("/ui/buckets/locked/properties", "/ui/buckets/locked/object-lock");
    let page = admin.get(address).await;
    assert!(page.texts("#versioning button[name=status]").is_empty(), "it cannot be suspended");
    assert_eq!(admin.submit(&page, action, &[("mode", "GOVERNANCE")]).await.status, 400);
    let fields = [("mode", "GOVERNANCE"), ("period", "2"), ("unit", "Years")];
    let done = admin.submit(&page, action, &fields).await;
    assert_eq!(done.location(), address, "{}", done.text);
    let told = node.node.ask("GET", "/locked?object-lock", &[], b"").text();
    assert!(told.contains("<Mode>GOVERNANCE</Mode><Years>2</Years>"), "{told}");
    let page = admin.get(address).await;
    assert_eq!(admin.submit(&page, action, &[("mode", "none")]).await.location(), address);
}

#[actix_rt::test]
async fn presets_drafts_and_what_they_change() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let address = "/ui/buckets/shared/policy";
    let anonymous = async || {
        let target = format!("http://127.0.0.1:{}/shared/folder/a.txt", node.node.port);
        reqwest::get(target).await.unwrap().status().as_u16()
    };
    assert_eq!(anonymous().await, 403);
    let private = admin.get(address).await;
    assert!(private.texts("#attached").join("").contains("No policy is attached"));

    let public = admin.submit(&private, address, &[("preset", "public")]).await;
    assert_eq!(public.location(), address);
    assert_eq!(anonymous().await, 200);
    let page = admin.get(address).await;
    assert!(page.texts("#attached pre").join("").contains("s3:ListBucket"));
    assert_eq!(admin.submit(&private, address, &[("preset", "private")]).await.status, 409);

    let check = "/ui/buckets/shared/policy/check";
    let nothing = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/secret/*"}]}"#;
    let seen = admin.submit(&page, check, &[("draft", nothing)]).await;
    assert!(seen.texts("#editor tbody").join("").contains("s3:GetObject"), "{}", seen.text);
    assert_eq!(seen.form(check)["draft"].trim(), nothing, "the draft is kept");
    let lines = |kind: &str| seen.texts(&format!("#editor .diff tr.{kind} code")).join(" ");
    assert!(lines("added").contains("\"Deny\"") && lines("removed").contains("s3:ListBucket"), "{}", seen.text);
    for (draft, told) in [("{", "no JSON"), (r#"{"Statement":[{}]}"#, "has a mistake")] {
        let seen = admin.submit(&page, check, &[("draft", draft)]).await;
        assert!(seen.texts("#editor .banner.bad").join("").contains(told), "{draft}");
    }
    assert_eq!(anonymous().await, 200, "checking changes nothing");

    let custom = [("preset", "custom"), ("draft", nothing)];
    assert_eq!(admin.submit(&page, address, &custom).await.location(), address);
    assert_eq!(anonymous().await, 403);
    let page = admin.get(address).await;
    assert_eq!(admin.submit(&page, address, &[("preset", "private")]).await.location(), address);
    assert!(admin.get(address).await.texts("#attached").join("").contains("No policy is attached"));
}

#[actix_rt::test]
async fn what_is_below_a_prefix_is_opened_to_everybody_by_a_form() {
    let node = world::node();
    node.node.put("/shared/public/b.txt", b"open");
    let admin = world::browser(&node, Role::Admin).await;
    let (address, check) = ("/ui/buckets/shared/policy", "/ui/buckets/shared/policy/check");
    let anybody = |target: &str| node.node.ask_as(None, "GET", target, &[], b"").status;
    let page = admin.get(address).await;
    let fields = [("do", "open"), ("prefix", "public/"), ("lists", "1")];
    let drafted = admin.submit(&page, check, &fields).await;
    let draft = drafted.form(check)["draft"].clone();
    assert!(draft.contains("arn:aws:s3:::shared/public/*"), "{draft}");
    assert!(!draft.contains("arn:aws:s3:::shared/*"), "the example is no policy of anybody's: {draft}");
    assert!(drafted.texts("#editor tbody").join("").contains("s3:GetObject"), "{}", drafted.text);
    assert_eq!(anybody("/shared/public/b.txt"), 403, "nothing is applied yet");
    let applied = admin.submit(&drafted, address, &[("preset", "custom"), ("draft", &draft)]).await;
    assert_eq!(applied.location(), address, "{}", applied.text);
    assert_eq!((anybody("/shared/public/b.txt"), anybody("/shared/folder/a.txt")), (200, 403));
    assert_eq!((anybody("/shared?list-type=2&prefix=public/"), anybody("/shared?list-type=2")), (200, 403));
    // A second one stands beside the first.
    let page = admin.get(address).await;
    let more = admin.submit(&page, check, &[("do", "open"), ("prefix", "folder/")]).await;
    let draft = more.form(check)["draft"].clone();
    assert!(draft.contains("shared/public/*") && draft.contains("shared/folder/*"), "{draft}");
}

#[actix_rt::test]
async fn what_old_versions_hold_and_a_rule_for_them_that_is_tried_first() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    assert!(admin.get(PAGE).await.texts("#versioning .keep").is_empty(), "there are no versions");
    assert_eq!(save(&admin, "versioning", &[("status", "Enabled")]).await.location(), PAGE);
    node.node.put("/shared/folder/a.txt", &[0; 2048]);
    node.node.put("/shared/folder/a.txt", b"new");
    let card = admin.get(PAGE).await;
    let told = card.texts("#versioning .old").join("");
    assert!(told.contains("2.00 KiB of what is stored is in old versions: 2 versions"), "{told}");
    let preview = "/ui/buckets/shared/lifecycle/preview";
    let address = "/ui/buckets/shared/lifecycle";
    let seen = admin.submit(&card, preview, &[("noncurrent_days", ""), ("newer_versions", "1")]).await;
    assert!(seen.texts("#foreseen h2").join("").contains("Nothing was removed"), "{}", seen.text);
    assert!(node.node.ask("GET", "/shared?lifecycle", &[], b"").text().contains("NoSuchLifecycle"), "nor set");
    let set = admin.submit(&seen, address, &[]).await;
    assert_eq!(set.location(), address, "{}", set.text);
    let rules = node.node.ask("GET", "/shared?lifecycle", &[], b"").text();
    assert!(rules.contains("<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1<"), "{rules}");
    let card = admin.get(PAGE).await;
    assert!(
        card.texts("#versioning .keep").is_empty() && card.texts("#versioning").join("").contains("A rule removes")
    );
    let reader = world::browser(&node, Role::Reader).await.get(PAGE).await;
    assert!(reader.texts("#versioning .keep").is_empty());
}

#[actix_rt::test]
async fn a_quota_says_when_it_will_be_full() {
    let mut node = world::node();
    node.node.put("/shared/big", &vec![0; 1024 * 1024]);
    let admin = world::browser(&node, Role::Admin).await;
    assert_eq!(save(&admin, "quota", &[("max_mb", "2"), ("max_objects", "2"), ("do", "update")]).await.status, 303);
    let outlooks = admin.get(PAGE).await.texts("#quota .outlook");
    assert_eq!(outlooks, ["Not enough history yet to say when it will be full.", "Full."]);
    let home = admin.get("/ui").await;
    assert!(home.texts("main table small").join("").contains("not enough history yet"), "{}", home.text);

    node.node.stop();
    crate::home::keep_growth(&node.node.root(), 1024 * 1024 + 4, 1_000);
    node.node.restart();
    for role in [Role::Admin, Role::Reader] {
        let page = world::browser(&node, role).await.get(PAGE).await;
        let outlook = page.texts("#quota .outlook").remove(0);
        assert_eq!(outlook, "Full in about 87 days at the rate of the last 7 days.", "{role:?}");
    }
    let home = world::browser(&node, Role::Admin).await.get("/ui").await;
    let grown = home.texts("main table small").join("");
    assert_eq!(grown, "+11.7 KiB in 24 hours · +82.0 KiB in 7 days · +352 KiB in 30 days");
}
