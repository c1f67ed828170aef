//! The operations of the KMS (KMS API Reference, "Actions"). Each reads the members of its request, asks for its permission, asks the
//! KMS, and tells.

pub mod aliases;
pub mod cryptography;
pub mod keys;
mod page;
pub mod policies;
pub mod rotation;
pub mod states;
pub mod tags;

use crate::kms::fields::Fields;
use crate::s3::error::{ErrorCode, S3Error};

/// Errs when a request says something that there is no support for, rather than doing without: UnsupportedOperationException.
fn refuse_unsupported(fields: &Fields, names: &[&str]) -> Result<(), S3Error> {
    match names.iter().find(|name| fields.has(name)) {
        Some(name) => Err(unsupported(name)),
        None => Ok(()),
    }
}

/// The refusal of a parameter that there is no support for.
fn unsupported(what: &str) -> S3Error {
    let code = ErrorCode::UnsupportedOperationException;
    S3Error::with_message(code, format!("{} ({what})", code.message()))
}

/// There are no grants, so no token stands for one. Errs: InvalidGrantTokenException.
fn refuse_grant_tokens(fields: &Fields) -> Result<(), S3Error> {
    match fields.texts("GrantTokens")?.is_empty() {
        true => Ok(()),
        false => Err(ErrorCode::InvalidGrantTokenException.into()),
    }
}
