//! Figures, requests, changes, and why something was refused.

use myfsio::console::route::Role;
use serde_json::Value;

use crate::browser::ConsoleNode;
use crate::{home, world};

/// A node with a history of thirty days, and when that ends, in seconds since 1970.
fn with_history() -> (ConsoleNode, u64) {
    let mut node = world::node();
    node.node.stop();
    let end = home::keep_history(&node.node.root());
    node.node.restart();
    (node, end)
}

/// What no window is.
const NO_WINDOWS: &[&str] =
    &["from=1", "to=5", "from=5&to=5", "from=6&to=5", "from=x&to=5", "from=-1&to=5", "from=1&to=18446744073709551616"];

#[actix_rt::test]
async fn requests_are_searched_and_refusals_explained() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let writer = world::browser(&node, Role::Writer).await;
    node.node.create_bucket("private");
    node.node.put("/private/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", b"x");
    let denied = writer.get("/ui/buckets/private/delete").await;
    assert_eq!(denied.status, 403);
    let id = denied.header("x-amz-request-id").to_owned();
    let all = admin.get("/ui/requests").await;
    assert!(
        all.texts("tbody tr").iter().any(|row| row.contains("PutObject") && row.contains("onerror")),
        "{}",
        all.text
    );
    assert!(all.attributes("img", "src").is_empty());
    let some = admin.get("/ui/requests?bucket=shared&operation=PutObject").await;
    assert_eq!(some.texts("tbody tr").len(), 1, "{}", some.text);
    node.node.ask("GET", "/shared/none", &[], b"");
    let missing = admin.get("/ui/requests?code=NoSuchKey").await;
    assert!(missing.texts("tbody tr").iter().all(|row| row.contains("NoSuchKey")), "{}", missing.text);
    assert!(missing.attributes("tbody a", "href").contains(&"/ui/requests?code=NoSuchKey".to_owned()));
    assert!(admin.get("/ui/requests?status=599").await.text.contains("No request is like this"));
    assert_eq!(admin.get("/ui/requests?status=x").await.status, 400);
    for browser in [&admin, &writer] {
        let why = browser.get(&format!("/ui/why?request_id={id}")).await;
        assert_eq!(why.status, 200);
        assert!(why.texts("main").join("").contains("s3:DeleteBucket"), "{}", why.text);
    }
    let stranger = world::browser(&node, Role::Reader).await.get(&format!("/ui/why?request_id={id}")).await;
    assert_eq!(stranger.status, 404);
    assert!(!stranger.text.contains("s3:DeleteBucket"));
}

#[actix_rt::test]
async fn what_would_be_decided() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let form = admin.get("/ui/simulate?principal=reader&action=s3:PutObject&bucket=shared&key=a").await;
    let denied = admin.submit(&form, "/ui/simulate", &[]).await;
    assert!(denied.texts(".banner strong").contains(&"Denied".to_owned()), "{}", denied.text);
    let policies = r#"[{"bucket": "shared", "actions": ["write"]}]"#;
    let allowed = admin.submit(&form, "/ui/simulate", &[("policies", policies)]).await;
    assert!(allowed.texts(".banner strong").contains(&"Allowed".to_owned()), "{}", allowed.text);
    let wrong = admin.submit(&form, "/ui/simulate", &[("action", "s3:Fly")]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.texts(".banner.bad").join("").contains("no such action"), "{}", wrong.text);
    assert_eq!(wrong.attributes("[name=bucket]", "value"), ["shared"]);
}

#[actix_rt::test]
async fn changes_are_listed_and_filtered() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let create = admin.get("/ui/buckets/create").await;
    admin.submit(&create, "/ui/buckets", &[("name", "photos")]).await;
    let users = admin.get("/ui/iam").await;
    let made = admin.submit(&users, "/ui/iam", &[("name", "Ann"), ("policies", "")]).await;
    let secret = made.texts("#secret-key").remove(0);
    let all = admin.get("/ui/audit").await;
    let rows = all.texts("tbody tr");
    assert!(rows[0].contains("iam:CreateUser") && rows[0].contains("Ann"), "{rows:?}");
    assert!(!all.text.contains(&secret));
    let some = admin.get("/ui/audit?action=s3:*&target=*photos").await;
    assert!(some.texts("tbody tr").iter().all(|row| row.contains("photos")), "{}", some.text);
    assert!(admin.get("/ui/audit?principal=nobody").await.text.contains("No change is like this"));
    assert_eq!(admin.get("/ui/audit?from=x").await.status, 400);
}

