//! The users, roles and buckets that the tables speak of, and how they are asked.
//!
//! The owner of the bucket `x-data` is `x`; other buckets do not exist. All roles of the account 1… have the path `/service/`.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::row::{Facts, Table};
use crate::bucket_config::{Acl, BucketConfig, Grant, Grantee, ObjectOwnership, Permission, PublicAccessBlock};
use crate::iam::{Directory, Principal, RoleSession, Session};
use crate::names::{BucketName, CanonicalId, Stamp};
use crate::policy_engine::context::RequestContext;
use crate::policy_engine::decision::Decision;
use crate::policy_engine::evaluate::{Surroundings, decide, explain};
use crate::policy_engine::parse::parse_bucket_policy;
use crate::policy_engine::request::{AccessRequest, ObjectFacts, ObjectState};
use crate::policy_engine::{IdentityPolicy, PolicyHome, Trace, TrustPolicy, TrustRequest};

const ROLE_ACCOUNTS: [(&str, &str, &str); 2] =
    [("deploy", "111111111111", "/service/"), ("audit", "222222222222", "/")];
const TARGET: &str = "arn:aws:iam::111111111111:role/target";

/// Users and policies.
pub(super) struct World<'a> {
    directory: Directory,
    policies: HashMap<&'a str, Value>,
    /// The bucket's policy where the facts name none.
    policy: Option<&'a str>,
}

impl<'a> World<'a> {
    pub fn new(table: &Table<'a>) -> Self {
        Self { directory: directory(), policies: table.policies.clone(), policy: None }
    }

    /// A world with the policies `allow` and `deny`, of which a statement `If` has the condition.
    pub fn of_condition(condition: &str) -> Self {
        let condition: Value = serde_json::from_str(condition).unwrap();
        let statement = |effect: &str| {
            json!({"Sid": "If", "Effect": effect, "Principal": "*", "Action": "*", "Resource": "*",
                "Condition": condition})
        };
        let open = json!({"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"});
        let document = |statements: Value| json!({"Version": "2012-10-17", "Statement": statements});
        let policies = HashMap::from([
            ("allow", document(json!([statement("Allow")]))),
            ("deny", document(json!([open, statement("Deny")]))),
        ]);
        Self { directory: directory(), policies, policy: None }
    }

    pub fn with_policy(&self, policy: &'a str) -> Self {
        Self { directory: directory(), policies: self.policies.clone(), policy: Some(policy) }
    }

    fn policy(&self, name: &str) -> &Value {
        self.policies.get(name).unwrap_or_else(|| panic!("no policy {name}"))
    }

    fn held(&self, name: &str, home: PolicyHome) -> IdentityPolicy {
        let value = self.policy(name);
        let parsed = IdentityPolicy::parse(value, "own");
        parsed.unwrap_or_else(|mistake| IdentityPolicy::broken(value, mistake)).at(home)
    }

    /// The caller with the policies that the facts give it.
    fn caller(&self, who: &str, facts: &Facts<'_>) -> Option<Principal> {
        let (name, role) = match who.split_once('/') {
            None if who == "-" => return None,
            None => (who, None),
            Some((role, session)) => ("bob", Some((role, session))),
        };
        let mut caller = Principal::clone(&self.directory.principal(name));
        if let Some((name, session)) = role {
            let (_, account, path) = ROLE_ACCOUNTS.iter().find(|(known, ..)| *known == name).expect("a role");
            caller.role =
                Some(RoleSession { role_id: format!("AROA{}", name.to_uppercase()), session_name: session.to_owned() });
            caller.user_id = CanonicalId::from_bytes([7; 32]);
            caller.unambiguous_names = Arc::from([]);
            caller.access_keys = Arc::from([]);
            caller.tags = Arc::from([]);
            (caller.account_id, caller.path) = ((*account).to_owned(), (*path).to_owned());
            (caller.user_name, caller.display_name) = (name.to_owned(), name.to_owned());
        }
        let own = facts.list("own").enumerate().map(|(index, name)| self.held(name, PolicyHome::Own { index }));
        let group = facts
            .one("group")
            .and_then(|text| text.split_once(':'))
            .map(|(group, name)| self.held(name, PolicyHome::Group { group: group.into(), index: 0 }));
        let managed = facts.one("managed").map(|name| {
            let arn = format!("arn:aws:iam::111111111111:policy/{name}").into();
            self.held(name, PolicyHome::Managed { arn, group: None })
        });
        let given: Vec<IdentityPolicy> = own.chain(group).chain(managed).collect();
        if !given.is_empty() || role.is_some() {
            caller.policies = Arc::from(given);
        }
        let bounds: Vec<IdentityPolicy> = facts
            .list("session")
            .enumerate()
            .map(|(index, name)| self.held(name, PolicyHome::Session { index }))
            .collect();
        let tags: Vec<(String, String)> =
            facts.with_prefix("stag:").map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let issued = facts.one("issued");
        if role.is_some() || issued.is_some() || !bounds.is_empty() || !tags.is_empty() {
            let issued_at = issued.map_or(Stamp(1), stamp);
            let expires_at = issued_at.after(3600);
            let session = Session { issued_at, expires_at, policies: bounds, tags, ..Session::default() };
            caller.session = Some(Arc::new(session));
        }
        Some(caller)
    }

    fn id(&self, name: &str) -> CanonicalId {
        self.directory.principal(name).user_id.clone()
    }

