//! Test only: `config/default.toml` and the tables of `docs/configuration.md` are renderings of the table of settings.
//!
//! After a change of the table, `UPDATE_REFERENCE=1 cargo test --lib config::reference` writes both anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::resolve::{file_layer, resolve};
use super::setting::{DefaultValue, Kind, Setting};
use super::settings::{Config, SETTINGS};

const TABLE_START: &str = "<!-- settings: rendered from src/config/settings.rs -->";
const TABLE_END: &str = "<!-- end of settings -->";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The default as a person reads it.
fn default_shown(setting: &Setting) -> String {
    match setting.default {
        DefaultValue::Unset => "unset".to_owned(),
        DefaultValue::Text(text) => format!("`{text}`"),
        DefaultValue::UnderStorageRoot(below) => format!("`STORAGE_ROOT/{below}`"),
        DefaultValue::Cores => "number of cores".to_owned(),
    }
}

/// The default as a TOML value. An empty text asks for the default.
fn default_toml(setting: &Setting) -> String {
    match (setting.kind, setting.default) {
        (Kind::Integer | Kind::Boolean, DefaultValue::Text(text)) => text.to_owned(),
        (_, DefaultValue::Text(text)) => format!("\"{text}\""),
        (Kind::Integer, DefaultValue::Cores) => "2".to_owned(),
        _ => "\"\"".to_owned(),
    }
}

fn render_toml() -> String {
    let mut text = String::from(
        "# Every setting of MyFSIO with its default. Copy this file to config/myfsio.toml, or name it with --config, and\n\
         # remove the # before what you change. Environment variables (the same names in capitals) and flags (with dashes)\n\
         # win over it. An empty text stands for the default. Secrets belong into the environment or a file that only the\n\
         # node's user can read.\n",
    );
    let mut group = "";
    for setting in SETTINGS {
        if setting.group != group {
            group = setting.group;
            let _ = write!(text, "\n\n### {group}\n");
        }
        let _ = write!(text, "\n# {}\n", setting.help);
        if !matches!(setting.default, DefaultValue::Text(_)) {
            let _ = writeln!(text, "# Default: {}.", default_shown(setting).replace('`', ""));
        }
        let _ = writeln!(text, "#{} = {}", setting.key, default_toml(setting));
    }
    text
}

fn render_markdown() -> String {
    let mut text = format!("{TABLE_START}\n");
    let mut group = "";
    for setting in SETTINGS {
        if setting.group != group {
            group = setting.group;
            let _ = write!(text, "\n### {group}\n\n| variable | flag | default | meaning |\n|---|---|---|---|\n");
        }
        let flag = setting.flag().map_or_else(|| "none (secret)".to_owned(), |flag| format!("`--{flag}`"));
        let _ = writeln!(text, "| `{}` | {flag} | {} | {} |", setting.variable, default_shown(setting), setting.help);
    }
    let _ = write!(text, "\n{TABLE_END}");
    text
}

fn compare_or_update(path: &Path, expected: &str) {
    if env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(path, expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap();
    assert!(found == expected, "{} differs from the table of settings; see {}", path.display(), file!());
}

#[test]
fn the_commented_file_is_the_table() {
    compare_or_update(&root().join("config/default.toml"), &render_toml());
}

#[test]
fn the_document_has_the_table() {
    let path = root().join("docs/configuration.md");
    let found = fs::read_to_string(&path).unwrap();
    let (before, rest) = found.split_once(TABLE_START).unwrap();
    let (_, after) = rest.split_once(TABLE_END).unwrap();
    compare_or_update(&path, &format!("{before}{}{after}", render_markdown()));
}

#[test]
fn the_commented_file_parses_and_gives_the_defaults() {
    let path = root().join("config/default.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(file_layer(&path, &text).unwrap().is_empty(), "as it lies there it changes nothing");
    let live: String = text
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())))
        .map(|line| format!("{line}\n"))
        .collect();
    let layer = file_layer(&path, &live).unwrap();
    let listed: Vec<_> = SETTINGS.iter().filter(|setting| layer.contains_key(setting.key)).map(|s| s.key).collect();
    assert_eq!(listed, SETTINGS.iter().map(|setting| setting.key).collect::<Vec<_>>());
    // Where a value stands is told, and is not the same.
    let config = |layers: &[_]| Config { told: Vec::new(), ..Config::from_values(&resolve(layers, 2)).unwrap() };
    assert_eq!(config(&[layer]), config(&[]));
}

#[test]
fn the_developers_file_parses() {
    let path = root().join("config/dev.toml");
    let layer = file_layer(&path, &fs::read_to_string(&path).unwrap()).unwrap();
    Config::from_values(&resolve(&[layer], 2)).unwrap();
}

#[test]
fn names_follow_from_the_variable() {
    for setting in SETTINGS {
        assert_eq!(setting.key, setting.variable.to_ascii_lowercase());
        assert!(setting.help.ends_with('.') && !setting.help.contains('|'), "{}", setting.variable);
    }
}
