//! What a change tells on the page that follows it.

use super::undo::Undo;

/// A notice. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether something went wrong.
    pub is_bad: bool,
    /// What it says.
    pub text: String,
    /// What can be done about it: a word for a link and its address, without the base.
    pub link: Option<(String, String)>,
    /// How it is taken back.
    pub undo: Option<Undo>,
}

impl Notice {
    /// Something was done.
    pub fn good(text: impl Into<String>) -> Self {
        Self { is_bad: false, text: text.into(), link: None, undo: None }
    }

    /// Something was not done.
    pub fn bad(text: impl Into<String>) -> Self {
        Self { is_bad: true, text: text.into(), link: None, undo: None }
    }

    /// The same, with something that can be done about it.
    pub fn with_link(self, word: impl Into<String>, address: impl Into<String>) -> Self {
        Self { link: Some((word.into(), address.into())), ..self }
    }

    /// The same, with what takes it back, if something does.
    pub fn with_undo(self, undo: Option<Undo>) -> Self {
        Self { undo, ..self }
    }
}
