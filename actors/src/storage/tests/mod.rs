//! Storage as its client sees it.

mod backup;
mod completing;
mod crash;
mod edits;
mod envelopes;
mod events;
mod expecting;
mod explain;
mod fixtures;
mod fsck;
mod lifecycle;
mod node;
mod peeked;
mod quota;
mod replication;
mod scrub;
mod sealed;
mod sealed_edits;
mod sealed_format;
mod sealed_fsck;
mod slow_disk;
mod versions;
