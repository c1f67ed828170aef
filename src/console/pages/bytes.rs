//! The bytes of an object: as a download, or shown within a page where a short list of kinds allows it.
//!
//! What a browser shows is never of the kind that the object claims, but of one from the list, and runs nothing: it is sandboxed and
//! told to load nothing.

use actix_http::{RequestHead, Response};
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, LAST_MODIFIED, RANGE,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::console::failure::Failure;
use crate::console::headers::OBJECT_POLICY;
use crate::console::route::{Outcome, Row, SIGNED_IN};
use crate::console::visit::Visit;
use crate::within::{Asker, Place, Refusal, Wish};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/buckets/{bucket}/download", SIGNED_IN, |visit| Box::pin(download(visit)))
        .tested_by("key=folder%2Fa.txt"),
    Row::get("/ui/buckets/{bucket}/view", SIGNED_IN, |visit| Box::pin(view(visit))).tested_by("key=folder%2Fa.txt"),
];

/// How an object can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As an image of this type.
    Image(&'static str),
    /// As a video of this type.
    Video(&'static str),
    /// As sound of this type.
    Audio(&'static str),
    /// As text, written by the page.
    Text,
    /// As the schema of a Parquet file, written by the page.
    Parquet,
    /// As a PDF, whose viewer runs more than a page of the console may: from an origin of its own alone.
    Pdf,
}

/// Ends of keys, and how such objects can be shown. SVG is no image here, since it may hold scripts, nor is HTML text to be shown as
/// such.
const KINDS: [(&[&str], Kind); 14] = [
    (&["png"], Kind::Image("image/png")),
    (&["jpg", "jpeg"], Kind::Image("image/jpeg")),
    (&["gif"], Kind::Image("image/gif")),
    (&["webp"], Kind::Image("image/webp")),
    (&["avif"], Kind::Image("image/avif")),
    (&["mp4", "m4v"], Kind::Video("video/mp4")),
    (&["webm"], Kind::Video("video/webm")),
    (&["mp3"], Kind::Audio("audio/mpeg")),
    (&["ogg", "oga", "opus"], Kind::Audio("audio/ogg")),
    (&["wav"], Kind::Audio("audio/wav")),
    (&["flac"], Kind::Audio("audio/flac")),
    (&["parquet"], Kind::Parquet),
    (&["pdf"], Kind::Pdf),
    (
        &[
            "txt", "md", "csv", "tsv", "json", "jsonl", "ndjson", "log", "xml", "yaml", "yml", "toml", "ini", "conf",
            "html", "htm", "css", "js", "ts", "py", "rs", "go", "java", "c", "h", "cpp", "sh", "sql", "svg", "tex",
            "diff", "patch",
        ],
        Kind::Text,
    ),
];

/// How an object can be shown, by the end of its key, else by the kind that its writer gave; none where it cannot.
pub fn kind_of(key: &str, content_type: Option<&str>) -> Option<Kind> {
    let end = key.rsplit('/').next()?.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    let by_end = end.and_then(|end| KINDS.iter().find(|(ends, _)| ends.contains(&end.as_str())));
    by_end.map(|(_, kind)| *kind).or_else(|| {
        let given = content_type?.split(';').next()?.trim().to_ascii_lowercase();
        KINDS.iter().map(|(_, kind)| *kind).find(|kind| match kind {
            Kind::Image(named) | Kind::Video(named) | Kind::Audio(named) => *named == given,
            Kind::Text => given.starts_with("text/") || given == "application/json",
            Kind::Parquet => given == "application/vnd.apache.parquet",
            Kind::Pdf => given == "application/pdf",
        })
    })
}

async fn download(visit: Visit) -> Outcome {
    let key = visit.key()?;
    let mut response = fetch(&visit).await?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition(key.as_str())) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

async fn view(visit: Visit) -> Outcome {
    let key = visit.key()?;
    let bucket = visit.bucket().await?;
    let object = visit.asker()?.object(&bucket, &key, visit.version()?).await?;
    let shown = kind_of(key.as_str(), object.attributes.content_type.as_deref());
    let kind = match shown {
        Some(Kind::Image(kind) | Kind::Video(kind) | Kind::Audio(kind)) => kind,
        Some(Kind::Text) => "text/plain; charset=utf-8",
        Some(Kind::Parquet | Kind::Pdf) | None => return Err(Failure::input(visit.t.object.no_preview)),
    };
    let mut response = fetch(&visit).await?;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static("inline"));
    Ok(response)
}

/// The object as the API gives it, with none of the headers that its writer chose.
async fn fetch(visit: &Visit) -> Result<HttpResponse, Failure> {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    let mut response =
        read(visit.asker()?, &visit.head, Place { bucket: &bucket.name, key: &key, version }, None).await?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OBJECT_POLICY));
    Ok(response)
}

