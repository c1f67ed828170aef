//! Words of the dashboard.

use super::texts;

texts! { Home {
    title = "Dashboard",
    health = "Health",
    healthy = "Healthy",
    degraded = "Degraded",
    failed = "Failed",
    healthy_hint = "Everything that was acknowledged is in place.",
    objects = "Objects",
    objects_hint = "in the buckets that you see",
    stored = "Stored",
    stored_hint = "objects, versions and parts of uploads",
    disk = "Disk",
    disk_free = "free of",
    disk_used = "used",
    largest = "Largest buckets",
    no_buckets = "There are no buckets that you may see.",
    to_buckets = "All buckets",
    connect = "Connect a program",
    connect_hint = "Credentials stay with you: set them in the environment.",
    attention = "Worth a look",
    quota_bytes = "of the storage quota is used",
    quota_objects = "of the quota of objects is used",
    all_well = "Nothing needs your attention.",
    unfinished = "in parts of unfinished uploads",
} }
