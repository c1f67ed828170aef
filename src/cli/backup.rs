//! `myfsio backup create|list|verify|restore|prune`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use myfsio_actors::storage::BackupProgress;
use serde_json::{Value, json};

use super::arguments::json_flag;
use super::remote::{Question, ask_watching};
use super::{print, print_json};
use crate::backup::manifest::Manifest;
use crate::backup::prune::prune;
use crate::backup::restore::restore;
use crate::backup::shelf::Shelf;
use crate::backup::verify::verify;
use crate::config::Config;
use crate::start::storage_settings;

const ROUTE: &str = "/_myfsio/backups";

/// What is asked of backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backups {
    /// The directory that they are in.
    pub directory: PathBuf,
    /// Which one; the latest if none.
    pub id: Option<String>,
    /// What.
    pub what: BackupWork,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupWork {
    /// Make one.
    Create {
        /// With the key that seals secrets.
        include_secret_key: bool,
        /// With the key of encrypted objects.
        include_master_key: bool,
    },
    /// Tell which there are.
    List,
    /// Read one to its end.
    Verify,
    /// Make a data directory of one.
    Restore {
        /// Where.
        to: PathBuf,
    },
    /// Remove old ones.
    Prune {
        /// How many stay.
        keep: usize,
    },
}

/// The grammar.
pub(super) fn command() -> Command {
    let directory = || {
        Arg::new("directory")
            .value_name("DIR")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("The directory that holds the backups, of this node or of several")
    };
    let id = || {
        Arg::new("backup").long("backup").value_name("ID").help("Which one, as `list` names it [default: the latest]")
    };
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let create = Command::new("create")
        .about("Make a backup of everything as of now, whether the node runs or not")
        .arg(directory())
        .arg(flag(
            "include-secret-key",
            "Put .secret into it, without which (or SECRET_KEY) nobody can sign in after a restore",
        ))
        .arg(flag(
            "include-master-key",
            "Put master.key into it, without which (or ENCRYPTION_MASTER_KEY) no encrypted object can be read",
        ))
        .arg(json_flag());
    let restore = Command::new("restore")
        .about("Make a new data directory of a backup")
        .arg(directory())
        .arg(id())
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("STORAGE_ROOT")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The new data directory: empty, or not there yet"),
        )
        .arg(json_flag());
    let prune = Command::new("prune")
        .about("Remove old backups, and what is left of those that did not end")
        .arg(directory())
        .arg(
            Arg::new("keep")
                .long("keep")
                .value_name("NUMBER")
                .required(true)
                .value_parser(value_parser!(u32).range(1..))
                .help("How many of the latest stay"),
        )
        .arg(json_flag());
    Command::new("backup")
        .about("Make, verify, restore or remove backups")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(create)
        .subcommand(Command::new("list").about("List the backups in a directory").arg(directory()).arg(json_flag()))
        .subcommand(
            Command::new("verify")
                .about("Read all of a backup, and compare it with what it says of itself")
                .arg(directory())
                .arg(id())
                .arg(json_flag()),
        )
        .subcommand(restore)
        .subcommand(prune)
}

/// What the arguments of `backup` ask for.
pub(super) fn read(name: &str, matches: &ArgMatches) -> Backups {
    let path = |name: &str| matches.try_get_one::<PathBuf>(name).ok().flatten().cloned().unwrap_or_default();
    let what = match name {
        "create" => BackupWork::Create {
            include_secret_key: matches.get_flag("include-secret-key"),
            include_master_key: matches.get_flag("include-master-key"),
        },
        "verify" => BackupWork::Verify,
        "restore" => BackupWork::Restore { to: path("to") },
        "prune" => {
            let keep = matches.get_one::<u32>("keep").copied().unwrap_or(1);
            BackupWork::Prune { keep: usize::try_from(keep).unwrap_or(usize::MAX) }
        }
        _ => BackupWork::List,
    };
    Backups { directory: path("directory"), id: super::arguments::text_of(matches, "backup"), what }
}

