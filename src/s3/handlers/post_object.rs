//! The upload of a browser form (S3 API Reference, "POST Object").
//!
//! The fields in front of the file say who uploads, under which policy, and what the object is; they are read, checked and
//! authorised before the first byte of the file is taken. They are turned into the headers of a PutObject, so that an
//! object has the same attributes whichever way it came.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::{
    Attributes, BeginBody, BodyWriter, Bucket, FinishedBody, PutObject, Stored, WriteConditions,
};

use super::object_lock::require_digest;
use super::object_put::{kept_checksum, stored_response};
use crate::s3::auth::post_form::{FileHead, boundary_of};
use crate::s3::auth::post_policy::{Fields, field, substitute_filename};
use crate::s3::auth::{FormEvent, FormParser, PostPolicy, authenticate_form};
use crate::s3::authorize::{Further, compares_etags, expect_owner};

use crate::s3::body::too_large;
use crate::s3::checksum::BodyChecks;
use crate::s3::conditional::write_conditions;
use crate::s3::context::Call;
use crate::s3::controls::NewObject;
use crate::s3::encryption::asked::Asked;
use crate::s3::encryption::settings::refuse_exposed_key;
use crate::s3::encryption::told;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::{OBJECT_HEADERS, attributes, check_tags, refuse_unbuilt, text};
use crate::s3::request_head::RequestHead;
use crate::s3::respond::{Answer, set_header, xml};
use crate::s3::route::parse_key;
use crate::s3::xml::XmlWriter;
use crate::s3::xml::requests;
use crate::s3::xml::write::url_encode_into;

/// S3 API Reference, "POST Object". Errs: those of the form, of its policy and signature, of the attributes, and of the
/// digests that the form names.
pub async fn post_object(mut call: Call) -> Answer {
    let bucket = call.bucket()?;
    let content_type = text(&call.headers, "content-type").unwrap_or_default();
    let mut parser = FormParser::new(&boundary_of(&content_type)?);
    let (mut form, events) = read_fields(&mut call, &mut parser).await?;
    substitute_filename(&mut form.fields, form.filename.as_deref().unwrap_or_default());
    let policy = authenticate(&mut call, &form.fields, &bucket).await?;
    let upload = FormUpload::parse(&form.fields)?;
    stand_in(&mut call.headers, &upload.headers);
    let key = &upload.key;
    call.note.names_key(key);
    let tags = Some(upload.attributes.tags.as_slice());
    let further = Further { key: Some(key.as_str()), tags, ..Further::default() };
    call.authorize_further("s3:PutObject", &bucket, further)?;
    expect_owner(&call.node, &upload.headers, "x-amz-expected-bucket-owner", &bucket)?;
    if compares_etags(&upload.headers) {
        call.authorize_further("s3:GetObject", &bucket, Further { key: Some(key.as_str()), ..Further::default() })?;
    }
    let charged = call.charged(&bucket)?;
    if !upload.attributes.tags.is_empty() {
        call.authorize_further("s3:PutObjectTagging", &bucket, further)?;
    }
    let NewObject { owner, controls } = NewObject::of_call(&call, &bucket, key, None)?;
    require_digest(&controls, &upload.checks)?;
    refuse_exposed_key(&head_of(&call), call.secure, call.node.settings.customer_keys_over_http)?;
    let envelope = call.envelope(&bucket, key).await?;
    let begin = BeginBody { bucket: &bucket, key, owner: &owner, size: None };
    let writer = call.storage().begin_body(begin, upload.checks.plan(), envelope.as_ref())?;
    let body = read_file(&mut call, parser, events, writer, policy.as_ref()).await?;
    let checksum = upload.checks.verify(body.digests(), &[])?.and_then(kept_checksum);
    let FormUpload { key, attributes, conditions, reply, .. } = upload;
    let location = location(&call, &key);
    let message = PutObject {
        bucket: Arc::clone(&bucket),
        key: key.clone(),
        owner,
        attributes,
        controls,
        body,
        checksum,
        conditions,
        replica: None,
    };
    let stored = call.storage().put_object(message).await?;
    let mut response = reply.respond(&bucket, &key, &location, &stored);
    told::put(&mut response, call.told_new_encryption(stored.object.encryption()));
    if charged {
        set_header(&mut response, "x-amz-request-charged", "requester");
    }
    Ok(response)
}

/// Reads up to the file; gives what came with its beginning. Errs: those of the parser and of the body.
async fn read_fields(call: &mut Call, parser: &mut FormParser) -> Result<(FileHead, Vec<FormEvent>), S3Error> {
    while let Some(bytes) = call.body.next().await {
        let mut events = parser.feed(bytes?)?.into_iter();
        match events.next() {
            Some(FormEvent::File(form)) => return Ok((form, events.collect())),
            Some(FormEvent::Data(_) | FormEvent::End) | None => {}
        }
    }
    Err(S3Error::with_message(ErrorCode::MalformedPOSTRequest, "The form ends before its file."))
}

