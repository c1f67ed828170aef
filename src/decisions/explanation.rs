//! A decision in words: which statements were considered, why each did or did not apply, and which one decided. Pure.

use std::borrow::Cow;

use myfsio_actors::iam::Principal;
use myfsio_actors::names::CanonicalId;
use myfsio_actors::policy_engine::{
    AccessRequest, AclOf, Considered, Decision, Effect, Fit, GrantRef, PolicyHome, Reason, Source, StatementRef, Trace,
};
use serde::Serialize;

/// Why an error refuses its request.
#[derive(Debug, Clone)]
pub enum Why {
    /// The policy engine decided so.
    Decided(Box<Explanation>),
    /// The credentials are not good.
    Credentials {
        /// The access key that they name.
        access_key: Option<String>,
        /// What may have made the signature fail.
        hint: Option<String>,
    },
    /// A rule beside policies, by its word: `object_lock` and the like.
    Rule(&'static str),
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Who {
    /// `anonymous`, `root`, `user`, `role`, or `unproven` where the credentials are not good.
    pub kind: &'static str,
    /// ARN, of a role that of its session.
    pub arn: Option<String>,
    /// Access key of the request.
    pub access_key: Option<String>,
    /// `aws:userid`.
    pub user_id: Option<String>,
    /// Account.
    pub account_id: Option<String>,
    /// Name for people.
    pub display_name: Option<String>,
}

impl Who {
    /// The caller; none is anonymous.
    pub fn of(principal: Option<&Principal>) -> Self {
        let Some(principal) = principal else { return Self { kind: "anonymous", ..Self::default() } };
        let kind = match (&principal.role, principal.is_root) {
            (Some(_), _) => "role",
            (None, true) => "root",
            (None, false) => "user",
        };
        Self {
            kind,
            arn: Some(principal.caller_arn()),
            access_key: Some(principal.access_key.as_str().to_owned()),
            user_id: Some(principal.unique_id().into_owned()),
            account_id: Some(principal.account_id.clone()),
            display_name: Some(principal.display_name.clone()),
        }
    }

    /// Somebody whose credentials are not good, and the access key that they name.
    pub fn unproven(access_key: Option<&str>) -> Self {
        Self { kind: "unproven", access_key: access_key.map(str::to_owned), ..Self::default() }
    }

    fn name(&self) -> &str {
        self.arn.as_deref().unwrap_or("anonymous callers")
    }
}

/// A decision, told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Who asks.
    pub principal: Who,
    /// What for.
    pub action: String,
    /// ARN of what it is asked of.
    pub resource: String,
    /// The bucket that it concerns.
    pub bucket: Option<String>,
    /// Whose that bucket is.
    #[serde(skip)]
    pub bucket_owner: Option<CanonicalId>,
    /// `allowed` or `denied`.
    pub decision: &'static str,
    /// Why, as a word for machines.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub message: String,
    /// The statement that decided, if one did.
    pub deciding_statement: Option<Named>,
    /// What was considered, in the order in which it was asked.
    pub statements: Vec<Told>,
    /// What else had a say.
    pub notes: Vec<Cow<'static, str>>,
}

/// A statement, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its policy.
    pub source: Place,
    /// `Sid`.
    pub sid: Option<Box<str>>,
    /// Place in `Statement`, counted from 0; none for a grant of the short form.
    pub index: Option<usize>,
}

/// Where a policy is from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `identity`, `group`, `managed`, `session`, `bucket`, `trust` or `key`.
    pub kind: &'static str,
    /// `PolicyName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_name: Option<Box<str>>,
    /// ARN of a managed policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_arn: Option<Box<str>>,
    /// The group that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<str>>,
    /// Place among the policies of its kind, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_index: Option<usize>,
}

/// A statement that was considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Which one.
    #[serde(flatten)]
    pub statement: Named,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    /// Whether it applied.
    pub matched: bool,
    /// Why, or why not.
    pub why: String,
    /// The condition that did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Unmet>,
}

