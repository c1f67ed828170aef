//! The actions of IAM (IAM API Reference). Each reads its parameters, looks something up or sends one message to IAM, and writes
//! what it has to tell.

mod dispatch;
mod nothing;
pub(super) mod target;

pub(super) use self::dispatch::dispatch;
