//! The only way into PolicyEngine: decisions on the published snapshot, changes by message.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ArbiterHandle};

use super::actor::PolicyEngine;
use super::administrators::is_administrator;
use super::context::{Facts, RequestContext};
use super::decision::Decision;
use super::document::{Asked, Document};
use super::effort::Effort;
use super::error::{InvalidPolicy, PolicyError};
use super::evaluate::{self, Surroundings};
use super::messages::{DeleteBucketPolicy, PutBucketPolicy, Reload};
use super::parse::parse_bucket_policy;
use super::policies::{BucketPolicies, PolicyFile};
use super::preset::Preset;
use super::principal::is_account_id;
use super::request::{AccessRequest, ObjectState};
use super::trace::Trace;
use crate::audit::AuditLog;
use crate::call::Door;
use crate::clock::SharedClock;
use crate::iam::{IamClient, Principal};
use crate::json_store::{FileProblem, JsonStore, Snapshot};
use crate::names::{BucketName, CanonicalId};

const CALLS_MAX: usize = 256;
const DEADLINE: Duration = Duration::from_secs(10);

/// What PolicyEngine starts from.
#[derive(Debug, Clone)]
pub struct PolicyEngineSettings {
    /// `BUCKET_POLICY_PATH`; need not exist.
    pub path: PathBuf,
    /// Is told of every change.
    pub audit: AuditLog,
}

/// A bucket policy that is in force nowhere.
#[derive(Debug)]
pub struct DraftPolicy(pub(super) Document);

impl DraftPolicy {
    /// Parses the text of a policy of this bucket. Errs with the place of the mistake.
    pub fn parse(text: &str, bucket: &BucketName) -> Result<Self, InvalidPolicy> {
        parse_bucket_policy(text, bucket).map(|(_, document)| Self(document))
    }

