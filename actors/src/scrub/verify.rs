//! Verifying one thing: reading it to its end, looking again before anything is said, and repairing it.

use std::time::Instant;

use super::replicas::Wanted;
use super::report::{FindingOutcome, ScrubFinding, ScrubRun};
use super::worker::{Tempo, Worker};
use crate::encryption::{DataKey, Method, ObjectName};
use crate::storage::{Damage, DamageKind, Examined, Look, Repaired, ScrubItem, ScrubKind, StorageError};

/// Bytes that are asked of a target at a time.
const REPLICA_BYTES: u64 = 4 << 20;

/// What came of a look at all bytes.
enum Verdict {
    Right,
    /// Too new, or gone.
    PassedOver,
    Edited,
    Damaged(Damage),
    /// The run is not at work any more: nothing is known of it.
    Interrupted,
}

/// What a target was good for.
enum Help {
    Repaired {
        kept: Option<String>,
    },
    /// The object was written anew meanwhile.
    Gone,
    /// Why not; nothing where no target was to be asked.
    None(Option<String>),
}

impl Worker {
    /// Verifies something. Answers how many bytes were read; none when it was interrupted. What goes wrong with this one alone is a
    /// finding. Errs: what concerns more, and passes.
    pub(super) async fn verify_or_tell(
        &self,
        run: &ScrubRun,
        item: &ScrubItem,
        tempo: &mut Tempo,
    ) -> Result<Option<usize>, StorageError> {
        match self.verify(run, item, tempo).await {
            Err(StorageError::NoSuchBucket { .. }) => {
                self.desk.update(run, |run, _| run.passed_over += 1);
                Ok(Some(0))
            }
            Err(error) if error.is_passing() => Err(error),
            Err(error) => {
                let damage = Damage::new(DamageKind::Unreadable, error.to_string());
                self.damaged(run, item, &damage, None).await.map(|()| Some(0))
            }
            Ok(read) => Ok(read),
        }
    }

    /// Errs: whatever keeps it from being verified.
    async fn verify(&self, run: &ScrubRun, item: &ScrubItem, tempo: &mut Tempo) -> Result<Option<usize>, StorageError> {
        let (key, mut read) = (self.data_key(item)?, 0);
        let mut verdict = self.examine(run, item, key.as_ref(), tempo, &mut read).await?;
        if let Verdict::Damaged(damage) = &verdict
            && damage.kind != DamageKind::Missing
        {
            // Somebody may just have been writing it. What the disk holds is the last word.
            let again = self.examine(run, item, None, tempo, &mut read).await?;
            verdict = match again {
                Verdict::Right if key.is_some() => {
                    let detail = "its bytes are those that were stored, but its data key does not open them";
                    Verdict::Damaged(Damage::new(DamageKind::Sealed, detail))
                }
                other => other,
            };
        }
        if let Verdict::Edited = verdict {
            verdict = self.settle(item).await?;
        }
        match verdict {
            Verdict::Right | Verdict::Edited => self.right(run, item, matches!(verdict, Verdict::Edited)).await?,
            Verdict::PassedOver => drop(self.desk.update(run, |run, _| run.passed_over += 1)),
            Verdict::Interrupted => return Ok(None),
            Verdict::Damaged(damage) => self.damaged(run, item, &damage, key.as_ref()).await?,
        }
        Ok(Some(read))
    }

    /// The data key of an encrypted object, where the node may open it. Without it, what is stored is verified as it is.
    fn data_key(&self, item: &ScrubItem) -> Result<Option<DataKey>, StorageError> {
        let (Some(object), Some(key)) = (item.object()?, item.key()) else { return Ok(None) };
        let Some(encryption) = object.encryption().filter(|it| !matches!(it.method, Method::Customer(_))) else {
            return Ok(None);
        };
        let name = ObjectName { bucket: item.bucket().name.as_str(), key: key.as_str() };
        Ok(self.kms.open(encryption, &name, None).ok())
    }

    async fn examine(
        &self,
        run: &ScrubRun,
        item: &ScrubItem,
        key: Option<&DataKey>,
        tempo: &mut Tempo,
        read: &mut usize,
    ) -> Result<Verdict, StorageError> {
        let mut examination = match self.storage.scrub_look(item, key).await? {
            Look::Open(examination) => examination,
            Look::Pending | Look::Gone => return Ok(Verdict::PassedOver),
            Look::Edited => return Ok(Verdict::Edited),
            Look::Damaged(damage) => return Ok(Verdict::Damaged(damage)),
        };
        loop {
            let started = Instant::now();
            match examination.read_on().await? {
                Examined::Right => return Ok(Verdict::Right),
                Examined::Damaged(damage) => return Ok(Verdict::Damaged(damage)),
                Examined::More(bytes) => {
                    *read = read.saturating_add(bytes);
                    self.desk.total(|totals| totals.bytes += bytes as u64);
                    if !self.desk.update(run, |run, _| run.bytes += bytes as u64) {
                        return Ok(Verdict::Interrupted);
                    }
                    tempo.rest(bytes, started.elapsed()).await;
                }
            }
        }
    }

    /// A file that is another than its row's: an edit, if that may be.
    async fn settle(&self, item: &ScrubItem) -> Result<Verdict, StorageError> {
        let changed = |detail: String| Ok(Verdict::Damaged(Damage::new(DamageKind::Changed, detail)));
        let Some(key) = item.key().filter(|_| item.is_plain_current()) else {
            return changed("another program wrote its file".to_owned());
        };
        match self.storage.object(item.bucket(), key, None).await {
            Ok(_) => Ok(Verdict::Edited),
            Err(error) if error.is_passing() => Err(error),
            Err(StorageError::NoSuchKey { .. } | StorageError::NoSuchBucket { .. }) => Ok(Verdict::PassedOver),
            Err(
                error @ (StorageError::Quarantined { .. } | StorageError::Corrupt { .. } | StorageError::Io { .. }),
            ) => changed(error.to_string()),
            Err(error) => Err(error),
        }
    }

