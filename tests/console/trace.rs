//! Requests as they end.

use myfsio::console::route::Role;

use crate::world;

#[actix_rt::test]
async fn a_plain_list_with_filters() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    node.node.put("/shared/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E", b"x");
    node.node.status("/shared/none");
    let all = admin.get("/ui/trace").await;
    assert!(all.texts("tbody tr").iter().any(|row| row.contains("onerror")), "{}", all.text);
    assert!(all.attributes("img", "src").is_empty());
    admin.get("/ui/settings").await;
    let own = admin.get("/ui/trace").await.texts("tbody tr");
    assert!(own.iter().any(|row| row.contains("/_myfsio/settingsLocal Admin")), "{own:?}");
    let some = admin.get("/ui/trace?bucket=shared&status=4xx&operation=GetObject").await;
    assert_eq!(some.texts("tbody tr").len(), 1, "{}", some.text);
    let stream = some.attributes("[data-trace]", "data-trace").remove(0);
    assert_eq!(stream, "/ui/trace/stream?bucket=shared&operation=GetObject&status=4xx");
    for wrong in ["/ui/trace?status=x", "/ui/trace/stream?min_ms=x"] {
        assert_eq!(admin.get(wrong).await.status, 400, "{wrong}");
    }
    let none = admin.get("/ui/trace?bucket=none").await;
    assert!(none.texts("tbody tr").is_empty() && none.text.contains("No request has ended yet"));
}

#[actix_rt::test]
async fn the_stream_tells_what_is_wanted_and_ends_with_the_session() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let page = admin.get("/ui/trace").await;
    let wanted = admin.follow("/ui/trace/stream?bucket=shared&operation=PutObject", "second.txt");
    let asked = async {
        for _ in 0..200 {
            node.node.put("/shared/second.txt", b"x");
            node.node.status("/shared/second.txt");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let shown = tokio::select! { shown = wanted => shown, () = asked => panic!("nothing was told") };
    assert_eq!((shown.status, shown.header("content-type")), (200, "text/event-stream"));
    assert!(shown.text.contains("event: request") && !shown.text.contains("GetObject"), "{}", shown.text);
    let open = admin.follow("/ui/trace/stream?bucket=none", "never told");
    // Should the session end before the stream begins, there is none.
    let end = async {
        assert_eq!(admin.submit(&page, "/ui/logout", &[]).await.status, 303);
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! { ended = open => ended, () = end => panic!("never") };
    assert!(matches!(ended.status, 200 | 303), "{}", ended.status);
}
