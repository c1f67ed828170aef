//! Whether the caller may: one question to the PolicyEngine per touched resource, on decoded names.
//!
//! [`Access`] is all that the S3 layer asks of IAM and the PolicyEngine; this file and `preflight` are the only ones
//! that use it. Why a request was refused goes to the log under its request id; the client reads only that it was.
//!
//! A question is asked without a look at the object, which answers most of them. Only when the answer depends on the object's
//! owner, access control list or tags is its row looked up, and the question asked again.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::bucket_config::{BucketConfig, Retention, Tag};
use myfsio_actors::iam::{IamClient, IamError, Principal};
use myfsio_actors::names::{AccessKeyId, BucketName, CanonicalId, ObjectKey, Stamp, VersionId};
use myfsio_actors::policy_engine::{
    AccessRequest, Decision, ObjectFacts, ObjectState, PolicyEngineClient, Reason, RequestContext,
};
use myfsio_actors::storage::{Bucket, Object, StorageError};

use super::auth::{Credential, CredentialError, Credentials, Mechanism, PayloadSigning, SecretText};
use super::context::Call;
use super::error::{ErrorCode, S3Error};
use super::handlers::object_lock::lock_of_headers;
use super::headers::{parse_tagging, text, value_text};
use super::operation::Operation;
use super::query::Query;
use super::respond::RequestId;
use super::storage_error::refused_read;
use super::xml::object_lock::mode_name;
use super::xml::time_text;
use crate::node::Node;

/// An authenticated request.
pub type Authenticated = super::auth::Authenticated<Principal>;

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
}

/// Query parameters that are condition keys of the same name.
const QUERY_KEYS: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:VersionId"),
];

