//! Keys as the routes below `/kms` tell them (KMS API Reference, "Data Types").

use std::collections::BTreeMap;

use actix_web::http::Method;
use serde::Deserialize;

use crate::console::failure::Failure;
use crate::console::links;
use crate::console::text::Kms;
use crate::console::visit::{Visit, read};
use crate::within::{Asker, Refusal};

/// Aliases of one page, at most, and pages that are read.
const ALIASES_MAX: u32 = 100;
const PAGES_MAX: usize = 100;

/// A key, and what is told beside it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Described {
    /// The key itself.
    pub key_metadata: Metadata,
    /// Objects and versions that nobody can read without it; none where that is not told.
    pub affected_objects: Option<u64>,
    /// Uploads of which that holds.
    pub affected_uploads: Option<u64>,
    /// Its aliases, with `alias/`.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// `KeyMetadata`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// Its id.
    pub key_id: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made, in seconds since 1970.
    pub creation_date: f64,
    /// What it is for.
    pub description: String,
    /// `Enabled`, `Disabled` or `PendingDeletion`.
    pub key_state: String,
    /// `AWS` for the node's own, `CUSTOMER` for others.
    pub key_manager: String,
    /// When it is deleted.
    pub deletion_date: Option<f64>,
}

/// `Tag`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Its name.
    pub tag_key: String,
    /// Its value.
    pub tag_value: String,
}

/// `RotationsListEntry`: one version of a key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// Stands for the material.
    pub key_material_id: String,
    /// `CURRENT` or `NON_CURRENT`.
    pub key_material_state: String,
    /// `AUTOMATIC` or `ON_DEMAND`; none for the first.
    pub rotation_type: Option<String>,
    /// When it took over, in seconds since 1970.
    pub rotation_date: Option<f64>,
}

/// A page of keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listing {
    /// The keys.
    pub keys: Vec<Listed>,
    /// Where the next page begins.
    pub next_marker: Option<String>,
}

/// A key of a page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    /// Its id.
    pub key_id: String,
}

/// The route of a key, or below it.
pub fn route(key: &str, below: &str) -> String {
    format!("/kms/keys/{}{below}", links::encode(key))
}

/// The address of a key's page.
pub fn address(key: &str) -> String {
    links::link(&["kms", key], &[])
}

/// The key of the path. Errs: as DescribeKey.
pub async fn described(visit: &Visit) -> Result<Described, Failure> {
    read(visit.asker()?.json(Method::GET, &route(visit.parameter("key"), ""), None).await?)
}

/// The aliases of keys by their ids. Errs: as ListAliases.
pub async fn aliases(asker: &Asker) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        alias_name: String,
        target_key_id: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        aliases: Vec<Entry>,
        next_marker: Option<String>,
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut marker = String::new();
    for _ in 0..PAGES_MAX {
        let target = format!("/kms/aliases?limit={ALIASES_MAX}{marker}");
        let told = asker.json(Method::GET, &target, None).await?;
        let page: Page = serde_json::from_value(told).map_err(|error| Refusal::broken(error.to_string()))?;
        for Entry { alias_name, target_key_id } in page.aliases {
            found.entry(target_key_id).or_default().push(alias_name);
        }
        match page.next_marker {
            Some(next) => marker = format!("&marker={}", links::encode(&next)),
            None => break,
        }
    }
    Ok(found)
}

/// The word for a state, and its tone.
pub fn state(words: &'static Kms, state: &str) -> (&'static str, &'static str) {
    match state {
        "Enabled" => (words.state_enabled, "good"),
        "Disabled" => (words.state_disabled, "warn"),
        _ => (words.state_pending, "bad"),
    }
}
