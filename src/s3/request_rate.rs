//! How often an access key may ask: counted as soon as it is known whose request it is, so that what is refused costs no more.
//!
//! Each long-lived key has a rate of its own. Temporary ones are made at will, so they count together: for the user or role
//! that they stand for. Who has no credentials is not limited here.

use std::sync::{Mutex, PoisonError};

use myfsio_actors::iam::Principal;
use myfsio_actors::names::{AccessKeyId, CanonicalId, Stamp};
use myfsio_actors::rate::{Rate, Usage};

use super::error::{ErrorCode, S3Error};

/// Most keys that are counted at once. Only keys that exist are.
const KEYS_MAX: usize = 65_536;

/// Who is counted.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Counted {
    Key(AccessKeyId),
    Sessions(CanonicalId),
}

/// What access keys have used of their rate.
#[derive(Debug)]
pub struct RequestRates {
    /// None: there is no limit. Held for a look-up, never across an await.
    usage: Option<Mutex<Usage<Counted>>>,
}

impl RequestRates {
    /// Nothing used yet; none is no limit.
    pub fn new(rate: Option<Rate>) -> Self {
        Self { usage: rate.map(|rate| Mutex::new(Usage::new(rate, KEYS_MAX))) }
    }

    /// Counts a request. Errs: SlowDown, with when to ask again.
    pub fn count(&self, principal: Option<&Principal>, now: Stamp) -> Result<(), S3Error> {
        let (Some(usage), Some(principal)) = (&self.usage, principal) else { return Ok(()) };
        let counted = match principal.session {
            Some(_) => Counted::Sessions(principal.user_id.clone()),
            None => Counted::Key(principal.access_key.clone()),
        };
        // Whoever panicked left numbers, not a broken table.
        let taken = usage.lock().unwrap_or_else(PoisonError::into_inner).take(counted, now);
        taken.map_err(|until| {
            let seconds = until.0.saturating_sub(now.0).div_ceil(1_000_000_000);
            S3Error::new(ErrorCode::SlowDown)
                .header("retry-after", &seconds.to_string())
                .because("the access key has used up its rate")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use myfsio_actors::iam::Session;

    use super::*;

    fn principal(user: u8, key: &str, is_temporary: bool) -> Principal {
        let key = AccessKeyId::parse(key).unwrap();
        Principal {
            user_id: CanonicalId::from_bytes([user; 32]),
            account_id: "111122223333".to_owned(),
            access_key: key.clone(),
            access_keys: Arc::from([key]),
            display_name: "ann".to_owned(),
            user_name: "ann".to_owned(),
            path: "/".to_owned(),
            is_root: false,
            is_named_root: false,
            shares_arn: false,
            unambiguous_names: Arc::from([]),
            policies: Arc::from([]),
            tags: Arc::from([]),
            role: None,
            session: is_temporary.then(Arc::<Session>::default),
        }
    }

    #[test]
    fn keys_count_alone_and_sessions_for_their_user() {
        let rates = RequestRates::new(Rate::new(1, Duration::from_secs(10), 1));
        let now = Stamp(1_000_000_000_000);
        let count = |user, key, is_temporary| rates.count(Some(&principal(user, key, is_temporary)), now).is_ok();
        assert!(count(1, "first", false) && count(1, "second", false), "each key has its own");
        assert!(count(1, "tempa", true) && !count(1, "tempb", true) && count(2, "tempc", true));
        let refused = rates.count(Some(&principal(1, "first", false)), Stamp(now.0 + 1)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::SlowDown);
        assert!(refused.headers().iter().any(|(name, value)| name == "retry-after" && value == "10"));
        assert!(rates.count(None, now).is_ok() && rates.count(None, now).is_ok());
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let rates = RequestRates::new(None);
        assert!((0..1_000).all(|_| rates.count(Some(&principal(1, "first", false)), Stamp(1)).is_ok()));
    }
}
