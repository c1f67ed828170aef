//! Jobs: work on many objects that goes on when whoever asked for it has left: delete, copy, move, tag and restore what an order
//! names, by keys and prefixes.
//!
//! A job has no rights of its own. Each object takes the requests that it would take by the API ([`crate::within`]), made by the access
//! key that gave the order, and decided when they are made: who loses a right, or is removed, loses it for the rest of the job. Memory
//! and requests under way are bounded, whatever is named; what could not be done is told key by key.

mod act;
#[cfg(any(test, feature = "internals"))]
pub(crate) mod fuzzing;
mod job;
mod order;
mod run;
mod shelf;
mod walk;

pub use job::{By, Count, Job};
pub use order::{Order, Unsound, Work};
pub use run::{Workers, foresee, start, tell_end};
pub use shelf::{Jobs, NotTaken};
