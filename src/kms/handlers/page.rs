//! Pages: `Limit`, `Marker`, `Truncated`, `NextMarker`.

use serde_json::Value;

use crate::kms::fields::Fields;
use crate::kms::tell;
use crate::page::cut;
use crate::s3::error::{ErrorCode, S3Error};

/// Longest marker, in characters.
const MARKER_MAX: usize = 1024;

/// How many items a page of a list has.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Where nothing is said.
    pub default: u32,
    /// At most.
    pub max: u32,
}

/// The page `name` that a request asks for; `key` tells the order of items, and each from all others. Errs: ValidationException,
/// InvalidMarkerException.
pub fn page<T>(
    fields: &Fields,
    limits: Limits,
    name: &str,
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    told: impl FnMut(&T) -> Value,
) -> Result<Value, S3Error> {
    let max = fields.number("Limit", 1, limits.max)?.unwrap_or(limits.default);
    let marker = fields.text_up_to("Marker", MARKER_MAX)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let (items, next) = cut(items, key, max, marker).ok_or_else(|| S3Error::new(ErrorCode::InvalidMarkerException))?;
    Ok(tell::page(name, items.iter().map(told).collect(), next))
}
