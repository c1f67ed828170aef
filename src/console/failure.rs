//! What went wrong, as a page tells it.

use actix_web::http::StatusCode;

use crate::within::Refusal;

/// Why a page is not shown, or a change not made.
#[derive(Debug)]
pub enum Failure {
    /// The node refused it.
    Refused(Box<Refusal>),
    /// Nobody has signed in, or not any more.
    SignedOut,
    /// The request is not from one of our pages, or from one that is too old.
    Forged,
    /// There is no such page.
    NoSuchPage,
    /// The page takes other methods: these.
    Method(String),
    /// What was filled in cannot be; says what.
    Input(String),
    /// What was filled in is for a state that has changed since.
    Changed,
    /// What was to be changed is not any more what it was; says what.
    Overtaken(String),
    /// The request is larger than the page takes.
    TooLarge,
}

impl Failure {
    /// Something that was filled in cannot be.
    pub fn input(text: impl Into<String>) -> Self {
        Self::Input(text.into())
    }

    /// Status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) => refusal.status,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::NoSuchPage => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Input(_) => StatusCode::BAD_REQUEST,
            Self::Changed | Self::Overtaken(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal.is_not_as_expected() {
            true => Self::Changed,
            false => Self::Refused(Box::new(refusal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use myfsio_actors::storage::StorageError;

    use super::*;
    use crate::s3::error::S3Error;

    #[test]
    fn what_was_changed_meanwhile_is_told_as_such_and_other_conditions_as_what_they_are() {
        let failure = |error: StorageError| Failure::from(Refusal::from(S3Error::from(error)));
        let late = failure(StorageError::NotAsExpected { what: "shared/a".to_owned() });
        assert!(matches!(late, Failure::Changed), "{late:?}");
        assert_eq!(late.status(), StatusCode::CONFLICT);
        let other = failure(StorageError::PreconditionFailed { condition: "If-Match" });
        assert!(matches!(other, Failure::Refused(_)), "{other:?}");
    }
}
