//! Settings, self-check and guide.

use myfsio::console::route::Role;
use serde_json::Value;

use crate::browser::eventually;
use crate::support::ADMIN;
use crate::world;

#[actix_rt::test]
async fn settings_are_told_with_their_source_and_without_secrets() {
    let node = world::node_with(&[("METRICS_TOKEN", "hunter2-hunter2-hunter2"), ("UI_PAGE_SIZE", "7")]);
    let admin = world::browser(&node, Role::Admin).await;
    let all = admin.get("/ui/settings").await;
    let row = |name: &str| all.texts(&format!("#{name}")).remove(0);
    assert!(row("UI_PAGE_SIZE").contains("7environment"), "{}", row("UI_PAGE_SIZE"));
    assert!(row("METRICS_TOKEN").contains("********") && !all.text.contains("hunter2"));
    assert!(row("AWS_SERVICE").contains("s3default"));
    let changed = admin.get("/ui/settings?changed=on").await;
    assert!(changed.texts("#UI_PAGE_SIZE").len() == 1 && changed.texts("#AWS_SERVICE").is_empty());
    let reply = node.node.ask("GET", "/_myfsio/settings", &[], b"");
    assert!(!reply.text().contains("hunter2"));
    let told: Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(told["settings"].as_array().unwrap().len(), all.texts("tbody tr").len());
}

#[actix_rt::test]
async fn the_self_check_tells_what_is_wrong_and_what_to_do() {
    let node = world::node_with(&[("DURABILITY", "relaxed")]);
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get("/ui/self-check").await;
    let card = |id: &str| page.texts(&format!("#{id}")).join("");
    assert!(card("durability").contains("Better otherwise") && card("durability").contains("DURABILITY=strict"));
    assert!(card("administrator").contains("Mend this"), "{}", card("administrator"));
    assert!(card("data-folder").contains("can be written"));
    // What is worst stands first.
    assert!(page.texts(".checks > li")[0].contains("Mend this"));
    // A file that is edited badly is told.
    let iam = node.node.root().join(".myfsio.sys/config/iam.json");
    let good = std::fs::read(&iam).unwrap();
    std::fs::write(&iam, b"{ no json").unwrap();
    let checked =
        || -> Value { serde_json::from_str(&node.node.ask("GET", "/_myfsio/self-check", &[], b"").text()).unwrap() };
    crate::browser::eventually("the broken file is noticed", async || {
        let told = checked();
        let files = told["checks"].as_array().unwrap().iter().find(|check| check["id"] == "files").unwrap().clone();
        files["verdict"] == "bad" && files["found"].as_str().unwrap().contains("iam.json")
    })
    .await;
    std::fs::write(&iam, good).unwrap();
    assert_eq!(checked()["verdict"], "bad");
    let left: Vec<_> = std::fs::read_dir(node.node.root().join(".myfsio.sys")).unwrap().collect();
    assert!(left.iter().all(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("self-check")));
    for path in ["/_myfsio/settings", "/_myfsio/self-check"] {
        let reader = Some(("reader", "reader-secret"));
        assert_eq!(node.node.ask_as(reader, "GET", path, &[], b"").status, 403, "{path}");
        assert_eq!(node.node.ask_as(Some(ADMIN), "POST", path, &[], b"").status, 405, "{path}");
    }
}

