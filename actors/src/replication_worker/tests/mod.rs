//! The worker on a queue and a target in memory: a target that is away, slow, full, or refuses; a rule that is paused, changed, edited
//! by hand; a stop in the middle.

mod memory;
mod overflow;
mod together;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Arbiter;
use memory::*;
use serde_json::{Value, json};

use super::*;
use crate::audit::{AuditLog, AuditQuery, AuditSettings, ChangeOrigin};
use crate::bucket_config::ReplicationLimits;
use crate::clock::{ManualClock, SharedClock, SystemClock};
use crate::names::Stamp;
use crate::seal::{Sealer, SecretKey};
use crate::storage::{Slot, Versioning};

struct Node {
    root: tempfile::TempDir,
    source: Arc<MemorySource>,
    peer: Arc<MemoryPeer>,
    audit: AuditLog,
    client: ReplicationClient,
}

fn by() -> ChangeOrigin {
    ChangeOrigin { principal: "arn:aws:iam::1:user/ann".to_owned(), ..ChangeOrigin::default() }
}

fn slot(name: &str) -> Slot {
    Slot { key: key(name), version: None }
}

fn draft() -> ConnectionDraft {
    ConnectionDraft {
        name: Some("Secondary Site".to_owned()),
        endpoint_url: Some("http://target:5000".to_owned()),
        access_key: Some("AK".to_owned()),
        secret_key: Some(SecretKey::new("s3cret")),
        concurrency: Some(8),
        ..ConnectionDraft::default()
    }
}

fn rule(mode: Mode) -> Rule {
    Rule {
        bucket: bucket_name(),
        connection: "Secondary Site".into(),
        target_bucket: "backup-bucket".into(),
        enabled: true,
        mode,
        created_at: Stamp(0),
        id: None,
        replicate_deletes: true,
        delete_versions: false,
        role: None,
        destination: None,
        rules: None,
        added: None,
    }
}

impl Node {
    fn paths(root: &tempfile::TempDir) -> [PathBuf; 3] {
        ["connections.json", "replication_rules.json", "replication_state.json"].map(|name| root.path().join(name))
    }

    fn start(root: tempfile::TempDir, source: Arc<MemorySource>, peer: Arc<MemoryPeer>) -> Self {
        Self::start_at(root, source, peer, Arc::new(SystemClock))
    }

    fn start_at(root: tempfile::TempDir, source: Arc<MemorySource>, peer: Arc<MemoryPeer>, clock: SharedClock) -> Self {
        let settings = AuditSettings { folder: root.path().join("audit"), bytes_max: 1 << 20 };
        let audit = AuditLog::start(settings, Arc::clone(&clock));
        let [connections_path, rules_path, state_path] = Self::paths(&root);
        let settings = ReplicationSettings {
            connections_path,
            rules_path,
            state_path,
            sealer: Sealer::new(&SecretKey::new("key"), &[]).unwrap(),
            audit: audit.clone(),
            limits: ReplicationLimits::default(),
        };
        let arbiter = Arbiter::current();
        let (given, spoken_to) = (Arc::clone(&source), Arc::clone(&peer));
        let client = ReplicationClient::start_with(settings, given, spoken_to, clock, &arbiter).unwrap();
        Self { root, source, peer, audit, client }
    }

    /// A node with a connection and no rule.
    async fn connected(source: MemorySource, peer: MemoryPeer) -> Self {
        let node = Self::start(tempfile::tempdir().unwrap(), Arc::new(source), Arc::new(peer));
        node.client.put_connection(by(), draft()).await.unwrap();
        node
    }

    /// A node that replicates.
    async fn replicating(peer: MemoryPeer, mode: Mode) -> Self {
        let node = Self::connected(MemorySource::new(Versioning::Off), peer).await;
        node.client.put_rule(by(), rule(mode)).await.unwrap();
        node
    }

    async fn restarted(self) -> Self {
        let Self { root, source, peer, client, .. } = self;
        client.stop().await.unwrap();
        Self::start(root, source, peer)
    }

