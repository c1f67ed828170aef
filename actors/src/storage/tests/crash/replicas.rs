//! Changes of another node: objects in parts and whole, versions between others, deletes; what follows, what wins, what loses and is
//! kept as a copy, and what is known already.

use std::sync::Arc;

use bytes::Bytes;

use super::super::fixtures::{body, completion, key, owner};
use super::client::{Changes, Client, Thing, Value};
use super::workload::{LARGE, SMALL, checkpoint};
use crate::names::{Change, NodeId, Seen, Stamp, VersionId};
use crate::storage::*;

/// The bucket that never had versions, and the one that keeps them.
pub const MIRRORED: [&str; 2] = ["mirrored", "mirrored-versions"];

/// A clock ahead of this node's.
const AHEAD: u64 = 1 << 62;

/// A key to which another node writes, as that node knows it.
struct Mirrored {
    bucket: &'static str,
    name: &'static str,
    /// Of a bucket without versions: the object.
    state: Option<Bytes>,
    /// Of one with versions: newest first; a delete marker is none.
    versions: Vec<Option<Bytes>>,
    /// What lost and is kept, the latest change first.
    copies: Vec<Option<Bytes>>,
    /// A request was refused: what it did is not known.
    is_unsure: bool,
}

impl Mirrored {
    fn of(bucket: &'static str, name: &'static str) -> Self {
        Self { bucket, name, state: None, versions: Vec::new(), copies: Vec::new(), is_unsure: false }
    }

    fn changes(&self) -> Changes {
        let (bucket, name) = (self.bucket.to_owned(), self.name.to_owned());
        let list = |of: &[Option<Bytes>]| match of {
            [] => Value::Absent,
            some => Value::Versions(some.to_vec()),
        };
        if bucket == MIRRORED[1] {
            return vec![(Thing::History(bucket, name), list(&self.versions))];
        }
        let object = self.state.clone().map_or(Value::Absent, Value::Bytes);
        vec![(Thing::Object(bucket.clone(), name.clone()), object), (Thing::Copies(bucket, name), list(&self.copies))]
    }
}

/// A change of node 7.
fn change(clock: u64) -> Replica {
    change_of(7, clock)
}

/// A change of another node.
fn change_of(origin: u64, clock: u64) -> Replica {
    let origin = NodeId::new(origin).unwrap();
    Replica {
        change: Change { clock, origin },
        seen: Seen::default(),
        sender: origin,
        version: VersionId::Null,
        modified: Some(Stamp(77)),
        tags_change: None,
        lock_change: None,
        permits: Permits::ALL,
    }
}

/// A change of node 8 that has seen another one.
fn change_after(seen: &Replica, clock: u64) -> Replica {
    Replica { seen: [seen.change].into_iter().collect(), ..change_of(8, clock) }
}

/// The same of a version of its own.
fn version(clock: u64) -> (Replica, VersionId) {
    let id = VersionId::Unique { stamp: Stamp(clock), random: 9 };
    (Replica { version: id, ..change(clock) }, id)
}

impl Client<'_> {
    /// An object in two parts, of which the first is a file of its own.
    async fn assemble_replica(
        &self,
        mirrored: &mut Mirrored,
        replica: Replica,
        seed: usize,
        becomes: impl FnOnce(&mut Mirrored, Bytes),
    ) -> Result<(), StorageError> {
        if mirrored.is_unsure {
            return Ok(());
        }
        mirrored.is_unsure = true;
        let mut upload = self.begin(mirrored.bucket, mirrored.name).await?;
        let (first, second) = (body(seed, LARGE), body(seed + 1, SMALL));
        self.part(&mut upload, 1, first.clone()).await?;
        self.part(&mut upload, 2, second.clone()).await?;
        becomes(mirrored, [first, second].concat().into());
        let mut changes = mirrored.changes();
        changes.push((upload.thing.clone(), Value::Absent));
        let mut request = completion(&upload.bucket, &upload.upload, upload.completed());
        request.replica = Some(Box::new(replica));
        self.send(changes, self.storage.complete_upload(request)).await?;
        mirrored.is_unsure = false;
        Ok(())
    }

    async fn put_replica(
        &self,
        mirrored: &mut Mirrored,
        replica: Option<Replica>,
        bytes: Bytes,
        becomes: impl FnOnce(&mut Mirrored, Bytes),
    ) -> Result<(), StorageError> {
        if mirrored.is_unsure {
            return Ok(());
        }
        mirrored.is_unsure = true;
        let (there, key, owner) = (self.bucket(mirrored.bucket)?, key(mirrored.name), owner());
        becomes(mirrored, bytes.clone());
        let request = async {
            let begin = BeginBody { bucket: &there, key: &key, owner: &owner, size: Some(bytes.len() as u64) };
            let mut writer = self.storage.begin_body(begin, DigestPlan::default(), None)?;
            writer.write(bytes).await?;
            let message = PutObject {
                bucket: Arc::clone(&there),
                key: key.clone(),
                owner: owner.clone(),
                attributes: Attributes::default(),
                controls: Controls::default(),
                body: writer.finish().await?,
                checksum: None,
                conditions: WriteConditions::default(),
                replica: replica.map(Box::new),
            };
            self.storage.put_object(message).await
        };
        self.send(mirrored.changes(), request).await?;
        mirrored.is_unsure = false;
        Ok(())
    }

    async fn delete_replica(
        &self,
        mirrored: &mut Mirrored,
        replica: Replica,
        of: Option<VersionId>,
        becomes: impl FnOnce(&mut Mirrored),
    ) -> Result<(), StorageError> {
        if mirrored.is_unsure {
            return Ok(());
        }
        mirrored.is_unsure = true;
        becomes(mirrored);
        let message = DeleteObject {
            bucket: self.bucket(mirrored.bucket)?,
            key: key(mirrored.name),
            version: of,
            owner: owner(),
            bypass_governance: false,
            conditions: WriteConditions::default(),
            replica: Some(Box::new(replica)),
        };
        self.send(mirrored.changes(), self.storage.delete_object(message)).await?;
        mirrored.is_unsure = false;
        Ok(())
    }
}

