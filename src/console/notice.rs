//! What a change tells on the page that follows it.

/// A notice. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether something went wrong.
    pub is_bad: bool,
    /// What it says.
    pub text: String,
    /// What can be done about it: a word for a link and its address, without the base.
    pub link: Option<(String, String)>,
}

impl Notice {
    /// Something was done.
    pub fn good(text: impl Into<String>) -> Self {
        Self { is_bad: false, text: text.into(), link: None }
    }

    /// Something was not done.
    pub fn bad(text: impl Into<String>) -> Self {
        Self { is_bad: true, text: text.into(), link: None }
    }

    /// The same, with something that can be done about it.
    pub fn with_link(self, word: impl Into<String>, address: impl Into<String>) -> Self {
        Self { link: Some((word.into(), address.into())), ..self }
    }
}