    /// What a comparison finds.
    async fn compared(&self, repairs: bool) -> Comparison {
        self.client.compare(bucket_name(), repairs).await.unwrap();
        let report = || self.client.comparison(&bucket_name()).unwrap();
        eventually("it is compared", || report().state != ComparisonState::Running).await;
        report()
    }

    fn status(&self) -> RuleStatus {
        self.client.status(&bucket_name()).unwrap()
    }

    fn read(&self, which: usize) -> Value {
        serde_json::from_str(&fs::read_to_string(&Self::paths(&self.root)[which]).unwrap()).unwrap()
    }

    fn write(&self, which: usize, document: &Value) {
        fs::write(&Self::paths(&self.root)[which], document.to_string()).unwrap();
    }
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not so after all: {what}");
}

#[actix::test]
async fn changes_arrive_in_order_and_no_more_at_once_than_may() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    node.peer.behaviour.lock().delay = Duration::from_millis(3);
    for round in 0..5 {
        for at in 0..40 {
            node.source.write(&format!("k{at}"), Some(&format!("{round}")));
        }
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    node.source.write("k3", None);
    eventually("all is sent", || node.source.rows() == 0).await;
    assert_eq!((node.peer.len(), node.peer.get("k7").as_deref(), node.peer.get("k3")), (39, Some("4"), None));
    assert_eq!(node.peer.out_of_order.load(Ordering::SeqCst), 0);
    assert!((2..=8).contains(&node.peer.under_way_max.load(Ordering::SeqCst)));
    let log = node.peer.log.lock().clone();
    for at in (0..40).filter(|at| *at != 3) {
        let clocks: Vec<_> =
            log.iter().filter(|(name, _)| *name == format!("k{at}")).map(|(_, clock)| *clock).collect();
        assert!(clocks.is_sorted(), "k{at}: {clocks:?}");
    }
    let status = node.status();
    assert_eq!((status.state, status.totals.pending, status.lag), (RuleState::Active, 0, Duration::ZERO));
    assert_eq!(status.throughput.changes, log.len() as u64);
    assert!(status.throughput.bytes >= 40 && status.throughput.changes_per_minute > 0);
}

#[actix::test]
async fn a_target_that_is_away_is_asked_and_nothing_else_until_it_is_back() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    node.source.write("a", Some("1"));
    eventually("it is sent", || node.source.rows() == 0).await;
    node.peer.behaviour.lock().away = true;
    for at in 0..200 {
        node.source.write(&format!("k{at}"), Some("1"));
    }
    eventually("it is offline", || matches!(node.status().state, RuleState::Offline { .. })).await;
    let before = node.peer.requests.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(node.peer.requests.load(Ordering::SeqCst) - before <= 4, "it is left alone");
    assert_eq!((node.source.rows(), node.status().totals.parked), (200, 0));
    node.peer.behaviour.lock().away = false;
    eventually("all is sent by itself", || node.source.rows() == 0).await;
    assert_eq!((node.peer.len(), node.status().state), (201, RuleState::Active));
}

#[actix::test]
async fn a_target_that_throttles_is_left_alone_for_as_long_as_it_asks() {
    let node = Node::replicating(MemoryPeer::new(false), Mode::NewOnly).await;
    eventually("it was asked", || node.peer.handshakes.load(Ordering::SeqCst) > 0).await;
    node.peer.behaviour.lock().throttles = Some(Duration::from_secs(3));
    for at in 0..50 {
        node.source.write(&format!("k{at}"), Some("1"));
    }
    eventually("it throttles", || matches!(node.status().state, RuleState::Offline { .. })).await;
    node.peer.behaviour.lock().throttles = None;
    let before = node.peer.requests.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(node.peer.requests.load(Ordering::SeqCst), before);
    eventually("then it goes on", || node.source.rows() == 0).await;
    assert_eq!(node.peer.len(), 50);
}

