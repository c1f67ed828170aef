//! The quotas of users come to Storage, whoever wrote them down.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::audit::{AuditLog, AuditSettings, ChangeOrigin};
use crate::bucket_config::{BucketConfig, BucketQuota, ConfigChange, PrefixQuota, QuotaLimits, QuotaResource};
use crate::clock::{SharedClock, SystemClock};
use crate::iam::{IamClient, IamSettings, SetUserQuota, WhichUser};
use crate::names::{BucketName, CanonicalId, ObjectKey};
use crate::seal::{Sealer, SecretKey};
use crate::storage::*;

struct Fixture {
    root: tempfile::TempDir,
    storage: StorageClient,
    iam: IamClient,
    clock: SharedClock,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let settings = StorageSettings {
            root: root.path().join("data"),
            strict: false,
            journal_segment_bytes: 4 << 20,
            inline_body_bytes: 16 << 10,
            index_cache_bytes: 1 << 20,
            ballast_bytes: 0,
        };
        let storage = StorageClient::start(&settings, Arc::clone(&clock)).unwrap();
        let folder = root.path().join("audit");
        let audit = AuditLog::start(AuditSettings { folder, bytes_max: 1 << 20 }, Arc::clone(&clock));
        let path = root.path().join("iam.json");
        write(&path, &json!({"max_bytes": 1000}));
        let settings = IamSettings {
            path,
            host_is_loopback: true,
            admin_access_key: None,
            admin_secret_key: None,
            sealer: Sealer::new(&SecretKey::new("some-secret-of-this-test"), &[]).unwrap(),
            audit,
            login_failures_max: 0,
        };
        let iam = IamClient::start(settings, Arc::clone(&clock), &actix::Arbiter::current()).unwrap().client;
        Self { root, storage, iam, clock }
    }

    async fn tracker(&self) -> QuotaTrackerClient {
        QuotaTrackerClient::start(self.storage.clone(), self.iam.clone(), &actix::Arbiter::current()).await
    }

    fn ann(&self) -> CanonicalId {
        self.iam.directory().user(&WhichUser::from("ann")).unwrap().user_id.clone()
    }

    /// As a person edits the file: the next request sees it.
    async fn edit(&self, tracker: &QuotaTrackerClient, quota: &serde_json::Value) {
        write(&self.root.path().join("iam.json"), quota);
        self.iam.fresh().await.unwrap();
        tracker.refresh().await.unwrap();
    }
}

fn write(path: &Path, quota: &serde_json::Value) {
    let ann = json!({"access_key": "ann", "secret_key": "ann-secret", "display_name": "ann", "user_id": "a".repeat(64),
                     "policies": [], "quota": quota});
    let bob = json!({"access_key": "bob", "secret_key": "bob-secret", "display_name": "bob", "policies": []});
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, json!({"users": [ann, bob]}).to_string()).unwrap();
    std::fs::rename(&temporary, path).unwrap();
}

async fn put(storage: &StorageClient, bucket: &Arc<Bucket>, name: &str, owner: &CanonicalId, size: usize) {
    let key = ObjectKey::parse(name.as_bytes()).unwrap();
    let begin = BeginBody { bucket, key: &key, owner, size: Some(size as u64) };
    let mut writer = storage.begin_body(begin, DigestPlan::default(), None).unwrap();
    writer.write(vec![7; size].into()).await.unwrap();
    let message = PutObject {
        bucket: Arc::clone(bucket),
        key,
        owner: owner.clone(),
        attributes: Attributes::default(),
        controls: Controls::default(),
        body: writer.finish().await.unwrap(),
        checksum: None,
        conditions: WriteConditions::default(),
        replica: None,
    };
    storage.put_object(message).await.unwrap();
}

#[actix::test]
async fn quotas_of_users_follow_their_file() {
    let fixture = Fixture::new();
    let ann = fixture.ann();
    let name = BucketName::parse("there").unwrap();
    let made = CreateBucket { name, owner: ann.clone(), config: BucketConfig::default() };
    let bucket = fixture.storage.create_bucket(made).await.unwrap();
    for n in 0..10 {
        put(&fixture.storage, &bucket, &format!("{n}"), &ann, 50).await;
    }
    let tracker = fixture.tracker().await;
    tracker.count_through().await.unwrap();
    let scope = QuotaScope::Owner(ann.clone());
    let account = || tracker.account(&scope);
    let limits = |bytes, objects| QuotaLimits { max_bytes: bytes, max_objects: objects };
    assert_eq!(account().map(|account| account.limits), Some(limits(Some(1000), None)));
    assert_eq!(account().unwrap().used, Quantity { bytes: 500, objects: 10 });
    let mut warnings = tracker.listen();
    fixture.edit(&tracker, &json!({"max_size_bytes": 600, "max_objects": 30})).await;
    assert_eq!(account().map(|account| account.limits), Some(limits(Some(600), Some(30))));
    let warning = warnings.try_recv().unwrap();
    assert_eq!((warning.resource, warning.percent, warning.limit), (QuotaResource::Bytes, 80, 600));
    fixture.edit(&tracker, &json!(null)).await;
    assert_eq!(account(), None);
    assert!(fixture.storage.metered_owners().is_empty());
    let message = SetUserQuota { user: "ann".into(), quota: limits(None, Some(5)) };
    fixture.iam.change(ChangeOrigin::default(), message).await.unwrap();
    tracker.refresh().await.unwrap();
    tracker.count_through().await.unwrap();
    assert_eq!(account().unwrap().used, Quantity { bytes: 500, objects: 10 });
    tracker.stop().await.unwrap();
    // What a run before has counted is there, and what nobody wants any more goes.
    let again = fixture.tracker().await;
    assert_eq!(again.accounts().len(), 1);
    let message = SetUserQuota { user: "ann".into(), quota: QuotaLimits::default() };
    fixture.iam.change(ChangeOrigin::default(), message).await.unwrap();
    again.refresh().await.unwrap();
    assert!(again.accounts().is_empty());
    again.stop().await.unwrap();
    fixture.storage.stop().await.unwrap();
    assert!(fixture.clock.now().0 > 0);
}

#[actix::test]
async fn what_was_there_before_is_counted_by_itself() {
    let fixture = Fixture::new();
    let owner = CanonicalId::from_bytes([7; 32]);
    let name = BucketName::parse("there").unwrap();
    let made = CreateBucket { name, owner: owner.clone(), config: BucketConfig::default() };
    let bucket = fixture.storage.create_bucket(made).await.unwrap();
    for n in 0..20 {
        put(&fixture.storage, &bucket, &format!("{}/{n}", ["a", "b"][n % 2]), &owner, 10).await;
    }
    let tracker = fixture.tracker().await;
    let limits = QuotaLimits { max_bytes: None, max_objects: Some(1000) };
    let prefixes = vec![PrefixQuota { prefix: "a/".to_owned(), limits }];
    let quota = Some(BucketQuota { limits: QuotaLimits::default(), prefixes });
    let change = BucketChange::Config(ConfigChange::Quota(quota));
    fixture.storage.configure_bucket(ConfigureBucket { bucket: Arc::clone(&bucket), change }).await.unwrap();
    let scope = QuotaScope::Prefix(bucket.id, "a/".into());
    let account = || tracker.account(&scope).unwrap();
    for _ in 0..500 {
        if !account().is_counting {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(account().used, Quantity { bytes: 100, objects: 10 });
    tracker.stop().await.unwrap();
    assert!(matches!(tracker.count_through().await, Err(QuotaError::Stopped)));
    fixture.storage.stop().await.unwrap();
}
