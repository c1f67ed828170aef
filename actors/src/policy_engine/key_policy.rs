//! Keys of the KMS: who may do what with them (KMS Developer Guide, "Key policies in AWS KMS" and "Determining access to AWS KMS
//! keys"). Pure.
//!
//! A key belongs to an account. Its policy decides alone: whom it names may, and where it names the account, the account's root may,
//! and the account's own policies may give it on. A key without a policy is its account's, and so is what is about no key. Across
//! accounts it takes both sides. Who administers the node (`iam:*` by a grant) is bound by no key's policy, so that none can lock
//! everybody out.
//!
//! A grant of the short form that gives reading or writing in a bucket gives the use of keys by S3 for that, since its holder
//! could not do what it was granted otherwise; the key's policy may deny it.

use std::sync::Arc;

use super::actions::{Capability, find_action};
use super::administrators::is_node_administrator;
use super::bounds::{names_session, within_session};
use super::context::{Facts, RequestContext};
use super::decision::{Decision, Reason, Source, StatementRef, allow, refuse};
use super::document::{Asked, Document, Verdict};
use super::effort::Effort;
use super::error::InvalidPolicy;
use super::grant::Wish;
use super::identity::{Form, IdentityPolicy};
use super::parse::{Kind, parse_document};
use super::trace::{Trace, Watch};
use super::unambiguous::Unambiguous;
use super::verdict::{IdentityVerdict, statement_ref};
use crate::iam::Principal;
use crate::names::{BucketName, CanonicalId};

/// Longest policy of a key, in bytes (KMS API Reference, PutKeyPolicy).
pub const KEY_POLICY_BYTES_MAX: usize = 32 * 1024;

/// The policy of a key, as it was put, and parsed. One with a mistake, which somebody may have written into the file of keys, refuses
/// everybody but administrators: leaving it out would open what it closes.
#[derive(Debug, Clone)]
pub struct KeyPolicy {
    text: Arc<str>,
    document: Result<Document, InvalidPolicy>,
}

impl KeyPolicy {
    /// Reads a policy; see [`Self::mistake`].
    pub fn new(text: Arc<str>) -> Self {
        let document = parse_key_policy(&text);
        Self { text, document }
    }

    /// The policy as it was put.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// What is wrong with it.
    pub fn mistake(&self) -> Option<&InvalidPolicy> {
        self.document.as_ref().err()
    }

    /// Principals that are neither ARNs nor ids of accounts, and so must be known to the node.
    pub fn bare_names(&self) -> impl Iterator<Item = &str> {
        let statements = self.document.iter().flat_map(|document| &document.statements);
        statements.flat_map(|statement| statement.principals.iter()).flat_map(|principals| principals.bare_names())
    }
}

/// Parses the text of a key's policy. Errs with the place of the mistake.
fn parse_key_policy(text: &str) -> Result<Document, InvalidPolicy> {
    if text.len() > KEY_POLICY_BYTES_MAX {
        return Err(InvalidPolicy::new("Policy", format!("is larger than {KEY_POLICY_BYTES_MAX} bytes")));
    }
    let Unambiguous(value) =
        serde_json::from_str(text).map_err(|error| InvalidPolicy::new("Policy", error.to_string()))?;
    parse_document(&value, Kind::Key)
}

/// What somebody wants to do with a key or an alias, or with the keys of an account.
#[derive(Debug, Clone, Copy)]
pub struct KeyRequest<'a> {
    /// Who; nobody without credentials ever may.
    pub principal: Option<&'a Principal>,
    /// Name with service, such as `kms:Decrypt`.
    pub action: &'a str,
    /// ARN of the key or alias; `*` for what is about none.
    pub resource: &'a str,
    /// The account that it belongs to.
    pub account_id: &'a str,
    /// The key's policy; without one the account decides.
    pub policy: Option<&'a KeyPolicy>,
    /// What conditions may ask for.
    pub context: &'a RequestContext,
    /// What is done in S3 by it.
    pub through_s3: Option<UseThroughS3<'a>>,
}

/// What is read or written in S3 by a key.
#[derive(Debug, Clone, Copy)]
pub struct UseThroughS3<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// Whose the bucket is.
    pub bucket_owner: &'a CanonicalId,
    /// The decoded key of the object; none for the bucket as a whole.
    pub key: Option<&'a str>,
}

