//! What a scrub asks of Storage: to walk over everything that has bytes, to read them without getting in anybody's way, to keep
//! what is damaged from being served, and to put right bytes in its place.
//!
//! A damaged object is marked in its row, so a new object of the key, or its removal, ends the mark without any further work. The
//! file stays where it is; when right bytes come from elsewhere it gets a second name in `.myfsio.sys/quarantine` first.

mod examine;
mod look;
mod repair;
mod walk;

pub use examine::{Examination, Examined};
pub use look::{Damage, DamageKind, Look};
pub use repair::{Repair, Repaired};
pub use walk::{ScrubItem, ScrubKind, ScrubPage};
