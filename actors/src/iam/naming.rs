//! Names, paths, ids and ARNs of IAM (IAM User Guide, "IAM identifiers"; the API Reference has the length of each).

use sha2::{Digest, Sha256};

use super::error::IamError;
use crate::names::{AccessKeyId, CanonicalId};
use crate::seal::SealError;

/// Most bytes of a path.
const PATH_BYTES_MAX: usize = 512;
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Random letters of a unique id or access key.
const UNIQUE_LETTERS: usize = 17;

/// What has a name of its own in an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
    Role,
    Policy,
}

impl Kind {
    /// As ARNs have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
            Self::Policy => "policy",
        }
    }

    fn name_bytes_max(self) -> usize {
        match self {
            Self::User | Self::Role => 64,
            Self::Group | Self::Policy => 128,
        }
    }

    /// Whether `name` can be the name of one.
    pub fn fits(self, name: &str) -> bool {
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
        (1..=self.name_bytes_max()).contains(&name.len()) && name.bytes().all(is_good)
    }

    /// Errs unless `name` can be the name of one.
    pub fn check(self, field: &'static str, name: &str) -> Result<(), IamError> {
        match self.fits(name) {
            true => Ok(()),
            false => Err(IamError::invalid(field, self.rule())),
        }
    }

    /// What [`Self::fits`] asks for, in words.
    pub fn rule(self) -> String {
        format!("must be 1 to {} letters, digits, or of `+=,.@_-`", self.name_bytes_max())
    }

    /// `arn:aws:iam::<account>:<kind><path><name>`
    pub fn arn(self, account_id: &str, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{account_id}:{}{path}{name}", self.word())
    }

    /// Account, path and name of an ARN of this kind.
    pub fn parse_arn(self, arn: &str) -> Option<(&str, &str, &str)> {
        let (account_id, rest) = arn.strip_prefix("arn:aws:iam::")?.split_once(':')?;
        let path_and_name = rest.strip_prefix(self.word()).filter(|rest| rest.starts_with('/'))?;
        let slash = path_and_name.rfind('/')?;
        let (path, name) = path_and_name.split_at_checked(slash + 1)?;
        (!name.is_empty()).then_some((account_id, path, name))
    }
}

/// `arn:aws:iam::<account>:oidc-provider/<url without scheme>`
pub(super) fn provider_arn(account_id: &str, url: &str) -> String {
    let host_and_path = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    format!("arn:aws:iam::{account_id}:oidc-provider/{host_and_path}")
}

/// Whether `path` can be a path: a slash, or printable ASCII between two.
pub(super) fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.ends_with('/')
        && path.len() <= PATH_BYTES_MAX
        && path.bytes().all(|b| b.is_ascii_graphic())
}

/// The path, or `/` when none is given. Errs unless it can be one.
pub(super) fn checked_path(path: Option<&str>) -> Result<&str, IamError> {
    match path {
        None => Ok("/"),
        Some(path) if is_path(path) => Ok(path),
        Some(_) => {
            Err(IamError::invalid("path", "must begin and end with a slash, in at most 512 printable characters"))
        }
    }
}

/// What a name is looked up by: names differ by more than letter case. What is every account's has no account.
pub(super) fn scope(account_id: Option<&str>, name: &str) -> String {
    format!("{}/{}", account_id.unwrap_or_default(), name.to_ascii_lowercase())
}

fn random_letters(count: usize) -> Result<String, SealError> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(letters(&bytes))
}

fn letters(bytes: &[u8]) -> String {
    bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32))).map(|letter| char::from(*letter)).collect()
}

/// A new unique id, such as `AROA` and seventeen letters and digits.
pub(super) fn unique_id(prefix: &str) -> Result<String, SealError> {
    Ok(format!("{prefix}{}", random_letters(UNIQUE_LETTERS)?))
}

/// The unique id of what a person typed without one: it follows from `seed`.
pub(super) fn derived_unique_id(prefix: &str, seed: &str) -> String {
    let digest = Sha256::digest(seed.as_bytes());
    format!("{prefix}{}", letters(digest.get(..UNIQUE_LETTERS).unwrap_or_default()))
}

/// A new canonical id.
pub(super) fn random_canonical_id() -> Result<CanonicalId, SealError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(CanonicalId::from_bytes(bytes))
}

/// A new access key: `MF` and eighteen letters and digits.
pub(super) fn random_access_key() -> Result<AccessKeyId, IamError> {
    let text = format!("MF{}", random_letters(18)?);
    AccessKeyId::parse(&text).map_err(|_| IamError::invalid("access_key", "is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns() {
        assert_eq!(Kind::User.arn("123456789012", "/a/", "ann"), "arn:aws:iam::123456789012:user/a/ann");
        let parse = |arn| Kind::Policy.parse_arn(arn);
        assert_eq!(parse("arn:aws:iam::aws:policy/Admin"), Some(("aws", "/", "Admin")));
        assert_eq!(parse("arn:aws:iam::1:policy/a/b/c"), Some(("1", "/a/b/", "c")));
        for bad in
            ["", "arn:aws:iam::1:policy", "arn:aws:iam::1:policy/", "arn:aws:iam::1:policyx", "arn:aws:iam::1:user/x"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(
            provider_arn("1", "https://idp.example.com/realm/"),
            "arn:aws:iam::1:oidc-provider/idp.example.com/realm"
        );
    }

    #[test]
    fn names_and_paths() {
        assert!(Kind::User.fits("ann+=,.@_-1") && Kind::Group.fits(&"g".repeat(128)));
        for bad in ["", "a b", "a/b", "ä", &"u".repeat(65)] {
            assert!(!Kind::User.fits(bad), "{bad}");
        }
        assert!(is_path("/") && is_path("/a/b/") && checked_path(None).is_ok());
        for bad in ["", "a", "/a", "a/", "/a b/", &format!("/{}/", "x".repeat(511))] {
            assert!(!is_path(bad), "{bad}");
        }
        assert_eq!(scope(Some("1"), "Ann"), scope(Some("1"), "aNN"));
        assert_ne!(scope(None, "ann"), scope(Some("1"), "ann"));
    }

    #[test]
    fn ids() {
        let (made, derived) = (unique_id("AROA").unwrap(), derived_unique_id("AGPA", "x"));
        assert!(made.len() == 21 && derived.len() == 21 && derived == derived_unique_id("AGPA", "x"));
        assert_ne!(unique_id("AROA").unwrap(), made);
        assert_eq!(random_access_key().unwrap().as_str().len(), 20);
    }
}
