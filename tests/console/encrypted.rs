//! How much of what is in a bucket is encrypted, and the job that encrypts the rest.

use myfsio::console::route::Role;

use crate::world;

const PAGE: &str = "/ui/buckets/shared/encrypted";

#[actix_rt::test]
async fn what_is_not_encrypted_is_counted_and_encrypted() {
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true")]);
    let admin = world::browser(&node, Role::Admin).await;
    let properties = admin.get("/ui/buckets/shared/properties").await;
    assert!(properties.attributes("#encryption a", "href").contains(&PAGE.to_owned()), "{}", properties.text);
    let page = admin.get(PAGE).await;
    assert!(page.texts("#convert").join("").contains("no default encryption"), "{}", page.text);
    assert!(page.attributes("#convert form", "action").is_empty());
    let token = admin.token().await;
    assert_eq!(admin.post(PAGE, &[("csrf", &token)]).await.status, 400, "as what should it be encrypted?");

    let set = admin.submit(&properties, "/ui/buckets/shared/encryption", &[("algorithm", "AES256")]).await;
    assert_eq!(set.status, 303, "{}", set.text);
    node.node.put("/shared/sealed", b"sealed");
    let counted = |page: &crate::browser::Shown| page.texts("#counted dd");
    let page = admin.get(&format!("{PAGE}?anew=1")).await;
    assert_eq!(counted(&page), ["1 object, 4 B", "1 object, 6 B"], "{}", page.text);
    let reader = world::browser(&node, Role::Reader).await.get(PAGE).await;
    assert_eq!(counted(&reader), ["1 object, 4 B", "1 object, 6 B"], "{}", reader.text);
    assert!(reader.attributes("#convert form", "action").is_empty() && reader.texts("#job").is_empty());

    let begun = admin.submit(&page, PAGE, &[]).await;
    assert_eq!((begun.status, begun.location()), (303, PAGE), "{}", begun.text);
    assert_eq!(node.node.ask("GET", "/_myfsio/kms/reencrypt?wait=50", &[], b"").status, 200);
    let page = admin.get(&format!("{PAGE}?anew=1")).await;
    assert!(page.texts("#job h2").join("").contains("Done"), "{}", page.text);
    assert_eq!(page.texts("#job [data-part=done]"), ["1"]);
    assert_eq!(counted(&page), ["0 objects, 0 B", "2 objects, 10 B"], "{}", page.text);
    let head = node.node.ask("GET", "/shared/folder/a.txt", &[], b"");
    assert_eq!((head.text().as_str(), head.header("x-amz-server-side-encryption")), ("text", Some("AES256")));
    let live = admin.ask("GET", PAGE, &[("accept", "application/json")], None).await;
    assert!(live.text.contains(r#""id":"convert""#) && live.text.contains(r#""status":"done""#), "{}", live.text);
    let ended = admin.post(&format!("{PAGE}/stop"), &[("csrf", &token)]).await;
    assert!(
        ended.status == 400 && ended.text.contains("nothing was ended"),
        "what is at work may be another: {}",
        ended.text
    );
    let other = admin.get("/ui/buckets/create").await;
    admin.submit(&other, "/ui/buckets", &[("name", "other")]).await;
    assert!(admin.get("/ui/buckets/other/encrypted").await.texts("#job").is_empty(), "the job was for another bucket");
}
