//! What a source tells of its objects, whichever kind of source it is.

use std::ops::Range;

use myfsio_actors::names::{Stamp, VersionId};
use sha2::{Digest as _, Sha256};

use super::local::{Form, LocalObject};
use super::remote::RemoteObject;
use crate::replication::{Failure, Pieces};

/// A key with its versions.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Oldest first.
    pub versions: Vec<Version>,
}

impl Entry {
    /// Gives each version the id that it will have. Ids of a key ascend with their time, so those that the source dates alike follow each
    /// other by a nanosecond; the same versions have the same ids whenever they are imported.
    pub fn settle(&mut self) {
        let mut last = 0_u64;
        for version in &mut self.versions {
            let stamp = version.modified.0.max(last.saturating_add(1));
            if let Name::Unique(name) = &version.name {
                version.id = match VersionId::parse(name) {
                    // What another node made keeps the id that it has there.
                    Ok(id @ VersionId::Unique { stamp: own, .. }) if own.0 > last => id,
                    _ => VersionId::Unique { stamp: Stamp(stamp), random: digest_of(name) },
                };
            }
            last = match version.id {
                VersionId::Unique { stamp, .. } => stamp.0,
                VersionId::Null => stamp,
            };
            version.clock = last;
        }
    }
}

fn digest_of(name: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// How a version is called at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// It is the null version.
    Null,
    /// By an id of its own.
    Unique(String),
}

impl Name {
    /// Reads an id; nothing and `null` are the null version.
    pub fn of(text: Option<&str>) -> Self {
        match text {
            None | Some("" | "null") => Self::Null,
            Some(text) => Self::Unique(text.to_owned()),
        }
    }
}

/// A version of a key, or a delete marker.
#[derive(Debug)]
pub struct Version {
    /// How it is called at the source.
    pub name: Name,
    /// How it will be called here.
    pub id: VersionId,
    /// Its place among the versions: no two of a key have the same.
    pub clock: u64,
    /// When it was written.
    pub modified: Stamp,
    /// Its size in bytes, as far as the source tells without opening it.
    pub size: u64,
    /// What it is.
    pub what: What,
}

impl Version {
    /// A version whose id is still to be settled.
    pub fn new(name: Name, modified: Stamp, size: u64, what: What) -> Self {
        Self { name, id: VersionId::Null, clock: modified.0, modified, size, what }
    }

    /// Its size, if it is what a reader gets: of an encrypted file that shows only when it is opened.
    pub fn exact_size(&self) -> Option<u64> {
        match &self.what {
            What::Local(object) if matches!(object.form, Form::Sealed(..)) => None,
            _ => Some(self.size),
        }
    }
}

/// What a version is.
#[derive(Debug)]
pub enum What {
    /// A delete marker.
    Marker,
    /// An object of another S3 server.
    Remote(RemoteObject),
    /// A file.
    Local(Box<LocalObject>),
}

/// An object that can be read.
#[derive(Debug)]
pub struct Opened {
    /// What goes with it, as headers of PutObject; none of them says anything of its bytes.
    pub headers: Vec<(String, String)>,
    /// Size in bytes.
    pub size: u64,
    /// A header by which the node verifies all of its bytes.
    pub digest: Option<(String, String)>,
    /// The ETag that it should have.
    pub etag: Option<String>,
    /// Sizes of the parts that it was made of; nothing when it was written at once.
    pub parts: Vec<u64>,
    /// Whether it was encrypted by its server, so that it must be here, too.
    pub sealed: bool,
    /// What of it is left behind, and why.
    pub lost: Vec<String>,
    /// Its bytes.
    pub content: Content,
}

/// The bytes of an object.
pub enum Content {
    /// Of another server.
    Remote(super::remote::RemoteContent),
    /// Of files.
    Local(super::local::LocalContent),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content")
    }
}

impl Content {
    /// Some of the bytes.
    pub async fn read(&self, range: Range<u64>) -> Result<Pieces, Failure> {
        match self {
            Self::Remote(content) => content.read(range).await,
            Self::Local(content) => Ok(content.read(range)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(versions: &[(&str, u64)]) -> Vec<Version> {
        let version =
            |(name, modified): &(&str, u64)| Version::new(Name::of(Some(name)), Stamp(*modified), 0, What::Marker);
        let mut entry = Entry { key: "k".to_owned(), versions: versions.iter().map(version).collect() };
        entry.settle();
        entry.versions
    }

    fn entry(versions: &[(&str, u64)]) -> Vec<VersionId> {
        settled(versions).iter().map(|version| version.id).collect()
    }

    #[test]
    fn ids_ascend_and_are_the_same_again() {
        let stamps = |ids: &[VersionId]| -> Vec<u64> {
            ids.iter().map(|id| if let VersionId::Unique { stamp, .. } = id { stamp.0 } else { 0 }).collect()
        };
        let ids = entry(&[("a", 1000), ("b", 1000), ("null", 1000), ("c", 2000)]);
        assert_eq!(stamps(&ids), [1000, 1001, 0, 2000]);
        let clocks = settled(&[("a", 1000), ("null", 1000), ("b", 1000)]);
        assert_eq!(clocks.iter().map(|version| version.clock).collect::<Vec<_>>(), [1000, 1001, 1002]);
        assert_eq!(ids, entry(&[("a", 1000), ("b", 1000), ("null", 1000), ("c", 2000)]));
        assert_ne!(ids[0], entry(&[("x", 1000)])[0]);
    }

    #[test]
    fn ids_of_nodes_stay() {
        let id = format!("{:016x}{:016x}", 5000, 7);
        assert_eq!(entry(&[("a", 1000), (&id, 5000)])[1], VersionId::parse(&id).unwrap());
        assert_ne!(entry(&[("a", 9000), (&id, 9000)])[1], VersionId::parse(&id).unwrap(), "it would come before");
    }
}
