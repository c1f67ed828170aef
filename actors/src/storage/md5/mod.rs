//! MD5 (RFC 1321), which every ETag asks for and which is the dearest part of a large write: one message is hashed at
//! 0.6 GB/s, since each step waits for the one before it. So messages that are there at the same time are hashed side by side
//! (`lanes.rs`) on a thread of their own (`thread.rs`): up to three in the time of one, as their instructions overlap, and
//! sixteen, one in each lane of the processor's wide registers, in the time of two.

mod lanes;
mod message;
mod thread;

pub(super) use message::Md5;
pub(super) use thread::{Md5Message, Md5Thread};