/// Whether the node's configuration is asked for at all: what is there already is looked at without it.
impl Backups {
    /// Whether a node, or a new data directory, is part of it.
    pub fn needs_config(&self) -> bool {
        matches!(self.what, BackupWork::Create { .. } | BackupWork::Restore { .. })
    }
}

/// Does it. Errs: one line; also when something is wrong with a backup.
pub fn run(config: &Config, asked: &Backups, as_json: bool) -> Result<(), String> {
    match &asked.what {
        BackupWork::Create { include_secret_key, include_master_key } => {
            create(config, &asked.directory, (*include_secret_key, *include_master_key), as_json)
        }
        BackupWork::Restore { to } => restore_to(config, asked, to, as_json),
        _ => without_node(asked, as_json),
    }
}

/// What needs no node. Errs: one line.
pub fn without_node(asked: &Backups, as_json: bool) -> Result<(), String> {
    match &asked.what {
        BackupWork::Verify => verify_one(asked, as_json),
        BackupWork::Prune { keep } => {
            let removed = prune(&asked.directory, *keep).map_err(|error| error.to_string())?;
            let names: Vec<_> = removed.iter().map(|path| name_of(path)).collect();
            match as_json {
                true => print_json(&json!({ "removed": names })),
                false => names.iter().for_each(|name| print(&format!("{name} is removed\n"))),
            }
            Ok(())
        }
        _ => list(&asked.directory, as_json),
    }
}