#[actix::test]
async fn failures_are_tried_again_and_refusals_parked() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    let refused = |status, code: &str| PeerErrorKind::Refused { status, code: code.to_owned() };
    {
        let mut behaviour = node.peer.behaviour.lock();
        behaviour.fails_every = 5;
        behaviour.refuses.insert("quota".to_owned(), refused(400, "QuotaExceeded"));
        behaviour.refuses.insert("denied".to_owned(), refused(403, "AccessDenied"));
        behaviour.refuses.insert("denied too".to_owned(), refused(403, "AccessDenied"));
    }
    for name in ["quota", "denied", "denied too"] {
        node.source.write(name, Some("1"));
    }
    for at in 0..30 {
        node.source.write(&format!("k{at}"), Some("1"));
    }
    eventually("the others are sent", || node.source.rows() == 3 && node.status().totals.parked == 3).await;
    let reasons = node.client.parked_reasons(&bucket_name()).await.unwrap();
    let told: Vec<_> = reasons.iter().map(|it| (it.changes, it.reason.contains("AccessDenied"))).collect();
    assert_eq!(told, [(2, true), (1, false)]);
    assert!(node.status().failures >= 9);
    // A new change of the key is another chance.
    node.peer.behaviour.lock().refuses.remove("quota");
    node.source.write("quota", Some("2"));
    eventually("it is sent", || node.peer.get("quota").as_deref() == Some("2")).await;
    node.peer.behaviour.lock().refuses.remove("denied");
    assert_eq!(node.client.retry(&bucket_name(), Some(&[slot("denied"), slot("none")])).await.unwrap(), 1);
    eventually("it is tried again", || node.peer.get("denied").is_some()).await;
    assert_eq!(node.client.dismiss(&bucket_name(), None).await.unwrap(), 1);
    assert_eq!((node.source.rows(), node.peer.get("denied too")), (0, None));
}

#[actix::test]
async fn what_was_refused_is_tried_again_when_the_target_was_mended() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    node.peer.behaviour.lock().may_delete = false;
    node.peer.behaviour.lock().problem = Some("AccessDenied");
    let node = node.restarted().await;
    eventually("it tells why", || matches!(node.status().state, RuleState::Failed(_))).await;
    node.source.write("a", Some("1"));
    eventually("it is parked", || node.status().totals.parked == 1).await;
    node.peer.behaviour.lock().problem = None;
    node.client.set_enabled(by(), bucket_name(), false).await.unwrap();
    assert_eq!(node.status().state, RuleState::Paused);
    node.client.set_enabled(by(), bucket_name(), true).await.unwrap();
    eventually("it is sent", || node.source.rows() == 0).await;
    assert_eq!(node.peer.get("a").as_deref(), Some("1"));
}

#[actix::test]
async fn who_may_not_delete_has_deletes_parked() {
    let peer = MemoryPeer::new(false);
    peer.behaviour.lock().may_delete = false;
    let node = Node::replicating(peer, Mode::NewOnly).await;
    node.source.write("a", Some("1"));
    eventually("it is sent", || node.source.rows() == 0).await;
    node.source.write("a", None);
    eventually("it is parked", || node.status().totals.parked == 1).await;
    let parked = node.client.parked(&bucket_name(), None, 10).await.unwrap();
    assert!(parked[0].parked.as_ref().unwrap().contains("may not delete"));
}

#[actix::test]
async fn what_changes_while_it_is_paused_goes_out_after_it_is_resumed() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    node.client.set_enabled(by(), bucket_name(), false).await.unwrap();
    node.source.write("a", Some("1"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((node.peer.len(), node.status().state, node.status().totals.pending), (0, RuleState::Paused, 1));
    let node = node.restarted().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.peer.len(), 0);
    node.client.set_enabled(by(), bucket_name(), true).await.unwrap();
    eventually("it is sent", || node.source.rows() == 0 && node.peer.len() == 1).await;
}

