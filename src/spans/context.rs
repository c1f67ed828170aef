//! Which trace a request belongs to (W3C Trace Context, section 3.2). Pure.

use std::fmt;

use serde::{Serialize, Serializer};

/// Length of `version-traceid-parentid-flags`.
const LENGTH: usize = 55;
/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// An id of `N` bytes, told as hexadecimal digits. None is zero throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id<const N: usize>([u8; N]);

impl<const N: usize> Id<N> {
    /// Reads hexadecimal digits in lower case.
    fn parse(text: &str) -> Option<Self> {
        let is_lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let mut bytes = [0; N];
        if !text.bytes().all(is_lower) || hex::decode_to_slice(text, &mut bytes).is_err() {
            return None;
        }
        bytes.iter().any(|byte| *byte != 0).then_some(Self(bytes))
    }
}

impl Id<8> {
    /// That of a number that is not 0.
    pub fn of(number: u64) -> Self {
        Self(number.to_be_bytes())
    }
}

impl Id<16> {
    /// That of a number that is not 0.
    pub fn of(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The trace that a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub id: Id<16>,
    /// The span of the client that asks, if it has one.
    pub parent: Option<Id<8>>,
    /// Whether it is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. Whatever is wrong with it, it is as if there were none (section 3.2.2.5).
    pub fn parse(text: &str) -> Option<Self> {
        let (known, more) = text.split_at_checked(LENGTH)?;
        let mut fields = known.split('-');
        let (version, id, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (version, flags) = (octet(version)?, octet(flags)?);
        // Later versions may add fields at the end; 255 is none.
        let goes_on = more.starts_with('-') && version > 0;
        if version == u8::MAX || !(more.is_empty() || goes_on) || fields.next().is_some() {
            return None;
        }
        Some(Self { id: Id::parse(id)?, parent: Some(Id::parse(parent)?), sampled: flags & SAMPLED != 0 })
    }
}

fn octet(text: &str) -> Option<u8> {
    let is_octet = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    u8::from_str_radix(text, 16).ok().filter(|_| is_octet)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    /// The example of the recommendation, section 3.2.3.
    #[test]
    fn a_trace_is_read_as_it_is_written() {
        let context = TraceContext::parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!((context.id.to_string(), context.parent.unwrap().to_string()), (TRACE.to_owned(), SPAN.to_owned()));
        assert!(context.sampled);
        assert!(!TraceContext::parse(&format!("00-{TRACE}-{SPAN}-00")).unwrap().sampled);
        assert!(TraceContext::parse(&format!("00-{TRACE}-{SPAN}-ff")).unwrap().sampled, "other flags are of others");
        assert!(TraceContext::parse(&format!("01-{TRACE}-{SPAN}-01-more")).is_some(), "of a later version");
    }

    #[test]
    fn what_is_none_is_none() {
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("01-{TRACE}-{SPAN}-01more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}-+1"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{SPAN}-{TRACE}-01"),
            format!("ü0-{}-{SPAN}-01", &TRACE[1..]),
        ] {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in ".{0,80}") {
            let _ = TraceContext::parse(&text);
        }

        #[test]
        fn what_is_taken_is_what_was_written(trace in 1u128.., span in 1u64.., flags: u8) {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            let context = TraceContext::parse(&text).unwrap();
            prop_assert_eq!(context, TraceContext {
                id: Id::<16>::of(trace), parent: Some(Id::<8>::of(span)), sampled: flags & 1 == 1,
            });
            prop_assert_eq!(format!("00-{}-{}-{flags:02x}", context.id, context.parent.unwrap()), text);
        }
    }
}