#[actix_rt::test]
async fn figures_are_drawn() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    for range in ["1h", "24h", "30d"] {
        let page = admin.get(&format!("/ui/metrics?range={range}")).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.attributes("main .tabs a[aria-current]", "href"), [format!("/ui/metrics?range={range}")]);
    }
    let csv = admin.get("/ui/metrics/csv?range=24h").await;
    assert!(csv.header("content-disposition").contains("myfsio-24h.csv"));
    assert!(csv.text.starts_with("time,seconds,requests,"));
}

#[actix_rt::test]
async fn a_window_of_history_is_told_as_finely_as_it_is_held() {
    let (node, end) = with_history();
    let ask = |query: &str| node.node.ask("GET", &format!("/_myfsio/metrics/history?{query}"), &[], b"");
    let told = |from: u64, to: u64| -> Value {
        let reply = ask(&format!("from={from}&to={to}"));
        assert_eq!(reply.status, 200, "{from} {to}: {}", reply.text());
        serde_json::from_slice(&reply.body).unwrap()
    };
    let number = |told: &Value, name: &str| told[name].as_u64().unwrap();
    for (first, last, step, points) in
        [(1_800, 1_200, 10, 60), (7_200, 3_600, 240, 15), (7_200, 1_200, 240, 25), (864_000, 432_000, 7_200, 60)]
    {
        let (from, to) = (end - first, end - last);
        let told = told(from, to);
        assert_eq!([number(&told, "from"), number(&told, "to"), number(&told, "step_seconds")], [from, to, step]);
        let at: Vec<_> = told["points"].as_array().unwrap().iter().map(|point| number(point, "at")).collect();
        assert_eq!((at.len(), at.first(), at.last()), (points, Some(&(from + step)), Some(&to)));
    }
    let narrow = told(end - 7_000, end - 6_999);
    assert_eq!((number(&narrow, "from"), number(&narrow, "to")), (end - 7_720, end - 6_280), "six points");
    let all = told(0, u64::MAX);
    assert_eq!(number(&all, "to"), number(&all, "now"));
    assert_eq!((number(&all, "to") - number(&all, "from"), number(&all, "step_seconds")), (2_592_000, 7_200));
    let after = told(u64::MAX - 1, u64::MAX);
    assert_eq!((number(&after, "to") - number(&after, "from"), number(&after, "step_seconds")), (60, 10));
    for query in NO_WINDOWS.iter().copied().chain(["from=&to="]) {
        assert_eq!(ask(query).status, 400, "{query}");
    }
}

#[actix_rt::test]
async fn a_window_of_history_is_drawn_and_leads_to_others() {
    let (node, end) = with_history();
    let admin = world::browser(&node, Role::Admin).await;
    node.node.put("/shared/busy", b"x");
    let address = |from: u64, to: u64| format!("/ui/metrics?from={}&to={}", end - from, end - to);
    let page = admin.get(&address(1_800, 1_200)).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.attributes("main .tabs a[aria-current]", "href").is_empty());
    assert_eq!(page.attributes("main .tabs a", "href")[2], "/ui/metrics?range=30d");
    assert_eq!(page.texts(".figure .value")[0], "3 000", "60 points of 50 requests");
    let iso = |back: u64| {
        let at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(end - back).unwrap()).unwrap();
        at.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    assert_eq!(page.attributes(".chart .span time", "datetime")[..2], [iso(1_800), iso(1_200)]);
    assert_eq!(page.attributes("[data-zoom]", "data-zoom"), ["/ui/metrics"]);
    assert!(page.attributes("[data-live]", "data-live").is_empty(), "nothing draws another time into it");
    let ways = [address(2_100, 1_500), address(1_500, 900), address(1_650, 1_350), address(2_100, 900)];
    assert_eq!(page.texts("main nav.pager a"), ["Earlier", "Later", "Closer", "Wider"]);
    assert_eq!(page.attributes("main nav.pager a", "href"), ways);
    for way in &ways {
        assert!(!admin.get(way).await.texts(".chart").is_empty(), "{way}");
    }
    let sorted = page.attributes("main thead a", "href");
    assert!(!sorted.is_empty() && sorted.iter().all(|href| href.starts_with(&address(1_800, 1_200))), "{sorted:?}");
    let csv = admin.get(&page.attributes(".heading a.button", "href").remove(0)).await;
    let name = format!("myfsio-{}-{}.csv", end - 1_800, end - 1_200);
    assert!(csv.header("content-disposition").contains(&name), "{}", csv.header("content-disposition"));
    assert_eq!(csv.text.lines().count(), 61);
    // A span leads into its past and to its middle; nothing follows it.
    assert_eq!(admin.get("/ui/metrics").await.texts("main nav.pager a"), ["Earlier", "Closer", "Wider"]);
    let early = admin.get("/ui/metrics?from=1&to=2").await;
    assert!(early.text.contains("no figures of this time") && early.texts(".chart").is_empty(), "{}", early.text);
    assert_eq!(early.texts("main nav.pager a"), ["Later", "Wider"]);
    for query in NO_WINDOWS {
        assert_eq!(admin.get(&format!("/ui/metrics?{query}")).await.status, 400, "{query}");
        assert_eq!(admin.get(&format!("/ui/metrics/csv?{query}")).await.status, 400, "{query}");
    }
}

