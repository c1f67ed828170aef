//! Signing keys that were derived lately: deriving one takes four HMACs, and a client signs with the same one all day.
//!
//! One key for each access key id, with the secret and scope that it was derived from, so that a secret that has changed is
//! never signed with.

use std::fmt;
use std::sync::{Arc, Mutex};

use myfsio_actors::names::AccessKeyId;

use super::credentials::SecretText;
use super::signing::{Scope, SigningKey};

/// Most keys that are kept; when there would be more, all are forgotten.
const KEYS_MAX: usize = 1024;

struct Derived {
    secret: SecretText,
    scope: Scope,
    key: SigningKey,
}

/// Keys by access key id. Clones share them.
#[derive(Clone, Default)]
pub struct SigningKeys(Arc<Mutex<foldhash::HashMap<AccessKeyId, Derived>>>);

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys(…)")
    }
}

impl SigningKeys {
    /// The signing key of an access key for a scope.
    pub fn of(&self, id: &AccessKeyId, secret: &str, scope: &Scope) -> SigningKey {
        // Should a thread have died with the lock, keys are derived as ever.
        let Ok(mut keys) = self.0.lock() else { return SigningKey::derive(secret, scope) };
        if let Some(derived) = keys.get(id)
            && derived.secret.expose() == secret
            && derived.scope == *scope
        {
            return derived.key.clone();
        }
        let key = SigningKey::derive(secret, scope);
        if keys.len() >= KEYS_MAX {
            keys.clear();
        }
        let derived = Derived { secret: SecretText::new(secret), scope: scope.clone(), key: key.clone() };
        keys.insert(id.clone(), derived);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(date: &str) -> Scope {
        Scope::new(date, "us-east-1", "s3")
    }

    #[test]
    fn a_kept_key_is_the_derived_one_whatever_changes() {
        let (keys, id) = (SigningKeys::default(), AccessKeyId::parse("AKID").unwrap());
        for (secret, date) in
            [("a", "20240501"), ("a", "20240501"), ("b", "20240501"), ("b", "20240502"), ("a", "20240501")]
        {
            let expected = SigningKey::derive(secret, &scope(date)).sign(b"x");
            assert_eq!(keys.of(&id, secret, &scope(date)).sign(b"x"), expected, "{secret} {date}");
        }
        assert!(!format!("{keys:?}").contains("20240501"));
    }

    #[test]
    fn few_are_kept() {
        let keys = SigningKeys::default();
        for number in 0..KEYS_MAX + 10 {
            keys.of(&AccessKeyId::parse(&format!("AKID{number}")).unwrap(), "a", &scope("20240501"));
        }
        assert!(keys.0.lock().unwrap().len() <= KEYS_MAX);
    }
}
