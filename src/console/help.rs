//! What is told of each screen, on the screen itself and in the guide. Pure.

use super::screens::fits;
use super::text::{Help, Text};

/// A screen, and what is told of it.
struct Topic {
    /// Its path below `/ui/`, with `{}` for each parameter; empty for the dashboard.
    path: &'static str,
    /// The words of it.
    words: fn(&Help) -> &'static str,
    /// The document that tells more, in the folder `docs`; empty where none does.
    document: &'static str,
}

const fn topic(path: &'static str, words: fn(&Help) -> &'static str, document: &'static str) -> Topic {
    Topic { path, words, document }
}

const TOPICS: &[Topic] = &[
    topic("", |help| help.home, "operations.md"),
    topic("buckets", |help| help.buckets, "getting-started.md"),
    topic("buckets/create", |help| help.create, "getting-started.md"),
    topic("buckets/{}/browse", |help| help.browse, "console-tour.md"),
    topic("buckets/{}/object", |help| help.object, "console-tour.md"),
    topic("buckets/{}/object-acl", |help| help.object_list, "access.md"),
    topic("buckets/{}/compare", |help| help.compare, ""),
    topic("buckets/{}/uploads", |help| help.uploads, ""),
    topic("buckets/{}/work", |help| help.work, "jobs.md"),
    topic("buckets/{}/delete", |help| help.delete_bucket, "jobs.md"),
    topic("buckets/{}/space", |help| help.space, "quotas.md"),
    topic("buckets/{}/properties", |help| help.properties, "quotas.md"),
    topic("buckets/{}/encrypted", |help| help.encrypted, "encryption-use.md"),
    topic("buckets/{}/policy", |help| help.policy, "access.md"),
    topic("buckets/{}/access", |help| help.access, "access.md"),
    topic("buckets/{}/lifecycle", |help| help.lifecycle, "compatibility.md"),
    topic("buckets/{}/cors", |help| help.cors, "compatibility.md"),
    topic("buckets/{}/notifications", |help| help.events, "configuration.md"),
    topic("buckets/{}/document", |help| help.document, "compatibility.md"),
    topic("buckets/{}/replication", |help| help.bucket_replication, "replication.md"),
    topic("connections", |help| help.connections, "replication.md"),
    topic("connections/{}", |help| help.connection, "replication.md"),
    topic("jobs", |help| help.jobs, "jobs.md"),
    topic("jobs/{}", |help| help.job, "jobs.md"),
    topic("iam", |help| help.users, "access.md"),
    topic("iam/{}", |help| help.user, "access.md"),
    topic("iam/{}/permissions", |help| help.permissions, "access.md"),
    topic("transfer", |help| help.transfer, "access.md"),
    topic("groups", |help| help.groups, "access.md"),
    topic("groups/{}", |help| help.group, "access.md"),
    topic("policies", |help| help.policies, "access.md"),
    topic("policies/policy", |help| help.managed_policy, "access.md"),
    topic("kms", |help| help.kms, "kms.md"),
    topic("kms/{}", |help| help.kms_key, "kms.md"),
    topic("why", |help| help.why, "access.md"),
    topic("simulate", |help| help.simulate, "access.md"),
    topic("metrics", |help| help.metrics, "metrics.md"),
    topic("requests", |help| help.requests, "metrics.md"),
    topic("trace", |help| help.trace, "metrics.md"),
    topic("audit", |help| help.audit, "operations.md"),
    topic("self-check", |help| help.self_check, "troubleshooting.md"),
    topic("integrity", |help| help.integrity, "scrub.md"),
    topic("backups", |help| help.backups, "backup.md"),
    topic("settings", |help| help.settings, "configuration.md"),
    topic("guide", |help| help.guide, "getting-started.md"),
    topic("account", |help| help.account, ""),
    topic("sessions", |help| help.sessions, ""),
    topic("go", |help| help.go, "console-tour.md"),
];

/// What is told of a screen.
#[derive(Debug, Clone)]
pub struct Told {
    /// Paragraphs.
    pub lines: Vec<&'static str>,
    /// The document that tells more, as it is called in the source; empty where none does.
    pub document: String,
}

/// What is told of the screen of this path, if it is one.
pub fn of(text: &Text, path: &str) -> Option<Told> {
    let below = path.strip_prefix("/ui")?.trim_start_matches('/');
    let topic = TOPICS.iter().find(|topic| fits(topic.path, below).is_some())?;
    let document = if topic.document.is_empty() { String::new() } else { format!("docs/{}", topic.document) };
    Some(Told { lines: (topic.words)(&text.help).lines().collect(), document })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::route::rows;
    use crate::console::text::ENGLISH;

    #[test]
    fn topics_are_screens_and_documents_are_there() {
        let docs = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs"));
        for topic in TOPICS {
            let address = format!("/ui/{}", topic.path);
            let shape = |path: &str| {
                let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
                parts.collect::<Vec<_>>().join("/")
            };
            let is_row = rows().any(|row| row.method == "GET" && shape(row.path) == address.trim_end_matches('/'));
            assert!(is_row, "{address}");
            assert!(topic.document.is_empty() || docs.join(topic.document).is_file(), "{}", topic.document);
        }
        assert_eq!(of(&ENGLISH, "/ui").unwrap().lines.len(), 2);
        assert_eq!(of(&ENGLISH, "/ui/iam/1").unwrap().document, "docs/access.md");
        for path in ["/ui/none", "/ui/iam/", "/ui/iam/1/x", "/x"] {
            assert!(of(&ENGLISH, path).is_none(), "{path}");
        }
    }
}
