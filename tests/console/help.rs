//! Every screen tells what it is for, without scripts, and the guide tells it of all that somebody sees.

use myfsio::console::route::{Role, rows};

use crate::matrix::target;
use crate::world;

/// What only scripts ask, and what would be there is no screen.
const WITHOUT: &[&str] = &["/ui/buckets/{bucket}/parts"];
const TOLD: &str = ".heading details.help > div > p";

#[actix_rt::test]
async fn every_screen_tells_what_it_is_for() {
    let node = world::node_with(&[("ENCRYPTION_ENABLED", "true"), ("KMS_ENABLED", "true")]);
    let admin = world::browser(&node, Role::Admin).await;
    let (mut seen, mut without) = (std::collections::BTreeMap::new(), Vec::new());
    for row in rows().filter(|row| row.method == "GET" && !row.path.ends_with("/stream")) {
        let page = admin.get(&target(row)).await;
        // Also where the world has nothing of the kind: the page of an error tells what would be there.
        if page.texts(".shell").is_empty() {
            continue;
        }
        let told = page.texts(TOLD);
        match told.first() {
            Some(first) => {
                assert!(told.len() >= 2 && first.len() > 40, "{}: {told:?}", row.path);
                assert!(page.attributes("details.help[open]", "class").is_empty(), "{}: it stays closed", row.path);
                if let Some(other) = seen.insert(first.clone(), row.path) {
                    panic!("{} is told as {other} is", row.path);
                }
            }
            None if WITHOUT.contains(&row.path) => {}
            None => without.push(row.path),
        }
    }
    assert!(seen.len() > 40 && without.is_empty(), "{}: {without:?}", seen.len());
    assert!(node.browser().get("/ui/login").await.texts("details.help").is_empty(), "who is not in learns nothing");
}

#[actix_rt::test]
async fn the_guide_tells_of_the_screens_that_one_sees() {
    let node = world::node();
    let named = |page: &crate::browser::Shown| page.texts("#screens dt");
    let admin = world::browser(&node, Role::Admin).await.get("/ui/guide").await;
    for name in ["Dashboard", "Users", "Settings", "In a bucket: Properties"] {
        assert!(named(&admin).iter().any(|found| found == name), "{name}: {:?}", named(&admin));
    }
    let reader = world::browser(&node, Role::Reader).await.get("/ui/guide").await;
    let names = named(&reader);
    assert!(names.iter().any(|name| name == "Buckets") && !names.iter().any(|name| name == "Users"), "{names:?}");
    assert_eq!(names.len(), reader.texts("#screens dd").len());
}
