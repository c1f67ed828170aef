//! `Range` of a read: RFC 9110 §14, as S3 serves it.
//!
//! One range is served as 206; several ranges, other units and malformed values are ignored and the whole object is
//! sent; a range that begins behind the end is 416. Pure.

use std::ops::Range;

/// What a `Range` header asks for, given the object's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All bytes, as 200.
    Whole,
    /// These bytes, as 206; never empty, and within the object.
    Part(Range<u64>),
    /// Nothing that is there: 416.
    Unsatisfiable,
}

/// Reads the value of a `Range` header for an object of `size` bytes.
pub fn resolve(value: &str, size: u64) -> Wanted {
    let Some(spec) = single_spec(value) else { return Wanted::Whole };
    let (first, last) = match spec {
        (None, Some(suffix)) => (size.saturating_sub(suffix), if suffix == 0 { None } else { size.checked_sub(1) }),
        (Some(first), Some(last)) if last < first => return Wanted::Whole,
        (Some(first), last) => (first, size.checked_sub(1).map(|end| last.unwrap_or(end).min(end))),
        (None, None) => return Wanted::Whole,
    };
    match last {
        Some(last) if first <= last => Wanted::Part(first..last + 1),
        _ => Wanted::Unsatisfiable,
    }
}

/// `Content-Range` of a part.
pub fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1))
}

fn single_spec(value: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, spec) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    match (number(first)?, number(last)?) {
        (None, None) => None,
        spec => Some(spec),
    }
}

/// Digits, or nothing; a number beyond 64 bits is as good as the largest.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let table: &[(&str, Wanted)] = &[
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=4-", Wanted::Part(4..10)),
            ("bytes=4-100", Wanted::Part(4..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("Bytes = 1 - 2", Wanted::Part(1..3)),
            ("bytes=9-99999999999999999999999", Wanted::Part(9..10)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-12", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("", Wanted::Whole),
        ];
        for (value, expected) in table {
            assert_eq!(resolve(value, 10), *expected, "{value}");
        }
    }

    #[test]
    fn nothing_of_an_empty_object_can_be_had() {
        for value in ["bytes=0-0", "bytes=0-", "bytes=-1", "bytes=-0"] {
            assert_eq!(resolve(value, 0), Wanted::Unsatisfiable, "{value}");
        }
        assert_eq!(content_range(&(2..5), 9), "bytes 2-4/9");
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_object(first in 0u64..30, last in 0u64..30, size in 0u64..20) {
            let expected: Vec<u64> = (first..=last).filter(|i| *i < size).collect();
            match resolve(&format!("bytes={first}-{last}"), size) {
                Wanted::Part(part) => prop_assert_eq!(part.collect::<Vec<_>>(), expected),
                Wanted::Unsatisfiable => prop_assert!(first <= last && expected.is_empty()),
                Wanted::Whole => prop_assert!(last < first),
            }
        }

        #[test]
        fn never_panics(value in ".{0,40}", size: u64) {
            if let Wanted::Part(part) = resolve(&value, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
