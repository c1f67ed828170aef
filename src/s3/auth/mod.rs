//! Who is asking.
//!
//! [`authenticate()`] takes a plain view of a request's head and returns its principal: by Signature Version 4 or 2 in
//! the `Authorization` header or in the query, by the header pair, or anonymous. Bodies follow: [`chunked`] takes the
//! aws-chunked framing off and verifies each chunk before releasing it; [`post_form`] parses an upload form and
//! [`post_policy`] checks its signed policy.
//!
//! Nothing in here decides what the principal may do, touches storage, or reads a clock: the time is passed in. All
//! that compares a signature or secret compares in constant time.

pub mod authenticate;
pub mod canonical;
pub mod chunked;
mod claim;
pub mod credentials;
mod header_pair;
mod header_signs;
mod hint;
pub mod payload;
pub mod post_auth;
pub mod post_form;
pub mod post_policy;
pub mod presigned;
pub mod query_signs;
pub mod settings;
pub mod sign_url;
pub mod signing;
pub mod signing_keys;
pub mod sigv2;
mod sigv4;
mod verify;

#[cfg(test)]
mod tests;

pub use authenticate::{Authenticated, Mechanism, authenticate};
pub use chunked::{ChunkedDecoder, Trailers};
pub use credentials::{Credential, CredentialError, Credentials, SecretText};
pub use payload::{DeclaredPayload, PayloadSigning};
pub use post_auth::{AuthenticatedForm, authenticate_form};
pub use post_form::{FormEvent, FormParser};
pub use post_policy::PostPolicy;
pub use presigned::EXPIRES_SECONDS_MAX;
pub use settings::{AuthSettings, PublicUrl};