    async fn right(&self, run: &ScrubRun, item: &ScrubItem, is_edited: bool) -> Result<(), StorageError> {
        let is_lifted = item.is_marked() && self.storage.scrub_mark(item, None).await?;
        if is_lifted {
            tracing::info!(place = %place(item), "what was damaged is right again, and is served");
        }
        self.desk.total(|totals| totals.items += 1);
        self.desk.update(run, |run, _| {
            match item.kind() {
                ScrubKind::Object => run.objects += 1,
                ScrubKind::Version => run.versions += 1,
                ScrubKind::Part => run.parts += 1,
            }
            run.edited += u64::from(is_edited);
            run.lifted += u64::from(is_lifted);
        });
        Ok(())
    }

    async fn damaged(
        &self,
        run: &ScrubRun,
        item: &ScrubItem,
        damage: &Damage,
        key: Option<&DataKey>,
    ) -> Result<(), StorageError> {
        let hides = matches!(damage.kind, DamageKind::Checksum | DamageKind::Size) || item.kind() == ScrubKind::Part;
        if hides && !self.storage.scrub_mark(item, Some(damage)).await? {
            self.desk.update(run, |run, _| run.passed_over += 1);
            return Ok(());
        }
        let help = match damage.kind {
            // Other bytes would not be opened either.
            DamageKind::Sealed => Help::None(None),
            _ => self.repair(item, key).await,
        };
        let outcome = match &help {
            Help::Gone => {
                self.desk.update(run, |run, _| run.passed_over += 1);
                return Ok(());
            }
            Help::Repaired { .. } => FindingOutcome::Repaired,
            Help::None(_) if hides => FindingOutcome::Quarantined,
            Help::None(_) => FindingOutcome::Reported,
        };
        let (kept, not_repaired) = match help {
            Help::Repaired { kept } => (kept, None),
            Help::None(why) => (None, why),
            Help::Gone => (None, None),
        };
        let finding = ScrubFinding {
            found_millis: self.desk.clock.now().0 / 1_000_000,
            bucket: item.bucket().name.to_string(),
            key: item.key().map(|key| key.as_str().to_owned()),
            version_id: item.version_id().map(|version| version.to_string()),
            upload_id: item.part().map(|(upload, _)| upload.to_string()),
            part_number: item.part().map(|(_, number)| number.get()),
            path: item.path().display().to_string(),
            damage: damage.kind.name().to_owned(),
            detail: damage.detail.clone(),
            outcome,
            kept,
            not_repaired,
        };
        let (damage_kind, repaired) = (damage.kind, outcome == FindingOutcome::Repaired);
        match repaired {
            true => tracing::warn!(
                place = %place(item), damage = %damage_kind, kept = finding.kept,
                "stored bytes were damaged; the right ones came from a replica"
            ),
            false => tracing::error!(
                place = %place(item), damage = %damage_kind, detail = finding.detail, path = finding.path,
                not_repaired = finding.not_repaired, quarantined = hides, "stored bytes are damaged"
            ),
        }
        self.desk.total(|totals| {
            totals.items += 1;
            *totals.damaged.entry(damage_kind.name()).or_default() += 1;
            totals.repaired += u64::from(repaired);
        });
        self.desk.update(run, |run, report| {
            run.count(damage_kind);
            run.repaired += u64::from(repaired);
            report.note(finding);
        });
        Ok(())
    }

    /// Fetches right bytes, if a target may have them. What goes wrong is a reason, and not the end of the run.
    async fn repair(&self, item: &ScrubItem, key: Option<&DataKey>) -> Help {
        let (Ok(Some(object)), Some(name)) = (item.object(), item.key()) else { return Help::None(None) };
        let wanted = Wanted { bucket: &item.bucket().name, key: name, object: &object };
        if object.size > 0 && !self.replicas.offers(&wanted) {
            return Help::None(None);
        }
        let mut repair = match self.storage.begin_repair(item, key).await {
            Ok(Some(repair)) => repair,
            Ok(None) => return Help::None(Some("what seals it is damaged, or its key is not the node's".to_owned())),
            Err(error) => return Help::None(Some(error.to_string())),
        };
        let mut at = 0;
        while at < object.size {
            let range = at..object.size.min(at + REPLICA_BYTES);
            let size = range.end - range.start;
            let bytes = match self.replicas.read(wanted, range).await {
                Ok(bytes) if bytes.len() as u64 == size => bytes,
                Ok(bytes) => {
                    return Help::None(Some(format!("the target gave {} bytes in place of {size}", bytes.len())));
                }
                Err(reason) => return Help::None(Some(reason)),
            };
            if let Err(error) = repair.write(&bytes).await {
                return Help::None(Some(error.to_string()));
            }
            at += size;
        }
        match repair.finish().await {
            Ok(Repaired::Done { kept }) => Help::Repaired { kept: kept.map(|path| path.display().to_string()) },
            Ok(Repaired::Gone) => Help::Gone,
            Err(error) => Help::None(Some(error.to_string())),
        }
    }
}

/// Of what a line of the log speaks.
fn place(item: &ScrubItem) -> String {
    let bucket = &item.bucket().name;
    match (item.key(), item.version_id(), item.part()) {
        (Some(key), Some(version), _) => format!("{bucket}/{key}, version {version}"),
        (_, _, Some((upload, number))) => format!("{bucket}, upload {upload}, part {}", number.get()),
        _ => bucket.to_string(),
    }
}
