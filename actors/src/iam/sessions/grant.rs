//! What a session token says. Pure.

use std::fmt;

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use crate::names::{AccessKeyId, CanonicalId, InvalidId, Stamp};
use crate::seal::SealError;

/// Most bytes that policies and tags of a session may take together: what AWS calls its packed policy size.
pub(super) const PACKED_BYTES_MAX: usize = 4096;
/// Most bytes of everything that a token says.
pub(super) const GRANT_BYTES_MAX: usize = PACKED_BYTES_MAX + 4096;
/// How temporary access keys begin (IAM User Guide, "Understanding unique ID prefixes").
const KEY_PREFIX: &str = "ASIA";
const KEY_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const KEY_LETTERS_COUNT: usize = 16;
/// 40 characters in base64.
const SECRET_BYTES: usize = 30;

/// Whom temporary credentials stand for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) enum Holder {
    /// A user, by its id.
    #[n(0)]
    User(#[n(0)] ByteArray<32>),
    /// A role, by its canonical id, under the name that whoever assumed it gave.
    #[n(1)]
    Role(#[n(0)] ByteArray<32>, #[n(1)] String),
}

impl Holder {
    /// A user.
    pub fn user(id: &CanonicalId) -> Self {
        Self::User(id.to_bytes().into())
    }

    /// A session of a role.
    pub fn role(id: &CanonicalId, session_name: &str) -> Self {
        Self::Role(id.to_bytes().into(), session_name.to_owned())
    }
}

/// A tag of a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct SessionTag {
    /// Its key.
    #[n(0)]
    pub key: String,
    /// Its value.
    #[n(1)]
    pub value: String,
    /// Whether sessions of roles that are assumed from this one have it too.
    #[n(2)]
    pub is_transitive: bool,
}

/// What bounds and describes a session, as whoever asked for it chose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Terms {
    /// Session policy, as compact JSON.
    #[n(0)]
    pub policy: Option<String>,
    /// ARNs of managed policies that bound it as well.
    #[n(1)]
    pub policy_arns: Vec<String>,
    #[n(2)]
    pub tags: Vec<SessionTag>,
    #[n(3)]
    pub source_identity: Option<String>,
    #[n(4)]
    pub federation: Option<Federation>,
}

impl Terms {
    /// How many hundredths of what they may take policies and tags take; none without any.
    pub fn packed_percent(&self) -> Result<Option<usize>, SealError> {
        if self.policy.is_none() && self.policy_arns.is_empty() && self.tags.is_empty() {
            return Ok(None);
        }
        let packed = (&self.policy, &self.policy_arns, &self.tags);
        let bytes = minicbor::to_vec(packed).map_err(|_| SealError::Damaged)?.len();
        Ok(Some((bytes * 100).div_ceil(PACKED_BYTES_MAX)))
    }
}

/// The identity provider that vouched for a session.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Federation {
    /// ARN of the provider: `aws:FederatedProvider`.
    #[n(0)]
    pub provider: String,
    /// Condition keys from its token, and their values.
    #[n(1)]
    pub claims: Vec<(String, String)>,
}

/// Temporary credentials.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Grant {
    #[n(0)]
    pub access_key: String,
    #[n(1)]
    pub secret: SecretBytes,
    /// Seconds since the epoch.
    #[n(2)]
    pub issued_at: u64,
    /// Seconds since the epoch.
    #[n(3)]
    pub expires_at: u64,
    #[n(4)]
    pub holder: Holder,
    #[n(5)]
    pub terms: Terms,
}

impl Grant {
    /// New credentials from now on.
    pub fn new(holder: Holder, terms: Terms, now: Stamp, seconds: u64) -> Result<Self, SealError> {
        let (mut letters, mut secret) = ([0; KEY_LETTERS_COUNT], [0; SECRET_BYTES]);
        getrandom::fill(&mut letters).map_err(|_| SealError::NoRandomness)?;
        getrandom::fill(&mut secret).map_err(|_| SealError::NoRandomness)?;
        let letters = letters.iter().filter_map(|byte| KEY_LETTERS.get(usize::from(byte % 32)));
        let access_key = KEY_PREFIX.bytes().chain(letters.copied()).map(char::from).collect();
        let issued_at = now.seconds();
        Ok(Self {
            access_key,
            secret: SecretBytes(secret.into()),
            issued_at,
            expires_at: issued_at.saturating_add(seconds),
            holder,
            terms,
        })
    }

    /// The access key.
    pub fn access_key(&self) -> Result<AccessKeyId, InvalidId> {
        AccessKeyId::parse(&self.access_key)
    }
}

/// The bytes of a secret. Never printed.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct SecretBytes(#[n(0)] pub ByteArray<SECRET_BYTES>);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
