//! Whether the caller may: one question to the PolicyEngine per touched resource, on decoded names.
//!
//! [`Access`] is all that the S3 layer asks of IAM and the PolicyEngine; this file and `preflight` are the only ones
//! that use it. A refusal carries why, which those may read who may ask for it later; the client reads only that it was refused.
//!
//! A question is asked without a look at the object, which answers most of them. Only when the answer depends on the object's
//! owner, access control list or tags is its row looked up, and the question asked again. Where the object is opened anyway its row
//! comes first, and goes on to the handler with the permission.
//!
//! INVARIANT: what a handler opens or changes is the very object that the permission was asked for, or one that it was asked for anew.
//! The permission to delete is decided at the bucket and depends on no object (`no_deletion_depends_on_the_object`), so whatever is there goes.

mod apart;
mod change;
mod open;

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::HeaderMap;
use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::bucket_config::{BucketConfig, Tag};
use myfsio_actors::iam::Principal;
use myfsio_actors::names::{BucketName, CanonicalId, ObjectKey, Stamp, VersionId};
use myfsio_actors::policy_engine::{
    AccessRequest, ContextSource, ContextValue, Decision, ObjectFacts, ObjectState, Reason, RequestContext,
};
use myfsio_actors::storage::{Bucket, Object, PeekedObject, StorageError};

pub use super::access::{Access, OwnKey};
use super::auth::PayloadSigning;
use super::context::Call;
use super::encryption::told;
use super::error::{ErrorCode, S3Error};
use super::headers::{parse_tagging, text};
use super::operation::Operation;
use super::request_facts::Asks;
pub use super::request_facts::{AskedLock, Facts};
use super::request_head::first_value;
use super::respond::RequestId;
use super::storage_error::refused_read;
use crate::decisions::FURTHER_MAX;
use crate::node::Node;

pub use apart::{may, may_anew, may_of_object, may_on_resource, on_bucket, on_resource, on_resource_telling};
pub use change::{change, change_of};
pub use open::{ask_again, missing, open, open_further};

/// An authenticated request.
pub type Authenticated = super::auth::Authenticated<Principal>;

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
    /// The version, where the query does not name it.
    pub version: Option<VersionId>,
    /// The rest.
    pub facts: Facts<'a>,
}

impl<'a> Question<'a> {
    /// The request as conditions of policies see it.
    fn context(&self, asks: Asks<'_>) -> RequestContext {
        let mut context = self.facts.context(asks);
        if let Some(version) = self.version.filter(|_| !self.facts.query.has("versionId")) {
            context.add("s3:VersionId", version.to_string());
        }
        context
    }

    fn request(&self, object: ObjectState<'a>, context: &'a dyn ContextSource) -> AccessRequest<'a> {
        AccessRequest {
            principal: self.principal,
            action: self.action,
            bucket: self.bucket,
            bucket_owner: self.bucket_owner,
            config: self.config,
            key: self.key,
            resource: None,
            object,
            context,
        }
    }

    /// Tags that the request gives its object by a header, where the action writes tags.
    fn request_tags(&self) -> Vec<Tag> {
        if !matches!(self.action, "s3:PutObject" | "s3:PutObjectTagging" | "s3:PutObjectVersionTagging") {
            return Vec::new();
        }
        // A copy keeps the tags of its source unless it says otherwise; its handler asks with them.
        let is_copy = self.facts.headers.contains_key("x-amz-copy-source");
        let replaces =
            text(self.facts.headers, "x-amz-tagging-directive").is_some_and(|directive| directive == "REPLACE");
        let header = text(self.facts.headers, "x-amz-tagging").filter(|_| !is_copy || replaces);
        // A header that cannot be read is refused by whoever reads the attributes.
        header.and_then(|value| parse_tagging(&value).ok()).unwrap_or_default()
    }
}

/// What a question's request says about itself, gathered once a policy asks for more of it than every request has.
#[derive(Debug)]
struct Told<'a> {
    question: &'a Question<'a>,
    asks: Asks<'a>,
    whole: OnceCell<RequestContext>,
}

