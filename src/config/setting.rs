//! What a setting is: its names, its default, where its value came from.
//!
//! The value itself stays text here. Each setting is turned into its type exactly once, by the parser named in its row of
//! the table (`settings.rs`); until then a value carries its source, so that every complaint can name the very flag,
//! variable or line that the operator has to mend.

use std::fmt;
use std::path::PathBuf;

/// How a value is written in the configuration file, and how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A path: absolute, or relative to the working directory.
    Path,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Several strings: an array in the file, a comma list elsewhere.
    List,
    /// A string that is never printed and has no flag, since any local user can read a command line.
    Secret,
    /// Several secrets.
    SecretList,
}

impl Kind {
    /// Whether values of this kind must not be printed.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretList)
    }

    /// Whether values of this kind are lists.
    pub fn is_list(self) -> bool {
        matches!(self, Self::List | Self::SecretList)
    }
}

/// The value of a setting that nobody gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// None: the setting is off.
    Unset,
    /// The text, as it would be typed.
    Text(&'static str),
    /// A path below `STORAGE_ROOT`.
    UnderStorageRoot(&'static str),
    /// The number of cores of the machine.
    Cores,
}

/// One row of the table of settings.
#[derive(Debug)]
pub struct Setting {
    /// The heading under which help and documents list it.
    pub group: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// The key in the configuration file: the variable in lower case.
    pub key: &'static str,
    /// How it is written and shown.
    pub kind: Kind,
    /// What holds when nobody gives it.
    pub default: DefaultValue,
    /// One or two sentences for help, the commented file and the documents.
    pub help: &'static str,
}

impl Setting {
    /// The command-line flag without its dashes, or `None` for secrets.
    pub fn flag(&self) -> Option<String> {
        (!self.kind.is_secret()).then(|| self.key.replace('_', "-"))
    }

    /// What holds when nobody gives it, in words.
    pub fn default_told(&self) -> String {
        match self.default {
            DefaultValue::Unset => "unset".to_owned(),
            DefaultValue::Text(text) => text.to_owned(),
            DefaultValue::UnderStorageRoot(below) => format!("STORAGE_ROOT/{below}"),
            DefaultValue::Cores => "number of cores".to_owned(),
        }
    }
}

/// Where a value came from, strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag.
    CommandLine,
    /// A variable.
    Environment,
    /// A line of the configuration file, counted from 1.
    File(PathBuf, usize),
    /// Nobody gave one.
    Default,
    /// A file that an earlier release put at this place, found at start.
    EarlierPlace,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Environment => f.write_str("environment"),
            Self::File(path, line) => write!(f, "{} line {line}", path.display()),
            Self::Default => f.write_str("default"),
            Self::EarlierPlace => f.write_str("file of an earlier release"),
        }
    }
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// One text.
    One(String),
    /// The elements of an array.
    Many(Vec<String>),
}

/// A setting with the value that won.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its row.
    pub setting: &'static Setting,
    /// The text, or `None` when it is unset.
    pub raw: Option<Raw>,
    /// Where that came from.
    pub source: Source,
}

impl Resolved {
    /// The setting as its source spells it: the flag, the variable or the key.
    pub fn spelled(&self) -> String {
        match &self.source {
            Source::CommandLine => format!("--{}", self.setting.flag().unwrap_or_default()),
            Source::Environment | Source::Default | Source::EarlierPlace => self.setting.variable.to_owned(),
            Source::File(path, line) => format!("{} ({} line {line})", self.setting.key, path.display()),
        }
    }

    /// The value for a person to read, secrets masked.
    pub fn shown(&self) -> String {
        match &self.raw {
            None => "(unset)".to_owned(),
            Some(_) if self.setting.kind.is_secret() => super::types::MASK.to_owned(),
            Some(Raw::One(text)) => text.escape_debug().to_string(),
            Some(Raw::Many(texts)) if texts.is_empty() => "(none)".to_owned(),
            Some(Raw::Many(texts)) => texts.join(",").escape_debug().to_string(),
        }
    }
}

/// A setting as it is told to people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ToldSetting {
    /// The heading under which it is listed.
    pub group: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Its value; secrets are masked.
    pub value: String,
    /// Where that came from.
    pub source: String,
    /// Whether nobody gave it.
    pub is_default: bool,
}

impl ToldSetting {
    /// That of a value.
    pub fn of(resolved: &Resolved) -> Self {
        let Setting { group, variable, help, .. } = *resolved.setting;
        let (value, source) = (resolved.shown(), resolved.source.to_string());
        Self { group, variable, help, value, source, is_default: resolved.source == Source::Default }
    }
}

/// A configuration that cannot be used; always one line that names the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{subject}: {reason}")]
pub struct ConfigError {
    /// The flag, variable, key or file to mend.
    pub subject: String,
    /// What is wrong with it. Never holds a secret.
    pub reason: String,
}

impl ConfigError {
    /// A complaint about `subject`; line breaks become spaces, so that it stays one line.
    pub fn new(subject: impl Into<String>, reason: impl Into<String>) -> Self {
        let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { subject: one_line(subject.into()), reason: one_line(reason.into()) }
    }
}
