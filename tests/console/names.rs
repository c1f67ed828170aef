//! Names that others chose, wherever a page shows them.

use crate::support::ADMIN;
use crate::world;

/// Texts that would do something on a page that forgets to escape.
pub const HOSTILE: [&str; 6] = [
    "\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}",
    "</script><script>alert(1)</script>",
    "\u{202e}txt.exe",
    "a\nb\u{0}",
];

#[actix_rt::test]
async fn what_is_typed_comes_back_harmless() {
    let node = world::node();
    let admin = node.signed_in(ADMIN).await;
    let token = admin.token().await;
    for name in HOSTILE {
        let filtered = admin.get(&format!("/ui/buckets?q={}", percent(name))).await;
        assert!(filtered.attributes("img", "src").is_empty(), "{name}");
        assert!(filtered.texts("script").iter().all(String::is_empty), "{name}");
        let refused = admin.post("/ui/buckets", &[("name", name), ("csrf", &token)]).await;
        assert_eq!(refused.status, 400, "{name}");
        assert!(refused.attributes("img", "src").is_empty(), "{name}");
        let next = admin.get(&format!("/ui/login?next={}", percent(name))).await;
        assert_eq!(next.location(), "/ui", "{name}");
    }
}

#[actix_rt::test]
async fn a_user_is_called_anything() {
    let node = world::node();
    node.node.add_users(&[serde_json::json!({
        "access_key": "strange", "secret_key": "strange-secret", "display_name": HOSTILE[0],
        "policies": [{ "bucket": "*", "actions": ["list"] }],
    })]);
    let browser = node.signed_in(("strange", "strange-secret")).await;
    let page = browser.get("/ui").await;
    assert!(page.attributes("img", "src").is_empty());
    assert!(page.texts(".who strong").contains(&HOSTILE[0].to_owned()));
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
