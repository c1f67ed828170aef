//! The changes that the KMS can be asked for (KMS API Reference), by what they change. Each is a message with its rules; who may ask
//! for it is decided before it is sent. Pure.

mod aliases;
mod create;
mod deletion;
mod describe;
mod rotation;
mod states;

pub(super) use aliases::{CreateAlias, DeleteAlias, UpdateAlias};
pub use create::CreateKey;
pub(super) use create::EnsureDefaultKey;
pub(super) use deletion::{CancelDeletion, Destroy, ScheduleDeletion};
pub use deletion::{WAITING_DAYS, WAITING_DAYS_DEFAULT};
pub use describe::{DESCRIPTION_CHARACTERS_MAX, TAGS_MAX};
pub(super) use describe::{PutPolicy, Tag, Untag, UpdateDescription};
pub use rotation::{ROTATION_DAYS, ROTATION_DAYS_DEFAULT};
pub(super) use rotation::{Rotate, RotateDue, SetRotation};
pub(super) use states::{Disable, Enable};
