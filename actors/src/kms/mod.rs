//! The KMS: keys that never leave the node, and what is sealed under them (KMS Developer Guide and API Reference).
//!
//! Three kinds of keys, each sealing the next: the *master key*, 32 bytes in a file or the environment; the *materials* of KMS keys,
//! kept in `kms_keys.json` sealed under the master key; and *data keys*, one for each object, kept in its row sealed under a material
//! (SSE-KMS) or under the master key (SSE-S3). `docs/kms.md` describes each byte.
//!
//! What requests ask for on every encrypted object is answered from a published snapshot, without a hop and without I/O. Every
//! change goes through the actor, the only writer of the file: it is written, then published, then answered.
//!
//! INVARIANT: nothing is sealed under a key that is not durable. INVARIANT: a node whose master key is not the one that its keys
//! or objects were sealed with changes nothing, makes no other master key, and says so for each call in the same words (`vault`).
//!
//! `sealed`, `master`, `name`, `records`, `keyring`, `lost`, `objects`, `ciphertexts` and `changes` are pure.

mod actor;
mod audit;
mod changes;
mod ciphertexts;
mod client;
mod error;
mod key;
mod keyring;
mod lost;
mod master;
mod master_file;
mod messages;
mod name;
mod objects;
mod records;
mod sealed;
#[cfg(test)]
mod tests;
mod vault;

pub use changes::{
    CreateKey, DESCRIPTION_CHARACTERS_MAX, ROTATION_DAYS, ROTATION_DAYS_DEFAULT, TAGS_MAX, WAITING_DAYS,
    WAITING_DAYS_DEFAULT,
};
pub use ciphertexts::{BLOB_BYTES_MAX, Ciphertext, GeneratedKey, PLAINTEXT_BYTES_MAX, RANDOM_BYTES_MAX, ReEncrypted};
pub use client::{KmsClient, KmsSettings};
pub use error::KmsError;
pub use key::{Alias, Cause, KeyManager, KeyState, KmsKey, Material, Rotation};
pub use name::{DEFAULT_ALIAS, NODE_ACCOUNT};
