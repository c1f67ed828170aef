//! Reducing two states of something to what differs between them. Pure.

use serde_json::{Map, Value};

/// What differs between two states, on either side; none when nothing does. Of objects only the fields that differ are left, at any
/// depth, and of lists only the elements that the other list lacks, unless only their order differs.
pub fn difference(before: &Value, after: &Value) -> Option<(Value, Value)> {
    if before == after {
        return None;
    }
    Some(match (before, after) {
        (Value::Object(before), Value::Object(after)) => objects(before, after),
        (Value::Array(before), Value::Array(after)) => lists(before, after),
        _ => (before.clone(), after.clone()),
    })
}

fn objects(before: &Map<String, Value>, after: &Map<String, Value>) -> (Value, Value) {
    let (mut old, mut new) = (Map::new(), Map::new());
    for (name, was) in before {
        match after.get(name) {
            None => {
                old.insert(name.clone(), was.clone());
            }
            Some(is) => {
                if let Some((was, is)) = difference(was, is) {
                    old.insert(name.clone(), was);
                    new.insert(name.clone(), is);
                }
            }
        }
    }
    let added = after.iter().filter(|(name, _)| !before.contains_key(*name));
    new.extend(added.map(|(name, is)| (name.clone(), is.clone())));
    (Value::Object(old), Value::Object(new))
}

fn lists(before: &[Value], after: &[Value]) -> (Value, Value) {
    let (gone, come) = (without(before, after), without(after, before));
    match gone.is_empty() && come.is_empty() {
        true => (Value::from(before), Value::from(after)),
        false => (Value::from(gone), Value::from(come)),
    }
}

/// The elements of `list` that `other` lacks, each as often as it does.
fn without(list: &[Value], other: &[Value]) -> Vec<Value> {
    // By their text, so that long lists do not take the square of their length.
    let mut counts = std::collections::HashMap::<String, usize>::new();
    for element in other {
        *counts.entry(element.to_string()).or_default() += 1;
    }
    let is_lacking = |element: &&Value| match counts.get_mut(&element.to_string()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    list.iter().filter(is_lacking).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_left() {
        let before = json!({ "a": 1, "b": { "x": 1, "y": 2 }, "list": ["p", "q", "q"], "gone": true });
        let after = json!({ "a": 1, "b": { "x": 1, "y": 3 }, "list": ["q", "p", "r"], "new": null });
        let (old, new) = difference(&before, &after).unwrap();
        assert_eq!(old, json!({ "b": { "y": 2 }, "list": ["q"], "gone": true }));
        assert_eq!(new, json!({ "b": { "y": 3 }, "list": ["r"], "new": null }));
    }

    #[test]
    fn made_and_removed_are_whole() {
        let whole = json!({ "a": [1] });
        assert_eq!(difference(&Value::Null, &whole), Some((Value::Null, whole.clone())));
        assert_eq!(difference(&whole, &Value::Null), Some((whole.clone(), Value::Null)));
        assert_eq!(difference(&whole, &whole), None);
    }

    #[test]
    fn an_order_is_told_whole() {
        let (a, b) = (json!([1, 2]), json!([2, 1]));
        assert_eq!(difference(&a, &b), Some((a.clone(), b.clone())));
    }

    fn value(with_lists: bool) -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        leaf.prop_recursive(3, 16, 3, move |inner| {
            let lists = if with_lists { 0..3 } else { 0..1 };
            let fields = prop::collection::vec(("[ab]", inner.clone()), 0..3);
            prop_oneof![
                prop::collection::vec(inner, lists).prop_map(Value::from),
                fields.prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    /// Puts the fields that changed over a state, and takes out those that went.
    fn replay(state: &Value, old: &Value, new: &Value) -> Value {
        let (Value::Object(state), Value::Object(old), Value::Object(new)) = (state, old, new) else {
            return new.clone();
        };
        let mut fields = state.clone();
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            fields.remove(name);
        }
        for (name, is) in new {
            let is = match (state.get(name), old.get(name)) {
                (Some(was), Some(before)) => replay(was, before, is),
                _ => is.clone(),
            };
            fields.insert(name.clone(), is);
        }
        Value::Object(fields)
    }

    proptest! {
        #[test]
        fn nothing_is_told_exactly_when_nothing_changed(a in value(true), b in value(true)) {
            prop_assert_eq!(difference(&a, &b).is_none(), a == b);
        }

        #[test]
        fn without_full_lists_the_difference_leads_from_one_to_the_other(a in value(false), b in value(false)) {
            if let Some((old, new)) = difference(&a, &b) {
                prop_assert_eq!(replay(&a, &old, &new), b.clone());
                prop_assert_eq!(replay(&b, &new, &old), a);
            }
        }
    }
}
