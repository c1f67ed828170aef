//! By which names a key goes (KMS API Reference, "KeyId" of each operation): its id, its ARN, an alias, or the ARN of an alias. Pure.

use super::error::KmsError;
use crate::encryption::EncryptionError;

/// Alias of the key under which S3 seals when no other is named.
pub const DEFAULT_ALIAS: &str = "alias/aws/s3";
/// Account of the keys that are the node's own.
pub const NODE_ACCOUNT: &str = "000000000000";

pub(super) const ALIAS_PREFIX: &str = "alias/";
/// Aliases that only the node makes.
const RESERVED_PREFIX: &str = "alias/aws/";
const NAME_BYTES_MAX: usize = 2048;
const ALIAS_BYTES_MAX: usize = 256;

/// A name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyName<'a> {
    /// An id.
    Id(&'a str),
    /// The ARN of a key, and the id in it.
    Arn { arn: &'a str, id: &'a str },
    /// An alias, with its prefix.
    Alias(&'a str),
    /// The ARN of an alias, and the account and the alias in it.
    AliasArn { arn: &'a str, account: &'a str, alias: &'a str },
}

impl<'a> KeyName<'a> {
    /// Errs: InvalidArn, NotFound for what cannot name anything, Validation for what is too long to.
    pub fn parse(text: &'a str) -> Result<Self, KmsError> {
        if text.len() > NAME_BYTES_MAX {
            return Err(KmsError::out_of_range("keyId", "...", "length less than or equal to 2048"));
        }
        if text.starts_with("arn:") {
            return Self::parse_arn(text).ok_or_else(|| KmsError::InvalidArn(text.to_owned()));
        }
        if text.starts_with(ALIAS_PREFIX) {
            return Ok(Self::Alias(text));
        }
        match id_bytes(text) {
            Some(_) => Ok(Self::Id(text)),
            None => Err(KmsError::NotFound(format!("Invalid keyId '{text}'"))),
        }
    }

    fn parse_arn(arn: &'a str) -> Option<Self> {
        let mut fields = arn.splitn(6, ':');
        let (_, partition, service) = (fields.next()?, fields.next()?, fields.next()?);
        let (region, account, resource) = (fields.next()?, fields.next()?, fields.next()?);
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if partition != "aws" || service != "kms" || region.is_empty() || !is_account {
            return None;
        }
        match resource.strip_prefix("key/") {
            Some(id) => id_bytes(id).map(|_| Self::Arn { arn, id }),
            None => is_alias(resource).then_some(Self::AliasArn { arn, account, alias: resource }),
        }
    }
}

/// Whether this is a whole alias, prefix and all (KMS API Reference, CreateAlias).
pub(super) fn is_alias(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    let name = text.strip_prefix(ALIAS_PREFIX).unwrap_or_default();
    !name.is_empty() && text.len() <= ALIAS_BYTES_MAX && name.bytes().all(is_good)
}

/// Errs unless a client may give a key this alias, or take it away: InvalidAliasName, ReservedAlias.
pub(super) fn check_alias(alias: &str) -> Result<(), KmsError> {
    match (is_alias(alias), alias.starts_with(RESERVED_PREFIX)) {
        (false, _) => Err(KmsError::InvalidAliasName),
        (true, true) => Err(KmsError::ReservedAlias),
        (true, false) => Ok(()),
    }
}

/// The ARN of something of the KMS; `resource` is `key/<id>` or an alias.
pub(super) fn arn(region: &str, account: &str, resource: &str) -> String {
    format!("arn:aws:kms:{region}:{account}:{resource}")
}

/// A new id: a random UUID (RFC 9562 §5.4). Errs: NoRandomness.
pub(super) fn new_id() -> Result<String, EncryptionError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| EncryptionError::NoRandomness)?;
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    Ok(id_text(&bytes))
}

/// An id in the form of a UUID.
pub(super) fn id_text(bytes: &[u8; 16]) -> String {
    let digits = hex::encode(bytes);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.map(|(from, to)| digits.get(from..to).unwrap_or_default()).join("-")
}

/// The bytes of an id; none when it is none.
pub(super) fn id_bytes(id: &str) -> Option<[u8; 16]> {
    let digits: String = id.split('-').collect();
    let mut bytes = [0; 16];
    hex::decode_to_slice(&digits, &mut bytes).ok()?;
    // There is one way to write it.
    (id_text(&bytes) == id).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn the_four_forms_are_told_apart() {
        let (key, alias) =
            (arn("us-east-1", "111122223333", &format!("key/{ID}")), arn("us-east-1", "111122223333", "alias/a/b"));
        assert_eq!(KeyName::parse(ID).unwrap(), KeyName::Id(ID));
        assert_eq!(KeyName::parse("alias/x").unwrap(), KeyName::Alias("alias/x"));
        assert_eq!(KeyName::parse(&key).unwrap(), KeyName::Arn { arn: &key, id: ID });
        assert_eq!(
            KeyName::parse(&alias).unwrap(),
            KeyName::AliasArn { arn: &alias, account: "111122223333", alias: "alias/a/b" }
        );
        for bad in [
            "arn:aws:s3:::bucket",
            "arn:aws:kms:us-east-1:111122223333:key/x",
            "arn:aws:kms:us-east-1:1:alias/x",
            "arn:",
            "arn:aws:kms::111122223333:alias/x",
        ] {
            assert!(matches!(KeyName::parse(bad), Err(KmsError::InvalidArn(_))), "{bad}");
        }
        for bad in ["", "x", "mrk-1", &ID.to_uppercase(), &ID[1..], "1234abcd12ab34cd56ef1234567890ab"] {
            assert!(matches!(KeyName::parse(bad), Err(KmsError::NotFound(_))), "{bad}");
        }
        assert!(matches!(KeyName::parse(&"x".repeat(2049)), Err(KmsError::Validation(_))));
    }

    #[test]
    fn aliases() {
        for good in ["alias/a", "alias/a/b_c-D9", &format!("alias/{}", "x".repeat(250))] {
            assert!(check_alias(good).is_ok(), "{good}");
        }
        for bad in
            ["", "alias", "alias/", "a", "alias/ä", "alias/a b", "alias/a:b", &format!("alias/{}", "x".repeat(251))]
        {
            assert!(matches!(check_alias(bad), Err(KmsError::InvalidAliasName)), "{bad}");
        }
        assert!(matches!(check_alias(DEFAULT_ALIAS), Err(KmsError::ReservedAlias)));
        assert!(check_alias("alias/awsome").is_ok());
    }

    #[test]
    fn ids_are_random_uuids() {
        let (one, other) = (new_id().unwrap(), new_id().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'));
        assert!(b"89ab".contains(&one.as_bytes()[19]));
        assert_eq!(id_text(&id_bytes(&one).unwrap()), one);
    }
}