fn head_of(call: &Call) -> RequestHead<'_> {
    RequestHead {
        method: call.method.as_str(),
        path: call.raw_path.as_bytes(),
        query: "",
        virtual_bucket: None,
        headers: &call.headers,
        peer: call.peer,
        secure: call.secure,
        body_sha256: None,
    }
}

/// Makes whoever signed the form's policy the caller; a form without one has the caller of its request's head.
async fn authenticate(call: &mut Call, fields: &Fields, bucket: &Bucket) -> Result<Option<PostPolicy>, S3Error> {
    let head = head_of(call);
    let settings = &call.node.settings.auth;
    let keys = &call.node.access;
    let form = authenticate_form(&head, fields, bucket.name.as_str(), settings, keys, call.received).await;
    let form = form.map_err(S3Error::of_credentials)?;
    // The spine asks for no permission here, so it has not taken in edited policies either.
    call.node.access.refresh().await;
    match (form.policy, call.is_anonymous()) {
        (None, _) => Ok(None),
        (Some(policy), true) => {
            call.node.request_rates.count(form.authenticated.principal.as_deref(), call.received)?;
            let (key, place) = (form.authenticated.access_key_id.as_ref(), (&*settings.service, &*settings.region));
            call.node.note_use(key, place, call.received);
            call.set_caller(form.authenticated);
            call.note.asked_by(call.auth.principal.as_deref(), call.auth.mechanism);
            Ok(Some(policy))
        }
        (Some(_), false) => Err(S3Error::with_message(ErrorCode::InvalidArgument, "Only one auth mechanism allowed")),
    }
}

/// Streams the file into storage, and reads what follows it, which S3 ignores. Errs: EntityTooLarge as soon as the
/// policy's range is exceeded, EntityTooSmall, IncompleteBody.
async fn read_file(
    call: &mut Call,
    mut parser: FormParser,
    first: Vec<FormEvent>,
    mut writer: BodyWriter,
    policy: Option<&PostPolicy>,
) -> Result<FinishedBody, S3Error> {
    let size_max = policy.map_or(u64::MAX, PostPolicy::size_max);
    let mut size: u64 = 0;
    let mut events = first;
    loop {
        for event in events {
            if let FormEvent::Data(bytes) = event {
                size = size.saturating_add(bytes.len() as u64);
                if size > size_max {
                    return Err(too_large(size, size_max));
                }
                writer.write(bytes).await?;
            }
        }
        let Some(bytes) = call.body.next().await else { break };
        events = parser.feed(bytes?)?;
    }
    parser.finish()?;
    if let Some(policy) = policy {
        policy.check_size(size)?;
    }
    Ok(writer.finish().await?)
}

/// What the fields say about the object and the answer.
#[derive(Debug)]
pub(crate) struct FormUpload {
    key: ObjectKey,
    /// The fields that PutObject takes as headers.
    headers: HeaderMap,
    pub(crate) attributes: Attributes,
    checks: BodyChecks,
    conditions: WriteConditions,
    reply: Reply,
}

impl FormUpload {
    /// Reads the fields. Errs: InvalidArgument, KeyTooLongError, NotImplemented, MalformedXML for the tags, and those of
    /// the attributes.
    pub(crate) fn parse(fields: &Fields) -> Result<Self, S3Error> {
        let key = field(fields, "key").unwrap_or_default();
        if key.is_empty() {
            let message = "User key must have a length greater than 0.";
            return Err(S3Error::invalid_argument("key", key, message));
        }
        let headers = headers_of(fields)?;
        refuse_unbuilt(&headers)?;
        Asked::of_write(&headers)?;
        let mut attributes = attributes(&headers)?;
        if let Some(document) = field(fields, "tagging") {
            attributes.tags = requests::tagging(document.as_bytes())?;
            check_tags(&attributes.tags)?;
        }
        let checks = BodyChecks::parse(&headers, None)?;
        let conditions = write_conditions(&headers)?;
        let (key, reply) = (parse_key(key.as_bytes())?, Reply::parse(fields));
        Ok(Self { key, headers, attributes, checks, conditions, reply })
    }
}

/// Fields that PutObject takes as headers of the same name, beside those of the object itself.
const HEADER_FIELDS: [&str; 6] = [
    "x-amz-acl",
    "x-amz-request-payer",
    "x-amz-expected-bucket-owner",
    "x-amz-write-offset-bytes",
    "if-match",
    "if-none-match",
];
/// Beginnings of further such fields.
const HEADER_PREFIXES: [&str; 5] =
    ["x-amz-meta-", "x-amz-checksum-", "x-amz-server-side-encryption", "x-amz-object-lock-", "x-amz-grant-"];

