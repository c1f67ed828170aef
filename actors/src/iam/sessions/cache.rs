//! The tokens in use, opened: so that a hot session costs no decryption and no parsing.
//!
//! Only tokens that the node itself has sealed get in, whatever clients send. Two generations: when the young one is full it
//! becomes the old one, whose entries come back when they are asked for; so those in use stay, and all others go in the end.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::bind::{Bound, bind};
use super::token::{OpenToken, open};
use crate::iam::IamError;
use crate::iam::directory::Directory;
use crate::seal::Sealer;

/// Most tokens of a generation.
const TOKENS_MAX: usize = 512;

/// A token, and what was found for it in a directory.
#[derive(Clone)]
struct Entry {
    open: Arc<OpenToken>,
    bound: Arc<Bound>,
    /// Weak, so that a directory that was replaced is not kept; but its address is not given away while this is there.
    directory: Weak<Directory>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Entry>,
    old: HashMap<Box<str>, Entry>,
}

impl Generations {
    fn find(&mut self, token: &str) -> Option<Entry> {
        if let Some(entry) = self.young.get(token) {
            return Some(entry.clone());
        }
        let (token, entry) = self.old.remove_entry(token)?;
        self.keep(token, entry.clone());
        Some(entry)
    }

    fn keep(&mut self, token: Box<str>, entry: Entry) {
        if self.young.len() >= TOKENS_MAX && !self.young.contains_key(&token) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, entry);
    }
}

/// Opens tokens and remembers those in use.
pub(in crate::iam) struct OpenSessions {
    sealer: Sealer,
    /// Held for a few map operations, never across an await.
    generations: Mutex<Generations>,
}

impl fmt::Debug for OpenSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSessions").finish_non_exhaustive()
    }
}

impl OpenSessions {
    /// Opens tokens with `sealer`.
    pub fn new(sealer: Sealer) -> Self {
        Self { sealer, generations: Mutex::default() }
    }

    /// The sealer of the tokens.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// The session of a token, as the directory has it. Errs: InvalidToken, NoSuchAccessKey, Disabled.
    pub fn find(&self, token: &str, directory: &Arc<Directory>) -> Result<Arc<Bound>, IamError> {
        let found = self.generations.lock().find(token);
        let open = match found {
            Some(entry) if std::ptr::eq(entry.directory.as_ptr(), Arc::as_ptr(directory)) => return Ok(entry.bound),
            Some(entry) => entry.open,
            None => Arc::new(open(token, &self.sealer)?),
        };
        let bound = Arc::new(bind(&open, directory)?);
        let entry = Entry { open, bound: Arc::clone(&bound), directory: Arc::downgrade(directory) };
        self.generations.lock().keep(Box::from(token), entry);
        Ok(bound)
    }
}

#[cfg(test)]
impl OpenSessions {
    /// How many tokens are open.
    pub fn count(&self) -> usize {
        let generations = self.generations.lock();
        generations.young.len() + generations.old.len()
    }

    /// Most that can be.
    pub const COUNT_MAX: usize = 2 * TOKENS_MAX;
}
