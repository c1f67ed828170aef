//! Temporary credentials: an access key whose secret, bounds and end travel with it in a sealed token.
//!
//! Nothing of a session is stored. The token says whom it stands for and what bounds it; whether that user or role is still there,
//! and what it may do, is looked up at each use. So deleting or disabling it ends its sessions, and a change of its policies
//! counts at once. Opening a token costs a decryption and the parsing of its policy, so tokens in use are kept open, as long as
//! the users do not change.
//!
//! INVARIANT: what bounds a session when it is given bounds it at every use: a managed policy that is gone by then denies
//! everything.

mod bind;
mod cache;
mod error;
mod federated;
#[cfg(any(test, feature = "internals"))]
pub(super) mod fuzzing;
mod grant;
mod issue;
mod terms;
#[cfg(test)]
mod tests;
mod token;

pub(super) use bind::Bound;
pub(super) use cache::OpenSessions;
pub use error::{SessionError, TrustDecision};
pub(super) use federated::{check_token, federate, find_provider};
use grant::SessionTag;
pub use issue::{AssumedRole, IssuedSession, Issuer};
pub(super) use issue::{assume_role, session_token};
pub use terms::SessionRequest;
