//! How the earlier generations of MyFSIO, which were written in Python and with axum, keep what is secret: their users' file, and the
//! bytes of encrypted objects. Read only, for moving in; nothing is ever written in these formats.
//!
//! Pure rules over bytes: whoever reads the folders hands them in.

mod fernet;
mod sealed;

pub use fernet::{Fernet, USERS_PREFIX};
pub use sealed::{DataKey, MasterKey, Opener, WrappedKey};

/// Why something cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Another key is needed.
    #[error("it was encrypted with another key")]
    WrongKey,
    /// It is not of the form that it should have.
    #[error("it is damaged")]
    Damaged,
}