#[actix::test]
async fn what_was_there_before_is_sent_if_it_is_asked_for() {
    let source = MemorySource::new(Versioning::Off);
    for at in 0..95 {
        source.write(&format!("k{at:02}"), Some("1"));
    }
    source.write_as(OTHER, "theirs", Some("1"));
    source.write("gone", None);
    let node = Node::connected(source, MemoryPeer::new(true)).await;
    node.client.put_rule(by(), rule(Mode::NewOnly)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.peer.len(), 0, "only what is new");
    node.client.put_rule(by(), rule(Mode::All)).await.unwrap();
    eventually("it is filled", || node.status().fill.is_some_and(|fill| fill.done) && node.source.rows() == 0).await;
    assert_eq!((node.peer.len(), node.peer.get("theirs")), (95, None), "what the target made itself is not sent back");
    eventually("that is published", || node.source.rules().buckets[&bucket_name()].filled).await;
    let before = node.peer.log.lock().len();
    let node = node.restarted().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.peer.log.lock().len(), before, "once is enough");
    node.client.resync(bucket_name()).await.unwrap();
    eventually("it is sent anew", || node.peer.log.lock().len() == before + 96).await;
}

#[actix::test]
async fn a_stop_in_the_middle_loses_nothing() {
    let mut node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    for round in 0..6 {
        node.peer.behaviour.lock().delay = Duration::from_millis(20);
        for at in 0..60 {
            node.source.write(&format!("k{at}"), Some(&format!("{round}")));
        }
        tokio::time::sleep(Duration::from_millis(45)).await;
        node = node.restarted().await;
    }
    node.peer.behaviour.lock().delay = Duration::ZERO;
    eventually("all is sent", || node.source.rows() == 0).await;
    assert!((0..60).all(|at| node.peer.get(&format!("k{at}")).as_deref() == Some("5")));
    assert_eq!(node.peer.out_of_order.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn a_million_entries_take_a_window_of_memory() {
    let mut source = MemorySource::new(Versioning::Off);
    source.made_up = Some(1_000_000);
    let node = Node::connected(source, MemoryPeer::new(true)).await;
    let started = std::time::Instant::now();
    node.client.put_rule(by(), rule(Mode::NewOnly)).await.unwrap();
    eventually("it begins", || node.peer.requests.load(Ordering::SeqCst) > 1).await;
    assert!(started.elapsed() < Duration::from_secs(1));
    eventually("some are sent", || node.status().throughput.changes > 20_000).await;
    assert!(node.source.read_max() <= schedule::WINDOW, "{}", node.source.read_max());
    node.client.stop().await.unwrap();
}

#[actix::test]
async fn a_comparison_finds_what_differs_and_repairs_it() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::All).await;
    for at in 0..40 {
        node.source.write(&format!("k{at:02}"), Some("1"));
    }
    eventually("all is sent", || node.source.rows() == 0 && node.peer.len() == 40).await;
    node.source.write("deleted", None);
    eventually("that, too", || node.source.rows() == 0).await;
    node.peer.set("k05", None);
    node.peer.set("k06", Some("2"));
    node.peer.set("deleted", Some("again"));
    node.peer.set("extra", Some("3"));
    let found = node.compared(false).await;
    assert_eq!(found.state, ComparisonState::Done);
    assert_eq!((found.same, found.missing, found.different, found.extra, found.queued), (38, 1, 2, 1, 0));
    let named: Vec<_> = found.differences.iter().map(|it| (it.kind, it.key.as_str())).collect();
    use DifferenceKind::{Different, Extra, Missing};
    assert_eq!(named, [(Different, "deleted"), (Extra, "extra"), (Missing, "k05"), (Different, "k06")]);
    assert_eq!(node.compared(true).await.queued, 3);
    eventually("it is repaired", || node.source.rows() == 0).await;
    let found = node.compared(false).await;
    assert_eq!((found.same, found.missing, found.different, found.extra), (40, 0, 0, 1));
}

