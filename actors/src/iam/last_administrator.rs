//! Who keeps the node from being left without an administrator. Pure.
//!
//! An administrator is a user who holds `iam:*` by a grant of the short form and has an access key in force. A node without one goes on,
//! and is mended by its own commands ([`Directory::node_administrator`]) or in the file; but nobody should come to that by a slip.

use super::directory::Directory;
use crate::names::Stamp;
use crate::policy_engine::is_node_administrator;

/// What whoever would lock everybody out is told.
pub(super) const NOBODY_LEFT: &str = "Nobody would be left who administers the node: no user with an enabled access key that does not end \
    would hold iam:* by a policy of the form {\"bucket\", \"actions\"}. Make another administrator first; or, on the server, say --force to \
    `myfsio user delete` or `myfsio user set-policy`.";

/// How the node is administered, from worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Administered {
    /// By nobody.
    No,
    /// By somebody whose key, or who, ends.
    ForNow,
    /// By somebody who stays.
    Lasting,
}

impl Directory {
    /// How the node is administered at a time.
    pub(super) fn administered(&self, now: Stamp) -> Administered {
        let in_force = self.keys.values().filter(|key| key.is_enabled && !key.expires_at.is_over(now));
        let of_administrators = in_force.filter(|key| is_node_administrator(&key.principal));
        let lasts = of_administrators.map(|key| match key.expires_at.0 {
            None => Administered::Lasting,
            Some(_) => Administered::ForNow,
        });
        lasts.max().unwrap_or(Administered::No)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_administrator_holds_a_grant_and_a_key_in_force() {
        let now = Stamp(1_800_000_000_000_000_000);
        let everything = json!([{"bucket": "*", "actions": ["list", "IAM:*"]}]);
        let document =
            json!([{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}]);
        let user = |policies: &Value, more: Value| {
            let mut user = json!({"access_key": "ann", "secret_key": "secret", "policies": policies});
            user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            user
        };
        let key = |more: Value| {
            let mut key = json!({"access_key": "ann-2", "secret_key": "secret"});
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"access_key": null, "secret_key": null, "access_keys": [key]})
        };
        for (user, expected) in [
            (user(&everything, json!({})), Administered::Lasting),
            (user(&json!([{"bucket": "*", "actions": ["*"]}]), json!({})), Administered::Lasting),
            (user(&json!([]), json!({"groups": ["chiefs"]})), Administered::Lasting),
            (user(&everything, key(json!({}))), Administered::Lasting),
            (user(&everything, json!({"expires_at": "2040-01-01"})), Administered::ForNow),
            (user(&everything, key(json!({"expires_at": "2040-01-01"}))), Administered::ForNow),
            (user(&everything, json!({"expires_at": "2020-01-01"})), Administered::No),
            (user(&everything, json!({"enabled": false})), Administered::No),
            (user(&everything, key(json!({"enabled": false}))), Administered::No),
            (
                user(
                    &everything,
                    json!({"access_key": null, "secret_key": null, "user_id": "a".repeat(64), "user_name": "ann"}),
                ),
                Administered::No,
            ),
            (user(&json!([{"bucket": "b", "actions": ["*"]}]), json!({})), Administered::No),
            (user(&json!([{"bucket": "*", "actions": ["iam:list_users"]}]), json!({})), Administered::No),
            (user(&document, json!({})), Administered::No),
        ] {
            let directory =
                Directory::of(&json!({"users": [user], "groups": [{"name": "chiefs", "policies": everything}]}));
            assert_eq!(directory.administered(now), expected, "{user}");
        }
    }
}