/// Headers that are condition keys.
const HEADER_KEYS: [(&str, &str); 19] = [
    ("user-agent", "aws:UserAgent"),
    ("referer", "aws:Referer"),
    ("x-amz-acl", "s3:x-amz-acl"),
    ("x-amz-grant-full-control", "s3:x-amz-grant-full-control"),
    ("x-amz-grant-read", "s3:x-amz-grant-read"),
    ("x-amz-grant-read-acp", "s3:x-amz-grant-read-acp"),
    ("x-amz-grant-write", "s3:x-amz-grant-write"),
    ("x-amz-grant-write-acp", "s3:x-amz-grant-write-acp"),
    ("x-amz-object-ownership", "s3:x-amz-object-ownership"),
    ("x-amz-copy-source", "s3:x-amz-copy-source"),
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
enum Asks<'a> {
    /// Nothing.
    Nothing,
    /// It is whether this key would be listed: the query of the request has no say in that.
    Listing(&'a str),
    /// The request gives its object these tags.
    Tags(&'a [Tag]),
    /// The request gives its object this lock, whatever its headers say.
    Lock(AskedLock),
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
            let until = time_text(Stamp(retention.until_millis.saturating_mul(1_000_000)));
            context.add("s3:object-lock-retain-until-date", until);
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
    fn context(&self, asks: Asks<'_>) -> RequestContext {
        let mut context = RequestContext::new(self.now, self.address, self.secure);
        match asks {
            Asks::Listing(key) => context.add("s3:prefix", key),
            Asks::Nothing | Asks::Tags(_) | Asks::Lock(_) => {
                for (name, key) in QUERY_KEYS {
                    if let Some(value) = self.query.get(name) {
                        context.add(key, value);
                    }
                }
            }
        }
        if let Asks::Tags(tags) = asks {
            for (key, value) in tags {
                context.add(format!("s3:RequestObjectTag/{key}"), value.as_str());
                context.add("s3:RequestObjectTagKeys", key.as_str());
            }
        }
        match asks {
            Asks::Lock(lock) => lock.tell(&mut context, self.now),
            _ => lock_of_headers(self.headers).tell(&mut context, self.now),
        }
        // A request has few headers, and looking for each of the keys costs more than looking at each header.
        for name in self.headers.keys() {
            let Some((_, key)) = HEADER_KEYS.iter().find(|(known, _)| *known == name.as_str()) else { continue };
            // A repeated header is one list to those who obey it, and so it is here.
            let mut values = self.headers.get_all(name).map(value_text);
            if let Some(first) = values.next() {
                context.add(*key, values.fold(first, |all, value| format!("{all}, {value}")));
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
        context
    }
}

/// One question: may this principal do this to that.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    /// Who asks; none is anonymous.
    pub principal: Option<&'a Principal>,
    /// IAM action.
    pub action: &'a str,
    /// The bucket's name; none for the service.
    pub bucket: Option<&'a BucketName>,
    /// The bucket's owner; none while it is not there.
    pub bucket_owner: Option<&'a CanonicalId>,
    /// What is configured of the bucket; none while it is not there.
    pub config: Option<&'a BucketConfig>,
    /// The decoded key.
    pub key: Option<&'a str>,
    /// The rest.
    pub facts: Facts<'a>,
}

impl Question<'_> {
    /// Tags that the request gives its object by a header, where the action writes tags.
    fn request_tags(&self) -> Vec<Tag> {
        let writes_tags = matches!(self.action, "s3:PutObject" | "s3:PutObjectTagging" | "s3:PutObjectVersionTagging");
        // A copy keeps the tags of its source unless it says otherwise; its handler asks with them.
        let is_copy = self.facts.headers.contains_key("x-amz-copy-source");
        let replaces =
            text(self.facts.headers, "x-amz-tagging-directive").is_some_and(|directive| directive == "REPLACE");
        let header = text(self.facts.headers, "x-amz-tagging").filter(|_| writes_tags && (!is_copy || replaces));
        // A header that cannot be read is refused by whoever reads the attributes.
        header.and_then(|value| parse_tagging(&value).ok()).unwrap_or_default()
    }
}

/// What the S3 layer asks of IAM and the PolicyEngine.
#[derive(Debug, Clone)]
pub struct Access {
    /// Users and their keys.
    pub iam: IamClient,
    /// Decisions.
    pub policy_engine: PolicyEngineClient,
}

impl Access {
    /// Takes in policies that were edited on disk since the last request. A broken edit leaves the last good state in
    /// force, so it is no reason to refuse.
    pub async fn refresh(&self) {
        if let Err(error) = self.policy_engine.refresh().await {
            tracing::warn!(%error, "bucket policies could not be read again");
        }
    }

    fn weigh(&self, question: &Question<'_>, object: ObjectState<'_>, context: &RequestContext) -> Decision {
        self.policy_engine.decide(&AccessRequest {
            principal: question.principal,
            action: question.action,
            bucket: question.bucket,
            bucket_owner: question.bucket_owner,
            config: question.config,
            key: question.key,
            resource: None,
            object,
            context,
        })
    }

    /// Whether the principal administers the node.
    pub fn is_administrator(&self, principal: &Principal, facts: &Facts<'_>) -> bool {
        self.policy_engine.is_administrator(principal, &facts.context(Asks::Nothing))
    }

    /// Whether a bucket belongs in the principal's ListBuckets.
    pub fn sees_bucket(&self, principal: &Principal, bucket: &Bucket) -> bool {
        self.policy_engine.sees_bucket(principal, &bucket.name, &bucket.owner)
    }

    /// Display name of an owner; none when unknown.
    pub fn owner_name(&self, owner: &CanonicalId) -> Option<String> {
        self.iam.owner_display_name(owner)
    }
}

impl Credentials for Access {
    type Principal = Principal;

    async fn credential(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        exposed: bool,
    ) -> Result<Credential<Principal>, CredentialError> {
        let found = self.iam.credential(id, token, exposed).await.map_err(refusal)?;
        Ok(Credential { secret: SecretText::new(found.secret.expose()), principal: found.principal })
    }

    async fn verify_secret(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        secret: &str,
        address: Option<IpAddr>,
        exposed: bool,
    ) -> Result<Arc<Principal>, CredentialError> {
        self.iam.verify_secret(id, token, secret, address, exposed).await.map_err(refusal)
    }
}

fn refusal(error: IamError) -> CredentialError {
    match error {
        IamError::NoSuchAccessKey(_) => CredentialError::NoSuchAccessKey,
        IamError::Disabled(_) => CredentialError::Disabled,
        IamError::Expired(_) => CredentialError::Expired,
        IamError::InvalidToken => CredentialError::InvalidToken,
        IamError::ExpiredToken => CredentialError::ExpiredToken,
        IamError::WellKnownRefused(_) => CredentialError::WellKnownSecret,
        IamError::WrongSecret(_) => CredentialError::WrongSecret,
        IamError::LockedOut { until, .. } => CredentialError::LockedOut { until },
        IamError::AddressLockedOut { until } => CredentialError::AddressLockedOut { until },
        IamError::Busy => CredentialError::Busy,
        IamError::NoSuchEntity(_)
        | IamError::EntityAlreadyExists(_)
        | IamError::DeleteConflict(_)
        | IamError::LimitExceeded(_)
        | IamError::UnmodifiableEntity(_)
        | IamError::InvalidInput { .. }
        | IamError::MalformedPolicyDocument(_)
        | IamError::Store(_)
        | IamError::Seal(_)
        | IamError::Stopped
        | IamError::TimedOut => CredentialError::Unavailable(error.to_string()),
    }
}

/// The digest that the request claims for its body.
pub fn content_sha256(auth: &Authenticated) -> Option<[u8; 32]> {
    match &auth.payload {
        PayloadSigning::Sha256(digest) => Some(*digest),
        PayloadSigning::Unsigned
        | PayloadSigning::StreamingSigned { .. }
        | PayloadSigning::StreamingUnsignedTrailer => None,
    }
}

/// A request that changes something, as the audit log tells of it.
pub fn changed_by(auth: &Authenticated, request_id: RequestId, address: Option<IpAddr>) -> ChangeOrigin {
    let principal = auth.principal.as_deref();
    ChangeOrigin {
        principal: principal.map_or_else(|| "anonymous".to_owned(), Principal::caller_arn),
        access_key: principal.map(|principal| principal.access_key.as_str().to_owned()),
        request_id: request_id.to_string(),
        source_ip: address,
    }
}

/// Whether the request carries no credentials.
pub fn is_anonymous(auth: &Authenticated) -> bool {
    auth.principal.is_none()
}

/// Canonical id that S3 gives the anonymous user, who owns what is written without credentials.
const ANONYMOUS_ID: &str = "65a011a29cdf8ec533ec3d1ccaae921c65a011a29cdf8ec533ec3d1ccaae921c";

/// Canonical id that the caller's new objects and buckets belong to.
pub fn owner_id(auth: &Authenticated) -> CanonicalId {
    match &auth.principal {
        Some(principal) => principal.user_id.clone(),
        None => CanonicalId::parse(ANONYMOUS_ID).unwrap_or_else(|_| CanonicalId::from_bytes([0; 32])),
    }
}

/// Display name of an owner; empty when unknown.
pub fn owner_name(node: &Node, owner: &CanonicalId) -> String {
    node.access.owner_name(owner).unwrap_or_default()
}

/// Whether the bucket belongs in the caller's ListBuckets.
pub fn sees_bucket(call: &Call, bucket: &Bucket) -> bool {
    call.auth.principal.as_ref().is_some_and(|principal| call.node.access.sees_bucket(principal, bucket))
}

/// The request's own resource, before there is a [`Call`].
#[derive(Debug)]
pub struct Primary<'a> {
    /// The operation.
    pub operation: Operation,
    /// The bucket's name.
    pub bucket_name: Option<&'a BucketName>,
    /// The bucket, if it is there.
    pub bucket: Option<&'a Bucket>,
    /// The key.
    pub key: Option<&'a ObjectKey>,
    /// The rest.
    pub facts: Facts<'a>,
}

/// Refuses a bucket that is not of the account that the client expects it to be of: by account id, or by the owner's
/// canonical id. Errs: AccessDenied.
pub fn expect_owner(node: &Node, headers: &HeaderMap, header: &str, bucket: &Bucket) -> Result<(), S3Error> {
    let Some(expected) = headers.get(header) else { return Ok(()) };
    let directory = node.access.iam.directory();
    let holds = |owner: &str| expected.as_bytes() == owner.as_bytes();
    if holds(&directory.account_of(&bucket.owner)) || holds(bucket.owner.as_str()) {
        return Ok(());
    }
    Err(S3Error::new(ErrorCode::AccessDenied).because(format_args!("{header} names another account")))
}

/// Whether a write asks for what only a reader may learn: an ETag, size or time of the object that is there (S3 User Guide,
/// "Conditional requests").
fn compares(operation: Operation, headers: &HeaderMap) -> bool {
    let writes = matches!(
        operation,
        Operation::PutObject | Operation::CopyObject | Operation::CompleteMultipartUpload | Operation::DeleteObject
    );
    let by_etag = |name: &str| headers.get_all(name).any(|value| value.as_bytes().trim_ascii() != b"*");
    writes
        && (by_etag("if-match")
            || by_etag("if-none-match")
            || headers.contains_key("x-amz-if-match-size")
            || headers.contains_key("x-amz-if-match-last-modified-time"))
}

/// Asks for the permission of the request's own resource. Errs: AccessDenied; what is missing, to those who may list.
pub async fn primary(node: &Node, auth: &Authenticated, primary: &Primary<'_>) -> Result<(), S3Error> {
    node.access.refresh().await;
    let mut question = Question {
        principal: auth.principal.as_deref(),
        action: primary.operation.action(primary.facts.query.has("versionId")),
        bucket: primary.bucket_name,
        bucket_owner: primary.bucket.map(|bucket| &bucket.owner),
        config: primary.bucket.map(|bucket| &*bucket.config),
        key: primary.key.map(|key| key.as_str()),
        facts: primary.facts,
    };
    let version = primary.facts.query.get("versionId").map(VersionId::parse).transpose();
    let object = match (primary.bucket, primary.key, version) {
        (Some(bucket), Some(key), Ok(version)) => Looked::Row(bucket, key, version),
        // The handler refuses a version id that is none.
        _ => Looked::Nowhere,
    };
    let tags = question.request_tags();
    ask(node, &question, object, Asks::Tags(&tags))?;
    // S3 asks for reading the object beside reading its attributes, or comparing with them.
    if primary.operation == Operation::GetObjectAttributes || compares(primary.operation, primary.facts.headers) {
        question.action = Operation::GetObject.action(primary.facts.query.has("versionId"));
        ask(node, &question, object, Asks::Nothing)?;
    }
    Ok(())
}

/// Where a question finds its object, should the answer depend on it.
#[derive(Debug, Clone, Copy)]
enum Looked<'a> {
    /// There is none.
    Nowhere,
    /// In its row.
    Row(&'a Bucket, &'a ObjectKey, Option<VersionId>),
}