#[actix::test]
async fn what_no_rule_means_is_only_the_targets() {
    let source = MemorySource::new(Versioning::Off);
    source.write("before", Some("1"));
    source.write("deleted", None);
    let node = Node::connected(source, MemoryPeer::new(true)).await;
    let only_new = Rule { replicate_deletes: false, ..rule(Mode::NewOnly) };
    node.client.put_rule(by(), only_new.clone()).await.unwrap();
    node.peer.set("before", Some("2"));
    node.peer.set("deleted", Some("1"));
    let found = node.compared(true).await;
    assert_eq!((found.missing, found.different, found.extra, found.queued), (0, 0, 2, 0));
    node.client.put_rule(by(), Rule { replicate_deletes: true, ..only_new }).await.unwrap();
    let found = node.compared(true).await;
    assert_eq!((found.missing, found.different, found.extra, found.queued), (0, 1, 1, 1));
    eventually("the delete is told", || node.peer.get("deleted").is_none()).await;
    assert_eq!(node.peer.get("before").as_deref(), Some("2"));
}

#[actix::test]
async fn a_comparison_ends_where_the_targets_listing_does_not() {
    let node = Node::replicating(MemoryPeer::new(false), Mode::NewOnly).await;
    for at in 0..9 {
        node.peer.set(&format!("k{at}"), Some("1"));
    }
    node.peer.behaviour.lock().lists_anew = true;
    match node.compared(false).await.state {
        ComparisonState::Failed(reason) => assert!(reason.contains("does not lead on"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn files_are_edited_by_hand() {
    let node = Node::connected(MemorySource::new(Versioning::Off), MemoryPeer::new(true)).await;
    let connections = node.read(0);
    assert!(!connections.to_string().contains("s3cret"));
    let id = connections[0]["id"].as_str().unwrap().to_owned();
    let typed = json!({"photos": {
        "bucket_name": "photos", "target_connection_id": id, "target_bucket": "backup-bucket", "enabled": true,
        "mode": "new_only", "created_at": 1_700_000_000, "note": "mine",
    }});
    node.write(1, &typed);
    node.client.refresh().await.unwrap();
    assert!(node.source.is_published());
    node.source.write("a", Some("1"));
    eventually("it is sent", || node.peer.get("a").is_some()).await;
    eventually("the node is known", || node.source.rules().buckets[&bucket_name()].peer.is_some()).await;
    fs::write(&Node::paths(&node.root)[1], "{").unwrap();
    node.client.refresh().await.unwrap();
    assert_eq!(node.client.problems().len(), 1);
    assert!(node.client.set_enabled(by(), bucket_name(), false).await.is_err(), "what is broken is not written");
    node.source.write("b", Some("1"));
    eventually("the last good state is in force", || node.peer.get("b").is_some()).await;
    node.write(1, &typed);
    node.client.set_enabled(by(), bucket_name(), false).await.unwrap();
    assert_eq!((&node.read(1)["photos"]["note"], &node.read(1)["photos"]["enabled"]), (&json!("mine"), &json!(false)));
    node.write(1, &json!({}));
    node.client.refresh().await.unwrap();
    assert!(!node.source.is_published() && node.client.rules().is_empty());
    let page = node.audit.page(AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    let told = serde_json::to_string(&page.entries).unwrap();
    assert!(!told.contains("s3cret"));
    for action in ["replication:PutConnection", "replication:PutReplication", "replication:DeleteReplication"] {
        assert!(told.contains(action), "{action}: {told}");
    }
}

#[actix::test]
async fn connections_are_made_changed_tested_and_deleted() {
    let node = Node::connected(MemorySource::new(Versioning::Off), MemoryPeer::new(true)).await;
    let connection = node.client.connection("Secondary Site").unwrap();
    let id = connection.id.to_string();
    assert!(matches!(node.client.put_connection(by(), draft()).await, Err(ReplicationError::ConnectionExists("name"))));
    let renamed =
        ConnectionDraft { id: Some(id.clone()), name: Some("Other".to_owned()), ..ConnectionDraft::default() };
    let changed = node.client.put_connection(by(), renamed).await.unwrap();
    assert_eq!((changed.secret_key.expose(), changed.concurrency), ("s3cret", 8));
    for wrong in [
        ConnectionDraft { endpoint_url: Some("ftp://a".to_owned()), name: Some("x".to_owned()), ..draft() },
        ConnectionDraft { secret_key: None, name: Some("x".to_owned()), ..draft() },
    ] {
        assert!(matches!(node.client.put_connection(by(), wrong).await, Err(ReplicationError::Invalid(_))));
    }
    let by_id = ConnectionDraft { id: Some(id.clone()), ..ConnectionDraft::default() };
    let report = node.client.test_connection(by_id.clone(), Some("backup-bucket".to_owned())).await.unwrap();
    assert!(report.is_usable(true) && report.missing.len() == 1 && report.missing[0].contains("clocks"), "{report:?}");
    node.peer.behaviour.lock().has_bucket = false;
    let report = node.client.test_connection(by_id.clone(), Some("backup-bucket".to_owned())).await.unwrap();
    assert!(!report.is_usable(true) && report.is_usable(false), "{report:?}");
    node.peer.behaviour.lock().away = true;
    let report = node.client.test_connection(by_id, None).await.unwrap();
    assert!(report.error.is_some() && !report.is_usable(false));
    node.client.put_rule(by(), Rule { connection: id.as_str().into(), ..rule(Mode::NewOnly) }).await.unwrap();
    let used = node.client.delete_connection(by(), id.clone()).await;
    assert!(matches!(used, Err(ReplicationError::ConnectionInUse(bucket)) if bucket == "photos"));
    node.client.delete_rule(by(), bucket_name()).await.unwrap();
    assert!(matches!(node.client.delete_rule(by(), bucket_name()).await, Err(ReplicationError::NoSuchRule(_))));
    node.client.delete_connection(by(), id).await.unwrap();
    assert!(node.client.connections().is_empty());
}

#[actix::test]
async fn a_bucket_takes_its_rule_and_queue_along() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    node.client.set_enabled(by(), bucket_name(), false).await.unwrap();
    node.source.write("a", Some("1"));
    node.source.delete_bucket();
    node.client.bucket_deleted(bucket_name()).await.unwrap();
    assert_eq!(node.client.rules().len(), 0);
    eventually("its queue is gone", || node.source.rows() == 0).await;
    node.client.bucket_deleted(bucket_name()).await.unwrap();
}

#[actix::test]
async fn a_crash_between_the_end_of_a_bucket_and_its_message_leaves_nothing() {
    let node = Node::replicating(MemoryPeer::new(true), Mode::NewOnly).await;
    node.client.set_enabled(by(), bucket_name(), false).await.unwrap();
    node.source.write("a", Some("1"));
    // As if the node had ended between the two.
    let Node { root, source, peer, client, .. } = node;
    client.stop().await.unwrap();
    source.delete_bucket();
    let typed: Value = serde_json::from_str(&fs::read_to_string(&Node::paths(&root)[1]).unwrap()).unwrap();
    let node = Node::start(root, source, peer);
    eventually("its rule is gone", || node.client.rules().is_empty()).await;
    eventually("its queue, too", || node.source.rows() == 0).await;
    assert_eq!(node.read(1), json!({}));
    // One that somebody types for a bucket that is yet to come stays.
    let mut typed = typed;
    typed["photos"]["created_at"] = json!(1_700_000_000);
    node.write(1, &typed);
    let swept = node.source.swept().len();
    let node = node.restarted().await;
    eventually("it was swept", || node.source.swept().len() > swept).await;
    assert_eq!(node.client.rules().len(), 1);
}

#[actix::test]
async fn what_is_kept_for_a_time_is_swept_again_and_again() {
    let clock = Arc::new(ManualClock::new(Stamp(1_700_000_000_000_000_000)));
    let (source, peer) = (Arc::new(MemorySource::new(Versioning::Off)), Arc::new(MemoryPeer::new(true)));
    let node = Node::start_at(tempfile::tempdir().unwrap(), source, peer, clock.clone());
    eventually("it is swept at the start", || node.source.swept().len() == 1).await;
    clock.advance(Duration::from_secs(30 * 86_400));
    eventually("and later", || node.source.swept().len() > 2).await;
    let swept = node.source.swept();
    assert_eq!(swept[0], Stamp(1_700_000_000_000_000_000));
    assert_eq!(swept.last().unwrap().0 - swept[0].0, 30 * 86_400_000_000_000, "as of the node's clock");
    node.client.stop().await.unwrap();
}
