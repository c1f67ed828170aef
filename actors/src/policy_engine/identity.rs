//! A policy of a user or role: the short form or an AWS JSON document.

use std::sync::Arc;

use serde_json::Value;

use super::document::Document;
use super::error::InvalidPolicy;
use super::grant::Grant;
use super::parse::{Kind, parse_document};

/// One policy that a caller holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IdentityPolicy {
    /// `PolicyName`, where the policy has one.
    pub name: Option<Box<str>>,
    /// Where the caller has it from.
    pub home: PolicyHome,
    pub(super) form: Arc<Form>,
}

/// Where a caller has a policy from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyHome {
    /// Its own, at this place in `policies`, counted from 0.
    Own {
        /// Place in `policies`.
        index: usize,
    },
    /// Of a group that it is in.
    Group {
        /// Name of the group.
        group: Box<str>,
        /// Place in the group's `policies`.
        index: usize,
    },
    /// A managed policy that is attached to it, or to a group that it is in.
    Managed {
        /// ARN of the policy.
        arn: Box<str>,
        /// Name of the group.
        group: Option<Box<str>>,
    },
    /// Of its temporary credentials, which can do no more than it allows.
    Session {
        /// Place among them.
        index: usize,
    },
}

/// The two ways to write an identity policy.
#[derive(Debug)]
pub(super) enum Form {
    Short(Grant),
    Document(Document),
    /// Neither: whoever holds it may do nothing, since nobody knows what it was to deny.
    Broken(InvalidPolicy),
}

impl IdentityPolicy {
    /// Parses an element of a user's `policies`; `place` names it in errors. Errs: neither form, or a mistake in it.
    pub fn parse(value: &Value, place: &str) -> Result<Self, InvalidPolicy> {
        let form = match value.get("Statement") {
            None => Form::Short(Grant::parse(value, place)?),
            Some(_) => Form::Document(
                parse_document(value, Kind::Identity)
                    .map_err(|error| InvalidPolicy::new(format!("{place}.{}", error.place), error.reason))?,
            ),
        };
        Ok(Self { form: Arc::new(form), ..Self::broken(value, InvalidPolicy::new(place, "")) })
    }

    /// Stands for a policy with a mistake, which denies everything to whoever holds it.
    pub fn broken(value: &Value, mistake: InvalidPolicy) -> Self {
        let name = value.get("PolicyName").and_then(Value::as_str).map(Box::from);
        Self { name, home: PolicyHome::Own { index: 0 }, form: Arc::new(Form::Broken(mistake)) }
    }

    /// The same policy, held from elsewhere.
    #[must_use]
    pub fn at(&self, home: PolicyHome) -> Self {
        Self { home, ..self.clone() }
    }

    /// Whether it is the short form, which binds its holder.
    pub fn is_short(&self) -> bool {
        matches!(*self.form, Form::Short(_))
    }

    /// The mistake in it.
    pub fn mistake(&self) -> Option<&InvalidPolicy> {
        match &*self.form {
            Form::Broken(mistake) => Some(mistake),
            Form::Short(_) | Form::Document(_) => None,
        }
    }

    /// Words of the short form that grant nothing since nobody knows them.
    pub fn unknown_words(&self) -> &[String] {
        match &*self.form {
            Form::Short(grant) => &grant.unknown,
            Form::Document(_) | Form::Broken(_) => &[],
        }
    }
}
