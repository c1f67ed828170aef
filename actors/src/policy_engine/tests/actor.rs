//! The actor with its file: policies that are put, read and deleted, hand edits, and users who are gone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::world::policy;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::clock::ManualClock;
use crate::iam::{IamClient, IamSettings, SecretKey};
use crate::json_store::FileStamp;
use crate::names::{BucketName, Stamp};
use crate::policy_engine::{
    AccessRequest, DeleteBucketPolicy, ObjectState, PolicyEngineClient, PolicyEngineSettings, PolicyError,
    PutBucketPolicy, RequestContext,
};
use crate::seal::Sealer;

struct Node {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    iam: IamClient,
    engine: PolicyEngineClient,
}

impl Node {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Stamp(1)));
        let arbiter = actix::Arbiter::current();
        let settings = IamSettings {
            path: folder.path().join("iam.json"),
            host_is_loopback: true,
            admin_access_key: None,
            admin_secret_key: None,
            sealer: Sealer::new(&SecretKey::new("k"), &[]).unwrap(),
            audit: AuditLog::nowhere(),
            login_failures_max: 0,
        };
        let iam = IamClient::start(settings, clock.clone(), &arbiter).unwrap().client;
        let settings = PolicyEngineSettings { path: folder.path().join("policies.json"), audit: AuditLog::nowhere() };
        let engine = PolicyEngineClient::start(settings, iam.clone(), clock.clone(), &arbiter).unwrap();
        Self { folder, clock, iam, engine }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("policies.json")
    }

    /// An anonymous GetObject in `photos`.
    async fn anonymous_reads(&self) -> bool {
        self.engine.refresh(std::time::Instant::now()).await.unwrap();
        let bucket = BucketName::parse("photos").unwrap();
        let owner = self.iam.directory().principal("localadmin").user_id.clone();
        let request = AccessRequest {
            principal: None,
            action: "s3:GetObject",
            bucket: Some(&bucket),
            bucket_owner: Some(&owner),
            key: Some("x"),
            config: None,
            resource: None,
            object: ObjectState::Missing,
            context: &RequestContext::default(),
        };
        self.engine.decide(&request).allowed
    }
}

fn public_policy() -> String {
    policy("public").unwrap().to_string().replace(":::B", ":::photos")
}

fn stamp(path: &Path) -> Option<FileStamp> {
    FileStamp::of(path).unwrap()
}

#[actix::test]
async fn policies_are_put_read_and_deleted() {
    let node = Node::start();
    let bucket = BucketName::parse("photos").unwrap();
    assert!(!node.anonymous_reads().await);
    node.engine.delete_bucket_policy(DeleteBucketPolicy { bucket: bucket.clone(), by: None }).await.unwrap();
    assert_eq!(stamp(&node.path()), None, "deleting nothing writes nothing");
    let put = |text: String| PutBucketPolicy {
        bucket: bucket.clone(),
        text,
        refuse_public: false,
        by: ChangeOrigin::default(),
    };
    node.engine.put_bucket_policy(put(public_policy())).await.unwrap();
    assert!(node.anonymous_reads().await);
    assert_eq!(node.engine.policy_text(&bucket).unwrap().as_ref(), public_policy());
    assert!(!fs::read_to_string(node.path()).unwrap().contains("as_put"), "a compact text needs no copy");
    let spaced = public_policy().replace("\":", "\" :  ");
    node.engine.put_bucket_policy(put(spaced.clone())).await.unwrap();
    assert_eq!(node.engine.policy_text(&bucket).unwrap().as_ref(), spaced, "a policy is given back to the letter");
    let refused = PutBucketPolicy { refuse_public: true, ..put(public_policy()) };
    assert!(matches!(node.engine.put_bucket_policy(refused).await, Err(PolicyError::Public { .. })));
    assert!(node.engine.is_public(&bucket));
    let edited = fs::read_to_string(node.path()).unwrap().replacen("s3:GetObject", "s3:GetObjectVersion", 1);
    fs::write(node.path(), edited).unwrap();
    node.engine.refresh(std::time::Instant::now()).await.unwrap();
    assert!(node.engine.policy_text(&bucket).unwrap().contains("GetObjectVersion"), "a hand edit counts");
    node.engine.put_bucket_policy(put(public_policy())).await.unwrap();
    let malformed = node.engine.put_bucket_policy(put("{}".to_owned())).await;
    assert!(matches!(malformed, Err(PolicyError::Malformed { .. })));
    let nobody = public_policy().replace("\"*\"", "{\"AWS\":\"nobody\"}");
    assert!(matches!(node.engine.put_bucket_policy(put(nobody)).await, Err(PolicyError::Malformed { .. })));
    let known = public_policy().replace("\"*\"", "{\"AWS\":\"localadmin\"}");
    node.engine.put_bucket_policy(put(known)).await.unwrap();
    assert!(!node.anonymous_reads().await);
    let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(node.path()).unwrap()).unwrap();
    assert!(kept["principals"]["photos"]["localadmin"].is_string(), "whom it meant is kept beside it");
    let strange = public_policy().replace("\"*\"", "{\"AWS\":\"arn:aws:iam::111111111111:user/nobody\"}");
    assert!(matches!(node.engine.put_bucket_policy(put(strange)).await, Err(PolicyError::Malformed { .. })));
    let idle = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringLike":{"s3:prefix":"a*"}}}}"#;
    let refused = node.engine.put_bucket_policy(put(idle.to_owned())).await;
    assert!(refused.unwrap_err().to_string().contains("Conditions do not apply"));
    node.engine.delete_bucket_policy(DeleteBucketPolicy { bucket: bucket.clone(), by: None }).await.unwrap();
    assert_eq!(node.engine.policy_text(&bucket), None);
    assert!(fs::read_to_string(node.path()).unwrap().contains("policies"));
}