/// Whether the caller may, and why.
pub fn decide_on_key(request: &KeyRequest<'_>) -> Decision {
    judge(request, &mut ())
}

/// The same decision, with what was considered for it.
pub fn explain_on_key(request: &KeyRequest<'_>) -> (Decision, Trace) {
    let mut trace = Trace::default();
    let decision = judge(request, &mut trace);
    (decision, trace)
}

/// Decides, and keeps temporary credentials within their bounds.
fn judge<W: Watch>(request: &KeyRequest<'_>, watch: &mut W) -> Decision {
    let Some(row) = find_action(request.action) else { return refuse(Reason::UnknownAction) };
    let Some(principal) = request.principal else { return refuse(Reason::Anonymous) };
    let effort = Effort::begin();
    let facts = Facts::new(Some(principal), row.checks, request.context, Some(request.account_id), &[]);
    let asked = Asked::new(row.checks, request.resource);
    let decision = judge_unbounded(row.name, principal, request, asked, &facts, watch);
    let is_inside = principal.account_id == request.account_id;
    let named_session = || match request.policy.map(|policy| &policy.document) {
        Some(Ok(document)) => is_inside && names_session(document, principal, asked, &facts),
        Some(Err(_)) | None => false,
    };
    let decision = within_session(decision, principal, asked, &facts, named_session, watch);
    if effort.is_spent() { refuse(Reason::TooMuchWork) } else { decision }
}

/// What the key's side says to a caller whom it does not deny.
enum KeySide {
    /// By its policy.
    Allowed(StatementRef),
    /// The policy leaves it to the caller's account.
    AllowedToAccount(StatementRef),
    /// It is the caller's account's, and has no policy.
    OwnAccount,
    Silent,
}

impl KeySide {
    /// Errs with the reason of a refusal.
    fn of<W: Watch>(
        request: &KeyRequest<'_>,
        principal: &Principal,
        asked: Asked<'_>,
        facts: &Facts<'_>,
        watch: &mut W,
    ) -> Result<Self, Reason> {
        let document = match request.policy.map(|policy| &policy.document) {
            None if principal.account_id == request.account_id => return Ok(Self::OwnAccount),
            None => return Ok(Self::Silent),
            Some(Err(mistake)) => return Err(Reason::BrokenKeyPolicy(mistake.clone())),
            Some(Ok(document)) => document,
        };
        let named = |index| statement_ref(document, index, Source::Key);
        match document.verdict(asked, facts, &|| Source::Key, watch) {
            Verdict::Denied(index) => Err(Reason::ExplicitDeny(named(index))),
            Verdict::Allowed(index) => Ok(Self::Allowed(named(index))),
            Verdict::AllowedToAccount(index) => Ok(Self::AllowedToAccount(named(index))),
            Verdict::Silent => Ok(Self::Silent),
        }
    }
}

/// Decides, whatever session policies say.
fn judge_unbounded<W: Watch>(
    action: &str,
    principal: &Principal,
    request: &KeyRequest<'_>,
    asked: Asked<'_>,
    facts: &Facts<'_>,
    watch: &mut W,
) -> Decision {
    let wish = Wish { capability: Capability::Kms, action, bucket: None, key: None, listed_prefix: None };
    let own = match IdentityVerdict::of(&principal.policies, Some(wish), asked, facts, watch) {
        IdentityVerdict::Denied(statement) => return refuse(Reason::ExplicitDeny(statement)),
        IdentityVerdict::Broken(mistake) => return refuse(Reason::BrokenIdentityPolicy(mistake)),
        IdentityVerdict::Granted(grant) => return allow(Reason::Allowed(grant)),
        IdentityVerdict::Allowed(statement) => Some(statement),
        IdentityVerdict::Silent => None,
    };
    if is_node_administrator(principal) {
        return allow(Reason::Administrator);
    }
    // Who is bound by grants has nothing by being its account's root.
    let is_bound = principal.policies.iter().any(IdentityPolicy::is_short);
    let is_root = principal.is_root && !is_bound;
    let side = match is_root == principal.is_root {
        true => KeySide::of(request, principal, asked, facts, watch),
        false => {
            let member = Principal { is_root, ..principal.clone() };
            let facts = Facts::new(Some(&member), action, request.context, Some(request.account_id), &[]);
            KeySide::of(request, &member, asked, &facts, watch)
        }
    };
    let side = match side {
        Ok(side) => side,
        Err(reason) => return refuse(reason),
    };
    if let Some(reason) = request.through_s3.and_then(|used| by_grant(principal, action, is_bound, used)) {
        return allow(reason);
    }
    let is_inside = principal.account_id == request.account_id;
    match (side, own) {
        (KeySide::Allowed(statement), _) if is_inside || is_root => allow(Reason::Allowed(statement)),
        (KeySide::AllowedToAccount(statement), _) if is_root => allow(Reason::Allowed(statement)),
        (KeySide::OwnAccount, _) if is_root => allow(Reason::AccountRoot),
        (KeySide::Allowed(_) | KeySide::AllowedToAccount(_) | KeySide::OwnAccount, Some(statement)) => {
            allow(Reason::Allowed(statement))
        }
        (KeySide::Allowed(_) | KeySide::AllowedToAccount(_), None) if !is_inside => {
            refuse(Reason::NoIdentityPolicyAllows)
        }
        (KeySide::Silent, _) => refuse(Reason::NoKeyPolicyAllows),
        (_, None) => refuse(Reason::NoStatementAllows),
    }
}