impl ContextSource for Told<'_> {
    fn now(&self) -> Stamp {
        self.question.facts.now
    }

    fn source_ip(&self) -> Option<IpAddr> {
        self.question.facts.address
    }

    fn secure_transport(&self) -> bool {
        self.question.facts.secure
    }

    fn values(&self) -> &[ContextValue] {
        self.whole.get_or_init(|| self.question.context(self.asks)).values()
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
pub fn changed_by(principal: Option<&Principal>, request_id: RequestId, address: Option<IpAddr>) -> ChangeOrigin {
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

/// Answers of each bucket whether it belongs in the caller's ListBuckets: whether it is the caller's, or it could be listed from its
/// beginning by such a request.
pub fn sees_bucket(call: &Call) -> impl Fn(&Bucket) -> bool {
    let context = facts(call).context(Asks::Listing(""));
    let principal = call.auth.principal.as_ref();
    move |bucket| principal.is_some_and(|principal| call.node.access.sees_bucket(principal, bucket, &context))
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
    let Some(expected) = first_value(headers, header) else { return Ok(()) };
    let directory = node.access.iam.directory();
    let holds = |owner: &str| expected.as_bytes() == owner.as_bytes();
    if holds(&directory.account_of(&bucket.owner)) || holds(bucket.owner.as_str()) {
        return Ok(());
    }
    let cause = format_args!("{header} names another account");
    Err(S3Error::new(ErrorCode::AccessDenied).because(cause).by_rule("expected_owner"))
}

/// Whether conditions of a write name ETags, rather than ask whether there is an object.
pub fn compares_etags(headers: &HeaderMap) -> bool {
    let by_etag = |name: &str| headers.get_all(name).any(|value| value.as_bytes().trim_ascii() != b"*");
    by_etag("if-match") || by_etag("if-none-match")
}

/// Whether a write asks for what only a reader may learn: an ETag, size or time of the object that is there (S3 User Guide,
/// "Conditional requests").
fn compares(operation: Operation, headers: &HeaderMap) -> bool {
    let writes = matches!(
        operation,
        Operation::PutObject | Operation::CopyObject | Operation::CompleteMultipartUpload | Operation::DeleteObject
    );
    writes
        && (compares_etags(headers)
            || headers.contains_key("x-amz-if-match-size")
            || headers.contains_key("x-amz-if-match-last-modified-time"))
}

/// Asks for the permission of the request's own resource, by the policies as they were when the request had `arrived` or later;
/// answers the object, where that was looked up. Errs: AccessDenied; what is missing, to those who may list.
pub async fn primary(
    node: &Node,
    auth: &Authenticated,
    primary: &Primary<'_>,
    arrived: Instant,
) -> Result<Option<PeekedObject>, S3Error> {
    node.access.refresh_since(arrived).await;
    let version = primary.facts.query.get("versionId").map(VersionId::parse).transpose();
    let row = match (primary.bucket, primary.key, version) {
        (Some(bucket), Some(key), Ok(version)) => Some((bucket, key, version)),
        // The handler refuses a version id that is none.
        _ => None,
    };
    let opened = row.filter(|_| primary.operation.opens_object());
    let peeked = opened.and_then(|(bucket, key, version)| node.storage.peek_object(bucket, key, version).ok());
    let found = peeked.as_ref().map_or_else(OnceCell::new, |peeked| OnceCell::from(Arc::clone(&peeked.object)));
    ask_primary(node, auth, primary, &Subject { row, found })?;
    Ok(peeked)
}

/// Asks all that the request's own resource takes.
fn ask_primary(node: &Node, auth: &Authenticated, primary: &Primary<'_>, subject: &Subject<'_>) -> Result<(), S3Error> {
    let mut question = Question {
        principal: auth.principal.as_deref(),
        action: primary.operation.action(primary.facts.query.has("versionId")),
        bucket: primary.bucket_name,
        bucket_owner: primary.bucket.map(|bucket| &bucket.owner),
        config: primary.bucket.map(|bucket| &*bucket.config),
        key: primary.key.map(|key| key.as_str()),
        version: None,
        facts: primary.facts,
    };
    if primary.operation == Operation::UntagResource {
        let named = primary.facts.query.iter().filter(|(name, _)| *name == "tagKeys");
        let keys: Vec<&str> = named.map(|(_, key)| key).collect();
        return ask(node, &question, subject, Asks::BucketTagKeys(&keys));
    }
    let (tags, begun) = (question.request_tags(), told::of_upload(node, primary));
    let asks = if begun.is_empty() { Asks::Tags(&tags) } else { Asks::Begun(&begun) };
    ask(node, &question, subject, asks)?;
    // S3 asks for reading the object beside reading its attributes, or comparing with them.
    if primary.operation == Operation::GetObjectAttributes || compares(primary.operation, primary.facts.headers) {
        question.action = Operation::GetObject.action(primary.facts.query.has("versionId"));
        ask(node, &question, subject, Asks::Nothing)?;
    }
    Ok(())
}

/// The object that questions are about, looked up when an answer depends on it.
#[derive(Debug, Default)]
struct Subject<'a> {
    /// Where its row is; none: there is no object to look up.
    row: Option<(&'a Bucket, &'a ObjectKey, Option<VersionId>)>,
    found: OnceCell<Arc<Object>>,
}

impl Subject<'_> {
    /// Looks it up; none where there is nothing to look up.
    fn look(&self, node: &Node) -> Option<Result<&Arc<Object>, StorageError>> {
        if let Some(found) = self.found.get() {
            return Some(Ok(found));
        }
        let (bucket, key, version) = self.row?;
        let peeked = node.storage.peek_object(bucket, key, version);
        Some(peeked.map(|peeked| self.found.get_or_init(|| peeked.object)))
    }
}