/// A condition that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmet {
    /// The operator as written.
    pub operator: Box<str>,
    /// The condition key.
    pub key: Box<str>,
    /// What the statement wants.
    pub wanted: Vec<Box<str>>,
    /// What the request has.
    pub found: Vec<Box<str>>,
}

impl Explanation {
    /// Tells a decision about a request.
    pub fn of(request: &AccessRequest<'_>, decision: &Decision, trace: Trace) -> Self {
        let resource = match (request.bucket, request.key, request.resource) {
            (Some(bucket), Some(key), _) => format!("arn:aws:s3:::{bucket}/{key}"),
            (Some(bucket), None, _) => format!("arn:aws:s3:::{bucket}"),
            (None, _, Some(resource)) => resource.to_owned(),
            (None, _, None) => "*".to_owned(),
        };
        let mut told = Self::about(request.principal, request.action, resource, decision, trace);
        told.bucket = request.bucket.map(|bucket| bucket.as_str().to_owned());
        told.bucket_owner = request.bucket_owner.cloned();
        told
    }

    /// Tells a decision about something that is no bucket.
    pub fn about(
        principal: Option<&Principal>,
        action: &str,
        resource: String,
        decision: &Decision,
        trace: Trace,
    ) -> Self {
        let who = Who::of(principal);
        let message = sentence(&decision.reason, &who, action, &resource, trace.considered.len());
        let statements = trace.considered.into_iter().map(|one| Told::of(one, &who, action, &resource)).collect();
        Self {
            principal: who,
            action: action.to_owned(),
            resource,
            bucket: None,
            bucket_owner: None,
            decision: if decision.allowed { "allowed" } else { "denied" },
            reason: word(&decision.reason),
            message,
            deciding_statement: match &decision.reason {
                Reason::ExplicitDeny(statement) | Reason::Allowed(statement) => Some(Named::of(statement.clone())),
                _ => None,
            },
            statements,
            notes: trace.notes.into_iter().map(Cow::Borrowed).collect(),
        }
    }

