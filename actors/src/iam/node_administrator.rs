//! Whom the node's own commands act for: whoever may open the data directory may change everything in it, whatever `iam.json` says.

use std::sync::Arc;

use serde_json::json;

use super::directory::Directory;
use super::entries::UserSummary;
use super::ids::{account_id_of, administers};
use super::principal::Principal;
use crate::names::{AccessKeyId, CanonicalId};
use crate::policy_engine::IdentityPolicy;

impl Directory {
    /// The first administrator of the file, or its first user, with every right and nothing that takes one away: what it makes is
    /// that user's. Of a file without users, somebody of an account of its own.
    pub fn node_administrator(&self, access_key: AccessKeyId) -> Principal {
        let is_administrator = |user: &&UserSummary| user.policies.as_array().is_some_and(|list| administers(list));
        let user = self.users().iter().find(is_administrator).or_else(|| self.users().first());
        let known = user.and_then(|user| self.principal_of(&user.user_id));
        let everything = IdentityPolicy::parse(&json!({"bucket": "*", "actions": ["*"]}), "node administrator");
        let policies: Arc<[IdentityPolicy]> = everything.into_iter().collect();
        match known {
            Some(known) => Principal { access_key, policies, is_root: true, ..Principal::clone(known) },
            None => {
                let user_id = CanonicalId::from_bytes([0; 32]);
                Principal {
                    account_id: account_id_of(&user_id),
                    user_id,
                    access_keys: Arc::from([]),
                    access_key,
                    display_name: "Node administrator".to_owned(),
                    user_name: "node-administrator".to_owned(),
                    path: "/".to_owned(),
                    is_root: true,
                    is_named_root: false,
                    shares_arn: false,
                    unambiguous_names: Arc::from([]),
                    policies,
                    tags: Arc::from([]),
                    role: None,
                    session: None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn of(users: Value) -> Principal {
        Directory::of(&json!({ "users": users })).node_administrator(AccessKeyId::parse("command-line").unwrap())
    }

    #[test]
    fn it_is_the_first_administrator_with_every_right() {
        let deny = json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}});
        let user = |name: &str, policies: Value| json!({"access_key": name, "secret_key": "s3cret", "user_name": name, "policies": policies});
        let plain = user("ann", json!([{"bucket": "*", "actions": ["read"]}]));
        let chief = user("chief", json!([deny, {"bucket": "*", "actions": ["IAM:*"]}]));
        for (users, name) in
            [(json!([plain, chief]), "chief"), (json!([plain]), "ann"), (json!([]), "node-administrator")]
        {
            let found = of(users);
            assert_eq!((found.user_name.as_str(), found.access_key.as_str()), (name, "command-line"));
            assert!(found.policies.len() == 1 && found.policies[0].mistake().is_none() && found.session.is_none());
        }
    }
}
