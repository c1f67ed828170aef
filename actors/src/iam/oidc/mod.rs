//! Identity providers: who somebody is, by the word of an OpenID Connect provider that the account trusts.
//!
//! A token is a JSON Web Token (RFC 7519), signed by a key of the provider. The keys are fetched from where the provider's
//! discovery document says (OpenID Connect Discovery 1.0) and kept by an actor of their own, so that no request waits for another
//! provider than its own, and an unknown key makes nobody ask more than once a minute.
//!
//! INVARIANT: nothing of a token is believed before its signature was verified, with an asymmetric algorithm that fits the
//! provider's key; the token chooses among the provider's keys and has no other say in how it is verified.

mod actor;
mod fetch;
#[cfg(any(test, feature = "internals"))]
pub(super) mod fuzzing;
mod jwks;
mod jwt;

pub(super) use actor::{FetchKeys, IdentityProviders, Unavailable};
pub(super) use fetch::ProviderUrl;
pub(super) use jwks::KeySet;
pub(super) use jwt::{Claims, InvalidToken, Token};
