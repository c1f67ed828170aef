//! How much of each there may be (IAM User Guide, "IAM and AWS STS quotas").

pub use super::attach::ATTACHED_MAX;
pub use super::groups::{GROUPS_MAX, GROUPS_OF_USER_MAX};
pub use super::inline::{GROUP_CHARACTERS_MAX, ROLE_CHARACTERS_MAX, USER_CHARACTERS_MAX};
pub use super::keys::KEYS_MAX;
pub use super::managed::{POLICIES_MAX, VERSIONS_MAX};
pub use super::policies::{MANAGED_CHARACTERS_MAX, TRUST_CHARACTERS_MAX};
pub use super::roles::ROLES_MAX;
pub use super::users::USERS_MAX;