    /// Whether it names the principal, its role or its session by its ARN.
    pub fn names(&self, principal: &Principal) -> bool {
        self.0.names(principal)
    }
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PolicyEngineClient {
    door: Door<PolicyEngine>,
    policies: Snapshot<BucketPolicies>,
    iam: IamClient,
    path: Arc<Path>,
}

impl PolicyEngineClient {
    /// Reads the policy file and starts the actor on `arbiter`, which its file writes may block for milliseconds. Errs:
    /// the file cannot be read, or is not JSON.
    pub fn start(
        settings: PolicyEngineSettings,
        iam: IamClient,
        clock: SharedClock,
        arbiter: &ArbiterHandle,
    ) -> Result<Self, PolicyError> {
        let PolicyEngineSettings { path, audit } = settings;
        let schema = PolicyFile { audit };
        let store = JsonStore::open(path.clone(), schema, None, &PolicyFile::empty())?;
        let policies = store.snapshot();
        log_broken(&policies.load().state);
        let actor = PolicyEngine::new(store, iam.clone(), clock);
        let address = PolicyEngine::start_in_arbiter(arbiter, move |_| actor);
        let door = Door::new(address, CALLS_MAX, DEADLINE);
        Ok(Self { door, policies, iam, path: Arc::from(path) })
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Takes up a hand edit of the policy file, if there is one from before `arrived`. To be called before the first
    /// [`Self::decide`] of a request.
    pub async fn refresh(&self, arrived: Instant) -> Result<(), PolicyError> {
        if self.policies.load().is_current_for_request(&self.path, arrived) {
            return Ok(());
        }
        Ok(self.door.call(Reload).await?)
    }

    /// Whether the caller may, and why. Runs here and now.
    pub fn decide(&self, request: &AccessRequest<'_>) -> Decision {
        let published = self.policies.load();
        let policy = request.bucket.and_then(|bucket| published.state.get(bucket));
        self.among(request, policy.map(|policy| policy.document.as_ref()), |around| evaluate::decide(request, around))
    }

    /// The same decision, with what was considered for it.
    pub fn explain(&self, request: &AccessRequest<'_>) -> (Decision, Trace) {
        let published = self.policies.load();
        let policy = request.bucket.and_then(|bucket| published.state.get(bucket));
        self.among(request, policy.map(|policy| policy.document.as_ref()), |around| evaluate::explain(request, around))
    }

    /// The decision as it would be if `draft` were the bucket's policy; none is none.
    pub fn explain_under(&self, request: &AccessRequest<'_>, draft: Option<&DraftPolicy>) -> (Decision, Trace) {
        self.among(request, draft.map(|draft| Ok(&draft.0)), |around| evaluate::explain(request, around))
    }

    /// The same without what was considered.
    pub fn decide_under(&self, request: &AccessRequest<'_>, draft: Option<&DraftPolicy>) -> Decision {
        self.among(request, draft.map(|draft| Ok(&draft.0)), |around| evaluate::decide(request, around))
    }

    /// Whether the bucket's policy names the principal, its role or its session by its ARN.
    pub fn policy_names(&self, bucket: &BucketName, principal: &Principal) -> bool {
        let published = self.policies.load();
        let policy = published.state.get(bucket).and_then(|policy| policy.document.as_ref().ok());
        policy.is_some_and(|document| document.names(principal))
    }

    /// Runs a decision with what the node knows beside the request.
    fn among<T>(
        &self,
        request: &AccessRequest<'_>,
        policy: Option<Result<&Document, &InvalidPolicy>>,
        decide: impl FnOnce(&Surroundings<'_>) -> T,
    ) -> T {
        self.iam.with_directory(|directory| {
            let owner_of_bucket = request.bucket_owner.map(|owner| directory.account_of(owner));
            let bucket_account = owner_of_bucket.or_else(|| account_in_arn(request.resource?).map(Cow::Borrowed));
            // Whom nobody knows, the anonymous user among them, owns nothing against the bucket's owner.
            let object_account = match request.object {
                ObjectState::Found(object) if Some(object.owner) == request.bucket_owner => bucket_account.clone(),
                ObjectState::Found(object) if directory.knows(object.owner) => Some(directory.account_of(object.owner)),
                ObjectState::Found(_) => bucket_account.clone(),
                ObjectState::Unseen | ObjectState::Missing => None,
            };
            let around = Surroundings {
                policy,
                bucket_account: bucket_account.as_deref(),
                object_account: object_account.as_deref(),
                account_of: &|user| directory.account_of(user).into_owned(),
            };
            decide(&around)
        })
    }

    /// Whether the bucket's policy lets a service of AWS, whose work the node does, do this to the key. `action` is one that
    /// AWS checks.
    pub fn service_may(
        &self,
        service: &str,
        action: &str,
        bucket: &BucketName,
        key: &str,
        context: &RequestContext,
    ) -> bool {
        let published = self.policies.load();
        let Some(Ok(document)) = published.state.get(bucket).map(|policy| policy.document.as_ref()) else {
            return false;
        };
        let resource = format!("arn:aws:s3:::{bucket}/{key}");
        let facts = Facts::new(None, action, context, None, &[]);
        let effort = Effort::begin();
        let allows = document.allows(|clause| clause.means_service(service), Asked::new(action, &resource), &facts);
        allows && !effort.is_spent()
    }

    /// Whether the caller's ListBuckets shows a bucket that it does not own.
    pub fn may_list(&self, principal: &Principal, bucket: &BucketName, context: &RequestContext) -> bool {
        evaluate::may_list(principal, bucket, context)
    }

    /// Whether the caller's ListBuckets shows the bucket: since the caller or its account owns it, or its identity
    /// policies let it list it.
    pub fn sees_bucket(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        owner: &CanonicalId,
        context: &RequestContext,
    ) -> bool {
        let is_bound = principal.policies.iter().any(|policy| policy.is_short());
        let owns = *owner == principal.user_id
            || (!is_bound && *self.iam.directory().account_of(owner) == *principal.account_id);
        owns || self.may_list(principal, bucket, context)
    }

    /// Whether the caller is an administrator: holds `iam:*` or `iam:list_users` by a grant.
    pub fn is_administrator(&self, principal: &Principal, context: &RequestContext) -> bool {
        let facts = Facts::new(Some(principal), "iam:ListUsers", context, None, &[]);
        is_administrator(principal, &facts)
    }

    /// Whether the bucket's policy is public; false without one, and for a broken one, which lets nobody in.
    pub fn is_public(&self, bucket: &BucketName) -> bool {
        let published = self.policies.load();
        published.state.get(bucket).is_some_and(|policy| policy.document.as_ref().is_ok_and(Document::is_public))
    }

    /// The bucket's policy as it was put; as compact JSON when it was edited by hand since.
    pub fn policy_text(&self, bucket: &BucketName) -> Option<Arc<str>> {
        self.policies.load().state.get(bucket).map(|policy| Arc::clone(&policy.text))
    }

    /// What the bucket's policy makes of it.
    pub fn preset(&self, bucket: &BucketName) -> Preset {
        match self.policies.load().state.get(bucket).map(|policy| &policy.document) {
            None => Preset::Private,
            Some(Ok(document)) => Preset::of(document, bucket),
            Some(Err(_)) => Preset::Custom,
        }
    }

    /// Why the policy file's present content is not in force; none while it is.
    pub fn problem(&self) -> Option<FileProblem> {
        self.policies.load().problem.clone()
    }

    /// Why the bucket's policy is broken, so that it refuses everybody but owner and administrators.
    pub fn policy_problem(&self, bucket: &BucketName) -> Option<String> {
        let published = self.policies.load();
        let mistake = published.state.get(bucket)?.document.as_ref().err()?;
        Some(mistake.to_string())
    }

    /// See [`PutBucketPolicy`].
    pub async fn put_bucket_policy(&self, message: PutBucketPolicy) -> Result<(), PolicyError> {
        Ok(self.door.call(message).await?)
    }

    /// See [`DeleteBucketPolicy`].
    pub async fn delete_bucket_policy(&self, message: DeleteBucketPolicy) -> Result<(), PolicyError> {
        Ok(self.door.call(message).await?)
    }
}

/// The account that an ARN is of, where it names one.
fn account_in_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account_id| is_account_id(account_id))
}

pub(super) fn log_broken(policies: &BucketPolicies) {
    for (bucket, mistake) in policies.broken() {
        tracing::error!(bucket, "the bucket's policy is broken and refuses everybody but its owner: {mistake}");
    }
}