/// Asks one question. Errs: AccessDenied; what is missing, to those who may list.
fn ask(node: &Node, question: &Question<'_>, object: Looked<'_>, asks: Asks<'_>) -> Result<(), S3Error> {
    let context = question.facts.context(asks);
    let decision = node.access.weigh(question, ObjectState::Unseen, &context);
    if decision.reason != Reason::DependsOnObject {
        return verdict(question, &decision);
    }
    let found = match object {
        Looked::Row(bucket, key, version) => Some(node.storage.peek_object(bucket, key, version)),
        Looked::Nowhere => None,
    };
    let state = match &found {
        Some(Ok(object)) => ObjectState::Found(facts_of(object)),
        Some(Err(_)) | None => ObjectState::Missing,
    };
    let decision = node.access.weigh(question, state, &context);
    match found {
        Some(Err(error)) if !is_absence(&error) => Err(error.into()),
        Some(Err(error)) if !decision.allowed && may_list(node, question) => Err(refused_read(error)),
        Some(_) | None => verdict(question, &decision),
    }
}

fn verdict(question: &Question<'_>, decision: &Decision) -> Result<(), S3Error> {
    match decision.allowed {
        true => Ok(()),
        false => Err(S3Error::new(ErrorCode::AccessDenied)
            .because(format_args!("{} is denied: {:?}", question.action, decision.reason))),
    }
}

