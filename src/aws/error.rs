//! The one table of errors of the Query protocol (IAM API Reference, "Common errors" and the errors of each operation; STS API
//! Reference), and the error that these APIs pass around.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;

use crate::decisions::{Refused, Why};
use crate::s3::error::{ErrorCode as S3Code, S3Error};

macro_rules! error_table {
    ($($code:ident, $name:literal, $status:literal, $message:literal;)+) => {
        /// A code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $message] $code,)+
        }

        impl ErrorCode {
            /// Every code of the table.
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            /// The code as clients read it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)+ }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Self::$code => $status,)+ };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// The standing message.
            pub fn message(self) -> &'static str {
                match self { $(Self::$code => $message,)+ }
            }
        }
    };
}

error_table! {
    AccessDenied, "AccessDenied", 403, "Access denied.";
    ConcurrentModification, "ConcurrentModification", 409, "The request was rejected because multiple requests to change this object were submitted simultaneously.";
    DeleteConflict, "DeleteConflict", 409, "The resource cannot be deleted while others depend on it.";
    EntityAlreadyExists, "EntityAlreadyExists", 409, "The resource exists already.";
    ExpiredToken, "ExpiredTokenException", 400, "Token is expired.";
    ExpiredTokenHeader, "ExpiredToken", 403, "The security token included in the request is expired";
    IdpCommunicationError, "IDPCommunicationError", 400, "The identity provider could not be reached.";
    IdpRejectedClaim, "IDPRejectedClaim", 403, "The identity provider's claim was refused.";
    IncompleteSignature, "IncompleteSignature", 400, "The request signature does not conform to AWS standards.";
    InvalidAction, "InvalidAction", 400, "The action or operation requested is invalid.";
    InvalidClientTokenId, "InvalidClientTokenId", 403, "The security token included in the request is invalid.";
    InvalidIdentityToken, "InvalidIdentityToken", 400, "The web identity token that was passed could not be validated.";
    InvalidInput, "InvalidInput", 400, "An invalid or out-of-range value was supplied for an input parameter.";
    LimitExceeded, "LimitExceeded", 409, "The request would exceed a limit.";
    MalformedPolicyDocument, "MalformedPolicyDocument", 400, "The policy document is malformed.";
    MalformedQueryString, "MalformedQueryString", 400, "The query string contains a syntax error.";
    MissingAction, "MissingAction", 400, "The request is missing an action or a required parameter.";
    MissingAuthenticationToken, "MissingAuthenticationToken", 403, "Request is missing Authentication Token";
    NoSuchEntity, "NoSuchEntity", 404, "The request was rejected because it referenced a resource entity that does not exist.";
    NotImplemented, "NotImplemented", 501, "This action is not implemented.";
    PackedPolicyTooLarge, "PackedPolicyTooLarge", 400, "The session policies and tags together are too large.";
    PolicyNotAttachable, "PolicyNotAttachable", 400, "The policy cannot be attached.";
    RequestEntityTooLarge, "RequestEntityTooLarge", 413, "The request is too large.";
    RequestExpired, "RequestExpired", 400, "The request has expired.";
    ServiceFailure, "ServiceFailure", 500, "The request processing has failed because of an unknown error, exception or failure.";
    ServiceUnavailable, "ServiceUnavailable", 503, "The request has failed due to a temporary failure of the server.";
    SignatureDoesNotMatch, "SignatureDoesNotMatch", 403, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
    Throttling, "Throttling", 400, "Rate exceeded";
    UnmodifiableEntity, "UnmodifiableEntity", 400, "The resource cannot be changed by a request.";
    ValidationError, "ValidationError", 400, "The input fails to satisfy the constraints of the service.";
}

/// An error answer in the making.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: Option<Cow<'static, str>>,
    cause: Option<String>,
    why: Option<Box<Why>>,
}

impl ApiError {
    /// An error with the table's message.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, message: None, cause: None, why: None }
    }

    /// An error with a message of its own, which the client sees.
    pub fn with_message(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: Some(message.into()), ..Self::new(code) }
    }

    /// A `ValidationError`.
    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_message(ErrorCode::ValidationError, message)
    }

    /// An internal error; `cause` goes to the log only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(ErrorCode::ServiceFailure).because(cause)
    }

    /// Sets what the log says beside the code.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Says why the request is refused, for those who may ask about it later.
    #[must_use]
    pub fn explained(mut self, why: Why) -> Self {
        self.why = Some(Box::new(why));
        self
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message that the client sees.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_else(|| self.code.message())
    }

    /// What the log says.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

