//! What takes the space.

use myfsio::console::route::Role;

use crate::names::HOSTILE;
use crate::world;

#[actix_rt::test]
async fn folders_are_summed_the_largest_first() {
    let node = world::node();
    node.node.put("/shared/large/x/1", &[0; 5000]);
    node.node.put("/shared/large/2", &[0; 1000]);
    node.node.put("/shared/top", b"12");
    for name in HOSTILE {
        let path: String = name.replace('\0', "").bytes().map(|byte| format!("%{byte:02X}")).collect();
        node.node.put(&format!("/shared/{path}/x"), b"1");
    }
    let reader = world::browser(&node, Role::Reader).await;
    let page = reader.get("/ui/buckets/shared/space").await;
    let rows = page.texts("tbody tr");
    assert!(rows[0].starts_with("large/"), "{rows:?}");
    assert!(rows.last().unwrap().starts_with("Objects in this folder"), "{rows:?}");
    assert!(page.texts("tfoot").join("").contains(&format!("{}", 4 + HOSTILE.len())), "{:?}", page.texts("tfoot"));
    assert!(page.attributes("main img", "src").is_empty() && !page.text.contains("at least"));
    let below = page.attributes("tbody th a", "href").remove(0);
    let page = reader.get(&below).await;
    assert_eq!(page.texts("tbody th"), ["x/", "Objects in this folder"]);
    let later = reader.get("/ui/buckets/shared/space?after=large%2Fx").await;
    assert!(later.texts("tbody tr")[0].starts_with("large/ at least"), "{:?}", later.texts("tbody tr"));
    assert!(later.text.contains("This is a part of the keys"));
    let nothing = reader.get("/ui/buckets/shared/space?prefix=none%2F").await;
    assert!(nothing.text.contains("Nothing takes space here"));
}
