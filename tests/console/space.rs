//! What takes the space.

use myfsio::console::route::Role;

use crate::names::HOSTILE;
use crate::world;

async fn page_of(browser: &crate::browser::Browser, query: &str) -> Vec<String> {
    browser.get(&format!("/ui/buckets/shared/space{query}")).await.texts(".folders tbody tr")
}

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
    let rows = page.texts(".folders tbody tr");
    assert!(rows[0].starts_with("large/"), "{rows:?}");
    assert!(rows.last().unwrap().starts_with("Objects in this folder"), "{rows:?}");
    assert!(page.texts("tfoot").join("").contains(&format!("{}", 4 + HOSTILE.len())), "{:?}", page.texts("tfoot"));
    assert!(page.attributes("main img", "src").is_empty() && page.texts("tfoot").join("").starts_with("Counted"));
    assert!(page.attributes("[data-module]", "data-module").iter().all(|module| module != "./jobs.js"), "it is done");
    assert_eq!(page.texts(".ages tbody th").len(), 6);
    let of_ages = page.texts(".ages tbody td[data-label=Objects]");
    assert_eq!(of_ages[0], (4 + HOSTILE.len()).to_string(), "all is new: {of_ages:?}");
    assert!(of_ages[1..].iter().all(|objects| objects == "0"), "{of_ages:?}");
    let below = page.attributes(".folders tbody th a", "href").remove(0);
    let page = reader.get(&below).await;
    assert_eq!(page.texts(".folders tbody th"), ["x/", "Objects in this folder"]);
    let folder = reader.get("/ui/buckets/shared/browse?prefix=large%2Fx%2F").await;
    assert_eq!(folder.attributes("a.takes", "href"), ["/ui/buckets/shared/space?prefix=large%2Fx%2F"]);
    assert!(reader.get("/ui/buckets/shared/browse").await.attributes("a.takes", "href").is_empty());
    let nothing = reader.get("/ui/buckets/shared/space?prefix=none%2F").await;
    assert!(nothing.text.contains("Nothing takes space here"));
    node.node.put("/shared/top2", b"1234");
    let again = page_of(&reader, "").await;
    assert_eq!(again, rows, "what was counted is shown again for a while");
    assert!(page_of(&reader, "?anew=1").await.last().unwrap().contains("6 B"), "unless it is to be counted anew");
    let live = reader.ask("GET", "/ui/buckets/shared/space", &[("accept", "application/json")], None).await;
    assert!(live.text.contains(r#""status":"done""#), "{}", live.text);
}
