//! Restoring a backup into a new data directory.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use myfsio_actors::clock::SystemClock;
use myfsio_actors::storage::{
    self, BackupProgress, CheckObserver, CheckOptions, CheckProgress, Difference, Finding, Mend, Restored,
    StorageSettings,
};

use super::manifest::{Manifest, private, within};
use super::verify::problem_of;
use super::{Trouble, sources};

/// Restores a backup into the root of the settings, which must be empty; `found` hears what is not as it should be. Errs: also when
/// a file other than an object's was changed since the backup was made.
pub fn restore(
    settings: &StorageSettings,
    folder: &Path,
    manifest: &Manifest,
    progress: &BackupProgress,
    found: &mut dyn FnMut(&str),
) -> Result<Restored, Trouble> {
    for file in &manifest.files {
        if let Some(problem) = problem_of(folder, file)? {
            return Err(Trouble::Refused(format!("the backup {} is damaged: {problem}", manifest.id)));
        }
    }
    let restored = storage::restore(settings, folder, progress)?;
    for file in &manifest.files {
        let target = sources::place(&file.path, &settings.root);
        if let Some((from, to)) = within(folder, &file.path).zip(target) {
            copy(&from, &to).map_err(|e| Trouble::io("write", &to, e))?;
        }
    }
    storage::finish_restore(&settings.root)?;
    // Counters of what is not in a backup are put right, and all else is seen to agree.
    let options = CheckOptions { mend: Mend::Safely, data: false, bucket: None };
    let mut told = Told { found, known: restored.missing + restored.damaged };
    storage::fsck(settings, Arc::new(SystemClock), &options, &mut told)?;
    Ok(restored)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    let mut file = private(to)?;
    io::copy(&mut fs::File::open(from)?, &mut file)?;
    file.sync_all()
}

/// Passes on what a check finds that is no consequence of a restore.
struct Told<'a> {
    found: &'a mut dyn FnMut(&str),
    /// What the restore told of already.
    known: u64,
}

impl CheckObserver for Told<'_> {
    fn found(&mut self, finding: &Finding) {
        let sums = [Difference::WrongCounters, Difference::OrphanRow, Difference::MissingRow];
        if finding.mended && sums.contains(&finding.difference) {
            return;
        }
        let of_files =
            [Difference::MissingFile, Difference::DamagedFile, Difference::EditedFile, Difference::WrongTime];
        if of_files.contains(&finding.difference) && self.known > 0 {
            self.known -= 1;
            return;
        }
        (self.found)(&format!("{}  {}: {}", finding.difference.name(), finding.place, finding.detail));
    }

    fn progress(&mut self, _: CheckProgress) {}
}