fn describes_object(header: &str) -> bool {
    OBJECT_HEADERS.contains(&header)
        || HEADER_FIELDS.contains(&header)
        || HEADER_PREFIXES.iter().any(|prefix| header.starts_with(prefix))
}

/// Puts what the form says of the object in place of what the request's own headers say: conditions of policies must judge
/// the object that will be stored.
fn stand_in(request: &mut HeaderMap, form: &HeaderMap) {
    request.retain(|name, _| !describes_object(name.as_str()));
    for (name, value) in form {
        request.append(name.clone(), value.clone());
    }
}

/// The fields that describe the object, as headers. Errs: InvalidArgument when a name or value cannot be one.
fn headers_of(fields: &Fields) -> Result<HeaderMap, S3Error> {
    let mut headers = HeaderMap::new();
    for (field_name, value) in fields {
        let mut name = field_name.to_ascii_lowercase();
        if name == "acl" {
            name = "x-amz-acl".to_owned();
        }
        if !describes_object(&name) {
            continue;
        }
        let invalid = || S3Error::invalid_argument(field_name, value, "The field's value cannot be that of a header.");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid())?);
    }
    Ok(headers)
}

/// How the form wants success to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reply {
    /// 200 or 204 without a document.
    Status(StatusCode),
    /// 201 with a `PostResponse` document.
    Document,
    /// 303 to this URL, with bucket, key and ETag in its query.
    Redirect(String),
}

impl Reply {
    /// Reads `success_action_redirect` (formerly `redirect`) and `success_action_status`. Like S3 it takes a URL or status
    /// that it does not understand as absent.
    fn parse(fields: &Fields) -> Self {
        let url = field(fields, "success_action_redirect").or_else(|| field(fields, "redirect"));
        if let Some(url) = url.filter(|url| is_web_url(url)) {
            return Self::Redirect(url.to_owned());
        }
        match field(fields, "success_action_status").map(str::trim) {
            Some("200") => Self::Status(StatusCode::OK),
            Some("201") => Self::Document,
            _ => Self::Status(StatusCode::NO_CONTENT),
        }
    }

    fn respond(&self, bucket: &Bucket, key: &ObjectKey, location: &str, stored: &Stored) -> HttpResponse {
        let mut response = stored_response(stored);
        let etag = stored.object.etag;
        match self {
            Self::Status(status) => {
                *response.status_mut() = *status;
                set_header(&mut response, "location", location);
            }
            Self::Document => {
                let mut out = XmlWriter::bare("PostResponse", 512);
                out.text("Location", location).value("Bucket", &bucket.name).text("Key", key.as_str()).etag(etag);
                let mut document = xml(StatusCode::CREATED, out.finish());
                for (name, value) in response.headers() {
                    document.headers_mut().insert(name.clone(), value.clone());
                }
                set_header(&mut document, "location", location);
                response = document;
            }
            Self::Redirect(url) => {
                *response.status_mut() = StatusCode::SEE_OTHER;
                set_header(&mut response, "location", &redirect_url(url, bucket.name.as_str(), key.as_str(), etag));
            }
        }
        response
    }
}

fn is_web_url(url: &str) -> bool {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#']))
        && url.bytes().all(|b| b.is_ascii_graphic())
}

fn redirect_url(url: &str, bucket: &str, key: &str, etag: impl std::fmt::Display) -> String {
    let (base, fragment) = match url.split_once('#') {
        Some((base, fragment)) => (base, Some(fragment)),
        None => (url, None),
    };
    let separator = if base.contains('?') { '&' } else { '?' };
    let mut location = format!("{base}{separator}bucket={bucket}&key=");
    url_encode_into(&mut location, key);
    location.push_str(&format!("&etag=%22{etag}%22"));
    if let Some(fragment) = fragment {
        location.push('#');
        location.push_str(fragment);
    }
    location
}

