//! A plain folder: each regular file in it becomes an object whose key is its path.

use std::path::{Path, PathBuf};

use super::beneath::{Folder, Kind};
use super::entry::{Entry, Name, Version, What};
use super::local::{self, Form, LocalObject};
use super::source::{Bucket, Tell};

/// Content type of a name by its ending; none for what has none that is known.
pub fn content_type(key: &str) -> Option<String> {
    mime_guess::from_path(key).first_raw().map(str::to_owned)
}

/// Tells all objects in the folder, one after the other.
pub fn list(folder: &Folder, bucket: &Bucket, tell: &mut dyn Tell) {
    let mut folders = vec![PathBuf::new()];
    while let Some(path) = folders.pop() {
        let names = match folder.names(&path) {
            Ok(names) => names,
            Err(error) => {
                tell.left_out(&bucket.place(&path.to_string_lossy()), &error.to_string());
                continue;
            }
        };
        for named in names {
            let path = path.join(&named.name);
            match named.kind {
                Kind::Folder => folders.push(path),
                Kind::Special => tell.left_out(
                    &bucket.place(&path.to_string_lossy()),
                    "it is no regular file, and links are not followed",
                ),
                Kind::File => match entry(folder, &path) {
                    Ok(entry) => {
                        if !tell.entry(entry) {
                            return;
                        }
                    }
                    Err(reason) => tell.left_out(&bucket.place(&path.to_string_lossy()), &reason),
                },
            }
        }
    }
}

fn entry(folder: &Folder, path: &Path) -> Result<Entry, String> {
    let key = path.to_str().ok_or("its name is not UTF-8, as keys are")?;
    let file = folder.file(path).map_err(|error| error.to_string())?;
    let (size, modified) = local::modified(&file).map_err(|error| error.to_string())?;
    let object = LocalObject {
        path: path.to_path_buf(),
        headers: content_type(key).map(|kind| ("content-type".to_owned(), kind)).into_iter().collect(),
        etag: None,
        stored: None,
        parts: Vec::new(),
        checksum: None,
        form: Form::Plain,
        lost: Vec::new(),
    };
    let version = Version::new(Name::Null, modified, size, What::Local(Box::new(object)));
    Ok(Entry { key: key.to_owned(), versions: vec![version] })
}