/// Every way that a change of another node can take, in parts where it has bytes.
pub async fn one_by_one(client: &Client<'_>) {
    let [plain, versioned] = MIRRORED;
    let _ = client.create_bucket(plain).await;
    without_versions(client, &mut Mirrored::of(plain, "dir/file")).await;
    without_versions(client, &mut Mirrored::of(plain, "odd//")).await;
    let _ = client.create_bucket(versioned).await;
    let _ = client.set_versioning(versioned, Versioning::Enabled).await;
    with_versions(client, &mut Mirrored::of(versioned, "dir/file")).await;
}

async fn without_versions(client: &Client<'_>, at: &mut Mirrored) {
    let becomes = |at: &mut Mirrored, bytes: Bytes| at.state = Some(bytes);
    let known = |_: &mut Mirrored, _: Bytes| {};
    let _ = client.assemble_replica(at, change(10), 300, becomes).await;
    let _ = client.put_replica(at, None, body(310, LARGE), becomes).await;
    let loses = |at: &mut Mirrored, bytes: Bytes| at.copies.push(Some(bytes));
    let _ = client.assemble_replica(at, change(11), 320, loses).await;
    let _ = client.assemble_replica(at, change(11), 320, known).await;
    let wins = |at: &mut Mirrored, bytes: Bytes| {
        let lost = at.state.replace(bytes);
        at.copies.insert(0, lost);
    };
    let _ = client.assemble_replica(at, change(AHEAD), 330, wins).await;
    let _ = client.put_replica(at, Some(change_after(&change(AHEAD), AHEAD + 1)), body(340, SMALL), becomes).await;
    if at.name == "odd//" {
        checkpoint(client.storage);
    }
    let gone = |at: &mut Mirrored| at.state = None;
    let (null, deleted) = (Some(VersionId::Null), change_after(&change(AHEAD), AHEAD + 2));
    let _ = client.delete_replica(at, deleted, null, gone).await;
    let _ = client.assemble_replica(at, change(AHEAD), 330, known).await;
    let loses = |at: &mut Mirrored, bytes: Bytes| at.copies.insert(1, Some(bytes));
    let _ = client.put_replica(at, Some(change_of(9, 12)), body(350, LARGE), loses).await;
}

async fn with_versions(client: &Client<'_>, at: &mut Mirrored) {
    let known = |_: &mut Mirrored, _: Bytes| {};
    let newest = |at: &mut Mirrored, bytes: Bytes| at.versions.insert(0, Some(bytes));
    let _ = client.assemble_replica(at, version(5).0, 400, newest).await;
    let _ = client.assemble_replica(at, version(AHEAD).0, 410, newest).await;
    let between = |at: &mut Mirrored, bytes: Bytes| at.versions.insert(1, Some(bytes));
    let _ = client.assemble_replica(at, version(100).0, 420, between).await;
    let hides = |at: &mut Mirrored| at.versions.insert(0, None);
    let _ = client.delete_replica(at, version(AHEAD + 5).0, None, hides).await;
    let (again, id) = version(100);
    let removes = |at: &mut Mirrored| drop(at.versions.remove(2));
    let of_delete = Replica { change: change(AHEAD + 6).change, ..again.clone() };
    let _ = client.delete_replica(at, of_delete, Some(id), removes).await;
    let _ = client.assemble_replica(at, again, 420, known).await;
}
