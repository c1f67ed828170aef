//! Who is signed in. The browser holds a random id; the node keeps its hash, so that nobody who reads the file can sign in by it.
//!
//! INVARIANT: a session ends with its access key: it is looked up anew for every request, and what the session keeps of the secret
//! no longer fits once that was changed.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use myfsio_actors::names::{AccessKeyId, Stamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::notice::Notice;
use super::undo::Undo;

/// How long a session lasts without a request, in seconds.
pub const IDLE_SECONDS: u64 = 30 * 60;
/// How long it lasts at most, in seconds.
pub const SECONDS_MAX: u64 = 12 * 60 * 60;
/// Most sessions at once; the one that was asked by longest ago makes room.
const SESSIONS_MAX: usize = 10_000;
/// Most sessions of one access key.
const PER_KEY_MAX: usize = 32;
/// Random bytes of an id.
const ID_BYTES: usize = 32;
/// Most notices that wait for the next page.
const NOTICES_MAX: usize = 8;

/// A session as the file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// Hash of the id.
    id: String,
    /// The access key that was proven.
    pub access_key: String,
    /// What is kept of the secret ([`crate::within::Identity::mark`]).
    mark: String,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// When it was asked by last.
    pub seen: u64,
    /// Address that it began from.
    pub address: String,
    /// Browser that it began in, as that names itself.
    pub agent: String,
    #[serde(skip)]
    notices: Vec<Notice>,
}

impl Session {
    fn lasts(&self, now: u64) -> bool {
        now < self.seen.saturating_add(IDLE_SECONDS) && now < self.began.saturating_add(SECONDS_MAX)
    }

    /// The access key.
    pub fn key(&self) -> Option<AccessKeyId> {
        AccessKeyId::parse(&self.access_key).ok()
    }

    /// Whether the secret is still the one that was proven.
    pub fn has_mark(&self, mark: &[u8; 32]) -> bool {
        self.mark == URL_SAFE_NO_PAD.encode(mark)
    }

    /// A name for lists of sessions, which opens nothing.
    pub fn handle(&self) -> &str {
        &self.id
    }
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    path: PathBuf,
    /// By the hash of their ids. Held for a few map operations, never across an await.
    all: Mutex<HashMap<String, Session>>,
}

#[derive(Serialize, Deserialize)]
struct File {
    sessions: Vec<Session>,
}

/// What begins a session.
#[derive(Debug)]
pub struct Beginning<'a> {
    /// The access key.
    pub access_key: &'a AccessKeyId,
    /// Address of the browser.
    pub address: String,
    /// Name of the browser.
    pub agent: String,
}

impl Sessions {
    /// Those of the last run that still last. A file that cannot be read lets everybody sign in again.
    pub fn open(path: PathBuf, now: Stamp) -> Self {
        let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok());
        let sessions = read.map(|file| file.sessions).unwrap_or_default();
        let lasting = sessions.into_iter().filter(|session| session.lasts(now.seconds())).take(SESSIONS_MAX);
        let all = lasting.map(|session| (session.id.clone(), session)).collect();
        Self { path, all: Mutex::new(all) }
    }

    /// Begins a session; answers its id, for the cookie alone. `mark`: of the id. Errs: the system has no random numbers.
    pub fn begin(
        &self,
        beginning: &Beginning<'_>,
        mark: impl FnOnce(&str) -> [u8; 32],
        now: Stamp,
    ) -> io::Result<String> {
        let id = random_id()?;
        let session = Session {
            id: hash(&id),
            access_key: beginning.access_key.as_str().to_owned(),
            mark: URL_SAFE_NO_PAD.encode(mark(&id)),
            began: now.seconds(),
            seen: now.seconds(),
            address: beginning.address.clone(),
            agent: beginning.agent.chars().take(200).collect(),
            notices: Vec::new(),
        };
        {
            let mut all = self.all.lock();
            all.retain(|_, session| session.lasts(now.seconds()));
            make_room(&mut all, |_| true, SESSIONS_MAX);
            make_room(&mut all, |other| other.access_key == session.access_key, PER_KEY_MAX);
            all.insert(session.id.clone(), session);
        }
        self.save();
        Ok(id)
    }

    /// The session of an id, which is asked by now.
    pub fn find(&self, id: &str, now: Stamp) -> Option<Session> {
        let mut all = self.all.lock();
        let session = all.get_mut(&hash(id)).filter(|session| session.lasts(now.seconds()))?;
        session.seen = now.seconds();
        Some(session.clone())
    }

    /// Whether the session of a handle still lasts, which is not to ask by it.
    pub fn lasts(&self, handle: &str, now: Stamp) -> bool {
        self.all.lock().get(handle).is_some_and(|session| session.lasts(now.seconds()))
    }

    /// Ends a session, by its handle.
    pub fn end(&self, handle: &str) {
        let is_gone = self.all.lock().remove(handle).is_some();
        if is_gone {
            self.save();
        }
    }

    /// Ends all sessions of an access key; answers how many there were.
    pub fn end_all(&self, access_key: &str) -> usize {
        let ended = {
            let mut all = self.all.lock();
            let before = all.len();
            all.retain(|_, session| session.access_key != access_key);
            before - all.len()
        };
        self.save();
        ended
    }

    /// The sessions of an access key, the last asked by first.
    pub fn of_key(&self, access_key: &str) -> Vec<Session> {
        let all = self.all.lock();
        let mut own: Vec<_> = all.values().filter(|session| session.access_key == access_key).cloned().collect();
        own.sort_by_key(|session| std::cmp::Reverse(session.seen));
        own
    }

    /// All sessions that last, the last asked by first.
    pub fn all(&self, now: Stamp) -> Vec<Session> {
        let all = self.all.lock();
        let mut lasting: Vec<_> = all.values().filter(|session| session.lasts(now.seconds())).cloned().collect();
        lasting.sort_by_key(|session| std::cmp::Reverse(session.seen));
        lasting
    }

    /// Leaves a notice for the next page of a session.
    pub fn leave(&self, handle: &str, notice: Notice) {
        if let Some(session) = self.all.lock().get_mut(handle)
            && session.notices.len() < NOTICES_MAX
        {
            session.notices.push(notice);
        }
    }

    /// Leaves a notice of something that can be taken back; one that waits and goes with it is told anew, for both together.
    pub fn leave_joined(&self, handle: &str, undo: Undo, tell: impl Fn(Undo) -> Notice) {
        let mut all = self.all.lock();
        let Some(session) = all.get_mut(handle) else { return };
        let waits = |notice: &Notice| notice.undo.as_ref().is_some_and(|waiting| waiting.joins(&undo));
        let waiting = session.notices.iter().position(waits).and_then(|at| session.notices.remove(at).undo);
        if session.notices.len() < NOTICES_MAX {
            session.notices.push(tell(match waiting {
                Some(waiting) => waiting.with(undo),
                None => undo,
            }));
        }
    }

    /// Takes what was left for the next page.
    pub fn take(&self, handle: &str) -> Vec<Notice> {
        self.all.lock().get_mut(handle).map(|session| std::mem::take(&mut session.notices)).unwrap_or_default()
    }

    /// Writes the file. Where that fails, a restart lets everybody sign in again.
    pub fn save(&self) {
        let sessions = self.all.lock().values().cloned().collect();
        if let Err(error) = write(&self.path, &File { sessions }) {
            tracing::warn!(%error, path = %self.path.display(), "console sessions end with this run");
        }
    }
}

