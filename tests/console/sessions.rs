//! Signing in, staying, and being put out.

use std::time::Duration;

use crate::support::ADMIN;
use crate::world;
use myfsio::console::route::Role;

fn session_of(shown: &crate::browser::Shown) -> String {
    let cookies = shown.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    cookies.filter(|cookie| cookie.contains("session")).map(str::to_owned).next().unwrap_or_default()
}

#[actix_rt::test]
async fn the_way_in_and_out() {
    let node = world::node();
    let browser = node.browser();
    let asked = browser.get("/ui/buckets?q=a%26b").await;
    assert_eq!((asked.status, asked.location()), (303, "/ui/login?next=%2Fui%2Fbuckets%3Fq%3Da%2526b"));
    let form = browser.get(asked.location()).await;
    let fields = [("access_key", ADMIN.0), ("secret_key", "wrong")];
    let wrong = browser.submit(&form, "/ui/login", &fields).await;
    assert_eq!(wrong.status, 403);
    let unknown = browser.submit(&wrong, "/ui/login", &[("access_key", "nobody"), ("secret_key", "wrong")]).await;
    assert_eq!(wrong.texts("[role=alert]"), unknown.texts("[role=alert]"), "nobody learns which was wrong");
    let entered = browser.submit(&unknown, "/ui/login", &[("access_key", ADMIN.0), ("secret_key", ADMIN.1)]).await;
    assert_eq!((entered.status, entered.location()), (303, "/ui/buckets?q=a%26b"), "goes on to where one wanted to go");
    let cookie = session_of(&entered);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && !cookie.contains("Domain"), "{cookie}");
    assert_eq!(browser.get("/ui").await.status, 200);
    let home = browser.get("/ui").await;
    assert_eq!(browser.submit(&home, "/ui/logout", &[]).await.status, 303);
    assert_eq!(browser.get("/ui").await.location(), "/ui/login");
}

#[actix_rt::test]
async fn an_id_that_was_planted_is_not_taken_up() {
    let node = world::node();
    let browser = node.browser();
    let port = node.console.rsplit_once(':').unwrap().1;
    let planted = format!("myfsio-session-{port}=planted");
    let form = browser.ask("GET", "/ui/login", &[("cookie", planted.as_str())], None).await;
    let entered = browser.submit(&form, "/ui/login", &[("access_key", ADMIN.0), ("secret_key", ADMIN.1)]).await;
    assert!(!session_of(&entered).contains("planted"));
    let first = session_of(&entered);
    assert_eq!(browser.get("/ui/login").await.location(), "/ui", "signed in already");
    browser.submit(&browser.get("/ui").await, "/ui/logout", &[]).await;
    let second = session_of(&browser.sign_in(ADMIN.0, ADMIN.1).await);
    assert_ne!(first, second);
    let old = first.split(';').next().unwrap();
    let replayed = node.browser().ask("GET", "/ui", &[("cookie", old)], None).await;
    assert_eq!(replayed.location(), "/ui/login", "what was signed out stays so");
}

#[actix_rt::test]
async fn a_session_ends_with_its_key() {
    let node = world::node();
    let file = node.node.root().join(".myfsio.sys/config/iam.json");
    let edit = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for user in document["users"].as_array_mut().unwrap() {
            if user["access_key"] == "reader" {
                change(user);
            }
        }
        std::fs::write(&file, serde_json::to_vec_pretty(&document).unwrap()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    };
    let reader = world::browser(&node, Role::Reader).await;
    assert_eq!(reader.get("/ui").await.status, 200);
    edit(&|user| user["secret_key"] = "another-secret".into());
    assert_eq!(reader.get("/ui").await.location(), "/ui/login", "the secret was changed");
    let reader = node.signed_in(("reader", "another-secret")).await;
    edit(&|user| user["enabled"] = false.into());
    assert_eq!(reader.get("/ui").await.location(), "/ui/login", "the user was disabled");
    edit(&|user| user["enabled"] = true.into());
    assert_eq!(reader.get("/ui").await.location(), "/ui/login", "and stays out");
}

#[actix_rt::test]
async fn administrators_see_and_end_the_sessions_of_everybody() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let reader = world::browser(&node, Role::Reader).await;
    let stays = world::browser(&node, Role::Reader).await;
    assert!(admin.get("/ui/account").await.attributes(".heading a", "href").contains(&"/ui/sessions".to_owned()));
    assert!(!reader.get("/ui/account").await.text.contains("/ui/sessions"));
    let page = admin.get("/ui/sessions").await;
    let users = page.texts("td[data-label=User]");
    assert_eq!(users.iter().filter(|user| user.contains("reader")).count(), 2, "{}", page.text);
    assert_eq!(page.texts(".badge.good").len(), 1, "one's own is marked");
    assert_eq!(page.attributes("form[action='/ui/sessions/end']", "action").len(), 2, "and is not ended here");
    reader.get("/ui").await;
    stays.get("/ui").await;
    let of_reader = page.attributes("form[action='/ui/sessions/end'] [name=session]", "value");
    let ended = admin.submit(&page, "/ui/sessions/end", &[("session", &of_reader[0])]).await;
    assert_eq!(ended.location(), "/ui/sessions");
    let left = [reader.get("/ui").await.status, stays.get("/ui").await.status];
    assert_eq!(left.iter().filter(|status| **status == 200).count(), 1, "{left:?}");
    let audit = admin.get("/ui/audit?action=myfsio:EndSession").await;
    assert!(audit.texts("tbody tr").join("").contains("session of reader"), "{}", audit.text);
}

#[actix_rt::test]
async fn a_session_outlives_a_restart() {
    let mut node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    node.node.stop();
    node.node.restart();
    assert_eq!(admin.get("/ui").await.status, 200);
}

#[actix_rt::test]
async fn five_wrong_secrets_lock() {
    let node = world::node();
    let browser = node.browser();
    for _ in 0..5 {
        assert_eq!(browser.sign_in("reader", "guess").await.status, 403);
    }
    let locked = browser.sign_in("reader", "reader-secret").await;
    assert_eq!(locked.status, 429);
    assert!(locked.texts("[role=alert]").join("").contains("Too many"));
    assert_eq!(browser.sign_in("writer", "writer-secret").await.status, 303, "others are not");
}

#[actix_rt::test]
async fn a_well_known_secret_is_for_the_own_machine() {
    let node = world::node();
    let browser = node.browser();
    let form = browser.get("/ui/login").await;
    let fields = form.form("/ui/login");
    let body =
        crate::browser::encode(&[("csrf", fields["csrf"].as_str()), ("access_key", ADMIN.0), ("secret_key", ADMIN.1)]);
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let shown = browser.ask("POST", "/ui/login", &[kind, ("x-forwarded-for", "10.1.1.1")], Some(body)).await;
    assert_eq!(shown.status, 403);
    assert!(shown.texts("[role=alert]").join("").contains("well-known"));
}