/// Why the caller's grants, or having created the bucket under them, include the use of a key.
fn by_grant(principal: &Principal, action: &str, is_bound: bool, used: UseThroughS3<'_>) -> Option<Reason> {
    let rights: &[(Capability, &str)] = match action {
        // Who writes an object in parts, or anew under another key, opens what it has written.
        "kms:Decrypt" | "kms:DescribeKey" | "kms:ReEncryptFrom" => {
            &[(Capability::Read, "s3:GetObject"), (Capability::Write, "s3:PutObject")]
        }
        "kms:Encrypt" | "kms:GenerateDataKey" | "kms:GenerateDataKeyWithoutPlaintext" | "kms:ReEncryptTo" => {
            &[(Capability::Write, "s3:PutObject")]
        }
        _ => return None,
    };
    if is_bound && *used.bucket_owner == principal.user_id {
        return Some(Reason::BucketCreator);
    }
    principal.policies.iter().find_map(|policy| {
        let Form::Short(grant) = &*policy.form else { return None };
        let gives = |(capability, action): &(Capability, &str)| {
            let bucket = Some(used.bucket.as_str());
            grant.gives(Wish { capability: *capability, action, bucket, key: used.key, listed_prefix: None })
        };
        let source = || Source::Identity { home: policy.home.clone(), name: policy.name.clone() };
        let grant = || Reason::Allowed(StatementRef { source: source(), index: None, sid: None });
        rights.iter().any(gives).then(grant)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::iam::{Directory, Session};

    const ARN: &str = "arn:aws:kms:us-east-1:111111111111:key/11111111-2222-3333-4444-555555555555";

    /// Account 1… with its root `ann`, and `bob` `cat` `dan` in it; `den` is another root of it, bound by a grant; account 2… with
    /// its root `eve` and `fox`; `admin` administers the node.
    fn directory() -> Directory {
        let seed = |bucket: &str, actions: Value| json!({"bucket": bucket, "actions": actions});
        let document = |effect: &str, actions: &str| json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": actions, "Resource": "*"}});
        let user = |name: &str, account: &str, root: bool, policies: Value| {
            json!({"access_key": name, "secret_key": "s", "display_name": name, "user_name": name, "account_id": account,
                "root": root, "policies": policies})
        };
        let (one, two) = ("111111111111", "222222222222");
        Directory::of(&json!({"users": [
            user("ann", one, true, json!([])),
            user("bob", one, false, json!([document("Allow", "kms:*")])),
            user("cat", one, false, json!([])),
            user("dan", one, false, json!([seed("photos", json!(["read"])), seed("drop", json!(["write"]))])),
            user("den", one, true, json!([seed("photos", json!(["list"]))])),
            user("dot", one, false, json!([document("Allow", "kms:*"), document("Deny", "kms:Decrypt")])),
            user("lee", one, false, json!([seed("*", json!(["iam:list_users"]))])),
            user("eve", two, true, json!([])),
            user("fox", two, false, json!([document("Allow", "kms:*")])),
            user("fin", two, false, json!([])),
            user("admin", "999999999999", false, json!([seed("*", json!(["iam:*"]))])),
            user("chief", "999999999999", false, json!([seed("*", json!(["iam:*"])), document("Deny", "kms:Decrypt")])),
        ]}))
    }

    fn policy(statements: Value) -> KeyPolicy {
        KeyPolicy::new(json!({"Version": "2012-10-17", "Statement": statements}).to_string().into())
    }

    fn statement(effect: &str, principal: &str, action: &str) -> Value {
        json!({"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": "*"})
    }

    fn asked(who: &str, action: &str, policy: Option<&KeyPolicy>, through_s3: Option<UseThroughS3<'_>>) -> Decision {
        let directory = directory();
        let principal = (who != "-").then(|| directory.principal(who));
        let context = RequestContext::default().with("kms:EncryptionContext:team", "red");
        let request = KeyRequest {
            principal: principal.as_deref(),
            action,
            resource: ARN,
            account_id: "111111111111",
            policy,
            context: &context,
            through_s3,
        };
        let decision = decide_on_key(&request);
        assert_eq!(explain_on_key(&request).0, decision);
        decision
    }

    fn may(who: &str, action: &str, policy: Option<&KeyPolicy>) -> bool {
        asked(who, action, policy, None).allowed
    }

    /// Who of all may decrypt.
    fn decrypting(policy: Option<&KeyPolicy>) -> Vec<&'static str> {
        let all = ["-", "ann", "bob", "cat", "dan", "den", "dot", "lee", "eve", "fox", "fin", "admin", "chief"];
        all.into_iter().filter(|who| may(who, "kms:Decrypt", policy)).collect()
    }

    #[test]
    fn a_key_without_a_policy_is_its_accounts() {
        assert_eq!(decrypting(None), ["ann", "bob", "admin"]);
        assert_eq!(asked("ann", "kms:Decrypt", None, None).reason, Reason::AccountRoot);
        assert_eq!(asked("admin", "kms:Decrypt", None, None).reason, Reason::Administrator);
        assert_eq!(asked("cat", "kms:Decrypt", None, None).reason, Reason::NoStatementAllows);
        assert_eq!(asked("fox", "kms:Decrypt", None, None).reason, Reason::NoKeyPolicyAllows);
        assert_eq!(asked("-", "kms:Decrypt", None, None).reason, Reason::Anonymous);
        assert_eq!(asked("ann", "kms:Fly", None, None).reason, Reason::UnknownAction);
    }

    #[test]
    fn the_policy_decides_alone() {
        let account = policy(json!([statement("Allow", "111111111111", "kms:*")]));
        assert_eq!(decrypting(Some(&account)), ["ann", "bob", "admin"]);
        let cat = policy(json!([statement("Allow", "arn:aws:iam::111111111111:user/cat", "kms:Decrypt")]));
        // Not even the account's root, since it is not named.
        assert_eq!(decrypting(Some(&cat)), ["cat", "admin"]);
        assert!(!may("cat", "kms:Encrypt", Some(&cat)));
        let everybody = policy(json!([statement("Allow", "*", "kms:Decrypt")]));
        assert_eq!(decrypting(Some(&everybody)), ["ann", "bob", "cat", "dan", "den", "lee", "eve", "fox", "admin"]);
        assert_eq!(asked("fin", "kms:Decrypt", Some(&everybody), None).reason, Reason::NoIdentityPolicyAllows);
    }

    #[test]
    fn a_deny_wins_except_over_administrators() {
        let denied = policy(json!([
            statement("Allow", "111111111111", "kms:*"),
            {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"},
        ]));
        assert_eq!(decrypting(Some(&denied)), ["admin"]);
        assert!(may("chief", "kms:PutKeyPolicy", Some(&denied)) && !may("ann", "kms:PutKeyPolicy", Some(&denied)));
        let Reason::ExplicitDeny(statement) = asked("bob", "kms:Decrypt", Some(&denied), None).reason else { panic!() };
        assert_eq!((statement.source, statement.index), (Source::Key, Some(1)));
    }

    #[test]
    fn across_accounts_it_takes_both_sides() {
        let other = policy(json!([statement("Allow", "222222222222", "kms:Decrypt")]));
        assert_eq!(decrypting(Some(&other)), ["eve", "fox", "admin"]);
        let named = policy(json!([statement("Allow", "arn:aws:iam::222222222222:user/fin", "kms:Decrypt")]));
        assert_eq!(decrypting(Some(&named)), ["admin"]);
    }

    #[test]
    fn conditions_see_the_encryption_context() {
        let with = |team: &str| {
            let condition = json!({"StringEquals": {"kms:EncryptionContext:team": team}});
            policy(json!([{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:user/cat"},
                "Action": "kms:Decrypt", "Resource": ARN, "Condition": condition}]))
        };
        assert!(may("cat", "kms:Decrypt", Some(&with("red"))) && !may("cat", "kms:Decrypt", Some(&with("blue"))));
    }

    #[test]
    fn grants_use_keys_through_s3() {
        let directory = directory();
        let (ann, dan) = (directory.principal("ann"), directory.principal("dan"));
        let through = |who: &str, action: &str, bucket: &str, owner: &CanonicalId, policy: Option<&KeyPolicy>| {
            let bucket = BucketName::parse(bucket).unwrap();
            let used = UseThroughS3 { bucket: &bucket, bucket_owner: owner, key: Some("x") };
            asked(who, action, policy, Some(used)).allowed
        };
        let others = policy(json!([statement("Allow", "222222222222", "kms:*")]));
        for key_policy in [None, Some(&others)] {
            for (who, action, bucket, expected) in [
                ("dan", "kms:Decrypt", "photos", true),
                ("dan", "kms:GenerateDataKey", "photos", false),
                ("dan", "kms:GenerateDataKey", "drop", true),
                ("dan", "kms:Decrypt", "drop", true),
                ("dan", "kms:Decrypt", "other", false),
                ("dan", "kms:PutKeyPolicy", "drop", false),
                ("cat", "kms:Decrypt", "photos", false),
                ("den", "kms:Decrypt", "photos", false),
            ] {
                assert_eq!(through(who, action, bucket, &ann.user_id, key_policy), expected, "{who} {action} {bucket}");
            }
        }
        assert!(through("dan", "kms:GenerateDataKey", "mine", &dan.user_id, None));
        let denied = policy(json!([statement("Deny", "arn:aws:iam::111111111111:user/dan", "kms:Decrypt")]));
        assert!(!through("dan", "kms:Decrypt", "photos", &ann.user_id, Some(&denied)));
        assert!(!may("dan", "kms:Decrypt", None), "only through S3");
    }

    #[test]
    fn sessions_are_bounded() {
        let directory = directory();
        let bounded = |text: &str| {
            let policies = vec![IdentityPolicy::draft(text, "session").unwrap()];
            let session = Session { policies, ..Session::default() };
            Principal { session: Some(session.into()), ..Principal::clone(&directory.principal("admin")) }
        };
        let decrypts = |principal: &Principal| {
            let context = RequestContext::default();
            decide_on_key(&KeyRequest {
                principal: Some(principal),
                action: "kms:Decrypt",
                resource: ARN,
                account_id: "111111111111",
                policy: None,
                context: &context,
                through_s3: None,
            })
            .allowed
        };
        let text = |action: &str| {
            json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": ARN}})
                .to_string()
        };
        assert!(decrypts(&bounded(&text("kms:Decrypt"))) && !decrypts(&bounded(&text("s3:*"))));
    }

    #[test]
    fn a_broken_policy_refuses_all_but_administrators() {
        for text in [
            "",
            "{}",
            r#"{"Statement": [], "Statement": []}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:Decrpyt", "Resource": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}"#,
            r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "key"}}"#,
        ] {
            let broken = KeyPolicy::new(text.into());
            assert!(broken.mistake().is_some(), "{text}");
            assert_eq!(decrypting(Some(&broken)), ["admin"], "{text}");
        }
        let long = format!("{}{}", " ".repeat(KEY_POLICY_BYTES_MAX), "{}");
        assert!(KeyPolicy::new(long.into()).mistake().is_some_and(|mistake| mistake.reason.contains("larger")));
        let named = policy(json!([statement("Allow", "ann", "kms:*")]));
        assert_eq!((named.mistake(), named.bare_names().collect::<Vec<_>>()), (None, vec!["ann"]));
    }
}