#[actix::test]
async fn hand_edits_count_at_once_and_broken_ones_never() {
    let node = Node::start();
    let bucket = BucketName::parse("photos").unwrap();
    let file = |policy: &str| format!("{{\"note\": \"mine\", \"policies\": {{\"photos\": {policy}}}}}");
    fs::write(node.path(), file(&public_policy())).unwrap();
    assert!(node.anonymous_reads().await);

    fs::write(node.path(), "{\"policies\": {\n").unwrap();
    assert!(node.anonymous_reads().await, "the last good state stays in force");
    assert!(node.engine.problem().unwrap().line.is_some());
    let (text, by) = (public_policy(), ChangeOrigin::default());
    let put = PutBucketPolicy { bucket: bucket.clone(), text, refuse_public: false, by };
    assert!(matches!(node.engine.put_bucket_policy(put.clone()).await, Err(PolicyError::Store(_))));
    let delete = DeleteBucketPolicy { bucket: bucket.clone(), by: None };
    assert!(matches!(node.engine.delete_bucket_policy(delete).await, Err(PolicyError::Store(_))));
    assert_eq!(fs::read_to_string(node.path()).unwrap(), "{\"policies\": {\n");

    // JSON, but not a policy: closed, and named.
    let odd = public_policy().replace("Effect", "Efect");
    fs::write(node.path(), file(&odd)).unwrap();
    assert!(!node.anonymous_reads().await);
    assert!(node.engine.problem().is_none());
    assert!(node.engine.policy_problem(&bucket).unwrap().contains("Efect"));

    node.engine.put_bucket_policy(put).await.unwrap();
    assert!(node.anonymous_reads().await);
    assert!(fs::read_to_string(node.path()).unwrap().contains("mine"), "unknown fields are kept");
    node.clock.advance(std::time::Duration::from_secs(1));
    assert!(node.engine.policy_problem(&bucket).is_none());
}

#[actix::test]
async fn what_a_deleted_user_owns_stays_with_its_account() {
    let node = Node::start();
    let message = crate::iam::CreateUser { display_name: Some("Temp".to_owned()), ..Default::default() };
    let user = node.iam.change(Default::default(), message).await.unwrap();
    let delete = crate::iam::DeleteUser { user: "Temp".into(), force: true };
    node.iam.change(Default::default(), delete).await.unwrap();
    let directory = node.iam.directory();
    let admin = directory.principal("localadmin");
    assert_eq!(directory.account_of(&user.user_id), admin.account_id);
    let bucket = BucketName::parse("photos").unwrap();
    assert!(node.engine.sees_bucket(&admin, &bucket, &user.user_id, &RequestContext::default()));
    assert!(node.engine.is_administrator(&admin, &RequestContext::default()));
}
