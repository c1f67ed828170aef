//! What only the file system knows about a configuration: whether its paths can be used.
//!
//! Looked at before anything is started, so that an unusable path is one line that names its setting. Nothing is created
//! here: `config check` must leave no trace.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::resolve::Values;
use super::setting::{ConfigError, Raw, Source};
use super::settings::Config;

/// Settings whose file an earlier release kept directly under the storage root.
const EARLIER_PLACES: [(&str, &str); 2] =
    [("kms_keys_path", "kms_keys.json"), ("encryption_master_key_path", "master.key")];

/// Points the settings of keys that nobody gave to the files of an earlier release, when those exist and the default's do
/// not: new keys in the new place would leave what the old ones encrypted unreadable.
pub fn adopt_earlier_places(values: &mut Values) {
    let text = |values: &Values, key: &str| match values.get(key) {
        Some(resolved) => match &resolved.raw {
            Some(Raw::One(text)) => Some((text.clone(), resolved.source.clone())),
            _ => None,
        },
        None => None,
    };
    let Some((root, _)) = text(values, "storage_root") else { return };
    for (key, name) in EARLIER_PLACES {
        let earlier = Path::new(&root).join(name);
        if let Some((path, Source::Default)) = text(values, key)
            && !Path::new(&path).exists()
            && earlier.is_file()
            && let Some(earlier) = earlier.to_str()
        {
            values.replace(key, Raw::One(earlier.to_owned()), Source::EarlierPlace);
        }
    }
}

/// Refuses the first path that cannot serve its purpose.
pub fn check(config: &Config, values: &Values) -> Result<(), ConfigError> {
    let folders = [("storage_root", Some(&config.storage_root)), ("log_dir", config.log_dir.as_ref())];
    for (key, folder) in folders {
        if let Some(folder) = folder {
            usable_folder(folder).map_err(|reason| values.complain(key, reason))?;
        }
    }
    let stores = [
        ("iam_config", &config.iam_config),
        ("bucket_policy_path", &config.bucket_policy_path),
        ("webhooks_path", &config.webhooks_path),
        ("connections_path", &config.connections_path),
        ("replication_rules_path", &config.replication_rules_path),
        ("kms_keys_path", &config.kms_keys_path),
        ("encryption_master_key_path", &config.encryption_master_key_path),
    ];
    for (key, file) in stores {
        usable_store(file).map_err(|reason| values.complain(key, reason))?;
    }
    for (key, file) in [("tls_cert_path", &config.tls_cert_path), ("tls_key_path", &config.tls_key_path)] {
        if let Some(file) = file {
            readable_file(file).map_err(|reason| values.complain(key, reason))?;
        }
    }
    Ok(())
}

/// Refuses a certificate and key that cannot serve together.
pub fn check_certificate(config: &Config, values: &Values) -> Result<(), ConfigError> {
    match config.tls_paths().map(|paths| paths.load()) {
        Some(Err(unusable)) => Err(values.complain(unusable.setting, unusable.to_string())),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// A folder that is there and writable, or can be made.
fn usable_folder(folder: &Path) -> Result<(), String> {
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(format!("{} is no folder", folder.display())),
        Ok(_) => writable(folder),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if fs::symlink_metadata(folder).is_ok() {
                return Err(format!("{} is a symbolic link that leads nowhere", folder.display()));
            }
            let above = nearest_existing(folder);
            match fs::metadata(&above) {
                Ok(found) if found.is_dir() => writable(&above),
                Ok(_) => Err(format!("{} cannot be made: {} is no folder", folder.display(), above.display())),
                Err(error) => Err(format!("{} cannot be made: {}: {error}", folder.display(), above.display())),
            }
        }
        Err(error) => Err(format!("{}: {error}", folder.display())),
    }
}

/// A file that is there and readable, or can be made. It is written by a temporary file beside it, so what counts is its
/// folder.
fn usable_store(file: &Path) -> Result<(), String> {
    match fs::metadata(file) {
        Ok(_) => readable_file(file),
        Err(error) if error.kind() == ErrorKind::NotFound => usable_folder(&parent(file)),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

fn readable_file(file: &Path) -> Result<(), String> {
    match fs::metadata(file) {
        Ok(found) if !found.is_file() => Err(format!("{} is no file", file.display())),
        Ok(_) => fs::File::open(file).map(drop).map_err(|error| format!("{}: {error}", file.display())),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

fn writable(folder: &Path) -> Result<(), String> {
    use rustix::fs::Access;
    rustix::fs::access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("{} is not writable: {error}", folder.display()))
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn nearest_existing(path: &Path) -> PathBuf {
    let mut above = parent(path);
    while let Err(error) = fs::symlink_metadata(&above)
        && error.kind() == ErrorKind::NotFound
        && above != parent(&above)
    {
        above = parent(&above);
    }
    above
}

#[cfg(test)]
mod tests {
    use super::super::resolve::resolve;
    use super::*;

    fn with(pairs: &[(&'static str, &Path)]) -> (Result<Config, ConfigError>, Values) {
        let flags = pairs.iter().map(|(key, path)| (*key, path.to_str().unwrap().to_owned())).collect();
        let mut values = resolve(&[super::super::resolve::flag_layer(&flags)], 1);
        adopt_earlier_places(&mut values);
        let config = Config::from_values(&values).and_then(|config| check(&config, &values).map(|()| config));
        (config, values)
    }

    #[test]
    fn folders_that_can_be_made_are_fine_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b/c");
        with(&[("storage_root", &root)]).0.unwrap();
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn unusable_paths_name_their_setting() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let dangling = dir.path().join("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        for (key, path, reason) in [
            ("storage_root", file.clone(), "is no folder"),
            ("storage_root", file.join("below"), "Not a directory"),
            ("storage_root", dangling, "leads nowhere"),
            ("log_dir", file, "is no folder"),
            ("iam_config", dir.path().to_owned(), "is no file"),
            ("tls_key_path", dir.path().join("absent.pem"), "No such file"),
        ] {
            let root = dir.path().join("data");
            let pairs =
                if key == "storage_root" { vec![(key, &*path)] } else { vec![("storage_root", &*root), (key, &*path)] };
            let error = with(&pairs).0.unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{}: ", key.replace('_', "-"))), "{error}");
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn keys_of_an_earlier_release_are_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("master.key"), "k").unwrap();
        let (config, values) = with(&[("storage_root", dir.path())]);
        let config = config.unwrap();
        assert_eq!(config.encryption_master_key_path, dir.path().join("master.key"));
        assert_eq!(values.get("encryption_master_key_path").unwrap().source, Source::EarlierPlace);
        assert_eq!(config.kms_keys_path, dir.path().join(".myfsio.sys/keys/kms_keys.json"));
        fs::create_dir_all(dir.path().join(".myfsio.sys/keys")).unwrap();
        fs::write(dir.path().join(".myfsio.sys/keys/master.key"), "k").unwrap();
        let config = with(&[("storage_root", dir.path())]).0.unwrap();
        assert_eq!(config.encryption_master_key_path, dir.path().join(".myfsio.sys/keys/master.key"));
    }
}
