//! Where objects come from: another S3 server, the data folder of an earlier generation, or a plain folder.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::beneath::Folder;
use super::earlier::Earlier;
use super::entry::{Entry, Opened, Version, What};
use super::folder;
use super::remote::RemoteSource;
use super::settings::Settings;
use crate::replication::Failure;

/// Where objects come from. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Source {
    /// Another S3 server.
    Remote(Arc<RemoteSource>),
    /// The data folder of an earlier generation.
    Earlier(Arc<Earlier>),
    /// A plain folder.
    Folder(Folder),
}

/// A bucket at a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name there.
    pub name: String,
    /// Its name here.
    pub target: String,
    /// Only keys that begin with this.
    pub prefix: String,
}

impl Bucket {
    /// How a key in it is told to people.
    pub fn place(&self, key: &str) -> String {
        match self.name.is_empty() {
            true => key.to_owned(),
            false => format!("{}/{key}", self.name),
        }
    }
}

/// What a source lists.
#[derive(Debug)]
pub enum Listed {
    /// A key with its versions.
    Entry(Entry),
    /// Something that cannot be imported, and why.
    LeftOut(String, String),
}

/// Takes what a folder lists.
pub trait Tell {
    /// A key; answers whether more is wanted.
    fn entry(&mut self, entry: Entry) -> bool;
    /// Something that cannot be imported, and why.
    fn left_out(&mut self, place: &str, reason: &str);
}

impl Source {
    /// The buckets that there are; a plain folder is one.
    pub async fn buckets(&self) -> Result<Vec<String>, String> {
        match self {
            Self::Remote(remote) => remote.buckets().await.map_err(|failure| failure.to_string()),
            Self::Earlier(earlier) => Ok(earlier.buckets()),
            Self::Folder(_) => Ok(vec![String::new()]),
        }
    }

    /// What is configured of a bucket.
    pub async fn settings(&self, bucket: &Bucket) -> Result<Settings, String> {
        match self {
            Self::Remote(remote) => remote.settings(bucket).await.map_err(|failure| failure.to_string()),
            Self::Earlier(earlier) => earlier.settings(&bucket.name),
            Self::Folder(_) => Ok(Settings::default()),
        }
    }

    /// Lists a bucket, key by key, until nobody listens any more. Errs: it could not be listed to its end.
    pub async fn list(&self, bucket: &Bucket, to: mpsc::Sender<Listed>) -> Result<(), String> {
        let (of, mut tell) = (bucket.clone(), ToChannel(to.clone()));
        match self {
            Self::Remote(remote) => remote.list(bucket, &to).await.map_err(|failure| failure.to_string()),
            Self::Earlier(earlier) => {
                let earlier = Arc::clone(earlier);
                blocking(move || earlier.list(&of, &mut tell)).await
            }
            Self::Folder(folder) => {
                let folder = folder.clone();
                blocking(move || folder::list(&folder, &of, &mut tell)).await
            }
        }
    }

    /// Opens a version that is an object.
    pub async fn open(&self, bucket: &Bucket, key: &str, version: &Version) -> Result<Opened, Failure> {
        let local = match (self, &version.what) {
            (Self::Remote(remote), What::Remote(object)) => return remote.open(bucket, key, object).await,
            (Self::Earlier(earlier), What::Local(object)) => (earlier.folder().clone(), object.clone()),
            (Self::Folder(folder), What::Local(object)) => (folder.clone(), object.clone()),
            _ => return Err(Failure::Impossible("it is no object".to_owned())),
        };
        let (folder, object) = local;
        let opened = tokio::task::spawn_blocking(move || object.open(&folder)).await;
        opened.map_err(|error| Failure::Ours(error.to_string()))?.map_err(Failure::Impossible)
    }
}

/// For listings that block anyway.
struct ToChannel(mpsc::Sender<Listed>);

impl Tell for ToChannel {
    fn entry(&mut self, entry: Entry) -> bool {
        self.0.blocking_send(Listed::Entry(entry)).is_ok()
    }

    fn left_out(&mut self, place: &str, reason: &str) {
        // Nobody listens: then the listing ends with the next key.
        let _ended = self.0.blocking_send(Listed::LeftOut(place.to_owned(), reason.to_owned()));
    }
}

async fn blocking(work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}
