//! Requests that the node signs itself (SigV4, "Authenticating Requests: Using the Authorization Header"), over the very canonical
//! request by which it verifies others. Pure.

use std::borrow::Cow;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::names::{AccessKeyId, Stamp};

use crate::s3::auth::SecretText;
use crate::s3::auth::canonical::{Reading, Signed, canonical_request, string_to_sign};
use crate::s3::auth::payload::CONTENT_SHA256;
use crate::s3::auth::signing::{ALGORITHM, AmzDate, Scope, seconds_of};
use crate::s3::auth::signing_keys::SigningKeys;
use crate::s3::request_head::RequestHead;

/// Headers that are not signed: what stands between two nodes may write them anew.
const UNSIGNED_HEADERS: [&str; 2] = ["content-length", "user-agent"];

/// Who signs, and for which region.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Access key id.
    pub access_key_id: AccessKeyId,
    /// Its secret.
    pub secret: SecretText,
    /// Region of the credential scope.
    pub region: String,
    /// Signing keys that were derived lately.
    pub keys: SigningKeys,
}

/// A request that is to be signed. Path and query are percent-encoded as they will be sent.
#[derive(Debug)]
pub struct Unsigned<'a> {
    /// Method.
    pub method: &'a str,
    /// Host and port as the `Host` header will tell them.
    pub authority: &'a str,
    /// Path.
    pub path: &'a str,
    /// Query without `?`.
    pub query: &'a str,
    /// Payload line of the canonical request: a SHA-256 in hexadecimal or one of the literal values.
    pub payload: &'a str,
}

impl Signer {
    /// Adds `x-amz-date`, `x-amz-content-sha256` and `Authorization`. None when a value is none that a header can have, or the time none
    /// that SigV4 can write.
    pub fn sign(&self, request: &Unsigned<'_>, headers: &mut HeaderMap, now: Stamp) -> Option<()> {
        let date = AmzDate::from_seconds(seconds_of(now))?;
        headers.insert(HeaderName::from_static("x-amz-date"), HeaderValue::from_str(&date.text).ok()?);
        headers.insert(HeaderName::from_static(CONTENT_SHA256), HeaderValue::from_str(request.payload).ok()?);
        let scope = Scope::new(date.day(), &self.region, "s3");
        let mut names: Vec<Cow<'static, str>> =
            headers.keys().map(|name| Cow::Owned(name.as_str().to_owned())).collect();
        names.retain(|name| !UNSIGNED_HEADERS.contains(&&**name));
        names.push("host".into());
        names.sort_unstable();
        names.dedup();
        let signed_headers = names.join(";");
        let head = RequestHead {
            method: request.method,
            path: request.path.as_bytes(),
            query: request.query,
            virtual_bucket: None,
            headers,
            peer: None,
            secure: false,
            body_sha256: None,
        };
        let signed = Signed { headers: names, payload: request.payload.to_owned().into(), leave_out: None };
        let reading = Reading { host: Some(request.authority), ..Reading::default() };
        let to_sign = string_to_sign(&date, &scope, &canonical_request(&head, &signed, &reading));
        let key = self.keys.of(&self.access_key_id, self.secret.expose(), &scope);
        let signature = key.sign(to_sign.as_bytes());
        let value = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={signed_headers}, Signature={signature}",
            self.access_key_id
        );
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static("authorization"), value);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(headers: &[(&'static str, &str)], query: &str, path: &str) -> String {
        let signer = Signer {
            access_key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap(),
            secret: SecretText::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1".to_owned(),
            keys: SigningKeys::default(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let payload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let request = Unsigned { method: "GET", authority: "examplebucket.s3.amazonaws.com", path, query, payload };
        // 2013-05-24T00:00:00Z, as in the examples of the S3 API Reference.
        signer.sign(&request, &mut map, Stamp(1_369_353_600_000_000_000)).unwrap();
        map.get("authorization").unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn the_published_examples_are_signed_as_published() {
        // S3 API Reference, "Signature Calculations for the Authorization Header", GET Object.
        let with_range = signed(&[("range", "bytes=0-9")], "", "/test.txt");
        assert!(
            with_range.ends_with("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            "{with_range}"
        );
        // The same, GET Bucket Lifecycle.
        let lifecycle = signed(&[], "lifecycle", "/");
        assert!(
            lifecycle.ends_with("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            "{lifecycle}"
        );
    }

    #[test]
    fn what_proxies_change_is_not_signed() {
        let plain = signed(&[], "", "/");
        let more = signed(&[("user-agent", "x"), ("content-length", "0")], "", "/");
        assert_eq!(plain, more);
        assert_ne!(plain, signed(&[("x-myfsio-origin", "1")], "", "/"));
    }
}
