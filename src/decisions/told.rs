//! Who may read a refusal, and how much of it. Pure.
//!
//! Administrators read everything. The owner of the bucket concerned, and the root of its account, read everything but the
//! policies of callers of other accounts, which are none of theirs. The caller reads what AWS tells it: that it is refused, what
//! for, and which kind of policy did it.

use std::net::IpAddr;

use myfsio_actors::iam::Principal;
use myfsio_actors::names::{CanonicalId, Stamp};
use serde_json::{Map, Value, json};

use super::explanation::for_the_caller;
use super::log::{Refusal, Refusals};

/// What the caller itself reads of a refusal.
const OF_ITS_OWN: [&str; 9] =
    ["principal", "action", "resource", "bucket", "decision", "code", "reason", "message", "hint"];

/// Who wants to read.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The user or role.
    pub principal: &'a Principal,
    /// Whether it administers the node.
    pub is_administrator: bool,
}

/// How much somebody may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    All,
    OfBucket,
    OfItsOwn,
}

impl Asker<'_> {
    fn view(self, refusal: &Refusal, account_of: &dyn Fn(&CanonicalId) -> String) -> Option<View> {
        let own = self.principal;
        if self.is_administrator {
            return Some(View::All);
        }
        let owns = |owner: &CanonicalId| *owner == own.user_id || (own.is_root && account_of(owner) == own.account_id);
        if refusal.bucket_owner.as_ref().is_some_and(owns) {
            return Some(View::OfBucket);
        }
        let is_caller = refusal.caller.as_deref() == Some(&*own.unique_id());
        let names_key = |key: &str| own.access_keys.iter().any(|own| own.as_str() == key);
        (is_caller || refusal.unproven_key.as_deref().is_some_and(names_key)).then_some(View::OfItsOwn)
    }
}

impl Refusals {
    /// What the asker may read; none when that is nothing.
    pub fn tell(
        &self,
        request_id: &str,
        at: Stamp,
        asker: Asker<'_>,
        account_of: &dyn Fn(&CanonicalId) -> String,
    ) -> Option<Value> {
        let mut all = self.all.iter().filter_map(|refusal| {
            let view = asker.view(refusal, account_of)?;
            let told: Value = serde_json::from_str(&refusal.text).ok()?;
            Some(seen(told, view, &asker.principal.account_id))
        });
        let mut answer = Map::new();
        answer.insert("request_id".to_owned(), Value::from(request_id));
        answer.insert("time".to_owned(), Value::from(at.rfc3339()));
        answer.insert("source_ip".to_owned(), Value::from(self.address.map(written)));
        answer.extend(all.next()?);
        answer.insert("further".to_owned(), all.map(Value::Object).collect());
        answer.insert("further_left_out".to_owned(), Value::from(self.left_out));
        Some(Value::Object(answer))
    }
}

fn written(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

fn seen(told: Value, view: View, account_id: &str) -> Map<String, Value> {
    let Value::Object(mut told) = told else { return Map::new() };
    let account_of_caller = told.get("principal").and_then(|principal| principal.get("account_id"));
    let is_foreign = account_of_caller.is_some_and(|account| !account.is_null() && account != account_id);
    match view {
        View::All => {}
        View::OfBucket if is_foreign => hide_policies_of_the_caller(&mut told),
        View::OfBucket => {}
        View::OfItsOwn => {
            say_it_as_aws(&mut told);
            told.retain(|name, _| OF_ITS_OWN.contains(&name.as_str()));
        }
    }
    told
}

fn kind(statement: &Value) -> Option<&str> {
    statement.get("source")?.get("kind")?.as_str()
}

fn is_callers(statement: &Value) -> bool {
    matches!(kind(statement), Some("identity" | "group" | "managed" | "session"))
}

/// Leaves of a caller of another account what whoever asks called it: its ARN or user id. What conditions found is left out, too,
/// since they may ask for anything of it.
pub fn hide_the_caller(told: &mut Map<String, Value>, called: &str) {
    let Some(principal) = told.get_mut("principal").and_then(Value::as_object_mut) else { return };
    let arn = principal.get("arn").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_role = principal.get("kind").is_some_and(|kind| kind == "role");
    principal.values_mut().for_each(|value| *value = Value::Null);
    principal.insert("kind".to_owned(), Value::from(if is_role { "role" } else { "user" }));
    let field = if called.starts_with("arn:") { "arn" } else { "user_id" };
    principal.insert(field.to_owned(), Value::from(called));
    let rename = |text: &mut Value| {
        if let Value::String(text) = text {
            *text = text.replace(&arn, called);
        }
    };
    told.get_mut("message").map(rename);
    for statement in told.get_mut("statements").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(statement) = statement else { continue };
        if statement.shift_remove("condition").is_some() {
            statement.insert("why".to_owned(), Value::from("One of its conditions does not hold."));
        }
        statement.get_mut("why").map(rename);
    }
}

/// Leaves out the policies of a caller of another account.
pub fn hide_policies_of_the_caller(told: &mut Map<String, Value>) {
    let hidden = match told.get_mut("statements") {
        Some(Value::Array(statements)) => {
            let before = statements.len();
            statements.retain(|statement| !is_callers(statement));
            before - statements.len()
        }
        _ => 0,
    };
    let decided = told.get("deciding_statement").is_some_and(is_callers);
    if decided || told.get("reason").is_some_and(|reason| reason == "broken_identity_policy") {
        say_it_as_aws(told);
        let kind = told.get("deciding_statement").and_then(kind).map(str::to_owned);
        told.insert(
            "deciding_statement".to_owned(),
            kind.map_or(Value::Null, |kind| json!({"source": {"kind": kind}})),
        );
    }
    if let (Some(Value::Array(notes)), true) = (told.get_mut("notes"), hidden > 0) {
        let text = format!("{hidden} statements of the caller's own policies are not shown: it is of another account");
        notes.push(Value::from(text));
    }
}