/// Refusals of what these APIs share with S3, authentication above all, as clients of these APIs know them.
impl From<S3Error> for ApiError {
    fn from(error: S3Error) -> Self {
        let keeps_message = |code| Self::with_message(code, error.message().to_owned());
        let told = match error.code() {
            S3Code::InvalidAccessKeyId | S3Code::InvalidToken => Self::new(ErrorCode::InvalidClientTokenId),
            S3Code::ExpiredToken => Self::new(ErrorCode::ExpiredTokenHeader),
            S3Code::SignatureDoesNotMatch => {
                let hint = error.fields().iter().find(|(name, _)| *name == "Hint").map(|(_, hint)| hint);
                match hint {
                    Some(hint) => {
                        let message = format!("{} {hint}", ErrorCode::SignatureDoesNotMatch.message());
                        Self::with_message(ErrorCode::SignatureDoesNotMatch, message)
                    }
                    None => Self::new(ErrorCode::SignatureDoesNotMatch),
                }
            }
            S3Code::XAmzContentSHA256Mismatch => Self::new(ErrorCode::SignatureDoesNotMatch),
            S3Code::RequestTimeTooSkewed => {
                let field = |name: &str| {
                    error.fields().iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value.as_str())
                };
                let (signed, now) = (field("RequestTime"), field("ServerTime"));
                let message = format!("Signature expired: {signed} is more than fifteen minutes from {now}");
                Self::with_message(ErrorCode::SignatureDoesNotMatch, message)
            }
            S3Code::AuthorizationHeaderMalformed
            | S3Code::AuthorizationQueryParametersError
            | S3Code::InvalidArgument
            | S3Code::InvalidRequest => keeps_message(ErrorCode::IncompleteSignature),
            S3Code::AccessDenied | S3Code::TooManyLoginAttempts => keeps_message(ErrorCode::AccessDenied),
            S3Code::EntityTooLarge | S3Code::MaxMessageLengthExceeded | S3Code::RequestHeaderSectionTooLarge => {
                Self::new(ErrorCode::RequestEntityTooLarge)
            }
            S3Code::InvalidURI => Self::new(ErrorCode::MalformedQueryString),
            S3Code::IncompleteBody | S3Code::RequestTimeout => keeps_message(ErrorCode::RequestExpired),
            S3Code::SlowDown => Self::new(ErrorCode::Throttling),
            S3Code::ServiceUnavailable => Self::new(ErrorCode::ServiceUnavailable),
            _ => Self::new(ErrorCode::ServiceFailure),
        };
        let cause = error.cause().map(str::to_owned).unwrap_or_else(|| error.to_string());
        let told = told.because(cause);
        Self { why: error.into_why(), ..told }
    }
}

impl<'a> From<&'a ApiError> for Refused<'a> {
    fn from(error: &'a ApiError) -> Self {
        Self {
            code: error.code.name(),
            status: error.code.status().as_u16(),
            message: error.message(),
            is_bare: error.message.is_none(),
            cause: error.cause(),
            why: error.why.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (i, code) in ErrorCode::ALL.iter().enumerate() {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{}", code.name());
            assert!(!code.message().is_empty());
            if let Some(next) = ErrorCode::ALL.get(i + 1) {
                let (this, next) = (format!("{code:?}"), format!("{next:?}"));
                assert!(this < next, "{this} and {next} are out of order");
            }
        }
    }

    #[test]
    fn refusals_of_authentication_are_told_as_these_apis_do() {
        for (s3, code) in [
            (S3Code::InvalidAccessKeyId, ErrorCode::InvalidClientTokenId),
            (S3Code::ExpiredToken, ErrorCode::ExpiredTokenHeader),
            (S3Code::RequestTimeTooSkewed, ErrorCode::SignatureDoesNotMatch),
            (S3Code::SlowDown, ErrorCode::Throttling),
            (S3Code::NoSuchBucket, ErrorCode::ServiceFailure),
        ] {
            assert_eq!(ApiError::from(S3Error::new(s3)).code(), code);
        }
    }
}
