//! Words of the way to anywhere.

use super::texts;

texts! { Go {
    title = "Go to",
    lead = "A page, a bucket, a user, something to do, a place such as bucket/folder/, or a request id.",
    field = "Where to?",
    button = "Look",
    keys = "Ctrl K",
    keys_mac = "⌘ K",
    none = "Nothing is called that",
    none_lead = "Only what you may see is looked through.",
    page = "Page",
    bucket = "Bucket",
    user = "User",
    action = "Do",
    place = "Folder",
    request = "Request id",
    create_bucket = "Create a bucket",
    create_user = "Create a user",
    create_group = "Create a group",
    create_policy = "Create a policy",
    create_key = "Create a KMS key",
    create_connection = "Create a connection",
    find_request = "What this request was",
    explain_request = "Why this request was denied",
} }
