//! The fuzz target of the configuration file.

use std::path::Path;

use super::resolve::{file_layer, resolve};
use super::setting::ConfigError;
use super::settings::{Config, SETTINGS};
use super::{rules, show};

/// The text of a configuration file. A mistake is told in one line that names the file; what is good shows every setting.
pub fn config(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let path = Path::new("my.toml");
    let read = || -> Result<String, ConfigError> {
        let values = resolve(&[file_layer(path, text)?], 2);
        let config = Config::from_values(&values)?;
        rules::check(&config, &values)?;
        Ok(show(&values))
    };
    match read() {
        Ok(listing) => {
            for setting in SETTINGS {
                assert!(listing.lines().any(|line| line.starts_with(setting.variable)), "{}", setting.variable);
            }
            true
        }
        Err(mistake) => {
            let told = mistake.to_string();
            assert!(told.contains("my.toml"), "{told}");
            assert!(!told.contains(['\n', '\r']), "{told}");
            false
        }
    }
}
