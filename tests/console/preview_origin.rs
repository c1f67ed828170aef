//! PDF files, which only an origin of their own shows.

use myfsio::console::route::Role;

use crate::browser::{Browser, ConsoleNode, Shown};
use crate::support::free_port;
use crate::world;

const PDF: &str = "%PDF-1.4\n% hello\n";

struct Previews {
    node: ConsoleNode,
    /// As the setting names it.
    origin: String,
    /// A browser that asks it, and nobody's session.
    there: Browser,
}

async fn start() -> Previews {
    let port = free_port().to_string();
    let origin = format!("http://localhost:{port}");
    let node = world::node_with(&[("UI_PORT", &port), ("CONSOLE_PREVIEW_ORIGIN", &origin)]);
    let console = format!("http://127.0.0.1:{port}");
    node.node.put("/shared/paper.pdf", PDF.as_bytes());
    Previews { node: ConsoleNode { console: console.clone(), ..node }, origin, there: Browser::new(&console) }
}

impl Previews {
    /// The address of the preview on the object's page, without its origin.
    async fn link(&self, browser: &Browser, key: &str) -> String {
        let page = browser.get(&format!("/ui/buckets/shared/object?key={key}")).await;
        let address = page.attributes(".preview iframe", "src").remove(0);
        address.strip_prefix(&self.origin).expect("an address of the other origin").to_owned()
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Shown {
        let host = self.origin.strip_prefix("http://").unwrap();
        let headers: Vec<_> = [("host", host)].into_iter().chain(headers.iter().copied()).collect();
        self.there.ask(method, path, &headers, None).await
    }
}

#[actix_rt::test]
async fn a_pdf_is_shown_by_its_own_origin_alone() {
    let previews = start().await;
    let reader = world::browser(&previews.node, Role::Reader).await;
    let page = reader.get("/ui/buckets/shared/object?key=paper.pdf").await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains(&format!("frame-src {};", previews.origin)), "{policy}");
    let other = reader.get("/ui/buckets/shared/object?key=folder%2Fa.txt").await;
    assert!(other.header("content-security-policy").contains("frame-src 'self'"), "only where there is a frame");
    let link = previews.link(&reader, "paper.pdf").await;
    let shown = previews.ask("GET", &link, &[]).await;
    assert_eq!((shown.status, shown.text.as_str(), shown.header("content-type")), (200, PDF, "application/pdf"));
    assert_eq!(shown.header("content-disposition"), "inline; filename=\"paper.pdf\"; filename*=UTF-8''paper%2Epdf");
    let policy = shown.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script"), "{policy}");
    assert!(policy.ends_with(&format!("frame-ancestors {}", previews.node.console)), "{policy}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", ""),
        ("set-cookie", ""),
    ] {
        assert_eq!(shown.header(name), value, "{name}");
    }
    let part = previews.ask("GET", &link, &[("range", "bytes=1-3")]).await;
    assert_eq!((part.status, part.text.as_str()), (206, "PDF"));
    assert_eq!(previews.ask("HEAD", &link, &[]).await.status, 200);
    assert_eq!(previews.ask("POST", &link, &[]).await.status, 404);
    // Here the same link is no page, and the bytes are a download.
    assert_eq!(reader.get(&link).await.status, 404);
    assert_eq!(reader.get("/ui/buckets/shared/view?key=paper.pdf").await.status, 400);
    let download = reader.get("/ui/buckets/shared/download?key=paper.pdf").await;
    assert!(download.header("content-disposition").starts_with("attachment"));
}

#[actix_rt::test]
async fn there_is_nothing_else_at_that_origin() {
    let previews = start().await;
    let reader = world::browser(&previews.node, Role::Reader).await;
    let link = previews.link(&reader, "paper.pdf").await;
    let (head, tail) = link.split_at(link.len() - 8);
    let forged = format!("{head}AAAAAAAA");
    assert_ne!(tail, "AAAAAAAA");
    for path in ["/", "/ui", "/ui/login", "/healthz", "/ui/static/app.css", "/preview/", "/preview/x", &forged] {
        let shown = previews.ask("GET", path, &[]).await;
        assert_eq!(shown.status, 404, "{path}");
        let policy = shown.header("content-security-policy");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(shown.header("set-cookie").is_empty() && shown.header("location").is_empty(), "{path}");
    }
    // Nor for whoever comes with a session.
    let host = previews.origin.strip_prefix("http://").unwrap();
    for headers in [[("host", host)], [("x-forwarded-host", host)]] {
        assert_eq!(reader.ask("GET", "/ui/buckets", &headers, None).await.status, 404, "{headers:?}");
    }
    assert_eq!(reader.get("/ui/buckets").await.status, 200);
}

#[actix_rt::test]
async fn a_link_ends_with_what_it_was_made_for() {
    let previews = start().await;
    let reader = world::browser(&previews.node, Role::Reader).await;
    let asks = async |link: &str| previews.ask("GET", link, &[]).await;
    // The object is another one.
    let link = previews.link(&reader, "paper.pdf").await;
    previews.node.node.put("/shared/paper.pdf", b"%PDF-1.4 another");
    let ended = asks(&link).await;
    assert!(ended.status == 404 && ended.text.contains("Load the page of the object again"), "{}", ended.text);
    // Who made it has signed out.
    let link = previews.link(&reader, "paper.pdf").await;
    assert_eq!(asks(&link).await.status, 200);
    let token = reader.token().await;
    reader.post("/ui/logout", &[("csrf", &token)]).await;
    assert_eq!(asks(&link).await.status, 404);
    // Their permission is gone, then the user is disabled.
    let reader = world::browser(&previews.node, Role::Reader).await;
    let link = previews.link(&reader, "paper.pdf").await;
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/*"}]}"#;
    assert_eq!(previews.node.node.ask("PUT", "/shared?policy", &[], deny.as_bytes()).status, 204);
    assert_eq!(asks(&link).await.status, 404);
    assert_eq!(previews.node.node.ask("DELETE", "/shared?policy", &[], b"").status, 204);
    assert_eq!(asks(&link).await.status, 200);
    let disabled = previews.node.node.ask("PATCH", "/_myfsio/iam/users/reader", &[], br#"{"enabled": false}"#);
    assert!(disabled.status < 300, "{}", disabled.text());
    assert_eq!(asks(&link).await.status, 404);
}

#[actix_rt::test]
async fn without_that_origin_a_pdf_is_a_download() {
    let node = world::node();
    node.node.put("/shared/paper.pdf", PDF.as_bytes());
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get("/ui/buckets/shared/object?key=paper.pdf").await;
    assert!(page.status == 200 && page.attributes("iframe", "src").is_empty());
    assert!(page.header("content-security-policy").contains("frame-src 'self'"));
}
