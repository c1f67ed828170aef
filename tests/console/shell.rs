//! What is around every page.

use crate::support::ADMIN;
use crate::world;
use myfsio::console::route::Role;
use myfsio_actors::names::Stamp;

#[actix_rt::test]
async fn doors() {
    let node = world::node();
    let browser = node.browser();
    assert_eq!(browser.get("/").await.location(), "/ui");
    let health = browser.get("/healthz").await;
    let told: serde_json::Value = serde_json::from_str(&health.text).unwrap();
    assert_eq!((health.status, told["status"].as_str()), (200, Some("ok")));
    assert_eq!(browser.get("/ui/none").await.status, 404);
    assert_eq!(browser.get("/shared/folder/a.txt").await.status, 404, "the console's port is not the API's");
    let other = browser.ask("DELETE", "/ui/login", &[], None).await;
    assert_eq!((other.status, other.header("allow")), (405, "GET, POST"));
}

#[actix_rt::test]
async fn assets_are_kept_for_good_and_small() {
    let node = world::node();
    let browser = node.browser();
    let page = browser.get("/ui/login").await;
    let style = page.attributes("link[rel=stylesheet]", "href").remove(0);
    let shown = browser.ask("GET", &style, &[("accept-encoding", "gzip")], None).await;
    assert!(shown.header("cache-control").contains("immutable"));
    assert_eq!(shown.header("content-encoding"), "gzip");
    assert_eq!(browser.get("/ui/static/x/../../etc/passwd").await.status, 404);
}

#[actix_rt::test]
async fn the_first_page_is_within_its_budget() {
    let node = world::node();
    let (stranger, admin) = (node.browser(), node.signed_in(ADMIN).await);
    for (browser, first) in [(&stranger, "/ui/login"), (&admin, "/ui")] {
        let page = browser.get(first).await;
        let mut addresses = page.attributes("link[rel=stylesheet], link[rel=icon]", "href");
        addresses.extend(page.attributes("script[src]", "src"));
        addresses.extend(
            page.attributes("svg use", "href").iter().take(1).map(|icon| icon.split('#').next().unwrap().to_owned()),
        );
        addresses.push(first.to_owned());
        assert!(addresses.len() >= 4, "{addresses:?}");
        let mut bytes = 0;
        for address in addresses {
            let shown = browser.ask("GET", &address, &[("accept-encoding", "gzip")], None).await;
            assert_eq!((shown.status, shown.header("content-encoding")), (200, "gzip"), "{address}");
            bytes += shown.bytes;
        }
        assert!(bytes <= 60_000, "{first}: {bytes} bytes");
    }
}

#[actix_rt::test]
async fn navigation_and_theme() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let home = admin.get("/ui").await;
    assert!(home.texts(".side nav a[aria-current]").contains(&"Dashboard".to_owned()));
    assert!(home.texts(".facts code").contains(&node.node.endpoint()), "the endpoint is the API's");
    assert!(home.texts(".version").join("").contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(home.attributes("html", "data-theme"), ["auto"]);
    admin.submit(&home, "/ui/theme", &[("theme", "dark")]).await;
    assert_eq!(admin.get("/ui").await.attributes("html", "data-theme"), ["dark"]);
    assert!(home.texts(".banner.warn").join("").contains("well-known"), "while the first secret is in force");
    let reader = world::browser(&node, Role::Reader).await.get("/ui").await;
    assert!(!reader.text.contains("well-known"));
}

#[actix_rt::test]
async fn times_are_of_utc_and_say_so() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    for path in ["/ui/buckets", "/ui/requests", "/ui/account"] {
        let page = admin.get(path).await;
        assert_eq!(page.attributes("html", "data-zone"), ["utc"]);
        let times = page.texts("td time[datetime]:not(.by)");
        assert!(!times.is_empty() && times.iter().all(|time| time.ends_with(" UTC")), "{path}: {times:?}");
        for moment in page.attributes("td time", "datetime") {
            assert!(Stamp::parse_rfc3339(&moment).is_some(), "{path}: {moment}");
        }
    }
    let buckets = admin.get("/ui/buckets").await;
    admin.submit(&buckets, "/ui/zone", &[("zone", "local")]).await;
    let local = admin.get("/ui/buckets").await;
    assert_eq!(local.attributes("html", "data-zone"), ["local"]);
    // What is of the browser's zone, only the browser knows.
    assert_eq!(local.texts("td time"), buckets.texts("td time"));
    admin.submit(&buckets, "/ui/zone", &[("zone", "Mars/Olympus")]).await;
    assert_eq!(admin.get("/ui/buckets").await.attributes("html", "data-zone"), ["utc"]);
}

