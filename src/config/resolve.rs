//! Which value wins: command line over environment over file over default. No I/O: the layers are handed in.
//!
//! An empty variable counts as unset, so that a service manager may pass all of them on. An empty text in the file or on
//! the command line asks for the default, whatever the layers below say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::setting::{ConfigError, DefaultValue, Kind, Raw, Resolved, Setting, Source};
use super::settings::SETTINGS;

/// Values by key of the setting, as one layer gives them.
type Layer = BTreeMap<&'static str, (Raw, Source)>;

/// Every setting with the value that won.
#[derive(Debug, Clone)]
pub struct Values(BTreeMap<&'static str, Resolved>);

impl Values {
    /// The settings in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Resolved> {
        SETTINGS.iter().filter_map(|setting| self.0.get(setting.key))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Resolved> {
        self.0.get(key)
    }

    /// Puts another value in the place of `key`'s.
    pub fn replace(&mut self, key: &str, raw: Raw, source: Source) {
        if let Some(resolved) = self.0.get_mut(key) {
            resolved.raw = Some(raw);
            resolved.source = source;
        }
    }

    /// Runs the parser of `key`; its reason becomes an error that names the setting as its source spells it.
    pub fn parse<T>(&self, key: &str, parse: impl FnOnce(Option<&Raw>) -> Result<T, String>) -> Result<T, ConfigError> {
        let resolved = self.0.get(key);
        parse(resolved.and_then(|resolved| resolved.raw.as_ref())).map_err(|reason| self.complain(key, reason))
    }

    /// An error about `key` as its source spells it.
    pub fn complain(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::new(self.0.get(key).map_or_else(|| key.to_owned(), Resolved::spelled), reason)
    }
}

/// The row of `key`.
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The layer of the command line: `flags` are pairs of key and text.
pub fn flag_layer(flags: &BTreeMap<&'static str, String>) -> Layer {
    flags.iter().map(|(key, text)| (*key, (Raw::One(text.clone()), Source::CommandLine))).collect()
}

/// The layer of the environment. `variable` looks one up; its error is a value that is not UTF-8.
pub fn environment_layer(variable: impl Fn(&str) -> Result<Option<String>, ()>) -> Result<Layer, ConfigError> {
    let mut layer = Layer::new();
    for setting in SETTINGS {
        match variable(setting.variable) {
            Ok(Some(text)) if !text.is_empty() => {
                layer.insert(setting.key, (Raw::One(text), Source::Environment));
            }
            Ok(_) => {}
            Err(()) => return Err(ConfigError::new(setting.variable, "is not valid UTF-8")),
        }
    }
    Ok(layer)
}

/// The layer of the file at `path`, whose content is `text` (TOML 1.0). An unknown key is an error.
pub fn file_layer(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        ConfigError::new(format!("{} line {line}", path.display()), error.message())
    })?;
    let mut layer = Layer::new();
    for (key, value) in table.get_ref() {
        let line = line_of(key.span().start);
        let subject = || format!("{} ({} line {line})", key.get_ref(), path.display());
        let Some(setting) = setting(key.get_ref()) else {
            return Err(ConfigError::new(subject(), unknown_key_hint(key.get_ref())));
        };
        let raw = file_value(setting.kind, value.get_ref()).map_err(|reason| ConfigError::new(subject(), reason))?;
        layer.insert(setting.key, (raw, Source::File(path.to_owned(), line)));
    }
    Ok(layer)
}

fn unknown_key_hint(key: &str) -> String {
    let lower = key.to_ascii_lowercase().replace('-', "_");
    match setting(&lower) {
        Some(setting) => format!("is no key of the configuration; it is spelt {}", setting.key),
        None => "is no key of the configuration".to_owned(),
    }
}

/// A value of the file as text. Its TOML type must be the setting's, and the reason never quotes it.
fn file_value(kind: Kind, value: &DeValue<'_>) -> Result<Raw, String> {
    let wanted = match kind {
        Kind::Text | Kind::Path | Kind::Secret => "a string",
        Kind::Integer => "a whole number",
        Kind::Boolean => "true or false",
        Kind::List | Kind::SecretList => "an array of strings",
    };
    let refused = |found: &str| Err(format!("must be {wanted}, not {found}"));
    match (kind, value) {
        (Kind::Text | Kind::Path | Kind::Secret, DeValue::String(text)) => Ok(Raw::One(text.to_string())),
        (Kind::Boolean, DeValue::Boolean(value)) => Ok(Raw::One(value.to_string())),
        (Kind::Integer, DeValue::Integer(value)) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(value) => Ok(Raw::One(value.to_string())),
            Err(_) => refused("a number beyond 64 bits"),
        },
        // An empty text stands for the default, whatever the type.
        (Kind::Integer | Kind::Boolean, DeValue::String(text)) if text.is_empty() => Ok(Raw::One(String::new())),
        (Kind::List | Kind::SecretList, DeValue::String(text)) => Ok(Raw::One(text.to_string())),
        (Kind::List | Kind::SecretList, DeValue::Array(elements)) => {
            let texts = elements.iter().map(|element| match element.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                other => Err(format!("must be {wanted}, not an array with {}", type_name(other))),
            });
            texts.collect::<Result<_, _>>().map(Raw::Many)
        }
        (_, other) => refused(type_name(other)),
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Takes for each setting the value of the first layer that has it, else the default. `cores` is the number of the
/// machine's cores.
pub fn resolve(layers: &[Layer], cores: usize) -> Values {
    let mut values = BTreeMap::new();
    for setting in SETTINGS {
        let given = layers.iter().find_map(|layer| layer.get(setting.key)).cloned();
        let given = given.filter(|(raw, _)| !matches!(raw, Raw::One(text) if text.is_empty()));
        let (raw, source) = match given {
            Some((raw, source)) => (Some(raw), source),
            None => (default_text(setting, &values, cores).map(Raw::One), Source::Default),
        };
        values.insert(setting.key, Resolved { setting, raw, source });
    }
    Values(values)
}

