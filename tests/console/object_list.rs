//! The access control list of an object.

use myfsio::console::route::Role;

use crate::world;

const PAGE: &str = "/ui/buckets/shared/object-acl?key=folder%2Fa.txt";
const ACTION: &str = "/ui/buckets/shared/object-acl";

#[actix_rt::test]
async fn a_canned_list_takes_the_place_of_an_objects_list() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let told = || node.node.ask("GET", "/shared/folder/a.txt?acl", &[], b"").text();
    let object = admin.get("/ui/buckets/shared/object?key=folder%2Fa.txt").await;
    assert!(object.attributes("a", "href").contains(&PAGE.to_owned()), "{}", object.text);
    let page = admin.get(PAGE).await;
    assert_eq!(page.texts("#list tbody tr").len(), 1, "{}", page.text);
    assert!(page.texts("#list tbody td") == ["Everything"] && !page.texts("#owner").join("").is_empty());

    let done = admin.submit(&page, ACTION, &[("list", "public-read")]).await;
    assert_eq!((done.status, done.location()), (303, PAGE), "{}", done.text);
    assert!(told().contains("AllUsers"), "{}", told());
    let public = admin.get(PAGE).await;
    let rows = public.texts("#list tbody tr").join("\n");
    assert!(rows.contains("Everybody") && rows.contains("Read the object"), "{rows}");
    let late = admin.submit(&page, ACTION, &[("list", "private")]).await;
    assert_eq!(late.status, 409, "somebody else was faster: {}", late.text);
    assert_eq!(admin.submit(&public, ACTION, &[("list", "none-such")]).await.status, 400);
    assert_eq!(admin.submit(&public, ACTION, &[("list", "private")]).await.location(), PAGE);
    assert!(!told().contains("AllUsers"), "{}", told());
    let reader = world::browser(&node, Role::Reader).await;
    let object = reader.get("/ui/buckets/shared/object?key=folder%2Fa.txt").await;
    assert!(!object.attributes("a", "href").contains(&PAGE.to_owned()), "{}", object.text);
}

#[actix_rt::test]
async fn where_the_bucket_owns_everything_the_page_says_that_lists_do_not_count() {
    let node = world::node();
    let admin = world::browser(&node, Role::Admin).await;
    let set =
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    assert_eq!(node.node.ask("PUT", "/shared?ownershipControls", &[], set.as_bytes()).status, 200);
    let page = admin.get(PAGE).await;
    assert!(page.texts("#list .banner").join("").contains("does not count"), "{}", page.text);
    assert!(page.attributes("#canned", "id").is_empty());
}