/// What decisions about an object depend on.
pub fn facts_of(object: &Object) -> ObjectFacts<'_> {
    ObjectFacts { owner: &object.owner, acl: object.controls.acl.as_ref(), tags: &object.attributes.tags }
}

fn is_absence(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::NoSuchKey { .. } | StorageError::NoSuchVersion { .. } | StorageError::IsDeleteMarker { .. }
    )
}

/// Whether whoever asks would see the question's key in a listing, and so may know that it is missing.
fn may_list(node: &Node, question: &Question<'_>) -> bool {
    let listing = Question { action: "s3:ListBucket", key: None, ..*question };
    let context = question.facts.context(Asks::Listing(question.key.unwrap_or_default()));
    node.access.weigh(&listing, ObjectState::Missing, &context).allowed
}

/// A further permission that a handler asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Further<'a> {
    /// The decoded key; none for the bucket.
    pub key: Option<&'a str>,
    /// The version.
    pub version: Option<VersionId>,
    /// Tags that the request gives the object in its body.
    pub tags: Option<&'a [Tag]>,
    /// The lock that the request gives the object in its body.
    pub lock: Option<AskedLock>,
}

/// A question of a call about a bucket, or a key in it.
fn about<'a>(call: &'a Call, action: &'a str, bucket: &'a Bucket, key: Option<&'a str>) -> Question<'a> {
    Question {
        principal: call.auth.principal.as_deref(),
        action,
        bucket: Some(&bucket.name),
        bucket_owner: Some(&bucket.owner),
        config: Some(&bucket.config),
        key,
        facts: facts(call),
    }
}

