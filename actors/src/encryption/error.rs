//! What can be wrong with what is sealed.

/// Why bytes or keys cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// Where a segment should begin there is none, or one of another part or size.
    #[error("the stored bytes do not begin with the head of the segment that belongs there")]
    WrongSegment,
    /// A segment of a format that this version does not know.
    #[error("the stored bytes are in a format of a later version")]
    UnknownFormat,
    /// A chunk is not the one that was sealed at this place under this key.
    #[error("the stored bytes were changed, or are not those of this object")]
    Broken,
    /// The wrapped data key does not open: another key, another object, or damage.
    #[error("the data key does not open under this key and for this object")]
    WrongKey,
    /// The data key is not given, or one is given for an object that has none.
    #[error("the object is encrypted, and its data key is not given")]
    KeyNeeded,
}
