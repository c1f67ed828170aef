//! Replication as Storage has it: several nodes in one process, between which a courier carries what their queues hold.

mod convergence;
pub mod courier;
mod expiry;
mod locks;
mod queue;
mod repaired;
mod ties;
mod whole;
