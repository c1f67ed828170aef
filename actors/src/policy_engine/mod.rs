//! PolicyEngine: whether a principal may do an action to a resource, and why.
//!
//! Deciding is pure: (request, identity policies, bucket policy, who owns what) in, decision with its reason out. The
//! actor only owns `bucket_policies.json`; what it compiled is published, and [`PolicyEngineClient::decide`] runs on the
//! request's own thread. The grammar is that of the IAM User Guide, "IAM JSON policy elements reference"; identity
//! policies also come in the short form `{"bucket", "actions", "prefix"}`.
//!
//! INVARIANT: an explicit deny is never outvoted, and a policy that does not parse allows nothing.

mod acl;
#[cfg(test)]
mod acl_tests;
mod action_set;
mod actions;
mod actor;
mod administrators;
mod bounds;
mod by_policies;
mod changes;
mod client;
mod condition;
mod condition_keys;
mod condition_operators;
mod context;
mod decision;
mod document;
mod effort;
mod error;
mod evaluate;
#[cfg(any(test, feature = "internals"))]
pub(crate) mod fuzzing;
mod grant;
mod identity;
mod key_policy;
#[cfg(feature = "internals")]
pub(crate) mod measured;
mod messages;
mod parse;
mod pattern;
mod policies;
mod preset;
mod principal;
pub mod probe;
#[cfg(test)]
mod properties;
mod public;
mod request;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;
mod trace;
mod trust;
mod unambiguous;
mod verdict;

pub use acl::{AclOf, GrantRef};
pub use actions::{ACTIONS, ActionRow, Capability, Coarse, find_action};
pub(crate) use administrators::makes_administrators;
pub use by_policies::{PolicyDecision, PolicyQuestion, ask_policies, context_keys};
pub use client::{DraftPolicy, PolicyEngineClient, PolicyEngineSettings};
pub use condition_keys::is_condition_key;
pub use context::{ContextSource, ContextValue, RequestContext};
pub use decision::{Decision, Reason, Source, StatementRef};
pub use document::{DOCUMENT_BYTES_MAX, Effect};
pub use error::{InvalidPolicy, PolicyError};
pub use identity::{IdentityPolicy, PolicyHome};
pub use key_policy::{KEY_POLICY_BYTES_MAX, KeyPolicy, KeyRequest, UseThroughS3, decide_on_key, explain_on_key};
pub use messages::{DeleteBucketPolicy, PutBucketPolicy};
pub use preset::Preset;
pub(crate) use principal::is_account_id;
pub use request::{AccessRequest, ObjectFacts, ObjectState};
pub use trace::{Considered, Fit, Trace};
pub use trust::{TrustPolicy, TrustRequest};
pub use unambiguous::refuse_ambiguous;
