//! ListObjectVersions (S3 API Reference). In a bucket without versioning each object shows as its null version.

use actix_web::http::StatusCode;
use myfsio_actors::names::VersionId;
use myfsio_actors::replication_worker::Beside;
use myfsio_actors::storage::{ListVersions, VersionEntry, VersionPage};

use super::listing::{Owners, Selection, storage_class, write_object};
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::query::Query;
use crate::s3::replica;
use crate::s3::respond::{Answer, xml};
use crate::s3::xml::XmlWriter;
use crate::s3::xml::client::BESIDE;

/// The key that rights are asked for: what holds for all keys holds for it.
const ANY_KEY: &str = "*";

/// Where a listing of versions begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Markers {
    key: Option<String>,
    version: Option<VersionId>,
}

impl Markers {
    /// Reads `key-marker` and `version-id-marker`. Errs: InvalidArgument.
    fn parse(query: &Query) -> Result<Self, S3Error> {
        let key = query.get_filled("key-marker").map(str::to_owned);
        let version = query.get_filled("version-id-marker");
        if let (None, Some(version)) = (&key, version) {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::invalid_argument("version-id-marker", version, message));
        }
        let version = version.map(|text| {
            VersionId::parse(text)
                .map_err(|_| S3Error::invalid_argument("version-id-marker", text, "Invalid version id specified"))
        });
        Ok(Self { key, version: version.transpose()? })
    }
}

/// ListObjectVersions. Errs: InvalidArgument.
pub async fn list_object_versions(call: Call) -> Answer {
    let selection = Selection::parse(&call.query, "max-keys")?;
    let markers = Markers::parse(&call.query)?;
    let bucket = call.bucket()?;
    // A node that may replicate compares tags and locks, too.
    let tells_beside =
        replica::is_agent(&call.headers) && call.authorize("s3:ReplicateTags", &bucket, Some(ANY_KEY)).is_ok();
    let mut out = XmlWriter::with_capacity("ListVersionsResult", 4096);
    out.value("Name", &bucket.name).key("Prefix", &selection.prefix, selection.url);
    out.key("KeyMarker", markers.key.as_deref().unwrap_or_default(), selection.url);
    out.text("VersionIdMarker", call.query.get("version-id-marker").unwrap_or_default());
    let page = match selection.limit {
        0 => VersionPage::default(),
        limit => {
            let query = ListVersions {
                bucket,
                prefix: selection.prefix.clone(),
                delimiter: selection.delimiter.clone(),
                key_after: markers.key,
                version_after: markers.version,
                limit,
            };
            call.storage().list_versions(query).await?
        }
    };
    if let Some((key, version)) = &page.next {
        out.key("NextKeyMarker", key, selection.url);
        if let Some(version) = version {
            out.value("NextVersionIdMarker", version);
        }
    }
    out.value("MaxKeys", selection.limit);
    selection.write_delimiter(&mut out);
    out.value("IsTruncated", page.next.is_some());
    let mut owners = Owners::new(&call);
    for entry in &page.entries {
        write_version(&mut out, entry, selection.url, &mut owners, tells_beside);
    }
    selection.write_common_prefixes(&mut out, &page.common_prefixes);
    Ok(xml(StatusCode::OK, out.finish()))
}

fn write_version(out: &mut XmlWriter, entry: &VersionEntry, url: bool, owners: &mut Owners<'_>, tells_beside: bool) {
    out.open(if entry.object.is_some() { "Version" } else { "DeleteMarker" });
    out.key("Key", entry.key.as_str(), url).value("VersionId", entry.version_id).value("IsLatest", entry.is_latest);
    match &entry.object {
        Some(object) => {
            write_object(out, object);
            if tells_beside {
                out.value(BESIDE, Beside::of(object));
            }
            out.text("StorageClass", storage_class(object.attributes.storage_class.as_deref()));
        }
        None => {
            out.time("LastModified", entry.last_modified);
        }
    }
    owners.write_owner(out, &entry.owner);
    out.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_markers_need_a_key() {
        let markers = |query: &str| Markers::parse(&Query::parse(query).unwrap());
        assert_eq!(markers("key-marker=&version-id-marker=").unwrap(), Markers::default());
        assert_eq!(markers("key-marker=a&version-id-marker=null").unwrap().version, Some(VersionId::Null));
        assert!(markers("version-id-marker=null").is_err());
        assert!(markers("key-marker=a&version-id-marker=junk").is_err());
    }
}