/// The same for anybody. `head`: the browser's request, which may ask for a range. `etag`: what the object must still be. Errs: as
/// GetObject.
pub async fn read(
    asker: &Asker,
    head: &RequestHead,
    place: Place<'_>,
    etag: Option<&str>,
) -> Result<HttpResponse, Refusal> {
    let version = place.version.map(|version| version.to_string());
    let query: Vec<_> = version.as_deref().map(|version| ("versionId", version)).into_iter().collect();
    let range = head.headers.get(RANGE).and_then(|range| range.to_str().ok());
    let mut headers: Vec<_> = range.map(|range| ("range", range)).into_iter().collect();
    headers.extend(etag.map(|etag| ("if-match", etag)));
    let method = if head.method == Method::HEAD { Method::HEAD } else { Method::GET };
    let (bucket, key) = (Some(place.bucket), Some(place.key));
    let answer = asker.s3(Wish { method, bucket, key, query: &query, headers: &headers, payload: None }).await?;
    Ok(bare(answer))
}

fn bare(answer: Response<BoxBody>) -> HttpResponse {
    const KEPT: [HeaderName; 5] = [CONTENT_LENGTH, CONTENT_RANGE, ACCEPT_RANGES, ETAG, LAST_MODIFIED];
    let mut response = HttpResponse::build(answer.status());
    for name in KEPT {
        if let Some(value) = answer.headers().get(&name).filter(|_| name != CONTENT_LENGTH) {
            response.insert_header((name, value.clone()));
        }
    }
    response.body(answer.into_body())
}

/// `Content-Disposition` of a download.
pub fn disposition(key: &str) -> String {
    named("attachment", key)
}

/// `Content-Disposition` with the name of a file (RFC 6266): in ASCII for old browsers, and as it is.
pub fn named(kind: &str, key: &str) -> String {
    let name = key.rsplit('/').find(|part| !part.is_empty()).unwrap_or("object");
    let plain =
        |c: char| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | ';') || c == ' ' { c } else { '_' };
    let ascii: String = name.chars().map(plain).take(200).collect();
    format!("{kind}; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_shown() {
        assert_eq!(kind_of("a/b.PNG", None), Some(Kind::Image("image/png")));
        assert_eq!(kind_of("a.svg", Some("image/svg+xml")), Some(Kind::Text), "as its source");
        assert_eq!(kind_of("page", Some("text/html; charset=x")), Some(Kind::Text));
        assert_eq!(kind_of("photo", Some("image/jpeg")), Some(Kind::Image("image/jpeg")));
        assert_eq!(kind_of("part-0", Some("application/vnd.apache.parquet")), Some(Kind::Parquet));
        assert_eq!(kind_of("a.PDF", Some("text/html")), Some(Kind::Pdf));
        assert_eq!(kind_of("paper", Some("application/pdf")), Some(Kind::Pdf));
        for (key, kind) in [("a.bin", Some("image/svg+xml")), ("dir.png/a", None), ("", None)] {
            assert_eq!(kind_of(key, kind), None, "{key}");
        }
    }

    #[test]
    fn names_of_downloads() {
        let named = disposition("x/a\"\r\n;ä b");
        assert_eq!(named, "attachment; filename=\"a_____ b\"; filename*=UTF-8''a%22%0D%0A%3B%C3%A4%20b");
        assert!(disposition("folder/").contains("\"folder\""));
    }
}
