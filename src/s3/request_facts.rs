//! What a request says about itself, as conditions of policies see it: the sources of condition keys.
//!
//! Everything is worked out once for a question, from headers and query as received and from what the body says where the
//! permission waits for it. What a client can spell in several ways has one value here, so that no spelling gets around a policy.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;
use myfsio_actors::bucket_config::{Retention, Tag};
use myfsio_actors::names::Stamp;
use myfsio_actors::policy_engine::RequestContext;

use super::auth::Mechanism;
use super::handlers::object_copy::CopySource;
use super::handlers::object_lock::lock_of_headers;
use super::headers::{text, value_text};
use super::query::Query;
use super::xml::object_lock::{mode_name, until_text};
use crate::tls::client_version;

/// What a decision may depend on beside principal, action and resource: the sources of policy condition keys.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Headers as received.
    pub headers: &'a HeaderMap,
    /// The decoded query.
    pub query: &'a Query,
    /// Address of the client.
    pub address: Option<IpAddr>,
    /// Whether the request came over TLS.
    pub secure: bool,
    /// When its head had arrived.
    pub now: Stamp,
    /// How the caller was authenticated.
    pub mechanism: Mechanism,
    /// When the request was signed, in seconds since the Unix epoch.
    pub signed_at_seconds: Option<i64>,
    /// The node's region.
    pub region: &'a str,
    /// Whether a refusal is explained.
    pub explains: bool,
}

/// Query parameters that are condition keys of the same name.
const QUERY_KEYS: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:VersionId"),
];

/// The header that names the source of a copy.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// Headers that are condition keys.
const HEADER_KEYS: [(&str, &str); 18] = [
    ("user-agent", "aws:UserAgent"),
    ("referer", "aws:Referer"),
    ("x-amz-acl", "s3:x-amz-acl"),
    ("x-amz-grant-full-control", "s3:x-amz-grant-full-control"),
    ("x-amz-grant-read", "s3:x-amz-grant-read"),
    ("x-amz-grant-read-acp", "s3:x-amz-grant-read-acp"),
    ("x-amz-grant-write", "s3:x-amz-grant-write"),
    ("x-amz-grant-write-acp", "s3:x-amz-grant-write-acp"),
    ("x-amz-object-ownership", "s3:x-amz-object-ownership"),
    ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
    ("x-amz-server-side-encryption", "s3:x-amz-server-side-encryption"),
    ("x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    ("x-amz-server-side-encryption-customer-algorithm", "s3:x-amz-server-side-encryption-customer-algorithm"),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
    ("x-amz-website-redirect-location", "s3:x-amz-website-redirect-location"),
    ("x-amz-content-sha256", "s3:x-amz-content-sha256"),
    ("if-match", "s3:if-match"),
    ("if-none-match", "s3:if-none-match"),
];

/// What a question adds to, or puts in place of, what its request says about itself.
#[derive(Debug, Clone, Copy)]
pub enum Asks<'a> {
    /// Nothing.
    Nothing,
    /// It is whether this key would be listed: the query of the request has no say in that.
    Listing(&'a str),
    /// The request gives its object these tags.
    Tags(&'a [Tag]),
    /// The request gives its object this lock, whatever its headers say.
    Lock(AskedLock),
    /// The request gives its bucket these tags.
    BucketTags(&'a [Tag]),
    /// The request takes the tags of these keys from its bucket.
    BucketTagKeys(&'a [&'a str]),
    /// The request makes a bucket, in this region if it names one, with these tags.
    NewBucket(Option<&'a str>, &'a [Tag]),
    /// The request goes on with an upload that was begun with these headers, which say the same of its object.
    Begun(&'a [(&'static str, String)]),
}

/// A lock that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AskedLock {
    /// Its retention.
    pub retention: Option<Retention>,
    /// Whether its legal hold is on; none when nothing is said of it.
    pub legal_hold: Option<bool>,
}

impl AskedLock {
    /// As conditions of policies see it (S3 User Guide, "Object Lock considerations"): whole days that remain, rounded up.
    fn tell(self, context: &mut RequestContext, now: Stamp) {
        if let Some(retention) = self.retention {
            let left = retention.until_millis.saturating_sub(now.0 / 1_000_000);
            context.add("s3:object-lock-mode", mode_name(retention.mode));
            context.add("s3:object-lock-retain-until-date", until_text(&retention));
            context.add("s3:object-lock-remaining-retention-days", left.div_ceil(86_400_000).to_string());
        }
        if let Some(is_on) = self.legal_hold {
            context.add("s3:object-lock-legal-hold", if is_on { "ON" } else { "OFF" });
        }
    }
}