fn create(config: &Config, directory: &Path, (secret, master): (bool, bool), as_json: bool) -> Result<(), String> {
    let directory = std::path::absolute(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let order = json!({ "directory": directory, "include_secret_key": secret, "include_master_key": master });
    let watch: fn(&str) = if io::stderr().is_terminal() { show_progress } else { |_| () };
    let answer = ask_watching(config, &Question::new("POST", ROUTE).with(order), watch)?;
    clear_progress();
    let told = answer.last_json_line()?;
    if let Some(error) = told.get("error").and_then(Value::as_str) {
        return Err(format!("backup create: {error}"));
    }
    let manifest = told.get("manifest").cloned().unwrap_or_default();
    let manifest: Manifest =
        serde_json::from_value(manifest).map_err(|_| "the node did not tell the end of the backup".to_owned())?;
    if as_json {
        print_json(&json!(manifest));
    } else {
        let Manifest { id, buckets, objects, bytes, shared_files, copied_bytes, .. } = &manifest;
        let shared = format!("{shared_files} files shared, {copied_bytes} bytes copied");
        print(&format!("{id}: {buckets} buckets, {objects} objects and versions of {bytes} bytes ({shared})\n"));
        manifest.named.iter().for_each(|line| print(&format!("  {}\n", line.escape_debug())));
    }
    say_keys(&manifest);
    match manifest.damaged + manifest.missing {
        0 => Ok(()),
        wrong => Err(format!("backup create: {wrong} objects are damaged or missing; the rest is in the backup")),
    }
}

/// Says aloud what a backup opens, and what it does not.
fn say_keys(manifest: &Manifest) {
    let say = |text: &str| drop(writeln!(io::stderr(), "{text}"));
    match manifest.includes_secret_key {
        true => say("The secret key is in this backup: whoever has it has the secrets of all users and connections."),
        false => say(
            "The secret key is not in this backup: restored, it needs SECRET_KEY, or .myfsio.sys/config/.secret, of this node.",
        ),
    }
    match manifest.includes_master_key {
        true => say("The master key is in this backup: whoever has it can read every encrypted object."),
        false => say("The master key is not in this backup: without it, what is encrypted cannot be read."),
    }
}

fn list(directory: &Path, as_json: bool) -> Result<(), String> {
    let shelf = Shelf::read(directory).map_err(|error| error.to_string())?;
    let incomplete: Vec<_> = shelf.incomplete.iter().map(|path| name_of(path)).collect();
    if as_json {
        let backups: Vec<_> = shelf.backups.iter().map(|backup| &backup.manifest).collect();
        let unreadable: Vec<_> =
            shelf.unreadable.iter().map(|(path, why)| json!({ "folder": name_of(path), "reason": why })).collect();
        print_json(&json!({ "backups": backups, "incomplete": incomplete, "unreadable": unreadable }));
        return Ok(());
    }
    for backup in &shelf.backups {
        let Manifest { id, buckets, objects, bytes, copied_bytes, .. } = &backup.manifest;
        print(&format!(
            "{id}  {buckets} buckets, {objects} objects and versions, {bytes} bytes, {copied_bytes} of its own\n"
        ));
    }
    incomplete.iter().for_each(|name| print(&format!("{name}  did not end; it is no backup\n")));
    shelf.unreadable.iter().for_each(|(path, why)| print(&format!("{}  {why}\n", name_of(path))));
    Ok(())
}

fn verify_one(asked: &Backups, as_json: bool) -> Result<(), String> {
    let shelf = Shelf::read(&asked.directory).map_err(|error| error.to_string())?;
    let backup = shelf.choose(&asked.directory, asked.id.as_deref()).map_err(|error| error.to_string())?;
    let mut problems = Vec::new();
    let mut found = |text: &str| match as_json {
        true => problems.push(text.to_owned()),
        false => print(&format!("{}\n", text.escape_debug())),
    };
    let verified = verify(&backup.folder, &backup.manifest, &mut found).map_err(|error| error.to_string())?;
    let id = &backup.manifest.id;
    match as_json {
        true => {
            print_json(&json!({ "backup": id, "files": verified.files, "bytes": verified.bytes, "problems": problems }))
        }
        false => print(&format!("{id}: {} files of {} bytes\n", verified.files, verified.bytes)),
    }
    match verified.problems {
        0 => Ok(()),
        problems => Err(format!("backup verify: {problems} files of {id} are missing or changed")),
    }
}

fn restore_to(config: &Config, asked: &Backups, to: &Path, as_json: bool) -> Result<(), String> {
    let shelf = Shelf::read(&asked.directory).map_err(|error| error.to_string())?;
    let backup = shelf.choose(&asked.directory, asked.id.as_deref()).map_err(|error| error.to_string())?;
    let settings = myfsio_actors::storage::StorageSettings { root: to.to_owned(), ..storage_settings(config) };
    let mut problems = Vec::new();
    let mut found = |text: &str| problems.push(text.to_owned());
    let progress = BackupProgress::default();
    let restored = restore(&settings, &backup.folder, &backup.manifest, &progress, &mut found);
    let restored = restored.map_err(|error| format!("backup restore: {error}"))?;
    let id = &backup.manifest.id;
    problems.splice(0..0, restored.named.iter().cloned());
    if as_json {
        print_json(
            &json!({ "backup": id, "buckets": restored.buckets, "objects": restored.files, "bytes": restored.bytes,
                            "missing": restored.missing, "damaged": restored.damaged, "problems": problems }),
        );
    } else {
        let myfsio_actors::storage::Restored { buckets, files, bytes, .. } = &restored;
        print(&format!(
            "{id} is restored into {}: {buckets} buckets, {files} objects and versions of {bytes} bytes\n",
            to.display()
        ));
        problems.iter().for_each(|line| print(&format!("  {}\n", line.escape_debug())));
    }
    say_keys(&backup.manifest);
    match problems.len() {
        0 => Ok(()),
        wrong => Err(format!("backup restore: {wrong} things are not as they should be; the rest is restored")),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn show_progress(line: &str) {
    let Ok(told) = serde_json::from_str::<Value>(line) else { return };
    let number = |name: &str| told.get(name).and_then(Value::as_u64);
    if let (Some(objects), Some(bytes)) = (number("objects"), number("bytes")) {
        let _ = write!(io::stderr(), "\r\x1b[K{objects} objects and versions, {bytes} bytes");
    }
}

fn clear_progress() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}
