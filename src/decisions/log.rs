//! Refusals of the last day, each under the id of its request, within the bytes of `EXPLAIN_BYTES`.
//!
//! A refusal is kept as the text that tells it, so that its size is known and nothing of policies that were changed since lives
//! on. It is written before the lock is taken.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use myfsio_actors::iam::Principal;
use myfsio_actors::names::{CanonicalId, Stamp};
use serde::Serialize;

use super::explanation::{Explanation, Who, Why};
use super::shelf::{Shelf, Source};
use crate::s3::respond::RequestId;

/// How long a refusal is kept, in nanoseconds.
const KEEP_NANOS: u64 = 24 * 60 * 60 * 1_000_000_000;
/// Most refusals that are kept of one request beside the first.
pub const FURTHER_MAX: usize = 20;
/// Most bytes of one refusal; of longer ones, statements are left out.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Most statements that are told of one refusal, and how many when that is too long.
const STATEMENTS_MAX: [usize; 3] = [100, 20, 0];

/// An error, which may be a refusal.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// Its code.
    pub code: &'static str,
    /// Its HTTP status.
    pub status: u16,
    /// What the client is told.
    pub message: &'a str,
    /// Whether the client is told no more than the code says.
    pub is_bare: bool,
    /// What the log is told.
    pub cause: Option<&'a str>,
    /// Why the request is refused.
    pub why: Option<&'a Why>,
}

/// What is known of a refused request beside its error.
#[derive(Debug, Clone, Default)]
pub struct Circumstances<'a> {
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// Who asks, as far as it is proven.
    pub principal: Option<&'a Principal>,
    /// What for.
    pub action: Option<&'static str>,
    /// ARN of what it is asked of, or its path where it has none.
    pub resource: Cow<'a, str>,
    /// The bucket and its owner.
    pub bucket: Option<(&'a str, &'a CanonicalId)>,
}

/// All refusals that are kept.
#[derive(Debug)]
pub struct DecisionLog {
    is_on: bool,
    shelf: Mutex<Shelf<Refusals>>,
}

/// The refusals of one request.
#[derive(Debug, Clone)]
pub struct Refusals {
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// In their order.
    pub all: Vec<Refusal>,
    /// How many more there were.
    pub left_out: usize,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// `aws:userid` of the caller.
    pub caller: Option<Box<str>>,
    /// The access key that the request names, where it did not prove to be the caller's.
    pub unproven_key: Option<Box<str>>,
    /// Whose the bucket is.
    pub bucket_owner: Option<CanonicalId>,
    /// The JSON that tells it.
    pub text: Box<str>,
}

