//! What forms of a bucket say, as the API takes it: of the properties of one that is there, and of one that is to be. Pure.

use myfsio_actors::bucket_config::QuotaLimits;

use crate::console::failure::Failure;
use crate::console::forms::Fields;
use crate::console::text::Properties;
use crate::within::XmlWriter;

/// Bytes of a megabyte, as the quota's form counts them.
pub const MEGABYTE: u64 = 1024 * 1024;

/// Most tags that a form takes; the API says which are too many.
const TAGS_MAX: usize = 100;

/// A VersioningConfiguration. `status`: `Enabled` or `Suspended`.
pub fn versioning(status: &str) -> String {
    let mut document = XmlWriter::new("VersioningConfiguration");
    document.text("Status", status);
    document.finish()
}

/// A ServerSideEncryptionConfiguration of the fields `algorithm`, `key` and `bucket_key`. `blocks`: whether keys of customers are
/// blocked, if that is said.
pub fn encryption(form: &Fields, blocks: Option<bool>) -> String {
    let algorithm = form.text("algorithm");
    let is_kms = algorithm == "aws:kms";
    let mut document = XmlWriter::new("ServerSideEncryptionConfiguration");
    document.open("Rule").open("ApplyServerSideEncryptionByDefault");
    document.text("SSEAlgorithm", algorithm);
    document.text_if("KMSMasterKeyID", form.filled("key").filter(|_| is_kms));
    document.close();
    if is_kms && form.is_on("bucket_key") {
        document.value("BucketKeyEnabled", true);
    }
    if let Some(blocks) = blocks {
        document.open("BlockedEncryptionTypes");
        document.text("EncryptionType", if blocks { "SSE-C" } else { "NONE" }).close();
    }
    document.finish()
}

/// An ObjectLockConfiguration of the fields `mode` (`none` for no default), `period` and `unit`. Errs: a retention without a period.
pub fn object_lock(form: &Fields, words: &Properties) -> Result<String, Failure> {
    let mut document = XmlWriter::new("ObjectLockConfiguration");
    document.text("ObjectLockEnabled", "Enabled");
    let mode = form.text("mode");
    if mode != "none" {
        let period = form.number("period")?.ok_or_else(|| Failure::input(words.lock_period_missing))?;
        let unit = if form.text("unit") == "Years" { "Years" } else { "Days" };
        document.open("Rule").open("DefaultRetention");
        document.text("Mode", mode).value(unit, period);
    }
    Ok(document.finish())
}

/// The limits of the fields `max_mb` and `max_objects`; an empty one is none. Errs: no number, or too large.
pub fn limits(form: &Fields, words: &Properties) -> Result<QuotaLimits, Failure> {
    let max_bytes = match form.number("max_mb")? {
        Some(megabytes) => Some(megabytes.checked_mul(MEGABYTE).ok_or_else(|| Failure::input(words.quota_too_large))?),
        None => None,
    };
    Ok(QuotaLimits { max_bytes, max_objects: form.number("max_objects")? })
}

/// The tags of the field `tags`, one a line as `key=value`. Errs: there are too many.
pub fn tags(form: &Fields, words: &Properties) -> Result<Vec<(String, String)>, Failure> {
    let lines = form.text("tags").lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        (key.trim().to_owned(), value.trim().to_owned())
    };
    let tags: Vec<_> = lines.map(pair).collect();
    if tags.len() > TAGS_MAX { Err(Failure::input(words.tags_too_many)) } else { Ok(tags) }
}

/// Appends them as elements.
pub fn write_tags(document: &mut XmlWriter, tags: &[(String, String)]) {
    for (key, value) in tags {
        document.open("Tag").text("Key", key).text("Value", value).close();
    }
}