/// Puts AWS's sentence in place of one that may name policies. What no policy decided says nothing of policies.
fn say_it_as_aws(told: &mut Map<String, Value>) {
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_by_policy = told.get("statements").is_some_and(|statements| statements != &json!([]))
        || told.get("deciding_statement").is_some_and(|statement| !statement.is_null())
        || text("reason").starts_with("no_")
        || text("reason").starts_with("broken_");
    if !is_by_policy || text("decision") != "denied" {
        return;
    }
    let arn = told.get("principal").and_then(|principal| principal.get("arn")).and_then(Value::as_str);
    let kind = told.get("deciding_statement").and_then(kind);
    let sentence = for_the_caller(arn.unwrap_or("anonymous"), text("action"), text("resource"), text("reason"), kind);
    told.insert("message".to_owned(), Value::from(sentence));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use myfsio_actors::names::AccessKeyId;

    use super::*;

    fn principal(id: u8, account_id: &str, is_root: bool) -> Principal {
        let key = AccessKeyId::parse(&format!("key{id}")).unwrap();
        Principal {
            user_id: CanonicalId::from_bytes([id; 32]),
            account_id: account_id.to_owned(),
            access_keys: Arc::from([key.clone()]),
            access_key: key,
            display_name: String::new(),
            user_name: format!("user{id}"),
            path: "/".to_owned(),
            is_root,
            is_named_root: is_root,
            shares_arn: false,
            unambiguous_names: Arc::default(),
            policies: Arc::default(),
            tags: Arc::default(),
            role: None,
            session: None,
        }
    }

    /// A refusal of user 2 of account `222222222222` in the bucket of user 1 of account `111111111111`.
    fn refusals(deciding: Value, reason: &str) -> Refusals {
        let statement =
            |kind: &str| json!({"source": {"kind": kind, "policy_name": "p"}, "matched": false, "why": "secret"});
        let told = json!({
            "code": "AccessDenied",
            "principal": {"kind": "user", "arn": "arn:aws:iam::222222222222:user/two", "account_id": "222222222222"},
            "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "bucket": "b", "decision": "denied",
            "reason": reason, "message": "secret", "deciding_statement": deciding,
            "statements": [statement("identity"), statement("bucket")], "notes": [], "cause": "secret",
        });
        let refusal = Refusal {
            caller: Some(Box::from(CanonicalId::from_bytes([2; 32]).as_str())),
            unproven_key: None,
            bucket_owner: Some(CanonicalId::from_bytes([1; 32])),
            text: told.to_string().into(),
        };
        Refusals { address: Some([192, 0, 2, 1].into()), all: vec![refusal], left_out: 0 }
    }

    fn seen_by(refusals: &Refusals, principal: &Principal, is_administrator: bool) -> Option<Value> {
        let account_of = |_: &CanonicalId| "111111111111".to_owned();
        refusals.tell("00000000000000FF", Stamp(0), Asker { principal, is_administrator }, &account_of)
    }

    #[test]
    fn each_sees_what_is_its_own() {
        let refused = refusals(Value::Null, "no_statement_allows");
        let kinds = |told: &Value| -> Vec<String> {
            told["statements"].as_array().into_iter().flatten().map(|one| kind(one).unwrap().to_owned()).collect()
        };
        let all = seen_by(&refused, &principal(9, "999999999999", true), true).unwrap();
        assert_eq!((kinds(&all).len(), &all["message"], &all["source_ip"]), (2, &json!("secret"), &json!("192.0.2.1")));
        for owner in [principal(1, "111111111111", false), principal(7, "111111111111", true)] {
            let told = seen_by(&refused, &owner, false).unwrap();
            assert_eq!(kinds(&told), ["bucket"]);
            assert_eq!(told["notes"].as_array().unwrap().len(), 1);
        }
        let told = seen_by(&refused, &principal(2, "222222222222", false), false).unwrap();
        assert!(!told.to_string().contains("secret"), "{told}");
        assert_eq!(
            told["message"],
            "User: arn:aws:iam::222222222222:user/two is not authorized to perform: s3:GetObject on resource: \
             arn:aws:s3:::b/k because no identity-based policy allows the s3:GetObject action"
        );
        for stranger in [principal(7, "111111111111", false), principal(3, "222222222222", true)] {
            assert_eq!(seen_by(&refused, &stranger, false), None);
        }
    }

    #[test]
    fn a_deciding_policy_of_another_account_stays_hidden() {
        let deciding = json!({"source": {"kind": "managed", "policy_arn": "secret"}, "sid": "secret", "index": 0});
        let told = seen_by(&refusals(deciding, "explicit_deny"), &principal(1, "111111111111", true), false).unwrap();
        assert_eq!(told["deciding_statement"], json!({"source": {"kind": "managed"}}));
        assert!(told["message"].as_str().unwrap().ends_with("with an explicit deny in an identity-based policy"));
    }

    #[test]
    fn a_bad_signature_is_told_to_whose_key_it_named() {
        let mut refused = refusals(Value::Null, "authentication");
        for refusal in &mut refused.all {
            (refusal.caller, refusal.unproven_key) = (None, Some(Box::from("key2")));
        }
        assert!(seen_by(&refused, &principal(2, "222222222222", false), false).is_some());
        assert!(seen_by(&refused, &principal(3, "222222222222", false), false).is_none());
    }
}
