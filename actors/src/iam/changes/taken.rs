//! What others go by already. Policies and administrators may name a user by a bare word, and a word means one user or nobody: who
//! may choose a name or an access key could otherwise step into what was said of somebody else, or take it away.

use crate::iam::directory::Directory;
use crate::iam::entries::UserSummary;
use crate::iam::error::IamError;
use crate::names::CanonicalId;

const ID_CHARACTERS: usize = 64;

/// The access key by which the node's own commands ask; nobody else's.
pub const COMMAND_LINE_KEY: &str = "myfsio-command-line";

fn others<'a>(directory: &'a Directory, own: Option<&'a CanonicalId>) -> impl Iterator<Item = &'a UserSummary> {
    directory.users().iter().filter(move |user| own != Some(&user.user_id))
}

/// Refuses an access key that is somebody else's name, or could be anybody's id. `own` is the user that gets it, if it is there
/// already. Errs: EntityAlreadyExists, InvalidInput.
pub(super) fn check_access_key(
    directory: &Directory,
    own: Option<&CanonicalId>,
    access_key: &str,
) -> Result<(), IamError> {
    if access_key.len() == ID_CHARACTERS && access_key.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(IamError::invalid("access_key", "must not look like the id of a user"));
    }
    if access_key.eq_ignore_ascii_case(COMMAND_LINE_KEY) {
        return Err(IamError::invalid("access_key", "is the one of the command line"));
    }
    let is_it = |name: &str| name.eq_ignore_ascii_case(access_key);
    let is_of_user = others(directory, own).any(|user| is_it(&user.display_name) || is_it(&user.user_name));
    match is_of_user || directory.roles().iter().any(|role| is_it(&role.name)) {
        true => Err(IamError::EntityAlreadyExists(format!("Access key {access_key} already exists."))),
        false => Ok(()),
    }
}

/// Refuses a name that is somebody else's access key or id. `own` is the user that gets it, if it is there already. Errs:
/// EntityAlreadyExists.
pub(super) fn check_name(directory: &Directory, own: Option<&CanonicalId>, name: &str) -> Result<(), IamError> {
    let id = CanonicalId::parse(&name.to_ascii_lowercase()).ok();
    let is_id = id.is_some_and(|id| own != Some(&id) && directory.knows(&id));
    let has_key =
        |user: &UserSummary| user.access_keys.iter().any(|key| key.access_key.as_str().eq_ignore_ascii_case(name));
    match is_id || others(directory, own).any(has_key) {
        true => Err(super::users::exists(name)),
        false => Ok(()),
    }
}