#[actix_rt::test]
async fn a_public_url_gives_links_their_path() {
    let node = crate::browser::ConsoleNode::start(&[("UI_BASE_URL", "http://store.example/fsio")]);
    let browser = node.browser();
    assert_eq!(browser.get("/ui").await.location(), "/fsio/ui/login");
    let page = browser.get("/fsio/ui/login").await;
    assert!(page.attributes("form", "action").contains(&"/fsio/ui/login".to_owned()));
    assert!(page.attributes("link[rel=stylesheet]", "href")[0].starts_with("/fsio/ui/static/"));
}

#[actix_rt::test]
async fn templates_escape_all_they_write() {
    for entry in walk(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))) {
        let text = std::fs::read_to_string(&entry).unwrap();
        for word in
            ["|safe", "| safe", "escape = \"none\"", " style=", " onclick", " onload", "javascript:", "autoescape"]
        {
            assert!(!text.contains(word), "{}: {word}", entry.display());
        }
        assert!(text.lines().count() <= 300, "{} is long", entry.display());
    }
}

#[actix_rt::test]
async fn cells_say_their_column_where_there_is_no_room_for_columns() {
    let between = |text: &str, begin: &str, end: &str| -> Vec<String> {
        let parts = text.split(begin).skip(1);
        parts.map(|part| part.split(end).next().unwrap().to_owned()).collect()
    };
    let mut tables = 0;
    for entry in walk(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"))) {
        for table in between(&std::fs::read_to_string(&entry).unwrap(), "<div class=\"table-frame\"", "</table>") {
            tables += 1;
            let headings = between(&table, "<th scope=\"col\"", "</th>");
            // What stands within another element is only read out: such a cell needs no word.
            let words = headings.iter().filter_map(|it| it.split_once('>')).map(|(_, word)| word);
            let unsaid: Vec<_> = words
                .filter(|word| !word.contains('<') && !word.is_empty())
                .filter(|word| !table.contains(&format!("<td data-label=\"{word}\"")))
                .collect();
            // One of them is the row's own heading.
            assert!(unsaid.len() <= 1, "{}: {unsaid:?}", entry.display());
        }
    }
    assert!(tables > 20, "{tables}");
}

#[actix_rt::test]
async fn labels_are_the_headings() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let create = admin.get("/ui/buckets/create").await;
    admin.submit(&create, "/ui/buckets", &[("name", "photos")]).await;
    for path in ["/ui/requests", "/ui/audit", "/ui/trace", "/ui/buckets", "/ui/iam", "/ui/buckets/shared/browse"] {
        let html = admin.get(path).await.html();
        let all = |selector: &str| scraper::Selector::parse(selector).unwrap();
        let headings: Vec<String> =
            (html.select(&all(".table-frame thead th"))).map(|it| it.text().collect()).collect();
        let mut labels = 0;
        for row in html.select(&all(".table-frame tbody tr")) {
            for (cell, heading) in row.children().filter_map(scraper::ElementRef::wrap).zip(&headings) {
                if let Some(label) = cell.attr("data-label") {
                    assert_eq!(label, heading, "{path}");
                    labels += 1;
                }
            }
        }
        assert!(labels > 0, "{path}");
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[actix_rt::test]
async fn api_mode_has_the_console_behind_its_socket_alone() {
    let mut node = world::node();
    node.node.stop();
    node.node.restart_with(&["--mode", "api"]);
    let port = node.console.rsplit_once(':').unwrap().1.to_owned();
    assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err());
    let mut front = node.node.spawn(&["--mode", "ui", "--ui-port", &port]);
    crate::browser::eventually("the front answers", || async {
        std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
    })
    .await;
    let admin = node.signed_in(ADMIN).await;
    assert_eq!(admin.get("/ui/buckets").await.status, 200);
    node.node.stop();
    let without = node.browser().get("/ui").await;
    assert_eq!(without.status, 503);
    assert!(without.text.contains("No node is running"));
    front.kill().unwrap();
    front.wait().unwrap();
}