impl Facts<'_> {
    /// The request as conditions of policies see it, where it has no object.
    pub fn plain_context(&self) -> RequestContext {
        self.context(Asks::Nothing)
    }

    /// The request as conditions of policies see it.
    pub fn context(&self, asks: Asks<'_>) -> RequestContext {
        let mut context = RequestContext::new(self.now, self.address, self.secure);
        if let Some(version) = client_version(self.headers) {
            context.add("s3:TlsVersion", version.number());
        }
        match asks {
            Asks::Listing(key) => context.add("s3:prefix", key),
            _ => {
                for (name, key) in QUERY_KEYS {
                    if let Some(value) = self.query.get(name) {
                        context.add(key, value);
                    }
                }
            }
        }
        match asks {
            Asks::Tags(tags) => {
                for (key, value) in tags {
                    context.add(format!("s3:RequestObjectTag/{key}"), value.as_str());
                    context.add("s3:RequestObjectTagKeys", key.as_str());
                }
            }
            Asks::BucketTags(tags) | Asks::NewBucket(_, tags) => {
                for (key, value) in tags {
                    context.add(format!("aws:RequestTag/{key}"), value.as_str());
                    context.add("aws:TagKeys", key.as_str());
                }
            }
            Asks::BucketTagKeys(keys) => keys.iter().for_each(|key| context.add("aws:TagKeys", *key)),
            Asks::Nothing | Asks::Listing(_) | Asks::Lock(_) | Asks::Begun(_) => {}
        }
        if let Asks::NewBucket(Some(region), _) = asks {
            context.add("s3:LocationConstraint", region);
        }
        match asks {
            Asks::Lock(lock) => lock.tell(&mut context, self.now),
            _ => lock_of_headers(self.headers).tell(&mut context, self.now),
        }
        context.add("aws:RequestedRegion", self.region);
        // A request has few headers, and looking for each of the keys costs more than looking at each header.
        for name in self.headers.keys() {
            if name.as_str() == COPY_SOURCE
                && let Some(source) = value_of_copy_source(self.headers)
            {
                context.add("s3:x-amz-copy-source", source);
            }
            let Some((_, key)) = HEADER_KEYS.iter().find(|(known, _)| *known == name.as_str()) else { continue };
            // A repeated header is one list to those who obey it, and so it is here.
            let mut values = self.headers.get_all(name).map(value_text);
            if let Some(first) = values.next() {
                context.add(*key, values.fold(first, |all, value| format!("{all}, {value}")));
            }
        }
        if let Asks::Begun(headers) = asks {
            for (name, value) in headers.iter().filter(|(name, _)| !self.headers.contains_key(*name)) {
                if let Some((_, key)) = HEADER_KEYS.iter().find(|(known, _)| known == name) {
                    context.add(*key, value.as_str());
                }
            }
        }
        let (kind, version) = match self.mechanism {
            Mechanism::SigV4Header => ("REST-HEADER", "AWS4-HMAC-SHA256"),
            Mechanism::SigV4Query => ("REST-QUERY-STRING", "AWS4-HMAC-SHA256"),
            Mechanism::SigV2Header => ("REST-HEADER", "AWS"),
            Mechanism::SigV2Query => ("REST-QUERY-STRING", "AWS"),
            Mechanism::PostForm => ("POST", "AWS4-HMAC-SHA256"),
            Mechanism::HeaderPair | Mechanism::Anonymous => return context,
        };
        context.add("s3:authType", kind);
        context.add("s3:signatureversion", version);
        // A signature of Version 2 has no age (S3 API Reference, "Signature Version 4 Authentication Specific Policy Keys").
        let age_seconds = match (version, self.signed_at_seconds) {
            ("AWS", _) | (_, None) => 0,
            (_, Some(signed)) => i64::try_from(self.now.seconds()).unwrap_or(i64::MAX).saturating_sub(signed).max(0),
        };
        context.add("s3:signatureAge", age_seconds.saturating_mul(1000).to_string());
        context
    }
}

/// The source of a copy as conditions see it: `bucket/key`, whichever of the ways to write it the client took, so that no other
/// spelling gets around a policy. One that cannot be read, which its handler refuses, is as it was sent.
fn value_of_copy_source(headers: &HeaderMap) -> Option<String> {
    let sent = text(headers, COPY_SOURCE)?;
    Some(CopySource::of(headers).map_or(sent, |source| format!("{}/{}", source.bucket, source.key.as_str())))
}