/// Asks one question. Errs: AccessDenied; what is missing, to those who may list.
fn ask(node: &Node, question: &Question<'_>, subject: &Subject<'_>, asks: Asks<'_>) -> Result<(), S3Error> {
    let context = Told { question, asks, whole: OnceCell::new() };
    let decide = |state| node.access.policy_engine.decide(&question.request(state, &context));
    // Of an object that was looked up anyway, one question is enough. Refusals tell whether they needed it.
    if let Some(found) = subject.found.get()
        && decide(ObjectState::Found(facts_of(found))).allowed
    {
        return Ok(());
    }
    let decision = decide(ObjectState::Unseen);
    if decision.reason != Reason::DependsOnObject {
        return verdict(node, question, &decision, ObjectState::Unseen, &context);
    }
    let found = subject.look(node);
    let state = match &found {
        Some(Ok(found)) => ObjectState::Found(facts_of(found)),
        Some(Err(_)) | None => ObjectState::Missing,
    };
    let decision = decide(state);
    match found {
        Some(Err(error)) if !is_absence(&error) => Err(error.into()),
        Some(Err(error)) if !decision.allowed && may_list(node, question) => Err(refused_read(error)),
        Some(_) | None => verdict(node, question, &decision, state, &context),
    }
}

fn verdict(
    node: &Node,
    question: &Question<'_>,
    decision: &Decision,
    object: ObjectState<'_>,
    context: &dyn ContextSource,
) -> Result<(), S3Error> {
    match decision.allowed {
        true => Ok(()),
        false => Err(node.access.denied(&question.request(object, context), decision, question.facts.explains)),
    }
}

/// What decisions about an object depend on.
pub fn facts_of(object: &Object) -> ObjectFacts<'_> {
    ObjectFacts { owner: &object.owner, acl: object.controls.acl.as_ref(), tags: &object.attributes.tags }
}

/// Whether it says that there is no such object, rather than that it cannot be looked up.
pub fn is_absence(error: &StorageError) -> bool {
    matches!(
        error,
        StorageError::NoSuchKey { .. } | StorageError::NoSuchVersion { .. } | StorageError::IsDeleteMarker { .. }
    )
}

/// Whether whoever asks would see the question's key in a listing, and so may know that it is missing.
fn may_list(node: &Node, question: &Question<'_>) -> bool {
    let listing = Question { action: "s3:ListBucket", key: None, ..*question };
    let context = question.facts.context(Asks::Listing(question.key.unwrap_or_default()));
    node.access.policy_engine.decide(&listing.request(ObjectState::Missing, &context)).allowed
}

/// A further permission that a handler asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Further<'a> {
    /// The decoded key; none for the bucket.
    pub key: Option<&'a str>,
    /// The version.
    pub version: Option<VersionId>,
    /// The object, where it was looked up already.
    pub object: Option<&'a Arc<Object>>,
    /// Tags that the request gives the object in its body.
    pub tags: Option<&'a [Tag]>,
    /// The lock that the request gives the object in its body.
    pub lock: Option<AskedLock>,
    /// Tags that the request gives the bucket in its body.
    pub bucket_tags: Option<&'a [Tag]>,
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
        version: None,
        facts: facts(call),
    }
}

/// Asks for a permission on a further resource. Errs: AccessDenied; what is missing, to those who may list.
pub fn further(call: &Call, action: &str, bucket: &Bucket, more: Further<'_>) -> Result<(), S3Error> {
    let question = Question { version: more.version, ..about(call, action, bucket, more.key) };
    let key = more.key.and_then(|key| ObjectKey::parse(key.as_bytes()).ok());
    let row = key.as_ref().map(|key| (bucket, key, more.version));
    let found = more.object.map_or_else(OnceCell::new, |object| OnceCell::from(Arc::clone(object)));
    let subject = Subject { row, found };
    let asked = match (more.tags, more.lock, more.bucket_tags) {
        (Some(tags), _, _) => ask(&call.node, &question, &subject, Asks::Tags(tags)),
        (None, Some(lock), _) => ask(&call.node, &question, &subject, Asks::Lock(lock)),
        (None, None, Some(tags)) => ask(&call.node, &question, &subject, Asks::BucketTags(tags)),
        (None, None, None) => ask(&call.node, &question, &subject, Asks::Tags(&question.request_tags())),
    };
    if asked.is_err() {
        call.refusals.set(call.refusals.get().saturating_add(1));
    }
    asked
}