    fn acl(&self, facts: &Facts<'_>, name: &str) -> Option<Acl> {
        let grant = |text: &str| {
            let (grantee, permission) = text.split_once(':').unwrap_or_default();
            let grantee = match grantee {
                "everybody" => Grantee::AllUsers,
                "signed" => Grantee::AuthenticatedUsers,
                user => Grantee::User(self.id(user)),
            };
            let permission = match permission {
                "FULL_CONTROL" => Permission::FullControl,
                "READ" => Permission::Read,
                "WRITE" => Permission::Write,
                "READ_ACP" => Permission::ReadAcp,
                "WRITE_ACP" => Permission::WriteAcp,
                other => panic!("{other}"),
            };
            Grant { grantee, permission }
        };
        facts.one(name).map(|_| Acl { grants: facts.list(name).map(grant).collect() })
    }

    /// Decides a request; errs when explaining it decides otherwise.
    pub fn access(
        &self,
        who: &str,
        action: &str,
        resource: &str,
        facts: &Facts<'_>,
    ) -> Result<(Decision, Trace), String> {
        let action = if action.contains(':') { action.to_owned() } else { format!("s3:{action}") };
        let caller = self.caller(who, facts);
        let arn = Some(resource).filter(|resource| resource.starts_with("arn:"));
        let (name, key) = match resource.split_once('/') {
            _ if arn.is_some() => ("", None),
            Some((name, key)) => (name, Some(key)),
            None => (resource, None),
        };
        let bucket = Some(name).filter(|name| !name.is_empty()).map(|name| BucketName::parse(name).unwrap());
        let owner = name.strip_suffix("-data").map(|owner| self.id(owner));
        let policy = facts.one("policy").or(self.policy).map(|name| {
            let bucket = bucket.as_ref().expect("a bucket");
            parse_bucket_policy(&self.policy(name).to_string(), bucket).map(|(_, document)| document)
        });
        let config = BucketConfig {
            acl: self.acl(facts, "bucket-acl"),
            ownership: facts.one("enforced").map(|_| ObjectOwnership::BucketOwnerEnforced),
            public_access_block: Some(PublicAccessBlock {
                ignore_public_acls: facts.one("ignore-acls").is_some(),
                restrict_public_buckets: facts.one("restrict").is_some(),
                ..PublicAccessBlock::default()
            }),
            ..BucketConfig::default()
        };
        let tags: Vec<(String, String)> =
            facts.with_prefix("tag:").map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let (object_acl, unseen) = (self.acl(facts, "object-acl"), facts.one("object") == Some("unseen"));
        let object_owner = facts.one("object").filter(|_| !unseen).or((!tags.is_empty()).then_some("ann"));
        let object_owner = object_owner.map(|owner| self.id(owner));
        let account = |owner: &CanonicalId| self.directory.account_of(owner).into_owned();
        let (bucket_account, object_account) = (owner.as_ref().map(account), object_owner.as_ref().map(account));
        let context = context(facts);
        let request = AccessRequest {
            principal: caller.as_ref(),
            action: &action,
            bucket: bucket.as_ref(),
            bucket_owner: owner.as_ref(),
            config: owner.as_ref().map(|_| &config),
            key,
            resource: arn,
            object: match &object_owner {
                _ if unseen => ObjectState::Unseen,
                Some(owner) => ObjectState::Found(ObjectFacts { owner, acl: object_acl.as_ref(), tags: &tags }),
                None => ObjectState::Missing,
            },
            context: &context,
        };
        let around = Surroundings {
            policy: policy.as_ref().map(|policy| policy.as_ref()),
            bucket_account: bucket_account.as_deref(),
            object_account: object_account.as_deref(),
            account_of: &account,
        };
        let (explained, trace) = explain(&request, &around);
        match decide(&request, &around) {
            decided if decided == explained => Ok((decided, trace)),
            decided => Err(format!("decided {decided:?}, but explained {explained:?}")),
        }
    }

    /// Whether the caller may assume the role `target` of account 1….
    pub fn trust(&self, who: &str, action: &str, trust: &str, facts: &Facts<'_>) -> (Decision, Trace) {
        let caller = self.caller(who, facts).expect("a caller");
        let context = context(facts);
        self.trust_policy(trust).decide(&caller, trust_request(action, &context))
    }

    /// Whether whoever the provider knows may.
    pub fn trusts_federated(&self, provider: &str, action: &str, trust: &str, facts: &Facts<'_>) -> bool {
        let context = context(facts);
        self.trust_policy(trust).allows_federated(provider, trust_request(action, &context))
    }

    fn trust_policy(&self, name: &str) -> TrustPolicy {
        TrustPolicy::parse(self.policy(name), "trust").unwrap()
    }
}

fn trust_request<'a>(action: &str, context: &'a RequestContext) -> TrustRequest<'a> {
    let known = ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession"];
    let action = known.into_iter().find(|known| *known == action).expect("an action");
    TrustRequest { action, account_id: "111111111111", role_arn: TARGET, context }
}

fn directory() -> Directory {
    Directory::of(&serde_json::from_str(include_str!("cast.json")).unwrap())
}

fn stamp(text: &str) -> Stamp {
    let time = OffsetDateTime::parse(text, &Rfc3339).unwrap();
    Stamp(u64::try_from(time.unix_timestamp_nanos()).unwrap())
}

/// What the request says of itself: words with a colon are condition keys.
fn context(facts: &Facts<'_>) -> RequestContext {
    let now = facts.one("at").map_or(Stamp(1), stamp);
    let address = facts.one("ip").map(|text| text.parse().unwrap());
    let mut context = RequestContext::new(now, address, facts.one("tls").is_some());
    for (key, value) in facts.with_prefix("").filter(|(key, _)| key.contains(':')) {
        if !key.starts_with("tag:") && !key.starts_with("stag:") {
            context.add(key.to_owned(), value);
        }
    }
    context
}
