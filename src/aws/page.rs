//! Pages of a list: `MaxItems`, `Marker`, `IsTruncated` (IAM API Reference, "Common parameters"). Pure.

use super::error::ApiError;
use super::parameters::Parameters;
use crate::page::cut;
use crate::s3::xml::XmlWriter;

/// Items of a page, unless `MaxItems` says otherwise.
const ITEMS_DEFAULT: u64 = 100;
/// Most items of a page.
const ITEMS_MAX: u64 = 1000;

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    next: Option<String>,
}

impl<T> Page<T> {
    /// The page that a request asks for. `key` orders the items and tells each from all others. Errs: ValidationError.
    pub fn of(
        parameters: &Parameters,
        items: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Self, ApiError> {
        let max = parameters.number("MaxItems", 1, ITEMS_MAX)?.unwrap_or(ITEMS_DEFAULT);
        let marker = parameters.get("Marker").filter(|marker| !marker.is_empty());
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let (items, next) = cut(items, key, max, marker).ok_or_else(|| ApiError::validation("Invalid Marker."))?;
        Ok(Self { items, next })
    }

    /// Tells whether there is more, behind the items.
    pub fn end(&self, out: &mut XmlWriter) {
        out.value("IsTruncated", self.next.is_some());
        out.text_if("Marker", self.next.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(raw: &str, items: &[&'static str]) -> Page<&'static str> {
        Page::of(&Parameters::parse(raw).unwrap(), items.iter().copied(), |item| item.to_lowercase()).unwrap()
    }

    #[test]
    fn pages_follow_each_other_whatever_changes_in_between() {
        let first = page("MaxItems=2", &["b", "A", "d", "C"]);
        assert_eq!(first.items, ["A", "b"]);
        let next = format!("MaxItems=2&Marker={}", first.next.unwrap());
        let second = page(&next, &["d", "C", "aa"]);
        assert_eq!((second.items, second.next), (vec!["C", "d"], None));
        let refused = |raw: &str| Page::of(&Parameters::parse(raw).unwrap(), ["a"], |item| (*item).to_owned()).is_err();
        for raw in ["MaxItems=0", "MaxItems=1001", "MaxItems=x", "Marker=%20"] {
            assert!(refused(raw), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn all_pages_together_are_the_list(
            items in proptest::collection::btree_set("[a-z]{1,4}", 0..30), size in 1usize..8,
        ) {
            let (mut seen, mut marker) = (Vec::new(), String::new());
            loop {
                let parameters = Parameters::parse(&format!("MaxItems={size}&Marker={marker}")).unwrap();
                let page = Page::of(&parameters, items.iter().cloned().rev(), Clone::clone).unwrap();
                prop_assert!(page.items.len() <= size);
                seen.extend(page.items);
                match page.next {
                    Some(next) => marker = next,
                    None => break,
                }
            }
            prop_assert_eq!(seen, items.into_iter().collect::<Vec<_>>());
        }
    }
}
