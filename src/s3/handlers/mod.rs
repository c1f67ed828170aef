//! One function per operation: extract, one message to Storage, respond. `dispatch` is the only place that calls them.

pub mod bucket;
pub mod bucket_config;
pub mod bucket_cors;
pub mod bucket_logging;
pub mod bucket_policy;
pub mod bucket_switches;
pub mod bucket_website;
pub mod delete_objects;
pub mod list_buckets;
pub mod list_objects;
pub mod list_versions;
pub mod listing;
pub mod multipart_complete;
pub mod multipart_create;
pub mod multipart_list;
pub mod multipart_part;
pub mod object_attributes;
pub mod object_copy;
pub mod object_delete;
pub mod object_get;
pub mod object_lock;
pub mod object_put;
pub mod post_object;
pub mod slow_answer;
pub mod tagging;