#[actix_rt::test]
async fn what_is_stored_is_verified_and_damage_is_told() {
    let node = world::node_with(&[("SCRUB_BYTES_PER_SECOND", "0")]);
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get("/ui/integrity").await;
    assert!(
        page.text.contains("No damage was found") && page.text.contains("It runs every 30\u{a0}days"),
        "{}",
        page.text
    );
    node.node.put("/shared/big.bin", &[7; 200_000]);
    let file = node.node.root().join("shared/big.bin");
    eventually("the file is at its place", || async { file.exists() }).await;
    let mut bytes = std::fs::read(&file).unwrap();
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    bytes[100_000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    std::fs::File::open(&file).unwrap().set_modified(modified).unwrap();
    let begun = admin.submit(&page, "/ui/integrity", &[("bucket", "shared")]).await;
    assert_eq!((begun.status, begun.location()), (303, "/ui/integrity"));
    eventually("the run ends", || async { admin.get("/ui/integrity").await.texts("#findings tbody tr").len() == 1 })
        .await;
    eventually("it is told", || async { admin.get("/ui/integrity").await.text.contains("Damaged") }).await;
    let page = admin.get("/ui/integrity").await;
    assert!(page.texts("#findings").join("").contains("shared/big.bin"), "{}", page.text);
    assert!(page.attributes("#findings a", "href")[0].starts_with("/ui/buckets/shared/object?key=big.bin"));
    let home = admin.get("/ui").await;
    let worth_a_look = home.texts("main a[href='/ui/integrity']").join("");
    assert!(worth_a_look.contains("1 thing is damaged"), "{worth_a_look}");
    // A second run over an empty bucket finds nothing, and stands before the first one.
    node.node.create_bucket("empty");
    let page = admin.get("/ui/integrity").await;
    assert_eq!(admin.submit(&page, "/ui/integrity", &[("bucket", "empty")]).await.status, 303);
    let runs = async || admin.get("/ui/integrity").await.texts("#runs tbody tr");
    eventually("the second run ends", async || runs().await.len() == 2).await;
    let runs = runs().await;
    assert!(runs[0].contains("empty") && runs[1].contains("shared"), "{runs:?}");
    let figures = admin.ask("GET", "/ui/integrity", &[("accept", "application/json")], None).await;
    assert!(figures.text.contains("\"stamp\""), "{}", figures.text);
}

#[actix_rt::test]
async fn the_guide_has_the_nodes_own_address() {
    let node = world::node();
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get("/ui/guide").await;
    let endpoint = node.node.endpoint();
    for program in ["aws", "boto3", "mc", "rclone", "curl"] {
        assert!(page.texts(&format!("#command-{program}")).join("").contains(&endpoint), "{program}");
    }
    assert!(page.texts("#guide-credentials").join("").contains("AWS_ACCESS_KEY_ID=reader"));
    assert!(!page.text.contains("reader-secret") && !page.text.contains("/ui/self-check"));
}

#[actix_rt::test]
async fn backups_are_listed_and_their_commands_stand_there() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let none = admin.get("/ui/backups").await;
    assert!(none.text.contains("No backup is known here") && none.texts("tbody tr").is_empty());
    assert_eq!(none.texts("#backup-create"), ["myfsio backup create /backups"]);
    let directory = node.node.root().with_file_name("kept backups");
    let made = node.node.run(&["backup", "create", directory.to_str().unwrap(), "--include-secret-key", "--json"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let manifest: Value = serde_json::from_slice(&made.stdout).unwrap();
    let page = admin.get("/ui/backups").await;
    let rows = page.texts("tbody tr");
    assert!(rows.len() == 1 && rows[0].contains(manifest["id"].as_str().unwrap()), "{rows:?}");
    assert!(rows[0].contains("1 bucket,") && rows[0].contains("Secret key") && rows[0].contains("All of them"));
    assert!(!rows[0].contains("Master key"), "{rows:?}");
    assert_eq!(page.texts("#backup-create"), [format!("myfsio backup create '{}'", directory.display())]);
    // What has gone since is told, and is no failure of the page.
    std::fs::create_dir(directory.join("20260101T000000Z.incomplete")).unwrap();
    assert!(admin.get("/ui/backups").await.texts(".banner").join("").contains("did not end"));
    std::fs::remove_dir_all(&directory).unwrap();
    let gone = admin.get("/ui/backups").await;
    assert!(gone.texts("tbody tr").is_empty() && gone.texts(".banner").join("").contains("kept backups"));
    let reader = world::browser(&node, Role::Reader).await;
    assert_eq!(reader.get("/ui/backups").await.status, 403);
}