    /// The same with a further note.
    #[must_use]
    pub fn noting(mut self, note: impl Into<Cow<'static, str>>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl Named {
    fn of(statement: StatementRef) -> Self {
        let source = match statement.source {
            Source::Bucket => Place { kind: "bucket", ..Place::default() },
            Source::Trust => Place { kind: "trust", ..Place::default() },
            Source::Key => Place { kind: "key", ..Place::default() },
            Source::Identity { home, name: policy_name } => match home {
                PolicyHome::Own { index } => {
                    Place { kind: "identity", policy_name, policy_index: Some(index), ..Place::default() }
                }
                PolicyHome::Group { group, index } => Place {
                    kind: "group",
                    policy_name,
                    group: Some(group),
                    policy_index: Some(index),
                    ..Place::default()
                },
                PolicyHome::Managed { arn, group } => {
                    Place { kind: "managed", policy_name, policy_arn: Some(arn), group, ..Place::default() }
                }
                PolicyHome::Session { index } => {
                    Place { kind: "session", policy_name, policy_index: Some(index), ..Place::default() }
                }
            },
        };
        Self { source, sid: statement.sid, index: statement.index }
    }

    /// Such as `Statement[1] "no-strangers" of the bucket's policy`.
    fn words(&self) -> String {
        let Place { kind, policy_name, policy_arn, group, policy_index } = &self.source;
        let at = |list: &str| format!("{list}[{}]", policy_index.unwrap_or_default());
        let name = || policy_name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let policy = match *kind {
            "bucket" => "the bucket's policy".to_owned(),
            "trust" => "the role's trust policy".to_owned(),
            "key" => "the key's policy".to_owned(),
            "managed" => format!("the managed policy {}", policy_arn.as_deref().unwrap_or_default()),
            "session" => format!("the session's policy {}", policy_index.unwrap_or_default()),
            "group" => {
                format!("{}{} of the group {}", at("policies"), name(), group.as_deref().unwrap_or_default())
            }
            _ => format!("the caller's {}{}", at("policies"), name()),
        };
        let sid = self.sid.as_ref().filter(|sid| !sid.is_empty()).map(|sid| format!(" \"{sid}\"")).unwrap_or_default();
        match self.index {
            Some(index) => format!("Statement[{index}]{sid} of {policy}"),
            None => format!("The grant {policy}"),
        }
    }
}

impl Told {
    fn of(one: Considered, who: &Who, action: &str, resource: &str) -> Self {
        let mut condition = None;
        let matched = matches!(one.fit, Fit::Applies | Fit::AppliesToAccount);
        let why = match one.fit {
            Fit::Applies => match one.effect {
                Effect::Allow => "It applies, and allows.".to_owned(),
                Effect::Deny => "It applies, and denies.".to_owned(),
            },
            Fit::AppliesToAccount => match one.effect {
                Effect::Allow => "It allows the caller's account, whose own policies may give the right on.".to_owned(),
                Effect::Deny => "It denies the caller's account.".to_owned(),
            },
            Fit::OtherPrincipal => format!("Its principals do not include {}.", who.name()),
            Fit::OtherAction => format!("Its actions do not include {action}."),
            Fit::OtherResource => format!("Its resources do not include {resource}."),
            Fit::GrantsOthers => format!("It does not grant {action} on {resource}."),
            Fit::Unmet { operator, key, wanted, found } => {
                let has = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
                let wants = wanted.join(", ");
                let why = format!("Its condition {operator} on {key} wants {wants}, and the request has {has}.");
                condition = Some(Unmet { operator, key, wanted, found });
                why
            }
        };
        Self {
            statement: Named::of(one.statement),
            effect: match one.effect {
                Effect::Allow => "Allow",
                Effect::Deny => "Deny",
            },
            matched,
            why,
            condition,
        }
    }
}

fn word(reason: &Reason) -> &'static str {
    match reason {
        Reason::ExplicitDeny(_) => "explicit_deny",
        Reason::Allowed(_) => "allowed",
        Reason::AccountRoot => "account_root",
        Reason::BucketCreator => "bucket_creator",
        Reason::ObjectOwner => "object_owner",
        Reason::Granted(_) => "granted",
        Reason::PolicyRepair => "policy_repair",
        Reason::OwnBuckets => "own_buckets",
        Reason::Anonymous => "anonymous",
        Reason::DependsOnObject => "depends_on_object",
        Reason::NoStatementAllows => "no_statement_allows",
        Reason::NoSessionPolicyAllows => "no_session_policy_allows",
        Reason::NoTrust => "no_trust",
        Reason::NoIdentityPolicyAllows => "no_identity_policy_allows",
        Reason::NoBucketPolicyAllows => "no_bucket_policy_allows",
        Reason::AdministratorsOnly => "administrators_only",
        Reason::Administrator => "administrator",
        Reason::NoKeyPolicyAllows => "no_key_policy_allows",
        Reason::BrokenKeyPolicy(_) => "broken_key_policy",
        Reason::BrokenBucketPolicy(_) => "broken_bucket_policy",
        Reason::BrokenIdentityPolicy(_) => "broken_identity_policy",
        Reason::TooMuchWork => "too_much_work",
        Reason::UnknownAction => "unknown_action",
    }
}