fn make_room(all: &mut HashMap<String, Session>, counts: impl Fn(&Session) -> bool, max: usize) {
    while all.values().filter(|session| counts(session)).count() >= max {
        let oldest = all.values().filter(|session| counts(session)).min_by_key(|session| session.seen);
        let Some(id) = oldest.map(|session| session.id.clone()) else { return };
        all.remove(&id);
    }
}

/// A new random id, as a cookie holds it. Errs: the system has no random numbers.
pub fn random_id() -> io::Result<String> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn hash(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(id.as_bytes()))
}

fn write(path: &Path, file: &File) -> io::Result<()> {
    let bytes = serde_json::to_vec(file)?;
    let next = path.with_extension("json.next");
    let mut open = fs::OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    let mut out = open.open(&next)?;
    out.write_all(&bytes)?;
    out.sync_all()?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Stamp {
        Stamp(seconds * SECOND)
    }

    fn begin(sessions: &Sessions, key: &str, now: u64) -> String {
        let access_key = AccessKeyId::parse(key).unwrap();
        let beginning = Beginning { access_key: &access_key, address: "::1".to_owned(), agent: "a".to_owned() };
        sessions.begin(&beginning, |_| [7; 32], at(now)).unwrap()
    }

    #[test]
    fn they_outlive_a_restart_and_their_file_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.json");
        let sessions = Sessions::open(path.clone(), at(0));
        let id = begin(&sessions, "ann", 10);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&id));
        let again = Sessions::open(path, at(20));
        let session = again.find(&id, at(20)).unwrap();
        assert!(session.has_mark(&[7; 32]) && !session.has_mark(&[8; 32]));
        assert!(again.find(session.handle(), at(20)).is_none(), "the hash is no id");
    }

    #[test]
    fn idle_and_old_ones_end() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::open(folder.path().join("s.json"), at(0));
        let id = begin(&sessions, "ann", 0);
        assert!(sessions.find(&id, at(IDLE_SECONDS - 1)).is_some());
        assert!(sessions.find(&id, at(2 * IDLE_SECONDS - 1)).is_none());
        let busy = begin(&sessions, "ann", 0);
        for turn in 1..SECONDS_MAX / 600 {
            assert!(sessions.find(&busy, at(turn * 600)).is_some());
        }
        assert!(sessions.find(&busy, at(SECONDS_MAX)).is_none());
    }

    #[test]
    fn one_key_has_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::open(folder.path().join("s.json"), at(0));
        let first = begin(&sessions, "ann", 1);
        let other = begin(&sessions, "bob", 1);
        for turn in 0..PER_KEY_MAX as u64 {
            begin(&sessions, "ann", 2 + turn);
        }
        assert!(sessions.find(&first, at(40)).is_none());
        assert!(sessions.find(&other, at(40)).is_some());
        assert_eq!(sessions.of_key("ann").len(), PER_KEY_MAX);
        assert_eq!(sessions.end_all("ann"), PER_KEY_MAX);
    }
}
