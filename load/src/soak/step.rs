//! What clients of a soak do, and how often. No I/O.

/// One thing that a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// GetObject of a key, compared byte by byte.
    Get,
    /// GetObject of a range.
    GetRange,
    /// HeadObject.
    Head,
    /// ListObjectsV2 of the client's keys.
    List,
    /// PutObject of a body that fits into the journal.
    PutSmall,
    /// PutObject of a larger one.
    PutLarge,
    /// PutObject of what a lifecycle rule removes.
    PutPassing,
    /// DeleteObject.
    Delete,
    /// CopyObject.
    Copy,
    /// A whole multipart upload.
    Multipart,
    /// A multipart upload that is aborted.
    AbortUpload,
    /// A request that is refused, and how is known.
    Wrong,
    /// PutObject whose client leaves in the middle of the body.
    CutPut,
    /// PutObject whose client does not wait for the answer.
    CutPutAnswer,
    /// GetObject whose client leaves in the middle of the answer.
    CutGet,
    /// A multipart upload whose client leaves in the middle of a part, and never comes back.
    CutPart,
    /// A multipart upload whose client does not wait until it is complete.
    CutComplete,
}

/// Every step with its weight.
const WEIGHTS: [(Step, u64); 17] = [
    (Step::Get, 26),
    (Step::GetRange, 6),
    (Step::Head, 7),
    (Step::List, 4),
    (Step::PutSmall, 16),
    (Step::PutLarge, 6),
    (Step::PutPassing, 4),
    (Step::Delete, 4),
    (Step::Copy, 3),
    (Step::Multipart, 3),
    (Step::AbortUpload, 1),
    (Step::Wrong, 3),
    (Step::CutPut, 6),
    (Step::CutPutAnswer, 3),
    (Step::CutGet, 6),
    (Step::CutPart, 1),
    (Step::CutComplete, 1),
];

impl Step {
    /// The step that a random number stands for.
    pub fn pick(number: u64) -> Self {
        let all: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut ball = number % all;
        for (step, weight) in WEIGHTS {
            match ball.checked_sub(weight) {
                Some(rest) => ball = rest,
                None => return step,
            }
        }
        Self::Get
    }

    /// How it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetRange => "get range",
            Self::Head => "head",
            Self::List => "list",
            Self::PutSmall => "put small",
            Self::PutLarge => "put large",
            Self::PutPassing => "put passing",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Multipart => "multipart",
            Self::AbortUpload => "abort upload",
            Self::Wrong => "refused",
            Self::CutPut => "put cut in body",
            Self::CutPutAnswer => "put cut before answer",
            Self::CutGet => "get cut in answer",
            Self::CutPart => "part cut in body",
            Self::CutComplete => "complete cut before answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn steps_follow_their_weights() {
        let mut picked = BTreeMap::new();
        let all: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        (0..all).for_each(|ball| *picked.entry(Step::pick(ball)).or_insert(0) += 1);
        assert_eq!(picked.into_iter().collect::<Vec<_>>(), WEIGHTS, "every step, in the order of the type");
    }
}
