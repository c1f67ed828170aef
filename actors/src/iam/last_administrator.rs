//! Who keeps the node from being left without an administrator. Pure.
//!
//! An administrator is a user who holds `iam:*` by a grant of the short form, has an access key in force, and is denied nothing of what it
//! takes to make another one, by its own documents, its groups' or managed ones ([`makes_administrators`]). A node without one goes on,
//! and is mended by its own commands ([`Directory::node_administrator`]) or in the file; but nobody should come to that by a slip.

use super::directory::{Directory, KeyEntry};
use crate::names::Stamp;
use crate::policy_engine::makes_administrators;

/// What whoever would lock everybody out is told.
pub(super) const NOBODY_LEFT: &str = "Nobody would be left who administers the node: no user with an enabled access key that does not end \
    would hold iam:* by a policy of the form {\"bucket\", \"actions\"} and be denied none of it. Make another administrator first; or, on \
    the server, say --force to `myfsio user delete` or `myfsio user set-policy`.";

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
        let (lasting, ending): (Vec<_>, Vec<_>) = in_force.partition(|key| key.expires_at.0.is_none());
        let administer = |keys: &[&KeyEntry]| keys.iter().any(|key| makes_administrators(&key.principal, now));
        if administer(&lasting) {
            Administered::Lasting
        } else if administer(&ending) {
            Administered::ForNow
        } else {
            Administered::No
        }
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
            (
                user(&json!([]), json!({"attached_policies": ["arn:aws:iam::aws:policy/AdministratorAccess"]})),
                Administered::No,
            ),
        ] {
            let directory =
                Directory::of(&json!({"users": [user], "groups": [{"name": "chiefs", "policies": everything}]}));
            assert_eq!(directory.administered(now), expected, "{user}");
        }
    }

    fn statement(effect: &str, action: &str, more: Value) -> Value {
        let mut statement = json!({"Effect": effect, "Action": action, "Resource": "*"});
        statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"Version": "2012-10-17", "Statement": [statement]})
    }

    fn deny(action: &str, more: Value) -> Value {
        statement("Deny", action, more)
    }

    fn deny_if(operator: &str, key: &str, value: &str) -> Value {
        deny("iam:*", json!({"Condition": {operator: {key: value}}}))
    }

    fn deny_on(resource: &str) -> Value {
        deny("iam:*", json!({"Resource": resource}))
    }

    #[test]
    fn what_policies_take_away_from_every_request_counts() {
        use Administered::{Lasting, No};
        let now = Stamp(1_800_000_000_000_000_000);
        let others_but_s3 = json!({"Version": "2012-10-17", "Statement":
            [{"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}]});
        // The first deny of a document must not hide the one that follows.
        let both = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.1"}}},
            {"Effect": "Deny", "Action": "iam:*", "Resource": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.1"}}},
            {"Effect": "Deny", "Action": "iam:Create*", "Resource": "*"},
        ]});
        for (what, document, expected) in [
            ("everything", deny("*", json!({})), No),
            ("IAM", deny("iam:*", json!({})), No),
            ("all but S3", others_but_s3, No),
            ("to be one", deny("iam:ListUsers", json!({})), No),
            ("to make users", deny("iam:CreateUser", json!({})), No),
            ("to give them policies", deny("iam:PutUserPolicy", json!({})), No),
            ("every user", deny_on("arn:aws:iam::*:user/*"), No),
            ("behind denies of some requests", both, No),
            ("what does not take part", deny("iam:DeleteUser", json!({})), Lasting),
            ("S3", deny("s3:*", json!({})), Lasting),
            ("one user", deny_on("arn:aws:iam::*:user/bob"), Lasting),
            ("itself", deny_on("arn:aws:iam::*:user/${aws:username}"), Lasting),
            ("from elsewhere", deny_if("NotIpAddress", "aws:SourceIp", "192.0.2.0/24"), Lasting),
            ("without TLS", deny_if("Bool", "aws:SecureTransport", "false"), Lasting),
            ("by other clients", deny_if("StringNotLike", "aws:UserAgent", "aws-cli/*"), Lasting),
            // The node knows no second factor, and so nobody ever has one.
            ("without a second factor", deny_if("BoolIfExists", "aws:MultiFactorAuthPresent", "false"), No),
            ("it by its name", deny_if("StringEquals", "aws:username", "ann"), No),
            ("another by its name", deny_if("StringEquals", "aws:username", "bob"), Lasting),
            ("it by its tag", deny_if("StringEquals", "aws:PrincipalTag/team", "red"), No),
            ("since then", deny_if("DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"), No),
            ("until then", deny_if("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"), Lasting),
            ("nothing", statement("Allow", "s3:*", json!({})), Lasting),
            ("everything, by a mistake", json!({"Statement": []}), No),
        ] {
            // Held in every way that there is, beside the grant.
            let grant = json!({"bucket": "*", "actions": ["iam:*"]});
            let arn = "arn:aws:iam::111122223333:policy/bound";
            for (way, own, more) in [
                ("its own", json!([grant, document]), json!({})),
                ("its group's", json!([grant]), json!({"groups": ["own"]})),
                ("managed", json!([grant]), json!({"attached_policies": [arn]})),
                ("its group's, managed", json!([grant]), json!({"groups": ["attached"]})),
            ] {
                let mut user = json!({"access_key": "key", "secret_key": "secret", "user_name": "ann", "policies": own,
                    "account_id": "111122223333", "tags": {"team": "red"}});
                user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                let directory = Directory::of(&json!({
                    "users": [user],
                    "groups": [
                        {"name": "own", "policies": [document]},
                        {"name": "attached", "attached_policies": [arn]},
                    ],
                    "managed_policies": [{"policy_name": "bound", "document": document}],
                }));
                assert_eq!(directory.administered(now), expected, "{what}, {way}");
            }
        }
    }

    #[test]
    fn one_who_is_left_suffices() {
        let now = Stamp(1_800_000_000_000_000_000);
        let user = |name: &str, policies: Value, more: Value| {
            let mut user = json!({"access_key": name, "secret_key": "secret", "policies": policies});
            user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            user
        };
        let grant = json!({"bucket": "*", "actions": ["*"]});
        let denied = user("denied", json!([grant, deny("iam:*", json!({}))]), json!({}));
        let disabled = user("disabled", json!([grant]), json!({"enabled": false}));
        let expired = user("expired", json!([grant]), json!({"expires_at": "2020-01-01"}));
        let ending = user("ending", json!([grant]), json!({"expires_at": "2040-01-01"}));
        let staying = user("staying", json!([grant]), json!({}));
        for (users, expected) in [
            ([&denied, &disabled, &expired], Administered::No),
            ([&denied, &ending, &expired], Administered::ForNow),
            ([&denied, &ending, &staying], Administered::Lasting),
        ] {
            assert_eq!(Directory::of(&json!({ "users": users })).administered(now), expected, "{users:?}");
        }
    }
}
