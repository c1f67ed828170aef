//! Conditional requests: RFC 9110 §13 for reads and copy sources, ETag conditions for writes.
//!
//! Pure. Dates count in whole seconds; a date that cannot be read is ignored, as RFC 9110 asks.

use std::time::SystemTime;

use actix_web::http::header::HeaderMap;
use myfsio_actors::names::{ETag, Stamp};
use myfsio_actors::storage::{ETagCondition, WriteConditions};

use super::error::{ErrorCode, S3Error};
use super::headers::text;
use super::request_head::values;

/// What the conditions of a read say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Proceed,
    /// 304: the client's copy is current.
    NotModified,
    /// 412: the named condition does not hold.
    Failed(&'static str),
}

/// Conditions on an object that is read, or copied from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadConditions {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<u64>,
    if_unmodified_since: Option<u64>,
}

impl ReadConditions {
    /// The conditions of GetObject and HeadObject.
    pub fn of_read(headers: &HeaderMap) -> Self {
        Self {
            if_match: list(headers, "if-match").map(|value| etag_condition(&value, true)),
            if_none_match: list(headers, "if-none-match").map(|value| etag_condition(&value, false)),
            if_modified_since: text(headers, "if-modified-since").and_then(|value| date_seconds(&value)),
            if_unmodified_since: text(headers, "if-unmodified-since").and_then(|value| date_seconds(&value)),
        }
    }

    /// The conditions on the source of CopyObject and UploadPartCopy. They guard a write, so none is dropped for being
    /// malformed. Errs: InvalidArgument.
    pub fn of_copy_source(headers: &HeaderMap) -> Result<Self, S3Error> {
        let date = |name| match text(headers, name) {
            Some(value) => match date_seconds(&value) {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(S3Error::invalid_argument(name, &value, "The time is not an HTTP date.")),
            },
            None => Ok(None),
        };
        Ok(Self {
            if_match: guard(headers, "x-amz-copy-source-if-match", true)?,
            if_none_match: guard(headers, "x-amz-copy-source-if-none-match", false)?,
            if_modified_since: date("x-amz-copy-source-if-modified-since")?,
            if_unmodified_since: date("x-amz-copy-source-if-unmodified-since")?,
        })
    }

    /// Decides in the order of RFC 9110 §13.2.2: an ETag condition overrules the date condition of its kind.
    pub fn evaluate(&self, etag: &ETag, last_modified: Stamp) -> Verdict {
        let modified = last_modified.seconds();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(condition), _) if !matches_etag(condition, etag) => return Verdict::Failed("If-Match"),
            (None, Some(since)) if modified > since => return Verdict::Failed("If-Unmodified-Since"),
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(condition), _) if matches_etag(condition, etag) => Verdict::NotModified,
            (None, Some(since)) if modified <= since => Verdict::NotModified,
            _ => Verdict::Proceed,
        }
    }

    /// The same for a copy source, where 304 has no meaning: it is 412 too. Errs: PreconditionFailed.
    pub fn require_for_copy(&self, etag: &ETag, last_modified: Stamp) -> Result<(), S3Error> {
        let condition = match self.evaluate(etag, last_modified) {
            Verdict::Proceed => return Ok(()),
            Verdict::Failed("If-Match") => "x-amz-copy-source-If-Match",
            Verdict::Failed(_) => "x-amz-copy-source-If-Unmodified-Since",
            Verdict::NotModified if self.if_none_match.is_some() => "x-amz-copy-source-If-None-Match",
            Verdict::NotModified => "x-amz-copy-source-If-Modified-Since",
        };
        Err(S3Error::new(ErrorCode::PreconditionFailed).field("Condition", condition))
    }
}

