//! What authentication asks of whoever keeps the access keys, and how their refusals read to a client.
//!
//! `exposed` goes with every question: the well-known first-boot secret is refused on requests that show that the node
//! can be reached from elsewhere, and only the keeper of the keys knows which secret that is.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use myfsio_actors::names::{AccessKeyId, Stamp};
use myfsio_actors::seal::SecretKey;

use super::signing::{iso8601, seconds_of};
use crate::s3::error::{ErrorCode, S3Error};

/// A secret access key. `Debug` hides it. Cheap to clone.
#[derive(Clone)]
pub struct SecretText(SecretKey);

impl SecretText {
    /// Wraps a secret.
    pub fn new(secret: impl AsRef<str>) -> Self {
        Self(SecretKey::new(secret.as_ref()))
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl From<SecretKey> for SecretText {
    fn from(secret: SecretKey) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// The secret of an access key and who signs with it.
#[derive(Debug)]
pub struct Credential<P> {
    /// Secret access key.
    pub secret: SecretText,
    /// Who it belongs to.
    pub principal: Arc<P>,
}

/// Why an access key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No such access key.
    #[error("no such access key")]
    NoSuchAccessKey,
    /// The key or its user is disabled.
    #[error("the access key is disabled")]
    Disabled,
    /// The key or its user has expired.
    #[error("the access key has expired")]
    Expired,
    /// The session token is none, or not that of the access key.
    #[error("the session token is not that of the access key")]
    InvalidToken,
    /// The temporary credentials have ended.
    #[error("the session has expired")]
    ExpiredToken,
    /// Too many wrong secrets for this key from this address.
    #[error("locked out after too many wrong secrets")]
    LockedOut {
        /// When the lock ends.
        until: Stamp,
    },
    /// Too many wrong secrets and unknown keys from this address.
    #[error("the address is locked out after too many wrong secrets")]
    AddressLockedOut {
        /// When the lock ends.
        until: Stamp,
    },
    /// The secret is not the key's.
    #[error("wrong secret access key")]
    WrongSecret,
    /// The well-known secret on a request from elsewhere.
    #[error("the well-known secret is accepted on loopback only")]
    WellKnownSecret,
    /// The keeper is overloaded.
    #[error("too many look-ups are waiting")]
    Busy,
    /// The keeper cannot answer; the text goes to the log.
    #[error("access keys cannot be looked up: {0}")]
    Unavailable(String),
}

impl CredentialError {
    /// The S3 error of a request that named `id`.
    pub fn into_s3(self, id: &AccessKeyId) -> S3Error {
        let unusable = |message: &'static str| {
            S3Error::with_message(ErrorCode::InvalidAccessKeyId, message).field("AWSAccessKeyId", id.as_str())
        };
        let error = match &self {
            Self::NoSuchAccessKey => S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", id.as_str()),
            Self::Disabled => unusable("The AWS Access Key Id you provided is disabled."),
            Self::Expired => unusable("The AWS Access Key Id you provided has expired."),
            Self::InvalidToken => S3Error::new(ErrorCode::InvalidToken),
            Self::ExpiredToken => S3Error::new(ErrorCode::ExpiredToken),
            Self::LockedOut { until } => {
                S3Error::new(ErrorCode::TooManyLoginAttempts).field("Until", iso8601(seconds_of(*until)))
            }
            Self::AddressLockedOut { until } => S3Error::with_message(
                ErrorCode::TooManyLoginAttempts,
                "Too many wrong access keys and secret keys from your address. Try again later, or sign the request.",
            )
            .field("Until", iso8601(seconds_of(*until))),
            Self::WrongSecret => S3Error::with_message(
                ErrorCode::AccessDenied,
                "The secret access key you provided is not that of the access key id you provided.",
            )
            .field("AWSAccessKeyId", id.as_str()),
            Self::WellKnownSecret => S3Error::with_message(
                ErrorCode::AccessDenied,
                "This access key still has its well-known first-boot secret, which is accepted on loopback only. Give \
                 it a secret of your own.",
            ),
            Self::Busy => S3Error::new(ErrorCode::SlowDown),
            Self::Unavailable(_) => S3Error::new(ErrorCode::ServiceUnavailable),
        };
        error.because(self)
    }
}

/// The keeper of access keys.
pub trait Credentials {
    /// Who a key belongs to.
    type Principal;

    /// The secret and the owner of an access key; `token` comes with temporary ones. `exposed`, asked only where it matters: whether
    /// the request shows that the node is reachable from elsewhere.
    fn credential(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        exposed: impl FnOnce() -> bool,
    ) -> impl Future<Output = Result<Credential<Self::Principal>, CredentialError>>;

    /// Compares a secret in constant time and counts wrong ones against key and address.
    fn verify_secret(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        secret: &str,
        address: Option<IpAddr>,
        exposed: bool,
    ) -> impl Future<Output = Result<Arc<Self::Principal>, CredentialError>>;
}
