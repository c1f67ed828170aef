//! From what a session token says to the token and back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::grant::{GRANT_BYTES_MAX, Grant};
use crate::iam::IamError;
use crate::names::AccessKeyId;
use crate::policy_engine::IdentityPolicy;
use crate::seal::{SealError, Sealer, SecretKey};

/// What the seal of tokens is for; part of what it protects.
const PURPOSE: &str = "iam session token";
/// First byte of what is sealed: how the rest is to be read.
const FORM: u8 = 1;

/// An opened token: what follows from it alone.
#[derive(Debug)]
pub(super) struct OpenToken {
    pub grant: Grant,
    pub access_key: AccessKeyId,
    pub secret: SecretKey,
    /// The session policy, parsed.
    pub policy: Option<IdentityPolicy>,
}

impl OpenToken {
    /// What follows from a grant. Errs: InvalidToken when its policy has a mistake, which no node of this version seals.
    pub fn new(grant: Grant) -> Result<Self, IamError> {
        let parse = |text: &String| {
            let document = serde_json::from_str(text).map_err(|_| IamError::InvalidToken)?;
            IdentityPolicy::parse(&document, "session policy").map_err(|_| IamError::InvalidToken)
        };
        Ok(Self {
            access_key: grant.access_key().map_err(|_| IamError::InvalidToken)?,
            secret: SecretKey::new(&URL_SAFE_NO_PAD.encode(*grant.secret.0)),
            policy: grant.terms.policy.as_ref().map(parse).transpose()?,
            grant,
        })
    }
}

/// The token of a grant; none when it would be too large.
pub(super) fn seal(grant: &Grant, sealer: &Sealer) -> Result<Option<String>, SealError> {
    let mut content = vec![FORM];
    minicbor::encode(grant, &mut content).map_err(|_| SealError::Damaged)?;
    if content.len() > GRANT_BYTES_MAX {
        return Ok(None);
    }
    sealer.seal_token(PURPOSE, &content).map(Some)
}

/// Opens a token. Errs: InvalidToken, whatever is wrong with it.
pub(super) fn open(token: &str, sealer: &Sealer) -> Result<OpenToken, IamError> {
    let content = sealer.open_token(PURPOSE, token).map_err(|_| IamError::InvalidToken)?;
    let Some((&FORM, record)) = content.split_first() else { return Err(IamError::InvalidToken) };
    OpenToken::new(minicbor::decode(record).map_err(|_| IamError::InvalidToken)?)
}
