//! A policy of a user: the short form or an AWS JSON document.

use serde_json::Value;

use super::document::Document;
use super::error::InvalidPolicy;
use super::grant::Grant;
use super::parse::{Kind, parse_document};

/// One policy of a user.
#[derive(Debug, Clone)]
pub struct IdentityPolicy {
    /// `PolicyName`, where the policy has one.
    pub name: Option<Box<str>>,
    pub(super) form: Form,
}

/// The two ways to write an identity policy.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Short(Grant),
    Document(Document),
}

impl IdentityPolicy {
    /// Parses an element of a user's `policies`; `place` names it in errors. Errs: neither form, or a mistake in it.
    pub fn parse(value: &Value, place: &str) -> Result<Self, InvalidPolicy> {
        let name = value.get("PolicyName").and_then(Value::as_str).map(Box::from);
        if value.get("Statement").is_none() {
            return Ok(Self { name, form: Form::Short(Grant::parse(value, place)?) });
        }
        let document = parse_document(value, Kind::Identity)
            .map_err(|error| InvalidPolicy::new(format!("{place}.{}", error.place), error.reason))?;
        Ok(Self { name, form: Form::Document(document) })
    }

    /// Whether it is the short form, which binds its holder.
    pub fn is_short(&self) -> bool {
        matches!(self.form, Form::Short(_))
    }

    /// Words of the short form that grant nothing since nobody knows them.
    pub fn unknown_words(&self) -> &[String] {
        match &self.form {
            Form::Short(grant) => &grant.unknown,
            Form::Document(_) => &[],
        }
    }
}
