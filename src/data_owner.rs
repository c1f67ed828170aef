//! Whose the data directory is. What root writes into that of another user, the node of that user could not open any more; its files of users
//! have mode 0600, so it would not even start.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Refuses to open the data directory of another user as root. One that is not there yet is nobody's. Errs: one line that says what to do.
pub fn refuse_root_of_others(root: &Path) -> Result<(), String> {
    let own = rustix::process::geteuid();
    match fs::metadata(root) {
        Ok(folder) if own.is_root() && folder.uid() != own.as_raw() => Err(format!(
            "{} belongs to the user {1}, whose node could not open what root leaves there: run this as that user (sudo -u '#{1}' myfsio ...), \
             or while the node runs",
            root.display(),
            folder.uid()
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}