/// Asks for a permission on a further resource. Errs: AccessDenied; what is missing, to those who may list.
pub fn further(call: &Call, action: &str, bucket: &Bucket, more: Further<'_>) -> Result<(), S3Error> {
    let question = about(call, action, bucket, more.key);
    let key = more.key.and_then(|key| ObjectKey::parse(key.as_bytes()).ok());
    let object = key.as_ref().map_or(Looked::Nowhere, |key| Looked::Row(bucket, key, more.version));
    match (more.tags, more.lock) {
        (Some(tags), _) => ask(&call.node, &question, object, Asks::Tags(tags)),
        (None, Some(lock)) => ask(&call.node, &question, object, Asks::Lock(lock)),
        (None, None) => ask(&call.node, &question, object, Asks::Tags(&question.request_tags())),
    }
}

/// Answers for each action that it is asked for whether the caller may do that to an object that is at hand. What is told of
/// an object beside its bytes takes up to three permissions, so what policies see of the request is worked out once, and only if
/// there is something to tell.
pub fn permissions<'a>(call: &'a Call, bucket: &'a Bucket, object: &'a Object) -> impl Fn(&str) -> bool + 'a {
    let context = OnceCell::new();
    move |action| {
        let question = about(call, action, bucket, call.key.as_ref().map(|key| key.as_str()));
        let context = context.get_or_init(|| question.facts.context(Asks::Nothing));
        call.node.access.weigh(&question, ObjectState::Found(facts_of(object)), context).allowed
    }
}

/// Asks whether the caller may set the list of an object that it is about to write. Owning it gives that; who has no
/// credentials, and owns nothing else, is asked for no more than that nothing denies it. Errs: AccessDenied.
pub fn list_of_new_object(call: &Call, bucket: &Bucket, key: &str, owner: &CanonicalId) -> Result<(), S3Error> {
    let object = ObjectFacts { owner, acl: None, tags: &[] };
    let question = about(call, "s3:PutObjectAcl", bucket, Some(key));
    let context = question.facts.context(Asks::Nothing);
    let decision = call.node.access.weigh(&question, ObjectState::Found(object), &context);
    match decision.reason {
        Reason::Anonymous => Ok(()),
        _ => verdict(&question, &decision),
    }
}

/// Asks for a permission on a bucket, where there is no [`Call`]. Errs: AccessDenied.
pub fn on_bucket(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    bucket: &Bucket,
    facts: Facts<'_>,
) -> Result<(), S3Error> {
    let question = Question {
        principal,
        action,
        bucket: Some(&bucket.name),
        bucket_owner: Some(&bucket.owner),
        config: Some(&bucket.config),
        key: None,
        facts,
    };
    ask(node, &question, Looked::Nowhere, Asks::Nothing)
}

/// Asks for a permission on what is no bucket, by its ARN; answers why the caller may. Errs: AccessDenied.
pub fn on_resource(
    node: &Node,
    principal: Option<&Principal>,
    action: &str,
    resource: &str,
    facts: Facts<'_>,
) -> Result<Reason, S3Error> {
    let context = facts.context(Asks::Nothing);
    let decision = node.access.policy_engine.decide(&AccessRequest {
        principal,
        action,
        bucket: None,
        bucket_owner: None,
        config: None,
        key: None,
        resource: Some(resource),
        object: ObjectState::Missing,
        context: &context,
    });
    match decision.allowed {
        true => Ok(decision.reason),
        false => Err(S3Error::new(ErrorCode::AccessDenied)
            .because(format_args!("{action} on {resource} is denied: {:?}", decision.reason))),
    }
}

/// Whether the caller would see a key in a listing of the bucket.
pub fn would_list(call: &Call, bucket: &Bucket, key: &str) -> bool {
    let question = about(call, "s3:ListBucket", bucket, Some(key));
    may_list(&call.node, &question)
}

/// Asks for a permission on a bucket that the caller is about to create. Errs: AccessDenied.
pub fn on_new_bucket(call: &Call, action: &str, name: &BucketName, owner: &CanonicalId) -> Result<(), S3Error> {
    let question = Question {
        principal: call.auth.principal.as_deref(),
        action,
        bucket: Some(name),
        bucket_owner: Some(owner),
        config: None,
        key: None,
        facts: facts(call),
    };
    ask(&call.node, &question, Looked::Nowhere, Asks::Nothing)
}

/// What decisions about a call depend on.
pub fn facts(call: &Call) -> Facts<'_> {
    Facts {
        headers: &call.headers,
        query: &call.query,
        address: call.peer,
        secure: call.secure,
        now: call.received,
        mechanism: call.auth.mechanism,
    }
}
