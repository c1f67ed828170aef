//! A disk under the assumptions of docs/durability.md: what is on it after the power is lost at any moment.
//!
//! Bytes that were not synced reach it in any order, by sectors, or not at all; so do sizes, times and tags. Names change in
//! order, as in a file system with a journal: what was synced is there, and of the later changes some first ones.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::Choices;
use super::recorder::{NodeId, Note, Recorder};
use crate::names::Stamp;

const SECTOR: usize = 512;

/// What of that which was not synced is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// Everything: the process was killed.
    Everything,
    /// All names, no bytes.
    Names,
    /// All bytes, no names.
    Bytes,
    /// Any of it.
    Any,
}

pub const SURVIVALS: [Survival; 5] =
    [Survival::Nothing, Survival::Everything, Survival::Names, Survival::Bytes, Survival::Any];

#[derive(Debug, Clone, Default)]
struct Node {
    is_folder: bool,
    durable: Content,
    /// Changes since, in order.
    loose: Vec<Loose>,
}

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    time: Option<Stamp>,
    tag: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Loose {
    Write(usize, Vec<u8>, Stamp),
    Resize(usize),
    Time(Stamp),
    Tag(Option<Vec<u8>>),
}

#[derive(Debug, Clone)]
enum Naming {
    Make(PathBuf, NodeId),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

type Names = BTreeMap<PathBuf, NodeId>;

/// The disk, change by change.
#[derive(Debug, Clone, Default)]
pub struct DiskModel {
    nodes: HashMap<NodeId, Node>,
    durable_names: Names,
    /// Changes of names that are not known to be durable, with whether each folder that they touch was synced since.
    loose_names: Vec<(Naming, Vec<PathBuf>)>,
}

impl Content {
    fn apply(&mut self, loose: &Loose, survives: &mut dyn FnMut() -> bool) {
        match loose {
            Loose::Write(offset, bytes, time) => self.write(*offset, bytes, *time, survives),
            Loose::Resize(size) if survives() => self.bytes.resize(*size, 0),
            Loose::Time(time) if survives() => self.time = Some(*time),
            Loose::Tag(tag) if survives() => self.tag.clone_from(tag),
            _ => {}
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8], time: Stamp, survives: &mut dyn FnMut() -> bool) {
        let (mut at, end) = (offset, offset + bytes.len());
        while at < end {
            let next = ((at / SECTOR + 1) * SECTOR).min(end);
            if survives() {
                self.bytes.resize(self.bytes.len().max(next), 0);
                self.time = Some(time);
                self.bytes[at..next].copy_from_slice(&bytes[at - offset..next - offset]);
            }
            at = next;
        }
    }
}

fn rename(names: &mut Names, from: &Path, to: &Path) {
    let moved: Vec<_> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
    for path in moved {
        let rest = path.strip_prefix(from).unwrap();
        let target = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
        let id = names.remove(&path).unwrap();
        names.insert(target, id);
    }
}

fn name(names: &mut Names, naming: &Naming) {
    match naming {
        Naming::Make(path, id) => drop(names.insert(path.clone(), *id)),
        Naming::Rename(from, to) => rename(names, from, to),
        Naming::Remove(path) => drop(names.remove(path)),
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

impl DiskModel {
    /// Makes a change.
    pub fn apply(&mut self, note: &Note) {
        match note {
            Note::MakeFile { path, id, time } => self.make(path, *id, Some(*time)),
            Note::MakeFolder { path, id } => self.make(path, *id, None),
            Note::Rename { from, to } => {
                let folders = vec![folder_of(from), folder_of(to)];
                self.loose_names.push((Naming::Rename(from.clone(), to.clone()), folders));
            }
            Note::Remove { path } => self.loose_names.push((Naming::Remove(path.clone()), vec![folder_of(path)])),
            Note::Write { id, offset, bytes, time } => {
                self.loose(*id, Loose::Write(*offset as usize, bytes.clone(), *time));
            }
            Note::Resize { id, bytes } => self.loose(*id, Loose::Resize(*bytes as usize)),
            Note::SetTime { id, time } => self.loose(*id, Loose::Time(*time)),
            Note::SetTag { id, tag } => self.loose(*id, Loose::Tag(tag.clone())),
            Note::SyncData { id } => self.sync_data(*id),
            Note::SyncFolder { path } => self.sync_folder(path),
            Note::SyncEverything => self.sync_everything(),
            Note::Begun { .. } | Note::Acknowledged { .. } | Note::Refused => {}
        }
    }

    /// A file has a time, a folder none that matters.
    fn make(&mut self, path: &Path, id: NodeId, time: Option<Stamp>) {
        let durable = Content { time, ..Content::default() };
        self.nodes.insert(id, Node { is_folder: time.is_none(), durable, ..Node::default() });
        self.loose_names.push((Naming::Make(path.to_owned(), id), vec![folder_of(path)]));
    }

    fn loose(&mut self, id: NodeId, change: Loose) {
        self.nodes.entry(id).or_default().loose.push(change);
    }

    /// Bytes and size, but neither time nor tag.
    fn sync_data(&mut self, id: NodeId) {
        let node = self.nodes.entry(id).or_default();
        let (data, rest) = std::mem::take(&mut node.loose)
            .into_iter()
            .partition(|loose| matches!(loose, Loose::Write(..) | Loose::Resize(_)));
        node.loose = rest;
        let data: Vec<Loose> = data;
        data.iter().for_each(|loose| node.durable.apply(loose, &mut || true));
    }

    /// A change is durable once all folders that it touches were synced, and so are those before it.
    fn sync_folder(&mut self, folder: &Path) {
        self.loose_names.iter_mut().for_each(|(_, folders)| folders.retain(|other| other != folder));
        let durable = self.loose_names.iter().rposition(|(_, folders)| folders.is_empty()).map_or(0, |at| at + 1);
        self.loose_names.drain(..durable).for_each(|(naming, _)| name(&mut self.durable_names, &naming));
    }

    fn sync_everything(&mut self) {
        self.loose_names.drain(..).for_each(|(naming, _)| name(&mut self.durable_names, &naming));
        for node in self.nodes.values_mut() {
            let loose = std::mem::take(&mut node.loose);
            loose.iter().for_each(|loose| node.durable.apply(loose, &mut || true));
        }
    }

    /// Puts what is on the disk after a loss of power into the folder `root`; answers the disk as it is then.
    pub fn lose_power(&self, survival: Survival, choices: &mut Choices, root: &Path) -> Self {
        let survivors = match survival {
            Survival::Nothing | Survival::Bytes => 0,
            Survival::Everything | Survival::Names => self.loose_names.len(),
            Survival::Any => choices.below(self.loose_names.len() + 1),
        };
        let mut names = self.durable_names.clone();
        self.loose_names[..survivors].iter().for_each(|(naming, _)| name(&mut names, naming));
        let mut after = Self::default();
        for (path, id) in &names {
            let node = &self.nodes[id];
            let mut content = node.durable.clone();
            for loose in &node.loose {
                let whole = choices.below(4);
                content.apply(loose, &mut || match (survival, whole) {
                    (Survival::Nothing | Survival::Names, _) | (Survival::Any, 0) => false,
                    (Survival::Everything | Survival::Bytes, _) | (Survival::Any, 1) => true,
                    (Survival::Any, _) => choices.coin(),
                });
            }
            put(&root.join(path), node.is_folder, &content);
            after.nodes.insert(*id, Node { is_folder: node.is_folder, durable: content, loose: Vec::new() });
        }
        after.durable_names = names;
        after
    }

    /// Tells a recorder at `root` which file is which.
    pub fn introduce(&self, recorder: &Recorder) {
        self.durable_names.iter().for_each(|(path, id)| recorder.adopt(path, *id));
    }
}

fn put(path: &Path, is_folder: bool, content: &Content) {
    let file = if is_folder {
        std::fs::create_dir_all(path).unwrap();
        std::fs::File::open(path).unwrap()
    } else {
        // Nothing is assumed of a folder's name being durable before those of its files.
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &content.bytes).unwrap();
        std::fs::File::options().write(true).open(path).unwrap()
    };
    if let Some(tag) = &content.tag {
        rustix::fs::fsetxattr(&file, "user.myfsio", tag, rustix::fs::XattrFlags::empty()).unwrap();
    }
    if let Some(time) = content.time {
        super::super::fixtures::set_time(&file, time);
    }
}
