//! What fuzzing drives, one function for each target: it takes any bytes, asserts what must hold for them, and answers
//! whether they were taken, so that the seeds of a corpus also say whether they should be. Not part of the node: built for
//! tests and with the feature `internals` only.

pub use crate::audit::fuzzing::audit_log;
pub use crate::iam::fuzzing::{iam_file, identity_token, session_token};
pub use crate::policy_engine::fuzzing::policy;
pub use crate::storage::fuzzing::sealed::sealed;
pub use crate::storage::fuzzing::{journal, rows};

/// A target: answers whether the input was taken.
pub type Target = fn(&[u8]) -> bool;

/// Every target of this crate by its name, which is also that of its corpus and of its program below `fuzz/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("audit_log", audit_log),
    ("iam_file", iam_file),
    ("identity_token", identity_token),
    ("journal", journal),
    ("policy", policy),
    ("rows", rows),
    ("sealed", sealed),
    ("session_token", session_token),
];

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, panic};

    use super::*;

    /// Seeds named `taken-…` must be taken and `refused-…` must not; any other name is an input that once failed.
    #[test]
    fn the_corpora_pass() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
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
