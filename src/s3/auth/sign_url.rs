//! Makes presigned URLs (S3 API Reference, "Authenticating Requests: Using Query Parameters"), over the very canonical request
//! by which they are verified. Pure.

use actix_web::http::header::HeaderMap;
use myfsio_actors::names::{AccessKeyId, BucketName, ObjectKey, Stamp};

use super::canonical::{Reading, Signed, canonical_request, encode, string_to_sign};
use super::credentials::SecretText;
use super::payload::UNSIGNED;
use super::settings::{AuthSettings, PublicUrl};
use super::signing::{ALGORITHM, AmzDate, Scope, SigningKey, seconds_of};
use crate::s3::request_head::RequestHead;

/// Who signs.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// Access key id.
    pub access_key_id: &'a AccessKeyId,
    /// Its secret.
    pub secret: &'a SecretText,
    /// The token that goes with a temporary key.
    pub session_token: Option<&'a str>,
}

/// What the URL is for.
#[derive(Debug, Clone, Copy)]
pub struct UrlRequest<'a> {
    /// Method.
    pub method: &'a str,
    /// Where the API is reached.
    pub base: &'a PublicUrl,
    /// Bucket.
    pub bucket: &'a BucketName,
    /// Key.
    pub key: &'a ObjectKey,
    /// How long the URL is good for, in seconds.
    pub expires_seconds: i64,
}

/// The URL, good from `now` on; none when that is no time that SigV4 can write.
pub fn presigned_url(signer: Signer<'_>, asked: UrlRequest<'_>, settings: &AuthSettings, now: Stamp) -> Option<String> {
    let date = AmzDate::from_seconds(seconds_of(now))?;
    let scope = Scope::new(date.day(), &settings.region, &settings.service);
    let credential = encode(format!("{}/{scope}", signer.access_key_id).as_bytes(), false);
    let token = match signer.session_token {
        Some(token) => format!("&X-Amz-Security-Token={}", encode(token.as_bytes(), false)),
        None => String::new(),
    };
    let query = format!(
        "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={}&X-Amz-Expires={}{token}\
         &X-Amz-SignedHeaders=host",
        date.text, asked.expires_seconds,
    );
    let path = path_of(asked.bucket, asked.key);
    let head = RequestHead {
        method: asked.method,
        path: path.as_bytes(),
        query: &query,
        virtual_bucket: None,
        headers: &HeaderMap::new(),
        peer: None,
        secure: asked.base.https,
        body_sha256: None,
    };
    let signed = Signed { headers: vec!["host".into()], payload: UNSIGNED.into(), leave_out: None };
    let reading = Reading { host: Some(&asked.base.authority), ..Reading::default() };
    let to_sign = string_to_sign(&date, &scope, &canonical_request(&head, &signed, &reading));
    let signature = SigningKey::derive(signer.secret.expose(), &scope).sign(to_sign.as_bytes());
    let scheme = if asked.base.https { "https" } else { "http" };
    Some(format!("{scheme}://{}{path}?{query}&X-Amz-Signature={signature}", asked.base.authority))
}

/// The path of a key. Clients resolve `.` and `..` between slashes before they send a path (RFC 3986 §5.2.4), so the slashes
/// of a key with such parts are escaped, which makes one part of it.
fn path_of(bucket: &BucketName, key: &ObjectKey) -> String {
    let is_dots = |part: &str| matches!(part, "." | "..");
    let key = key.as_str();
    let encoded = match key.split('/').any(is_dots) {
        // Alone it can only be escaped itself, which browsers undo.
        true if is_dots(key) => key.replace('.', "%2E"),
        several => encode(key.as_bytes(), !several),
    };
    format!("/{bucket}/{encoded}")
}