/// `If-Match` and `If-None-Match` of a write. `If-None-Match` takes ETags as well as `*`. Errs: InvalidArgument when a
/// header is empty.
pub fn write_conditions(headers: &HeaderMap) -> Result<WriteConditions, S3Error> {
    Ok(WriteConditions {
        if_match: guard(headers, "if-match", true)?,
        if_none_match: guard(headers, "if-none-match", false)?,
        ..WriteConditions::default()
    })
}

/// A header that is a list, whole: its lines count as one (RFC 9110 §5.3).
fn list(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines: Vec<String> =
        values(headers, name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// A condition that guards a write. Errs: InvalidArgument when it is empty.
fn guard(headers: &HeaderMap, name: &str, strong: bool) -> Result<Option<ETagCondition>, S3Error> {
    match list(headers, name) {
        Some(value) if value.trim().is_empty() => {
            Err(S3Error::invalid_argument(name, &value, "A condition needs an ETag or *."))
        }
        value => Ok(value.map(|value| etag_condition(&value, strong))),
    }
}

/// The conditions of DeleteObject: those of a write, the last-modified time and the size. Errs: InvalidArgument.
pub fn delete_conditions(headers: &HeaderMap) -> Result<WriteConditions, S3Error> {
    let mut conditions = write_conditions(headers)?;
    if let Some(value) = text(headers, "x-amz-if-match-last-modified-time") {
        let seconds = date_seconds(&value).ok_or_else(|| {
            S3Error::invalid_argument("x-amz-if-match-last-modified-time", &value, "The time is not an HTTP date.")
        })?;
        conditions.if_match_last_modified = Some(seconds);
    }
    if let Some(value) = text(headers, "x-amz-if-match-size") {
        let size = value.trim().parse().map_err(|_| {
            S3Error::invalid_argument("x-amz-if-match-size", &value, "The size is not a number of bytes.")
        })?;
        conditions.if_match_size = Some(size);
    }
    Ok(conditions)
}

/// Reads `*` or a list of ETags, quoted or not. Weak ones never match where the comparison is strong; what is no ETag of
/// this server matches nothing.
pub fn etag_condition(value: &str, strong: bool) -> ETagCondition {
    if value.split(',').any(|tag| tag.trim() == "*") {
        return ETagCondition::Any;
    }
    let tags = value.split(',').map(str::trim).filter_map(|tag| match tag.strip_prefix("W/") {
        Some(_) if strong => None,
        Some(weak) => ETag::parse(weak).ok(),
        None => ETag::parse(tag).ok(),
    });
    ETagCondition::OneOf(tags.collect())
}

fn matches_etag(condition: &ETagCondition, etag: &ETag) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::OneOf(tags) => tags.contains(etag),
    }
}

/// Whether an `If-Range` validator, one strong ETag or a date, still names this representation (RFC 9110 §13.1.5): else the
/// whole object is sent.
pub fn if_range_holds(value: &str, etag: &ETag, last_modified: Stamp) -> bool {
    match date_seconds(value) {
        Some(seconds) => seconds == last_modified.seconds(),
        None => ETag::parse(value).is_ok_and(|named| named == *etag),
    }
}

/// Whole seconds since the epoch of an HTTP date in any of its three forms, or of an ISO-8601 time in UTC.
pub fn date_seconds(value: &str) -> Option<u64> {
    let value = value.trim();
    match httpdate::parse_http_date(value) {
        Ok(time) => Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs()),
        Err(_) => {
            let time = time::OffsetDateTime::parse(value, &time::format_description::well_known::Rfc3339).ok()?;
            u64::try_from(time.unix_timestamp()).ok()
        }
    }
}