/// What is told of a refusal.
#[derive(Serialize)]
struct Text<'a> {
    code: &'static str,
    #[serde(flatten)]
    explanation: &'a Explanation,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl DecisionLog {
    /// An empty log of so many bytes; of none it keeps nothing.
    pub fn new(bytes_max: usize) -> Self {
        Self { is_on: bytes_max > 0, shelf: Mutex::new(Shelf::new(bytes_max, KEEP_NANOS)) }
    }

    /// Whether anything is kept, so that it is worth explaining.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Keeps a refusal, if the error is one: of status 403, or one that says why.
    pub fn refused<'e>(
        &self,
        id: RequestId,
        now: Stamp,
        error: impl Into<Refused<'e>>,
        circumstances: &Circumstances<'_>,
    ) {
        let error = error.into();
        let is_refusal = error.status == 403 || error.why.is_some();
        if !self.is_on || !is_refusal || id.number() == 0 {
            return;
        }
        let (id, source) = (id.number(), Source::of(circumstances.address));
        if self.shelf().get(id, now).is_some_and(|(_, refusals)| refusals.all.len() > FURTHER_MAX) {
            self.shelf().add_to(id, source, 0, |refusals| refusals.left_out = refusals.left_out.saturating_add(1));
            return;
        }
        let refusal = Refusal::of(error, circumstances);
        let bytes = refusal.bytes();
        let mut shelf = self.shelf();
        match shelf.get(id, now) {
            Some(_) => shelf.add_to(id, source, bytes, |refusals| refusals.all.push(refusal)),
            None => {
                let refusals = Refusals { address: circumstances.address, all: vec![refusal], left_out: 0 };
                shelf.put(id, source, now, refusals, bytes);
            }
        }
    }

    /// The refusals of a request, and when the first of them was.
    pub fn find(&self, id: RequestId, now: Stamp) -> Option<(Stamp, Refusals)> {
        self.shelf().get(id.number(), now).map(|(at, refusals)| (at, refusals.clone()))
    }

    /// A panic elsewhere leaves at worst a share that is counted wrong.
    fn shelf(&self) -> MutexGuard<'_, Shelf<Refusals>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusal {
    fn of(error: Refused<'_>, circumstances: &Circumstances<'_>) -> Self {
        let explanation = match error.why {
            Some(Why::Decided(explanation)) => Cow::Borrowed(&**explanation),
            why => Cow::Owned(by_rule(why, error, circumstances)),
        };
        let unproven_key = match error.why {
            Some(Why::Credentials { access_key, .. }) => access_key.as_deref().map(Box::from),
            _ => None,
        };
        Self {
            caller: explanation.principal.user_id.as_deref().map(Box::from),
            unproven_key,
            bucket_owner: explanation.bucket_owner.clone(),
            text: text(error, &explanation),
        }
    }

    fn bytes(&self) -> usize {
        let texts = [Some(&self.text), self.caller.as_ref(), self.unproven_key.as_ref()];
        let owner = self.bucket_owner.as_ref().map_or(0, |owner| owner.as_str().len());
        size_of::<Self>() + owner + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
    }
}

/// Tells of a refusal that no policy decided.
fn by_rule(why: Option<&Why>, error: Refused<'_>, circumstances: &Circumstances<'_>) -> Explanation {
    let (word, principal) = match why {
        Some(Why::Credentials { access_key, .. }) => ("authentication", Who::unproven(access_key.as_deref())),
        Some(Why::Rule(word)) => (*word, Who::of(circumstances.principal)),
        Some(Why::Decided(_)) | None => ("rule", Who::of(circumstances.principal)),
    };
    let is_of_credentials = matches!(why, Some(Why::Credentials { .. }));
    Explanation {
        principal,
        action: circumstances.action.unwrap_or_default().to_owned(),
        resource: circumstances.resource.clone().into_owned(),
        bucket: circumstances.bucket.map(|(name, _)| name.to_owned()),
        bucket_owner: circumstances.bucket.map(|(_, owner)| owner.clone()),
        decision: "denied",
        reason: word,
        message: match error.cause {
            Some(cause) if error.is_bare && !is_of_credentials => sentence(cause),
            _ => error.message.to_owned(),
        },
        deciding_statement: None,
        statements: Vec::new(),
        notes: Vec::new(),
    }
}

/// A cause as a sentence.
fn sentence(cause: &str) -> String {
    let mut letters = cause.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let stop = if cause.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}

fn text(error: Refused<'_>, explanation: &Explanation) -> Box<str> {
    let (cause, hint) = match error.why {
        Some(Why::Decided(_)) => (None, None),
        Some(Why::Credentials { hint, .. }) => (error.cause, hint.as_deref()),
        _ => (error.cause, None),
    };
    let code = error.code;
    for statements_max in STATEMENTS_MAX {
        let shortened = shortened(explanation, statements_max);
        let text = serde_json::to_string(&Text { code, explanation: &shortened, cause, hint }).unwrap_or_default();
        if text.len() <= TEXT_BYTES_MAX {
            return text.into_boxed_str();
        }
    }
    // What is left is a key, an action and a few names: only a cause or hint can be longer.
    let bare = shortened(explanation, 0);
    serde_json::to_string(&Text { code, explanation: &bare, cause: None, hint: None }).unwrap_or_default().into()
}

