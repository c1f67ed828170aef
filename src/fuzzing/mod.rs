//! What fuzzing drives, one function for each target: it takes any bytes, asserts what must hold for them, and answers
//! whether they were taken, so that the seeds of a corpus also say whether they should be. Not part of the node: built for
//! tests and with the feature `internals` only.
//!
//! Inputs are written as text where that is possible, most of them as the head of a request (`input`), so that seeds and
//! findings can be read and written by hand.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what does not hold ends the run")]

mod authenticate;
mod body;
mod canonical;
mod chunked;
mod conditions;
mod encryption;
mod footers;
mod forms;
pub(crate) mod input;
mod target;
mod xml;

pub use crate::aws::fuzzing::query_protocol;
pub use crate::config::fuzzing::config;
pub use crate::jobs::fuzzing::job_order;
pub use authenticate::authenticate;
pub use body::{body_claims, object_headers};
pub use canonical::canonical_request;
pub use chunked::aws_chunked;
pub use conditions::conditions;
pub use encryption::encryption_headers;
pub use footers::parquet;
pub use forms::{post_form, post_policy};
pub use target::{copy_source, listing_query, request_target};
pub use xml::xml_documents;

/// A target: answers whether the input was taken.
pub type Target = fn(&[u8]) -> bool;

/// Every target of this crate by its name, which is also that of its corpus and of its program below `fuzz/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("authenticate", authenticate),
    ("aws_chunked", aws_chunked),
    ("body_claims", body_claims),
    ("canonical_request", canonical_request),
    ("conditions", conditions),
    ("config", config),
    ("copy_source", copy_source),
    ("encryption_headers", encryption_headers),
    ("job_order", job_order),
    ("listing_query", listing_query),
    ("object_headers", object_headers),
    ("parquet", parquet),
    ("post_form", post_form),
    ("post_policy", post_policy),
    ("query_protocol", query_protocol),
    ("request_target", request_target),
    ("xml_documents", xml_documents),
];

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, panic};

    use super::*;

    /// Seeds named `taken-…` must be taken and `refused-…` must not; any other name is an input that once failed.
    #[test]
    fn the_corpora_pass() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let mut wrong = Vec::new();
        for (name, target) in TARGETS {
            assert!(fuzz.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name} has no program");
            let (mut taken, mut refused) = (0, 0);
            for seed in fs::read_dir(fuzz.join("corpus").join(name)).unwrap() {
                let path = seed.unwrap().path();
                let label = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
                let bytes = fs::read(&path).unwrap();
                match panic::catch_unwind(|| target(&bytes)) {
                    Ok(true) if label.contains("/refused-") => wrong.push(format!("{label} is taken")),
                    Ok(false) if label.contains("/taken-") => wrong.push(format!("{label} is refused")),
                    Ok(true) => taken += 1,
                    Ok(false) => refused += 1,
                    Err(_) => wrong.push(format!("{label} fails")),
                }
            }
            assert!(taken > 0 && refused > 0, "{name} needs seeds of both kinds: {wrong:?}");
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
