//! The configuration: one table of settings, and the typed `Config` made of it.
//!
//! `settings` is the table; `resolve` decides which layer's value wins, `parse` turns it into its type, `rules` checks what
//! concerns several settings at once, `paths` asks the file system. Every error is one line that names the flag, variable
//! or line to mend, and no error, listing or debug print ever shows a secret.

#[cfg(any(test, feature = "internals"))]
pub(crate) mod fuzzing;
mod load;
mod parse;
mod paths;
#[cfg(test)]
mod reference;
mod resolve;
mod rules;
mod setting;
mod settings;
mod show;
mod types;

pub use load::{Inputs, Loaded};
pub use resolve::Values;
pub use setting::{ConfigError, DefaultValue, Kind, Raw, Resolved, Setting, Source, ToldSetting};
pub use settings::{Config, SETTINGS};
pub use show::show;
pub use types::{Durability, LogFormat, MASK, Network, Secret, Share, TrustedProxies};
