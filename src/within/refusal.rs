//! A refusal as the console shows it.

use std::borrow::Cow;

use actix_web::http::StatusCode;

use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::storage_error::EXPECTATION;
use crate::server::within::Refused;

/// What was refused, and by which request it can be asked about.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Status of the answer.
    pub status: StatusCode,
    /// The code, as the API names it.
    pub code: &'static str,
    /// What the API says about it.
    pub message: String,
    /// The request's id; empty where none was made.
    pub request_id: String,
    /// What else is told: names and values.
    pub fields: Vec<(&'static str, String)>,
    /// Whether it was decided by permissions, so that it can be explained.
    pub is_denial: bool,
}

impl Refusal {
    /// A request that cannot be made.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        S3Error::with_message(ErrorCode::InvalidArgument, message).into()
    }

    /// Whether nothing was changed since it is not as it was seen any more ([`Asker::expecting`](super::Asker::expecting)).
    pub fn is_not_as_expected(&self) -> bool {
        self.fields.iter().any(|(name, value)| *name == "Condition" && value == EXPECTATION)
    }

    /// The same as an answer of the API.
    pub fn into_s3(self) -> S3Error {
        let known = ErrorCode::ALL.iter().find(|known| known.name() == self.code).copied();
        S3Error::with_message(known.unwrap_or(ErrorCode::InternalError), self.message)
    }

    /// An error that an answer tells at its end.
    pub(super) fn told(code: &str, message: String) -> Self {
        let known = ErrorCode::ALL.iter().find(|known| known.name() == code).copied();
        S3Error::with_message(known.unwrap_or(ErrorCode::InternalError), message).into()
    }

    /// An answer that cannot be read.
    pub fn broken(message: impl Into<Cow<'static, str>>) -> Self {
        S3Error::with_message(ErrorCode::InternalError, message).into()
    }
}

impl From<S3Error> for Refusal {
    fn from(error: S3Error) -> Self {
        Self {
            status: error.code().status(),
            code: error.code().name(),
            message: error.message().to_owned(),
            request_id: String::new(),
            fields: error.fields().to_vec(),
            is_denial: matches!(error.code(), ErrorCode::AccessDenied),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self { request_id: refused.request_id.to_string(), ..refused.error.into() }
    }
}
