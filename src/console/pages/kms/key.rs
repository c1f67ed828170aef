//! A key: its names, its state, its versions, and what would be lost with it.

use std::sync::Arc;

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::bucket_config::DefaultEncryption;
use myfsio_actors::storage::Bucket;
use serde::Deserialize;

use super::told::{self, Described, Version};
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::text::Kms;
use crate::console::units::{When, count, legible};
use crate::console::visit::{Visit, read, render};
use crate::within::Asker;

/// Versions that are shown: a key has no more.
const VERSIONS_MAX: u32 = 1000;
/// Buckets that are named.
const BUCKETS_MAX: usize = 20;
/// The name of the key that a default means which names none.
const OWN_ALIAS: &str = "alias/aws/s3";

#[derive(Template)]
#[template(path = "kms/key.html")]
struct KeyPage {
    page: Page,
    id: String,
    arn: String,
    description: String,
    created: When,
    state: &'static str,
    tone: &'static str,
    is_enabled: bool,
    is_pending: bool,
    is_own: bool,
    deletion: Option<When>,
    /// As it is, and as it is shown.
    aliases: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    versions: Vec<VersionRow>,
    /// Objects and uploads under it.
    used: Option<(String, String)>,
    is_used: bool,
    /// Buckets whose new objects are encrypted under it unasked: names and addresses.
    buckets: Vec<(String, String)>,
    /// How many more there are.
    more_buckets: usize,
    /// What is typed to have it deleted.
    name: String,
    paths: Paths,
}

struct VersionRow {
    id: String,
    state: &'static str,
    tone: &'static str,
    cause: &'static str,
    since: When,
}

struct Paths {
    rotate: String,
    enable: String,
    disable: String,
    delete: String,
    cancel: String,
    alias: String,
    remove_alias: String,
}

/// What is typed to confirm that a key is meant: its first alias, else its id.
pub fn name_of(described: &Described) -> &str {
    described.aliases.first().map_or(described.key_metadata.key_id.as_str(), String::as_str)
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    let described = told::described(&visit).await?;
    let words = &visit.t.kms;
    let key = &described.key_metadata;
    let versions = versions(&visit, &key.key_id).await;
    let own = |below: &[&str]| {
        let mut path = vec!["kms", key.key_id.as_str()];
        path.extend_from_slice(below);
        links::link(&path, &[])
    };
    let (state, tone) = told::state(words, &key.key_state);
    let used = described.affected_objects.zip(described.affected_uploads);
    let created = When::of_seconds(key.creation_date.max(0.0) as u64);
    let mut buckets = buckets_of(visit.asker()?, &described).await;
    let more_buckets = buckets.len().saturating_sub(BUCKETS_MAX);
    buckets.truncate(BUCKETS_MAX);
    let view = KeyPage {
        page: visit.page(legible(name_of(&described))).crumb(words.title, "/ui/kms"),
        id: key.key_id.clone(),
        arn: key.arn.clone(),
        description: legible(&key.description),
        created: created.clone(),
        state,
        tone,
        is_enabled: key.key_state == "Enabled",
        is_pending: key.key_state == "PendingDeletion",
        is_own: key.key_manager == "AWS",
        deletion: key.deletion_date.map(|date| When::of_seconds(date.max(0.0) as u64)),
        aliases: described.aliases.iter().map(|alias| (alias.clone(), legible(alias))).collect(),
        tags: described.tags.iter().map(|tag| (legible(&tag.tag_key), legible(&tag.tag_value))).collect(),
        versions: versions.into_iter().map(|version| row(words, version, &created)).collect(),
        used: used.map(|(objects, uploads)| (count(objects), count(uploads))),
        is_used: used.is_some_and(|used| used != (0, 0)),
        buckets,
        more_buckets,
        name: name_of(&described).to_owned(),
        paths: Paths {
            rotate: own(&["rotate"]),
            enable: own(&["enable"]),
            disable: own(&["disable"]),
            delete: own(&["delete"]),
            cancel: own(&["cancel"]),
            alias: own(&["alias"]),
            remove_alias: own(&["alias", "remove"]),
        },
    };
    render(&view)
}

/// Buckets that have the key as their default, as far as the asker may see that: a default names it by its id, its ARN or an alias, or is
/// the node's own key by naming none.
async fn buckets_of(asker: &Asker, described: &Described) -> Vec<(String, String)> {
    let key = &described.key_metadata;
    let is_alias =
        |name: &str| described.aliases.iter().any(|alias| name == alias || name.ends_with(&format!(":{alias}")));
    let is_meant = |default: Option<&DefaultEncryption>| match default {
        Some(DefaultEncryption::Kms { key: Some(name) }) => *name == key.key_id || *name == key.arn || is_alias(name),
        Some(DefaultEncryption::Kms { key: None }) => is_alias(OWN_ALIAS),
        Some(DefaultEncryption::Managed) | None => false,
    };
    let mut buckets = asker.buckets().await.unwrap_or_default();
    buckets.retain(|bucket| {
        let configured = bucket.config.encryption.as_ref();
        is_meant(configured.and_then(|encryption| encryption.default.as_ref()))
            && asker.may("s3:GetEncryptionConfiguration", Some(bucket), None)
    });
    let named = |bucket: &Arc<Bucket>| {
        let name = bucket.name.as_str();
        (name.to_owned(), format!("{}#encryption", links::bucket(name, "properties")))
    };
    buckets.iter().map(named).collect()
}

/// The versions, newest first; none for who may not list them.
async fn versions(visit: &Visit, key: &str) -> Vec<Version> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Rotations {
        rotations: Vec<Version>,
    }
    let Ok(asker) = visit.asker() else { return Vec::new() };
    let key = links::encode(key);
    let target = format!("/kms/rotations?key_id={key}&include_key_material=ALL_KEY_MATERIAL&limit={VERSIONS_MAX}");
    let told = asker.json(Method::GET, &target, None).await.ok();
    let found = told.and_then(|told| read::<Rotations>(told).ok());
    let mut versions = found.map(|found| found.rotations).unwrap_or_default();
    versions.reverse();
    versions
}

fn row(words: &'static Kms, version: Version, created: &When) -> VersionRow {
    let is_current = version.key_material_state == "CURRENT";
    let cause = match version.rotation_type.as_deref() {
        None => words.version_made,
        Some("AUTOMATIC") => words.version_automatic,
        Some(_) => words.version_on_demand,
    };
    let since = version.rotation_date.map(|date| When::of_seconds(date.max(0.0) as u64));
    VersionRow {
        id: version.key_material_id.chars().take(16).collect(),
        state: if is_current { words.version_current } else { words.version_former },
        tone: if is_current { "good" } else { "" },
        cause,
        since: since.unwrap_or_else(|| created.clone()),
    }
}
