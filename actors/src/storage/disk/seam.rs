//! The seam between Storage and the file system: every change passes here before it is made.
//!
//! In a node it is nothing, and each call compiles to the plain one. In tests a watcher may stand in it, which notes what is
//! changed and synced, in one order for all threads, and can make any change fail; from its notes the crash tests make
//! every state that a power loss could leave behind (docs/durability.md).

use std::fs::File;
use std::path::Path;

#[cfg(not(test))]
pub(in crate::storage) use plain::Seam;
#[cfg(test)]
pub(in crate::storage) use watched::{Seam, Watcher};

/// A change of the file system, or a sync. Paths are relative to the root.
#[allow(dead_code, reason = "only a watcher looks inside")]
#[derive(Debug)]
pub(in crate::storage) enum Act<'a> {
    /// A file is made, or emptied, or opened if it is there and `keep` is set.
    MakeFile {
        path: &'a Path,
        keep: bool,
    },
    MakeFolder {
        path: &'a Path,
    },
    Rename {
        from: &'a Path,
        to: &'a Path,
    },
    Link {
        from: &'a Path,
        to: &'a Path,
    },
    RemoveFile {
        path: &'a Path,
    },
    RemoveFolder {
        path: &'a Path,
    },
    Write {
        file: &'a File,
        offset: u64,
        bytes: &'a [u8],
    },
    Copy {
        file: &'a File,
        offset: u64,
        length: u64,
    },
    Resize {
        file: &'a File,
        bytes: u64,
    },
    SetTime {
        file: &'a File,
    },
    SetTag {
        file: &'a File,
    },
    SyncData {
        file: &'a File,
    },
    SyncFolder {
        path: &'a Path,
    },
    SyncEverything,
}

#[cfg(not(test))]
mod plain {
    use std::io;

    use super::Act;

    /// Nothing.
    #[derive(Debug, Clone, Default)]
    pub(in crate::storage) struct Seam(());

    impl Seam {
        #[inline(always)]
        pub fn change<T>(&self, _: &Act<'_>, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
            work()
        }
    }
}

#[cfg(test)]
mod watched {
    use std::io;
    use std::sync::Arc;

    use super::Act;

    /// Sees every change, one at a time.
    pub(in crate::storage) trait Watcher: std::fmt::Debug + Send + Sync {
        /// Carries out `work`, or makes the change fail in its stead.
        fn change(&self, act: &Act<'_>, work: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()>;
    }

    /// A watcher, if there is one.
    #[derive(Debug, Clone, Default)]
    pub(in crate::storage) struct Seam(pub Option<Arc<dyn Watcher>>);

    impl Seam {
        pub fn change<T>(&self, act: &Act<'_>, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
            let Some(watcher) = &self.0 else { return work() };
            let (mut work, mut done) = (Some(work), None);
            watcher.change(act, &mut || {
                let result = work.take().map_or_else(|| Err(io::Error::other("done twice")), |work| work());
                done = Some(result?);
                Ok(())
            })?;
            done.ok_or_else(|| io::Error::other("the watcher did not carry it out"))
        }
    }
}