#[actix_rt::test]
async fn requests_and_changes_as_files() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    node.node.put("/shared/%3D1%2B1", b"x");
    let page = admin.get("/ui/requests?operation=PutObject&bucket=shared").await;
    let address = page.attributes(".heading a", "href").remove(0);
    let file = admin.get(&address).await;
    assert!(file.header("content-disposition").contains("myfsio-requests.csv"), "{address}");
    let lines: Vec<_> = file.text.lines().collect();
    assert!(lines[0].starts_with("time,request_id,operation,bucket,key,"));
    assert_eq!(lines.len(), 3, "what was put into the bucket, and nothing else: {}", file.text);
    assert!(lines.iter().any(|line| line.contains(",PutObject,shared,\"'=1+1\",")), "{}", file.text);
    let create = admin.get("/ui/buckets/create").await;
    admin.submit(&create, "/ui/buckets", &[("name", "photos")]).await;
    let page = admin.get("/ui/audit?action=s3:CreateBucket").await;
    let file = admin.get(&page.attributes(".heading a", "href").remove(0)).await;
    assert!(file.text.starts_with("time,action,target,principal,"));
    assert!(file.text.contains(",s3:CreateBucket,arn:aws:s3:::photos,"), "{}", file.text);
    assert_eq!(admin.get("/ui/requests/csv?status=x").await.status, 400);
}

#[actix_rt::test]
async fn the_busiest_buckets_come_first() {
    let node = world::node();
    node.node.create_bucket("quiet");
    node.node.put("/quiet/large", &[0; 50_000]);
    for _ in 0..30 {
        assert_eq!(node.node.status("/shared/none"), 404);
    }
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get("/ui/metrics").await;
    let named = |page: &crate::browser::Shown| page.texts("table tbody th");
    assert_eq!(named(&page)[..2], ["shared", "quiet"], "{}", page.text);
    assert_eq!(page.texts("table tbody td[data-label=Errors]")[0], "30");
    let by_bytes = page.attributes("thead a", "href").into_iter().find(|href| href.contains("received")).unwrap();
    let page = admin.get(&by_bytes).await;
    assert_eq!(named(&page)[0], "quiet", "{by_bytes}");
    assert_eq!(page.texts("thead [aria-sort=descending]"), ["Received ↓"]);
    let requests = page.attributes("table tbody th a", "href").remove(0);
    assert_eq!(requests, "/ui/requests?bucket=quiet");
    let ask = |query: &str| node.node.ask("GET", &format!("/_myfsio/requests/buckets{query}"), &[], b"");
    let told: serde_json::Value = serde_json::from_slice(&ask("?by=received&limit=1").body).unwrap();
    let first = &told["buckets"][0];
    assert_eq!((first["bucket"].as_str(), told["buckets"].as_array().unwrap().len()), (Some("quiet"), 1));
    assert!(first["bytes_received"].as_u64().unwrap() >= 50_000 && told["since"].is_string(), "{told}");
    for wrong in ["?by=colour", "?limit=0", "?limit=101"] {
        assert_eq!(ask(wrong).status, 400, "{wrong}");
    }
}
