//! The fuzz target of orders: documents as users write them, and what becomes of them.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what does not hold ends the run")]

use myfsio_actors::names::KEY_BYTES_MAX;

use super::order::{Copy, Does, ITEMS_MAX, MESSAGE_CHARS_MAX, Order, Unsound, Work};

/// An order. Written down and read again it means the same, as after a restart; what it means is within its limits, and no copy
/// replaces unasked what is yet to be copied. A refusal repeats little of what was sent.
pub fn job_order(data: &[u8]) -> bool {
    let order = match Order::parse(data) {
        Ok(order) => order,
        Err(refusal) => return is_told(&refusal),
    };
    let kept = serde_json::to_vec(&order).expect("an order can be written down");
    assert_eq!(Order::parse(&kept).as_ref(), Ok(&order));
    let work = match order.work() {
        Ok(work) => work,
        Err(refusal) => return is_told(&refusal),
    };
    assert_eq!(Order::parse(&kept).and_then(|order| order.work()).as_ref(), Ok(&work));
    let items = work.keys.len() + work.prefixes.len();
    assert!((1..=ITEMS_MAX).contains(&items));
    assert!(work.prefixes.iter().all(|prefix| prefix.len() <= KEY_BYTES_MAX));
    match &work.does {
        Does::Copy(copy) => leads_elsewhere(&work, copy),
        Does::Tag { tags, replace } => assert!(*replace || !tags.is_empty()),
        Does::Restore { .. } => assert!(work.looks_at_versions()),
        Does::Delete { versions, .. } => assert_eq!(*versions, work.looks_at_versions()),
    }
    assert_eq!(work.target_bucket().is_some(), matches!(&work.does, Does::Copy(copy) if copy.bucket != work.bucket));
    true
}

fn leads_elsewhere(work: &Work, copy: &Copy) {
    assert!(work.keys.iter().all(|key| key.as_str().starts_with(&copy.from)));
    for key in &work.keys {
        match copy.target(key.as_str()) {
            Ok(target) => assert!(copy.bucket != work.bucket || target != *key, "{key:?} is copied onto itself"),
            Err(refusal) => assert!(!is_told(&refusal)),
        }
    }
    for prefix in &work.prefixes {
        assert!(prefix.starts_with(&copy.from));
        let whole = format!("{}{}", copy.to, &prefix[copy.from.len()..]);
        assert!(copy.bucket != work.bucket || !whole.starts_with(prefix.as_str()), "{prefix:?} goes into itself");
        for end in ["x", "/", "x/y"] {
            let Ok(target) = copy.target(&format!("{prefix}{end}")) else { continue };
            let is_below = target.as_str().starts_with(prefix.as_str()) && work.wants(prefix, target.as_str());
            let comes_back = copy.bucket == work.bucket && is_below;
            assert!(!comes_back || work.names(&copy.bucket, &target), "{prefix:?}: {target:?} is not guarded");
        }
    }
}

/// Never taken.
fn is_told(refusal: &Unsound) -> bool {
    assert!(!refusal.0.is_empty() && refusal.0.chars().count() <= MESSAGE_CHARS_MAX, "{refusal}");
    false
}
