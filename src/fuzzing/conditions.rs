//! Ranges and conditions.

use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::names::{ETag, Stamp};

use super::input::{Request, is_answered};
use crate::s3::conditional::{
    ReadConditions, Verdict, date_seconds, delete_conditions, http_date, if_range_holds, write_conditions,
};
use crate::s3::range::{Wanted, content_range, resolve};

const ETAG: ETag = ETag { md5: [0x5d; 16], parts: None };
/// Sun, 06 Nov 1994 08:49:37 GMT, and a half.
const MODIFIED: Stamp = Stamp(784_111_777_500_000_000);
/// The last second that an HTTP date can name.
const DATE_SECONDS_MAX: u64 = 253_402_300_799;

/// The conditions and the range of a request for an object.
pub fn conditions(data: &[u8]) -> bool {
    let Some(request) = Request::parse(data) else { return false };
    let headers = &request.headers;
    for value in headers.get_all("range").filter_map(|value| value.to_str().ok()) {
        [0, 1, 10, u64::MAX].into_iter().for_each(|size| range(value, size));
    }
    for value in headers.iter().filter_map(|(_, value)| value.to_str().ok()) {
        date(value);
        let holds = if_range_holds(value, &ETAG, MODIFIED);
        assert!(!holds || !if_range_holds(value, &ETag { md5: [0; 16], parts: None }, Stamp(0)), "{value}");
    }
    let verdict = ReadConditions::of_read(headers).evaluate(&ETAG, MODIFIED);
    obeys_further_conditions(headers, verdict);
    is_the_same_for_a_copy(headers, verdict, data);
    match (write_conditions(headers), delete_conditions(headers)) {
        (Ok(_), Ok(_)) => true,
        (write, delete) => {
            write.err().iter().chain(&delete.err()).for_each(|error| is_answered(error, data));
            false
        }
    }
}

fn range(value: &str, size: u64) {
    let Wanted::Part(part) = resolve(value, size) else { return };
    assert!(part.start < part.end && part.end <= size);
    let asked = format!("bytes={}-{}", part.start, part.end - 1);
    assert_eq!(resolve(&asked, size), Wanted::Part(part.clone()));
    assert_eq!(content_range(&part, size), format!("bytes {}/{size}", &asked["bytes=".len()..]));
    assert_eq!(resolve(&format!("{value},{value}"), size), Wanted::Whole, "several ranges are served whole");
}

fn date(value: &str) {
    let Some(seconds) = date_seconds(value).filter(|seconds| *seconds <= DATE_SECONDS_MAX) else { return };
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(date_seconds(&text), Some(seconds));
}

/// A condition that does not hold decides, whatever the others say.
fn obeys_further_conditions(headers: &HeaderMap, verdict: Verdict) {
    let with = |name: &'static str, value: &str| {
        let mut headers = headers.clone();
        let value = HeaderValue::from_str(value).expect("a header's value");
        headers.insert(HeaderName::from_static(name), value);
        ReadConditions::of_read(&headers).evaluate(&ETAG, MODIFIED)
    };
    assert_eq!(with("if-match", "\"00000000000000000000000000000000\""), Verdict::Failed("If-Match"));
    let current = with("if-none-match", &format!("\"{ETAG}\""));
    assert!(
        current == Verdict::NotModified || matches!(verdict, Verdict::Failed(name) if current == Verdict::Failed(name))
    );
    let matching = with("if-match", &format!("W/\"x\", {ETAG}"));
    assert!(!matches!(matching, Verdict::Failed(_)), "a match overrules dates");
    let earlier = with("if-unmodified-since", &http_date(Stamp(0)));
    assert!(headers.contains_key("if-match") || earlier == Verdict::Failed("If-Unmodified-Since"));
}

/// The same conditions on the source of a copy let it go on, or not, as they would a read.
fn is_the_same_for_a_copy(headers: &HeaderMap, verdict: Verdict, data: &[u8]) {
    let mut renamed = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("if-")) {
        let name = HeaderName::from_bytes(format!("x-amz-copy-source-{name}").as_bytes()).expect("a header's name");
        renamed.append(name, value.clone());
    }
    match ReadConditions::of_copy_source(&renamed) {
        Ok(conditions) => {
            assert_eq!(conditions.require_for_copy(&ETAG, MODIFIED).is_ok(), verdict == Verdict::Proceed);
        }
        Err(error) => is_answered(&error, data),
    }
}
