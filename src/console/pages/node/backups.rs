//! Which backups there are, and the commands that make, verify and restore one. They are made on the machine of the node alone.

use actix_web::http::Method;
use askama::Template;
use serde::Deserialize;

use crate::console::commands::quoted;
use crate::console::layout::Page;
use crate::console::route::Outcome;
use crate::console::units::{When, bytes, count, counted, legible};
use crate::console::visit::{Visit, read, render};

/// Where examples put backups, while nobody has said.
const DIRECTORY: &str = "/backups";

#[derive(Deserialize)]
struct Told {
    directories: Vec<Directory>,
}

#[derive(Deserialize)]
struct Directory {
    directory: String,
    problem: Option<String>,
    backups: Vec<Backup>,
    incomplete: Vec<String>,
    unreadable: Vec<Unreadable>,
}

#[derive(Deserialize)]
struct Unreadable {
    folder: String,
    reason: String,
}

#[derive(Deserialize)]
struct Backup {
    id: String,
    created_millis: u64,
    buckets: u64,
    objects: u64,
    bytes: u64,
    copied_bytes: u64,
    damaged: u64,
    missing: u64,
    includes_secret_key: bool,
    includes_master_key: bool,
}

#[derive(Template)]
#[template(path = "node/backups.html")]
struct BackupsPage {
    page: Page,
    directories: Vec<Shelf>,
    /// What for, its name on the page, and the command.
    commands: Vec<(&'static str, &'static str, String)>,
}

/// A directory, as the page shows it.
struct Shelf {
    directory: String,
    rows: Vec<Row>,
    /// What is wrong in it.
    problems: Vec<String>,
}

struct Row {
    id: String,
    when: When,
    holds: String,
    stored: String,
    own: String,
    keys: Vec<&'static str>,
    /// How many objects are damaged or missing; empty for none.
    wrong: String,
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    let told: Told = read(visit.asker()?.json(Method::GET, "/_myfsio/backups", None).await?)?;
    let directory = told.directories.first().map_or(DIRECTORY, |first| first.directory.as_str());
    let view = BackupsPage {
        commands: commands(&visit, &quoted(directory)),
        directories: told.directories.into_iter().map(|directory| shelf(&visit, directory)).collect(),
        page: visit.page(visit.t.node.backups_title),
    };
    render(&view)
}

fn commands(visit: &Visit, directory: &str) -> Vec<(&'static str, &'static str, String)> {
    let words = &visit.t.node;
    vec![
        (words.backup_make, "backup-create", format!("myfsio backup create {directory}")),
        (words.backup_verify, "backup-verify", format!("myfsio backup verify {directory}")),
        (words.backup_prune, "backup-prune", format!("myfsio backup prune {directory} --keep 14")),
        (words.backup_restore, "backup-restore", format!("myfsio backup restore {directory} --to /srv/new-data")),
    ]
}

fn shelf(visit: &Visit, told: Directory) -> Shelf {
    let words = &visit.t.node;
    let incomplete = told.incomplete.iter().map(|name| format!("{}: {}", legible(name), words.backup_incomplete));
    let unreadable = told.unreadable.iter().map(|it| format!("{}: {}", legible(&it.folder), legible(&it.reason)));
    Shelf {
        problems: told.problem.iter().map(|text| legible(text)).chain(incomplete).chain(unreadable).collect(),
        directory: legible(&told.directory),
        rows: told.backups.into_iter().map(|backup| row(visit, backup)).collect(),
    }
}

fn row(visit: &Visit, told: Backup) -> Row {
    let (words, common) = (&visit.t.node, &visit.t.common);
    let buckets = counted(told.buckets, visit.t.home.bucket_one, visit.t.home.bucket_many);
    let keys =
        [(told.includes_secret_key, words.backup_secret_key), (told.includes_master_key, words.backup_master_key)];
    let wrong = told.damaged.saturating_add(told.missing);
    Row {
        holds: format!("{buckets}, {}", counted(told.objects, common.objects_one, common.objects_many)),
        when: When::of_seconds(told.created_millis / 1_000),
        stored: bytes(told.bytes),
        own: bytes(told.copied_bytes),
        keys: keys.into_iter().filter_map(|(is_in, word)| is_in.then_some(word)).collect(),
        wrong: if wrong == 0 { String::new() } else { count(wrong) },
        id: legible(&told.id),
    }
}
