//! The changes that IAM can be asked for (IAM API Reference), by what they change. Each is a message with its rules; who may ask for it
//! is decided before it is sent.

mod attach;
mod groups;
mod import;
mod import_plan;
mod inline;
mod keys;
mod managed;
mod policies;
mod providers;
pub mod quotas;
mod roles;
mod tags;
mod taken;
#[cfg(test)]
mod tests;
mod user_quota;
mod users;

pub use attach::{AttachPolicy, DetachPolicy};
pub use groups::{AddUserToGroup, CreateGroup, DeleteGroup, RemoveUserFromGroup, UpdateGroup};
pub use import::{ImportAccounts, ImportMode};
pub use import_plan::{ImportPlan, Imported, Outcome as ImportOutcome};
pub use inline::{DeleteInlinePolicy, PutInlinePolicy, SetPolicies};
pub use keys::{CreateAccessKey, DeleteAccessKey, KEYS_MAX, NewCredential, ReplacedKey, RotateKey, UpdateAccessKey};
pub use managed::{
    CreatePolicy, CreatePolicyVersion, DESCRIPTION_CHARACTERS_MAX, DeletePolicy, DeletePolicyVersion,
    SetDefaultPolicyVersion,
};
pub use providers::{AddClientId, CreateOidcProvider, DeleteOidcProvider, RemoveClientId, UpdateThumbprints};
pub use roles::{CreateRole, DeleteRole, UpdateAssumeRolePolicy, UpdateRole};
pub use tags::{Tag, Taggable, Untag};
pub use taken::COMMAND_LINE_KEY;
pub use user_quota::SetUserQuota;
pub use users::{CreateUser, DeleteUser, NewUser, UpdateUser};
