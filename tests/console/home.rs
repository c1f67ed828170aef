//! The dashboard.

use myfsio::console::route::Role;
use serde_json::json;

use crate::world;

/// A history of earlier runs, in the file that the node keeps it in: thirty days, each of which takes a part of the device.
/// Answers when they end, in seconds since 1970.
pub fn keep_history(root: &std::path::Path) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let series = [10, 240, 7_200].map(|step| {
        let point = |back: u64| {
            json!({ "at": now - back * step, "seconds": step, "requests": step * 5, "client_errors": step, "server_errors": 0,
                "p50_ms": 1.5, "p95_ms": 3.5,
                "received": step * 1024, "sent": step * 2048, "bytes": 1_000_000 - back, "device_free": 1_000_000_000 + back * 1_000_000 })
        };
        (1..350).rev().map(point).collect::<Vec<_>>()
    });
    std::fs::create_dir_all(root.join(".myfsio.sys")).unwrap();
    std::fs::write(root.join(".myfsio.sys/metrics.json"), json!({ "series": series }).to_string()).unwrap();
    now
}

/// What buckets held over the last thirty days, in the file that the node keeps it in, where it samples every two hours: each of them grew
/// by so many bytes from sample to sample, to what it holds now.
pub fn keep_growth(root: &std::path::Path, bytes: u64, by: u64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let held = |back: u64| {
        let ids = (0..50_u64).map(|id| (id.to_string(), json!([bytes - back * by, 2])));
        serde_json::Value::Object(ids.collect())
    };
    let samples: Vec<_> = (1..=360).rev().map(|back| json!({ "at": now - back * 7_200, "held": held(back) })).collect();
    std::fs::create_dir_all(root.join(".myfsio.sys")).unwrap();
    std::fs::write(root.join(".myfsio.sys/growth.json"), json!({ "samples": samples }).to_string()).unwrap();
}

#[actix_rt::test]
async fn what_was_asked_of_the_node_is_drawn() {
    let mut node = world::node();
    node.node.stop();
    keep_history(&node.node.root());
    node.node.restart();
    let admin = world::browser(&node, Role::Admin).await;
    let gzip = [("accept-encoding", "gzip")];
    for (range, most) in [("1h", "5.0/s"), ("24h", "5.0/s"), ("30d", "5.0/s")] {
        let page = admin.get(&format!("/ui?range={range}")).await;
        assert_eq!(page.attributes("main .segments a[aria-current]", "href"), [format!("/ui?range={range}")]);
        let titles = page.texts(".chart h2");
        assert_eq!(
            titles,
            ["Requests", "Errors", "Time to answer", "Traffic", "Stored", "Free on the device"],
            "{}",
            page.text
        );
        assert!(page.texts(".chart figcaption span")[0].contains(most), "{:?}", page.texts(".chart figcaption"));
        assert!(page.attributes(".chart .line", "d").iter().all(|path| path.starts_with('M')));
        assert!(page.texts(".figure").join(" ").contains("it is full in 83 days"), "{:?}", page.texts(".figure"));
        let small = admin.ask("GET", &format!("/ui?range={range}"), &gzip, None).await;
        assert!(small.text.len() < 30 * 1024, "{} bytes", small.text.len());
    }
}

#[actix_rt::test]
async fn what_went_wrong_is_listed_for_administrators_alone() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    assert!(admin.get("/ui").await.text.contains("None of the last requests"));
    node.node.ask("GET", "/shared/%22%3E%3Cimg%20src=x%3E", &[], b"");
    node.node.ask_as(None, "GET", "/shared/folder/a.txt", &[], b"");
    let rows = admin.get("/ui").await.texts("main tbody tr");
    let listed = |code: &str| rows.iter().any(|row| row.contains("GetObject") && row.contains(code));
    assert!(listed("NoSuchKey") && listed("AccessDenied"), "{rows:?}");
    let reader = world::browser(&node, Role::Reader).await.get("/ui").await;
    assert_eq!(reader.status, 200);
    assert!(reader.texts(".chart, .segments").is_empty() && !reader.text.contains("NoSuchKey"), "{}", reader.text);
}
