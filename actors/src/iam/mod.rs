//! IAM: users, their access keys and policies, as `iam.json` has them.
//!
//! Every signed request looks its key up, so what the file says is published as an immutable [`Directory`]; a lookup
//! costs one `stat` and a hash. Changes go through the actor's mailbox to the file and from there into the next
//! directory. Secrets that the node makes are stored sealed (see [`crate::seal`]).
//!
//! INVARIANT: a user's id never changes once the file holds it, and is never given to another user.

mod actor;
mod changes;
mod client;
mod directory;
mod error;
mod first_boot;
mod lockout;
mod messages;
mod principal;
mod records;
#[cfg(test)]
mod tests;
mod users;

pub use client::{IamClient, IamSettings, IamStart};
pub use directory::{Directory, account_id_of, first_user_id};
pub use error::IamError;
pub use first_boot::{SeededAdmin, WELL_KNOWN_SECRET};
pub use messages::{
    AccessKeySummary, CreateUser, DeleteUser, ListUsers, NewCredential, RotateKey, SetPolicies, UserSummary,
};
pub use principal::{Credential, Principal, RoleSession, Session};

pub use crate::seal::SecretKey;