/// The object's URL, built from how the client addressed its bucket.
fn location(call: &Call, key: &ObjectKey) -> String {
    let scheme = if call.secure { "https" } else { "http" };
    let host = text(&call.headers, "host").unwrap_or_default();
    let mut location = format!("{scheme}://{host}{}/", call.raw_path.trim_end_matches('/'));
    url_encode_into(&mut location, key.as_str());
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn upload(pairs: &[(&str, &str)]) -> Result<FormUpload, ErrorCode> {
        let mut all = fields(&[("key", "a/b")]);
        all.extend(fields(pairs));
        FormUpload::parse(&all).map_err(|e| e.code())
    }

    #[test]
    fn fields_become_attributes() {
        let upload = upload(&[
            ("Content-Type", "text/plain"),
            ("X-Amz-Meta-Colour", "grün"),
            ("acl", "private"),
            ("tagging", "<Tagging><TagSet><Tag><Key>k</Key><Value>v w</Value></Tag></TagSet></Tagging>"),
            ("x-amz-date", "20200101T000000Z"),
            ("submit", "\u{1}Upload"),
        ])
        .unwrap();
        assert_eq!(upload.key.as_str(), "a/b");
        assert_eq!(upload.attributes.content_type.as_deref(), Some("text/plain"));
        assert_eq!(upload.attributes.user_metadata, fields(&[("colour", "grün")]));
        assert_eq!(upload.attributes.tags, fields(&[("k", "v w")]));
        assert_eq!(text(&upload.headers, "x-amz-acl").as_deref(), Some("private"));
    }

    #[test]
    fn fields_are_refused_like_headers() {
        assert_eq!(FormUpload::parse(&fields(&[("key", "")])).unwrap_err().code(), ErrorCode::InvalidArgument);
        let long = "x".repeat(1025);
        assert_eq!(FormUpload::parse(&fields(&[("key", &long)])).unwrap_err().code(), ErrorCode::KeyTooLongError);
        assert!(upload(&[("x-amz-server-side-encryption", "AES256")]).is_ok());
        assert_eq!(upload(&[("x-amz-server-side-encryption", "DES")]).unwrap_err(), ErrorCode::InvalidArgument);
        assert_eq!(upload(&[("x-amz-meta-a", "b\nc")]).unwrap_err(), ErrorCode::InvalidArgument);
        assert_eq!(upload(&[("tagging", "<Tagging>")]).unwrap_err(), ErrorCode::MalformedXML);
        assert_eq!(upload(&[("x-amz-checksum-crc32", "AAAA")]).unwrap_err(), ErrorCode::BadDigest);
        assert_eq!(upload(&[("x-amz-storage-class", "COLD")]).unwrap_err(), ErrorCode::InvalidStorageClass);
        assert_eq!(upload(&[("x-amz-write-offset-bytes", "4")]).unwrap_err(), ErrorCode::NotImplemented);
        assert_eq!(upload(&[("If-None-Match", "")]).unwrap_err(), ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_form_speaks_for_its_object() {
        let of = |pairs: &[(&str, &str)]| headers_of(&fields(pairs)).unwrap();
        let mut request = of(&[("x-amz-acl", "private"), ("content-type", "multipart/form-data"), ("expires", "0")]);
        request.insert(HeaderName::from_static("user-agent"), HeaderValue::from_static("browser"));
        stand_in(&mut request, &of(&[("ACL", "public-read"), ("X-Amz-Storage-Class", "GLACIER"), ("submit", "x")]));
        let found = |name: &str| text(&request, name);
        assert_eq!(found("x-amz-acl").as_deref(), Some("public-read"));
        assert_eq!(found("x-amz-storage-class").as_deref(), Some("GLACIER"));
        assert_eq!(found("user-agent").as_deref(), Some("browser"));
        assert_eq!((found("content-type"), found("expires"), found("submit")), (None, None, None));
    }

    #[test]
    fn replies() {
        let reply = |pairs: &[(&str, &str)]| Reply::parse(&fields(pairs));
        assert_eq!(reply(&[]), Reply::Status(StatusCode::NO_CONTENT));
        assert_eq!(reply(&[("success_action_status", "200")]), Reply::Status(StatusCode::OK));
        assert_eq!(reply(&[("Success_Action_Status", "201")]), Reply::Document);
        assert_eq!(reply(&[("success_action_status", "404")]), Reply::Status(StatusCode::NO_CONTENT));
        let url = "http://example.com/done";
        assert_eq!(reply(&[("success_action_redirect", url)]), Reply::Redirect(url.to_owned()));
        assert_eq!(reply(&[("redirect", url), ("success_action_status", "200")]), Reply::Redirect(url.to_owned()));
        for bad in ["javascript:alert(1)", "//x", "http://", "http://a b", "http://a\r\nX: y"] {
            assert_eq!(reply(&[("success_action_redirect", bad)]), Reply::Status(StatusCode::NO_CONTENT), "{bad}");
        }
    }

    #[test]
    fn redirects_name_the_object() {
        assert_eq!(redirect_url("http://h/p", "b", "k é", "e"), "http://h/p?bucket=b&key=k%20%C3%A9&etag=%22e%22");
        assert_eq!(redirect_url("http://h/p?x=1#f", "b", "k", "e"), "http://h/p?x=1&bucket=b&key=k&etag=%22e%22#f");
    }
}