/// The explanation with so many statements at most: those that applied, then those that a condition kept from it, then the first.
fn shortened(explanation: &Explanation, statements_max: usize) -> Cow<'_, Explanation> {
    let count = explanation.statements.len();
    if count <= statements_max {
        return Cow::Borrowed(explanation);
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|index| explanation.statements.get(*index).map(|told| (!told.matched, told.condition.is_none())));
    order.truncate(statements_max);
    order.sort_unstable();
    let mut shortened = Explanation { statements: Vec::new(), ..explanation.clone() };
    shortened.statements = order.iter().filter_map(|index| explanation.statements.get(*index).cloned()).collect();
    Cow::Owned(shortened.noting(format!("{} more statements were considered and are left out", count - statements_max)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::s3::error::{ErrorCode, S3Error};

    const NOW: Stamp = Stamp(1_000_000_000);

    fn told(statements: usize) -> Explanation {
        let one = |index: usize| super::super::explanation::Told {
            statement: super::super::explanation::Named {
                source: super::super::explanation::Place { kind: "bucket", ..Default::default() },
                sid: None,
                index: Some(index),
            },
            effect: "Allow",
            matched: index + 1 == statements,
            why: "x".repeat(1000),
            condition: None,
        };
        Explanation {
            principal: Who::of(None),
            action: "s3:GetObject".to_owned(),
            resource: "arn:aws:s3:::b/k".to_owned(),
            bucket: Some("b".to_owned()),
            bucket_owner: None,
            decision: "denied",
            reason: "anonymous",
            message: String::new(),
            deciding_statement: None,
            statements: (0..statements).map(one).collect(),
            notes: Vec::new(),
        }
    }

    fn denied(statements: usize) -> S3Error {
        S3Error::new(ErrorCode::AccessDenied).explained(Why::Decided(Box::new(told(statements))))
    }

    fn id(number: u64) -> RequestId {
        RequestId::parse(&format!("{number:016X}")).unwrap()
    }

    #[test]
    fn refusals_are_found_by_their_request() {
        let log = DecisionLog::new(100_000);
        log.refused(id(1), NOW, &denied(2), &Circumstances::default());
        log.refused(id(2), NOW, &S3Error::new(ErrorCode::NoSuchKey), &Circumstances::default());
        let rule = S3Error::new(ErrorCode::AccessDenied).because("the document names another owner");
        log.refused(id(3), NOW, &rule, &Circumstances { action: Some("s3:PutObjectAcl"), ..Default::default() });
        let text = |number| -> Option<Value> {
            let (at, refusals) = log.find(id(number), NOW)?;
            assert_eq!(at, NOW);
            Some(serde_json::from_str(&refusals.all.first()?.text).unwrap())
        };
        let first = text(1).unwrap();
        assert_eq!((first["code"].as_str(), first["statements"].as_array().unwrap().len()), (Some("AccessDenied"), 2));
        assert_eq!(text(2), None, "not every error is a refusal");
        assert_eq!(text(3).unwrap()["message"], "The document names another owner.");
        assert_eq!(text(3).unwrap()["action"], "s3:PutObjectAcl");
        let off = DecisionLog::new(0);
        off.refused(id(1), NOW, &denied(2), &Circumstances::default());
        assert!(!off.is_on() && off.find(id(1), NOW).is_none());
    }

    #[test]
    fn a_batch_is_bounded() {
        let log = DecisionLog::new(1_000_000);
        for _ in 0..100 {
            log.refused(id(1), NOW, &denied(1), &Circumstances::default());
        }
        let (_, refusals) = log.find(id(1), NOW).unwrap();
        assert_eq!((refusals.all.len(), refusals.left_out), (1 + FURTHER_MAX, 100 - 1 - FURTHER_MAX));
    }

    #[test]
    fn a_refusal_is_bounded() {
        let text = text((&denied(1000)).into(), &told(1000));
        assert!(text.len() <= TEXT_BYTES_MAX);
        let text: Value = serde_json::from_str(&text).unwrap();
        let indexes: Vec<_> = text["statements"].as_array().unwrap().iter().map(|one| one["index"].as_u64()).collect();
        assert_eq!((indexes.len(), indexes.first(), indexes.last()), (20, Some(&Some(0)), Some(&Some(999))));
        assert_eq!(text["notes"][0], "980 more statements were considered and are left out");
    }
}