fn sentence(reason: &Reason, who: &Who, action: &str, resource: &str, considered: usize) -> String {
    let what = format!("{action} on {resource}");
    let name = who.name();
    let count = match considered {
        0 => "there was none to consider".to_owned(),
        1 => "1 statement was considered".to_owned(),
        n => format!("{n} statements were considered"),
    };
    match reason {
        Reason::ExplicitDeny(statement) => format!("{} denies {what} to {name}.", Named::of(statement.clone()).words()),
        Reason::Allowed(statement) => format!("{} allows {what} to {name}.", Named::of(statement.clone()).words()),
        Reason::AccountRoot => {
            format!("{name} is the root of the account that owns what is asked for, and no policy denies it.")
        }
        Reason::BucketCreator => format!("{name} created the bucket, and so has every right in it."),
        Reason::ObjectOwner => format!("{name}, or its account, owns the object."),
        Reason::Granted(grant) => format!("{} lets {name} do {what}.", grant_words(grant)),
        Reason::PolicyRepair => {
            format!("{name} is the root of the bucket's account, which always reaches the bucket's policy.")
        }
        Reason::OwnBuckets => "Every signed caller may list its buckets.".to_owned(),
        Reason::Anonymous => format!(
            "The request has no credentials, and neither the bucket's policy nor a list gives everybody {what}; {count}."
        ),
        Reason::DependsOnObject => format!("Whether {name} may do {what} depends on the object."),
        Reason::NoStatementAllows => format!("No statement allows {what} to {name}; {count}."),
        Reason::NoSessionPolicyAllows => format!(
            "The temporary credentials of {name} are bounded by session policies that do not allow {what}; {count}."
        ),
        Reason::NoTrust => format!("The trust policy of {resource} does not allow {action} to {name}; {count}."),
        Reason::NoIdentityPolicyAllows => {
            format!("What is asked for is another account's: it allows {what}, but no policy of {name} does; {count}.")
        }
        Reason::NoBucketPolicyAllows => format!(
            "What is asked for is another account's: a policy of {name} allows {what}, but neither the bucket's policy nor \
             a list does; {count}."
        ),
        Reason::AdministratorsOnly => {
            format!("Only administrators may do {action}: who holds iam:* or iam:list_users.")
        }
        Reason::Administrator => format!("{name} administers the node, and so its keys."),
        Reason::NoKeyPolicyAllows => {
            format!("The policy of {resource} allows {action} neither to {name} nor to its account; {count}.")
        }
        Reason::BrokenKeyPolicy(mistake) => {
            format!("The policy of {resource} has a mistake ({mistake}) and lets in nobody but administrators.")
        }
        Reason::BrokenBucketPolicy(mistake) => format!(
            "The bucket's policy has a mistake ({mistake}) and lets in nobody but the bucket's owner and administrators."
        ),
        Reason::BrokenIdentityPolicy(mistake) => {
            format!("A policy of {name} has a mistake ({mistake}), so that {name} may do nothing.")
        }
        Reason::TooMuchWork => {
            "The patterns of the policies take too long to compare with what the request says.".to_owned()
        }
        Reason::UnknownAction => format!("There is no action {action}."),
    }
}

fn grant_words(grant: &GrantRef) -> String {
    let of = match grant.of {
        AclOf::Bucket => "bucket",
        AclOf::Object => "object",
    };
    format!("Grant {} of the {of}'s access control list", grant.index)
}

/// Why a caller is refused by a decision, in no more words than AWS has for it.
pub fn in_words_of_aws(caller: &Principal, action: &str, resource: &str, decision: &Decision) -> String {
    let kind = match &decision.reason {
        Reason::ExplicitDeny(statement) => Some(Named::of(statement.clone()).source.kind),
        _ => None,
    };
    for_the_caller(&caller.caller_arn(), action, resource, word(&decision.reason), kind)
}

/// Why the caller itself is refused, in no more words than AWS has for it (IAM User Guide, "Troubleshoot access denied error
/// messages"). `kind` is that of the deciding statement's policy.
pub fn for_the_caller(name: &str, action: &str, resource: &str, reason: &str, kind: Option<&str>) -> String {
    let because = match (reason, kind) {
        ("explicit_deny", Some("bucket" | "key")) => "with an explicit deny in a resource-based policy",
        ("explicit_deny", Some("session")) => "with an explicit deny in a session policy",
        ("explicit_deny", Some("trust")) => "with an explicit deny in the role trust policy",
        ("explicit_deny" | "broken_identity_policy", _) => "with an explicit deny in an identity-based policy",
        ("broken_bucket_policy" | "broken_key_policy", _) => "with an explicit deny in a resource-based policy",
        (reason, _) => {
            let policy = match reason {
                "no_session_policy_allows" => "session policy",
                "no_trust" => "role trust policy",
                "no_bucket_policy_allows" | "no_key_policy_allows" | "anonymous" => "resource-based policy",
                _ => "identity-based policy",
            };
            &format!("because no {policy} allows the {action} action")
        }
    };
    format!("User: {name} is not authorized to perform: {action} on resource: {resource} {because}")
}
