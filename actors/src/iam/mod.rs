//! IAM: users with their access keys, groups, managed policies, roles and identity providers, as `iam.json` has them.
//!
//! Every signed request looks its key up, so what the file says is published as an immutable [`Directory`]; a lookup
//! costs one `stat` and a hash. Changes go through the actor's mailbox to the file and from there into the next
//! directory. Secrets that the node makes are stored sealed (see [`crate::seal`]).
//!
//! A change is a message that knows how to turn one document into the next ([`IamChange`]); one handler carries out all of them.
//!
//! INVARIANT: the id of a user or role never changes once the file holds it, and is never given to another.

mod actor;
mod audit;
mod aws_policies;
mod build;
mod build_users;
mod changes;
mod client;
mod directory;
mod document;
mod entries;
mod error;
mod first_boot;
#[cfg(any(test, feature = "internals"))]
pub(crate) mod fuzzing;
mod grants;
mod ids;
mod last_administrator;
mod lockout;
mod messages;
mod naming;
mod node_administrator;
mod oidc;
mod portable;
mod principal;
mod records;
mod sessions;
#[cfg(test)]
mod tests;
mod uses;

pub use build::SESSION_SECONDS;
pub use changes::*;
pub use client::{IamClient, IamSettings, IamStart};
pub use directory::Directory;
pub use entries::{
    AccessKeySummary, GroupEntry, Holder, HolderEntry, ManagedPolicy, Named, OidcProvider, PolicyVersion, RoleEntry,
    Tags, UserSummary, WhichUser, inline_document, inline_policies,
};
pub use error::IamError;
pub use first_boot::{SeededAdmin, WELL_KNOWN_SECRET};
pub use grants::{GroupChange, Permission};
pub use ids::{account_id_of, first_user_id};
pub use messages::{Change, Draft, IamChange};
pub use portable::{Accounts, PortableGroup, PortablePolicy, PortableUser};
pub use principal::{Credential, Principal, RoleSession, Session};
pub use records::end_of;
pub use sessions::{AssumedRole, IssuedSession, Issuer, SessionError, SessionRequest, TrustDecision};
pub use uses::LastUse;

pub use crate::seal::SecretKey;