/// The default of `setting` as text. Paths below the storage root need its value, so that row stands first in the table.
fn default_text(setting: &Setting, values: &BTreeMap<&'static str, Resolved>, cores: usize) -> Option<String> {
    match setting.default {
        DefaultValue::Unset => None,
        DefaultValue::Text(text) => Some(text.to_owned()),
        DefaultValue::Cores => Some(cores.to_string()),
        DefaultValue::UnderStorageRoot(below) => {
            let root = match values.get("storage_root").and_then(|resolved| resolved.raw.as_ref()) {
                Some(Raw::One(root)) => PathBuf::from(root),
                _ => PathBuf::new(),
            };
            root.join(below).to_str().map(str::to_owned)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Config;
    use super::*;

    fn file(text: &str) -> Result<Layer, ConfigError> {
        file_layer(Path::new("my.toml"), text)
    }

    fn environment(pairs: &[(&str, &str)]) -> Layer {
        environment_layer(|name| Ok(pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))).unwrap()
    }

    fn flags(pairs: &[(&'static str, &str)]) -> Layer {
        flag_layer(&pairs.iter().map(|(key, text)| (*key, (*text).to_owned())).collect())
    }

    #[test]
    fn the_stronger_layer_wins() {
        let layers = [
            flags(&[("port", "1")]),
            environment(&[("PORT", "2"), ("UI_PORT", "3")]),
            file("port = 4\nui_port = 5\nui_page_size = 6").unwrap(),
        ];
        let values = resolve(&layers, 2);
        let config = Config::from_values(&values).unwrap();
        assert_eq!((config.port, config.ui_port, config.ui_page_size), (1, 3, 6));
        assert_eq!(config.http_workers, 2);
        assert_eq!(values.get("port").unwrap().source, Source::CommandLine);
        assert_eq!(values.get("ui_port").unwrap().source, Source::Environment);
        assert_eq!(values.get("ui_page_size").unwrap().source, Source::File("my.toml".into(), 3));
        assert_eq!(values.get("host").unwrap().source, Source::Default);
    }

    #[test]
    fn empty_values_give_way() {
        let layers = [environment(&[("PORT", ""), ("LOG_DIR", "")]), file("port = 4\nlog_dir = \"/var/log\"").unwrap()];
        let config = Config::from_values(&resolve(&layers, 1)).unwrap();
        assert_eq!((config.port, config.log_dir), (4, Some("/var/log".into())));
        let layers = [flags(&[("log_dir", "")]), environment(&[("LOG_DIR", "/var/log")])];
        let config = Config::from_values(&resolve(&layers, 1)).unwrap();
        assert_eq!(config.log_dir, None, "an empty flag asks for the default");
    }

    #[test]
    fn paths_follow_the_storage_root() {
        let config = Config::from_values(&resolve(&[environment(&[("STORAGE_ROOT", "/srv/s3")])], 1)).unwrap();
        assert_eq!(config.iam_config, Path::new("/srv/s3/.myfsio.sys/config/iam.json"));
        assert_eq!(config.kms_keys_path, Path::new("/srv/s3/.myfsio.sys/keys/kms_keys.json"));
    }

    #[test]
    fn every_complaint_names_its_setting_in_one_line() {
        let broken = |layer: Layer| Config::from_values(&resolve(&[layer], 1)).unwrap_err().to_string();
        assert!(broken(environment(&[("PORT", "many")])).starts_with("PORT: \"many\" is not a whole number"));
        assert!(broken(flags(&[("ui_page_size", "0")])).starts_with("--ui-page-size: "));
        assert!(broken(file("\nport = 70000").unwrap()).starts_with("port (my.toml line 2): "));
        assert!(!broken(environment(&[("HOST", "a\nb")])).contains('\n'));
        for (text, start) in [
            ("color = 1", "color (my.toml line 1): is no key"),
            ("PORT = 1", "PORT (my.toml line 1): is no key of the configuration; it is spelt port"),
            ("[server]\nport = 1", "server (my.toml line 1): is no key"),
            ("port = \"5000\"", "port (my.toml line 1): must be a whole number, not a string"),
            ("port = 1.5", "port (my.toml line 1): must be a whole number, not a fraction"),
            ("port = -1\nx = 2", "x (my.toml line 2): is no key"),
            ("host = 1", "host (my.toml line 1): must be a string"),
            ("base_domains = [1]", "base_domains (my.toml line 1): must be an array of strings"),
            ("port = 1\nport = 2", "my.toml line 2: "),
            ("port = ", "my.toml line 1: "),
        ] {
            let error = file(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn secrets_stay_out_of_complaints_and_listings() {
        let values = resolve(&[environment(&[("METRICS_TOKEN", "hunter2"), ("SECRET_KEY", "hunter2")])], 1);
        assert!(!Config::from_values(&values).unwrap_err().to_string().contains("hunter2"));
        assert!(values.iter().all(|resolved| !resolved.shown().contains("hunter2")));
        assert!(!format!("{:?}", file("metrics_token = [\"hunter2\"]").unwrap_err()).contains("hunter2"));
    }

    #[test]
    fn toml_numbers_may_be_grouped_and_hexadecimal() {
        let config =
            Config::from_values(&resolve(&[file("max_upload_size = 1_000\nport = 0x10").unwrap()], 1)).unwrap();
        assert_eq!((config.max_upload_size, config.port), (1_000, 16));
    }
}