/// Answers for each action that it is asked for whether the caller may do that to an object that is at hand. What is told of
/// an object beside its bytes takes up to three permissions, so what policies see of the request is worked out once, and only if
/// there is something to tell.
pub fn permissions<'a>(call: &'a Call, bucket: &'a Bucket, object: &'a Object) -> impl Fn(&str) -> bool + 'a {
    let context = OnceCell::new();
    move |action| {
        let question = about(call, action, bucket, call.key.as_ref().map(|key| key.as_str()));
        let context = context.get_or_init(|| question.facts.context(Asks::Nothing));
        call.node.access.policy_engine.decide(&question.request(ObjectState::Found(facts_of(object)), context)).allowed
    }
}

/// Asks whether the caller may see how full a bucket is: who may list it may, too, unless that is denied. Errs: AccessDenied.
pub fn see_usage(call: &Call, bucket: &Bucket) -> Result<(), S3Error> {
    let question = about(call, Operation::GetBucketQuota.action(false), bucket, None);
    let context = question.facts.context(Asks::Nothing);
    let decision = call.node.access.policy_engine.decide(&question.request(ObjectState::Missing, &context));
    match decision.reason {
        Reason::NoStatementAllows | Reason::NoIdentityPolicyAllows | Reason::NoBucketPolicyAllows
            if !is_anonymous(&call.auth) && would_list(call, bucket, "") =>
        {
            Ok(())
        }
        _ => verdict(&call.node, &question, &decision, ObjectState::Missing, &context),
    }
}

/// Asks whether the caller may set the list of an object that it is about to write. Owning it gives that; who has no
/// credentials, and owns nothing else, is asked for no more than that nothing denies it. Errs: AccessDenied.
pub fn list_of_new_object(call: &Call, bucket: &Bucket, key: &str, owner: &CanonicalId) -> Result<(), S3Error> {
    let object = ObjectFacts { owner, acl: None, tags: &[] };
    let question = about(call, "s3:PutObjectAcl", bucket, Some(key));
    let context = question.facts.context(Asks::Nothing);
    let decision = call.node.access.policy_engine.decide(&question.request(ObjectState::Found(object), &context));
    match decision.reason {
        Reason::Anonymous => Ok(()),
        _ => verdict(&call.node, &question, &decision, ObjectState::Found(object), &context),
    }
}

/// Whether the caller would see a key in a listing of the bucket.
pub fn would_list(call: &Call, bucket: &Bucket, key: &str) -> bool {
    let question = about(call, "s3:ListBucket", bucket, Some(key));
    may_list(&call.node, &question)
}

/// Asks for a permission on a bucket that the caller is about to create. Errs: AccessDenied.
pub fn on_new_bucket(call: &Call, action: &str, name: &BucketName, owner: &CanonicalId) -> Result<(), S3Error> {
    ask_of_new_bucket(call, action, name, Some(owner), Asks::Nothing)
}

/// Asks whether the caller may give these tags to a bucket that it is about to create. Errs: AccessDenied.
pub fn tags_of_new_bucket(call: &Call, name: &BucketName, owner: &CanonicalId, tags: &[Tag]) -> Result<(), S3Error> {
    ask_of_new_bucket(call, Operation::TagResource.action(false), name, Some(owner), Asks::BucketTags(tags))
}

/// Asks whether the caller may create a bucket, in this region if it names one, with these tags. Errs: AccessDenied.
pub fn creation(call: &Call, name: &BucketName, region: Option<&str>, tags: &[Tag]) -> Result<(), S3Error> {
    ask_of_new_bucket(call, call.operation.action(false), name, None, Asks::NewBucket(region, tags))
}

fn ask_of_new_bucket(
    call: &Call,
    action: &str,
    name: &BucketName,
    owner: Option<&CanonicalId>,
    asks: Asks<'_>,
) -> Result<(), S3Error> {
    let question = Question {
        principal: call.auth.principal.as_deref(),
        action,
        bucket: Some(name),
        bucket_owner: owner,
        config: None,
        key: None,
        version: None,
        facts: facts(call),
    };
    ask(&call.node, &question, &Subject::default(), asks)
}

/// What decisions about a call depend on. Of a batch, no more refusals are explained than are kept.
pub fn facts(call: &Call) -> Facts<'_> {
    Facts {
        headers: &call.headers,
        query: &call.query,
        address: call.peer,
        secure: call.secure,
        now: call.received,
        mechanism: call.auth.mechanism,
        signed_at_seconds: call.auth.signed_at_seconds,
        region: &call.node.settings.region,
        explains: call.node.decisions.is_on() && call.refusals.get() <= FURTHER_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_nobody_signed_is_anonymous() {
        let origin = changed_by(None, RequestId::random(), None);
        assert_eq!((origin.principal.as_str(), origin.access_key), ("anonymous", None));
    }
}
