//! One function per operation: extract, one message to Storage, respond. `dispatch` is the only place that calls them.

pub mod bucket;
pub mod object_copy;
pub mod object_delete;
pub mod object_get;
pub mod object_put;