/// A time as `Last-Modified` tells it (RFC 9110 §5.6.7).
pub fn http_date(stamp: Stamp) -> String {
    httpdate::fmt_http_date(stamp.to_system_time())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    const ETAG: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    const OTHER: &str = "\"00000000000000000000000000000000\"";
    const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const SAME: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const AFTER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

    fn verdict(pairs: &[(&'static str, &str)]) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        // Half a second past SAME: within one second nothing has changed.
        ReadConditions::of_read(&headers).evaluate(&ETag::parse(ETAG).unwrap(), Stamp(1_700_000_000_500_000_000))
    }

    #[test]
    fn one_condition_at_a_time() {
        let failed = |name| Verdict::Failed(name);
        let table: &[(&'static str, &str, Verdict)] = &[
            ("if-match", ETAG, Verdict::Proceed),
            ("if-match", "d41d8cd98f00b204e9800998ecf8427e", Verdict::Proceed),
            ("if-match", "*", Verdict::Proceed),
            ("if-match", OTHER, failed("If-Match")),
            ("if-match", "W/\"d41d8cd98f00b204e9800998ecf8427e\"", failed("If-Match")),
            ("if-match", "\"00\", \"d41d8cd98f00b204e9800998ecf8427e\"", Verdict::Proceed),
            ("if-none-match", ETAG, Verdict::NotModified),
            ("if-none-match", "W/\"d41d8cd98f00b204e9800998ecf8427e\"", Verdict::NotModified),
            ("if-none-match", "*", Verdict::NotModified),
            ("if-none-match", OTHER, Verdict::Proceed),
            ("if-modified-since", BEFORE, Verdict::Proceed),
            ("if-modified-since", SAME, Verdict::NotModified),
            ("if-modified-since", AFTER, Verdict::NotModified),
            ("if-modified-since", "yesterday", Verdict::Proceed),
            ("if-unmodified-since", BEFORE, failed("If-Unmodified-Since")),
            ("if-unmodified-since", SAME, Verdict::Proceed),
            ("if-unmodified-since", "2023-11-14T22:13:19Z", failed("If-Unmodified-Since")),
        ];
        for (name, value, expected) in table {
            assert_eq!(verdict(&[(name, value)]), *expected, "{name}: {value}");
        }
    }

    #[test]
    fn etags_overrule_dates() {
        assert_eq!(verdict(&[("if-match", ETAG), ("if-unmodified-since", BEFORE)]), Verdict::Proceed);
        assert_eq!(verdict(&[("if-none-match", OTHER), ("if-modified-since", AFTER)]), Verdict::Proceed);
        assert_eq!(verdict(&[("if-none-match", ETAG), ("if-modified-since", BEFORE)]), Verdict::NotModified);
        assert_eq!(verdict(&[("if-match", OTHER), ("if-none-match", ETAG)]), Verdict::Failed("If-Match"));
        assert_eq!(verdict(&[("if-match", ETAG), ("if-none-match", ETAG)]), Verdict::NotModified);
    }

    #[test]
    fn if_range_needs_a_strong_match() {
        let etag = ETag::parse(ETAG).unwrap();
        let stamp = Stamp(1_700_000_000_500_000_000);
        assert!(if_range_holds(ETAG, &etag, stamp) && if_range_holds(SAME, &etag, stamp));
        assert!(!if_range_holds(OTHER, &etag, stamp) && !if_range_holds(AFTER, &etag, stamp));
        for none in [&format!("W/{ETAG}"), "*", &format!("{ETAG}, {OTHER}")] {
            assert!(!if_range_holds(none, &etag, stamp), "{none}");
        }
    }

    #[test]
    fn write_conditions_are_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(write_conditions(&headers).unwrap(), WriteConditions::default());
        headers.insert(HeaderName::from_static("if-none-match"), HeaderValue::from_static("*"));
        headers.insert(HeaderName::from_static("x-amz-if-match-size"), HeaderValue::from_static("12"));
        let conditions = delete_conditions(&headers).unwrap();
        assert_eq!((conditions.if_none_match, conditions.if_match_size), (Some(ETagCondition::Any), Some(12)));
        headers.insert(HeaderName::from_static("if-match"), HeaderValue::from_static(""));
        assert!(write_conditions(&headers).is_err());
    }
}
