//! Reading the layers of a start: the command line as given, the process environment, the configuration file.

use std::collections::BTreeMap;
use std::env::{self, VarError};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::resolve::{self, Values};
use super::setting::ConfigError;
use super::settings::Config;
use super::{paths, rules};

/// The file that is read when `--config` names none and it exists, relative to the working directory.
const FILE_DEFAULT: &str = "config/myfsio.toml";
/// No configuration is larger; a path to something else (a device, a log) is refused before it fills the memory.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Values of flags by the setting's key.
    pub flags: BTreeMap<&'static str, String>,
    /// The file that `--config` names.
    pub file: Option<PathBuf>,
}

/// A configuration that was read and found good.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed values.
    pub config: Config,
    /// The same as text, with their sources.
    pub values: Values,
}

impl Loaded {
    /// Reads and checks everything. The error is the first thing to mend.
    pub fn read(inputs: &Inputs) -> Result<Self, ConfigError> {
        let flags = resolve::flag_layer(&inputs.flags);
        let environment = resolve::environment_layer(|name| match env::var(name) {
            Ok(text) => Ok(Some(text)),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(()),
        })?;
        let mut layers = vec![flags, environment];
        if let Some((path, text)) = read_file(inputs.file.as_deref())? {
            layers.push(resolve::file_layer(&path, &text)?);
        }
        let cores = thread::available_parallelism().map_or(1, usize::from).min(1_024);
        let mut values = resolve::resolve(&layers, cores);
        paths::adopt_earlier_places(&mut values);
        let config = Config::from_values(&values)?;
        rules::check(&config, &values)?;
        paths::check(&config, &values)?;
        Ok(Self { config, values })
    }

    /// Refuses what only a node that serves cannot do with. Asked by everything that serves.
    pub fn check_available(&self) -> Result<(), ConfigError> {
        paths::check_certificate(&self.config, &self.values)
    }
}

impl Config {
    /// The defaults with some `(key, text)` changed, as if typed as flags; neither environment nor file is read. For
    /// programs and tests that run a node themselves.
    pub fn with(changes: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let mut flags = BTreeMap::new();
        for (key, text) in changes {
            let Some(setting) = resolve::setting(key) else {
                return Err(ConfigError::new(*key, "is no key of the configuration"));
            };
            flags.insert(setting.key, (*text).to_owned());
        }
        let cores = thread::available_parallelism().map_or(1, usize::from).min(1_024);
        let values = resolve::resolve(&[resolve::flag_layer(&flags)], cores);
        let config = Self::from_values(&values)?;
        rules::check(&config, &values)?;
        Ok(config)
    }
}

/// The configuration file and its text: the named one, which must be there, or the default one if it is.
fn read_file(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let path = named.unwrap_or(Path::new(FILE_DEFAULT));
    let subject = if named.is_some() { format!("--config {}", path.display()) } else { path.display().to_string() };
    let size = match fs::metadata(path) {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Err(ConfigError::new(subject, "is no file")),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ConfigError::new(subject, error.to_string())),
    };
    if size > FILE_BYTES_MAX {
        return Err(ConfigError::new(subject, format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.to_owned(), text))),
        Err(error) => Err(ConfigError::new(subject, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::SETTINGS;
    use super::*;

    #[test]
    fn the_named_file_must_exist_and_the_default_need_not() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("absent.toml");
        let error = read_file(Some(&absent)).unwrap_err().to_string();
        assert!(error.starts_with("--config ") && error.contains("absent.toml"), "{error}");
        assert!(read_file(Some(dir.path())).unwrap_err().to_string().ends_with("is no file"));
        fs::write(&absent, b"port = 1 # \xff").unwrap();
        assert!(read_file(Some(&absent)).unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn a_configuration_can_be_made_in_a_program() {
        let config = Config::with(&[("storage_root", "/tmp/x"), ("port", "0"), ("ui_port", "0")]).unwrap();
        assert_eq!((config.port, config.is_loopback()), (0, true));
        assert!(Config::with(&[("prot", "0")]).is_err());
        assert!(!Config::with(&[("host", "0.0.0.0")]).unwrap().is_loopback());
    }

    #[test]
    fn the_storage_root_stands_first() {
        assert_eq!(SETTINGS.first().unwrap().key, "storage_root");
    }
}
