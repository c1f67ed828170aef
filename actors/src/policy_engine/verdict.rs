//! What the policies of one side say together: those that the caller holds, or the bucket's.

use super::context::Facts;
use super::decision::{Source, StatementRef};
use super::document::{Asked, Document, Verdict};
use super::error::InvalidPolicy;
use super::grant::Wish;
use super::identity::{Form, IdentityPolicy};
use super::trace::Watch;

/// What the bucket's policy says.
#[derive(Debug)]
pub(super) enum BucketVerdict {
    Denied(StatementRef),
    Allowed(StatementRef),
    AllowedToAccount(StatementRef),
    Silent,
}

impl BucketVerdict {
    /// Asks the bucket's policy.
    pub fn of<W: Watch>(document: &Document, asked: Asked<'_>, facts: &Facts<'_>, watch: &mut W) -> Self {
        let named = |index| statement_ref(document, index, Source::Bucket);
        match document.verdict(asked, facts, &|| Source::Bucket, watch) {
            Verdict::Denied(index) => Self::Denied(named(index)),
            Verdict::Allowed(index) => Self::Allowed(named(index)),
            Verdict::AllowedToAccount(index) => Self::AllowedToAccount(named(index)),
            Verdict::Silent => Self::Silent,
        }
    }

    /// What is left where the policy's allowing does not count.
    pub fn without_allow(self) -> Self {
        match self {
            Self::Denied(statement) => Self::Denied(statement),
            Self::Allowed(_) | Self::AllowedToAccount(_) | Self::Silent => Self::Silent,
        }
    }
}

/// What the caller's own policies say together.
#[derive(Debug)]
pub(super) enum IdentityVerdict {
    Denied(StatementRef),
    /// One of them has a mistake.
    Broken(InvalidPolicy),
    /// By a short-form grant, which suffices everywhere.
    Granted(StatementRef),
    /// By a document, which suffices in its own account.
    Allowed(StatementRef),
    Silent,
}

impl IdentityVerdict {
    /// Asks the policies one after the other; `wish` is what grants of the short form are asked for.
    pub fn of<W: Watch>(
        policies: &[IdentityPolicy],
        wish: Option<Wish<'_>>,
        asked: Asked<'_>,
        facts: &Facts<'_>,
        watch: &mut W,
    ) -> Self {
        let mut verdict = Self::Silent;
        for policy in policies {
            let source = || Source::Identity { home: policy.home.clone(), name: policy.name.clone() };
            let found = match (&*policy.form, wish) {
                (Form::Broken(mistake), _) => Self::Broken(mistake.clone()),
                (Form::Short(_), None) => continue,
                (Form::Short(grant), Some(wish)) => {
                    if !W::WHOLE && matches!(verdict, Self::Granted(_)) {
                        continue;
                    }
                    let gives = grant.gives(wish);
                    watch.grant(&source, gives);
                    match gives {
                        true => Self::Granted(StatementRef { source: source(), index: None, sid: None }),
                        false => continue,
                    }
                }
                (Form::Document(document), _) => match document.verdict(asked, facts, &source, watch) {
                    Verdict::Denied(at) => Self::Denied(statement_ref(document, at, source())),
                    Verdict::Allowed(at) | Verdict::AllowedToAccount(at) => match verdict {
                        Self::Silent => Self::Allowed(statement_ref(document, at, source())),
                        _ => continue,
                    },
                    Verdict::Silent => continue,
                },
            };
            verdict = match (verdict, found) {
                (Self::Denied(first), _) => Self::Denied(first),
                (_, Self::Denied(statement)) => Self::Denied(statement),
                (Self::Broken(first), _) => Self::Broken(first),
                (Self::Granted(first), Self::Granted(_)) => Self::Granted(first),
                (_, found) => found,
            };
            if !W::WHOLE && matches!(verdict, Self::Denied(_)) {
                return verdict;
            }
        }
        verdict
    }
}

pub(super) fn statement_ref(document: &Document, index: usize, source: Source) -> StatementRef {
    let sid = document.statements.get(index).and_then(|statement| statement.sid.clone());
    StatementRef { source, index: Some(index), sid }
}
