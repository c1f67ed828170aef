//! What IAM refuses, as clients of its API know it.

use myfsio_actors::iam::IamError;
use myfsio_actors::json_store::StoreError;

use crate::aws::error::{ApiError, ErrorCode};

impl From<IamError> for ApiError {
    fn from(error: IamError) -> Self {
        let told = |code| Self::with_message(code, error.to_string());
        match &error {
            IamError::NoSuchEntity(_) | IamError::NoSuchAccessKey(_) => told(ErrorCode::NoSuchEntity),
            IamError::EntityAlreadyExists(_) => told(ErrorCode::EntityAlreadyExists),
            IamError::DeleteConflict(_) => told(ErrorCode::DeleteConflict),
            IamError::LimitExceeded(_) => told(ErrorCode::LimitExceeded),
            IamError::UnmodifiableEntity(_) => told(ErrorCode::UnmodifiableEntity),
            IamError::InvalidInput { .. } => told(ErrorCode::InvalidInput),
            IamError::MalformedPolicyDocument(_) => told(ErrorCode::MalformedPolicyDocument),
            IamError::Busy => Self::new(ErrorCode::Throttling),
            IamError::Stopped | IamError::TimedOut => Self::new(ErrorCode::ServiceUnavailable).because(error),
            IamError::Disabled(_)
            | IamError::Expired(_)
            | IamError::WellKnownRefused(_)
            | IamError::WrongSecret(_)
            | IamError::LockedOut { .. }
            | IamError::InvalidToken
            | IamError::ExpiredToken
            | IamError::AddressLockedOut { .. } => Self::new(ErrorCode::InvalidClientTokenId).because(error),
            IamError::Store(store) if store.is_full() => {
                let message = "There is not enough space on the server's storage to complete the request.";
                Self::with_message(ErrorCode::ServiceUnavailable, message).because(error)
            }
            IamError::Store(StoreError::Contended { .. }) => Self::new(ErrorCode::ServiceUnavailable).because(error),
            IamError::Store(_) | IamError::Seal(_) => match error.mistake_in_file() {
                Some(message) => Self::with_message(ErrorCode::ServiceUnavailable, message).because(error),
                None => Self::internal(error),
            },
        }
    }
}
