//! How IAM is asked for changes: one trait for each of them, and one envelope that says who asks.

use actix::Message;
use serde_json::Value;

use super::directory::Directory;
use super::error::IamError;
use super::grants::Permission;
use crate::audit::ChangeOrigin;
use crate::names::{CanonicalId, Stamp};
use crate::seal::Sealer;

/// Reads the file again if it changed.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), IamError>")]
pub struct Reload;

/// A change to users, groups, policies, roles or providers. Pure: it turns one document into the next.
pub trait IamChange: Send + 'static {
    /// What whoever asked is told.
    type Answer: Send + 'static;

    /// IAM action, such as `iam:CreateUser`.
    fn action(&self) -> &'static str;

    /// The permissions that the caller must hold by a grant of the short form, beside the one for the action: where the change
    /// gives or takes such a grant, or concerns whoever holds one. Whoever sends the message asks for them.
    fn takes_by_grant(&self, _directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        Vec::new()
    }

    /// Whether the audit log has an entry for each of what it changes, as if each were changed alone.
    fn tells_each(&self) -> bool {
        false
    }

    /// Changes the document of the draft. Runs again on a new one when somebody else wrote the file meanwhile.
    fn apply(&self, draft: &mut Draft<'_>) -> Result<Self::Answer, IamError>;
}

/// A change and who asks for it; durable on reply.
#[derive(Debug)]
pub struct Change<M> {
    /// Who asks.
    pub by: ChangeOrigin,
    /// The change.
    pub message: M,
    /// Whether it is to be made even if nobody is left who administers the node.
    pub is_forced: bool,
}

impl<M: IamChange> Message for Change<M> {
    type Result = Result<M::Answer, IamError>;
}

/// A document that is being changed, and what the change may depend on.
#[derive(Debug)]
pub struct Draft<'a> {
    /// The document; whatever in it a change does not know it leaves as it is.
    pub(super) document: &'a mut Value,
    /// What the document said before.
    pub(super) directory: &'a Directory,
    pub(super) now: Stamp,
    pub(super) sealer: &'a Sealer,
    /// ARN of what is changed.
    pub(super) target: String,
}

impl Draft<'_> {
    /// The present, as the file has times.
    pub(super) fn time(&self) -> Value {
        Value::from(self.now.rfc3339())
    }
}
