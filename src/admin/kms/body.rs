//! What a request below `/kms` says, under the names that AWS KMS has for it. Pure.
//!
//! Names come as AWS spells them or in snake case, and some have a shorter one. A key may go by an alias without `alias/` in front. What
//! an operation does not know is refused.

use serde_json::Value;

use crate::constraint::shown;
use crate::kms::{Fields, Operation};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::Query;

/// What CreateKey takes here beside what AWS has it take.
const ALIAS: &str = "AliasName";

/// Shorter names.
const SHORT: [(&str, &str); 6] = [
    ("alias", ALIAS),
    ("ciphertext", "CiphertextBlob"),
    ("context", "EncryptionContext"),
    ("destination_context", "DestinationEncryptionContext"),
    ("source_context", "SourceEncryptionContext"),
    ("waiting_period_days", "PendingWindowInDays"),
];

/// Members that name a key.
const KEYS: [&str; 3] = ["DestinationKeyId", "KeyId", "SourceKeyId"];

/// Reads path, body and query. Errs: SerializationException, ValidationException.
pub fn read(operation: Operation, key: Option<String>, body: &[u8], query: &Query) -> Result<Fields, S3Error> {
    let mut fields = Fields::parse(body)?.renamed(&|name| member(name))?;
    for (name, value) in query.iter().filter(|(name, _)| !is_of_signatures(name)) {
        let value = value.parse::<u32>().map_or_else(|_| Value::from(value), Value::from);
        fields.add(member(name), value)?;
    }
    if let Some(key) = key {
        fields.add("KeyId".to_owned(), key.into())?;
    }
    let known = operation.members().unwrap_or_default();
    let is_known = |name: &str| known.contains(&name) || (operation == Operation::CreateKey && name == ALIAS);
    if let Some(strange) = fields.names().find(|name| !is_known(name)) {
        let message = format!("{} takes no {}.", operation.name(), shown(strange));
        return Err(S3Error::with_message(ErrorCode::ValidationException, message));
    }
    for name in KEYS {
        fields.respell(name, |name| if is_bare_alias(name) { format!("alias/{name}") } else { name.to_owned() });
    }
    fields.respell(ALIAS, |name| if name.starts_with("alias/") { name.to_owned() } else { format!("alias/{name}") });
    Ok(fields)
}

/// The name that AWS has for a member.
fn member(name: &str) -> String {
    let short = SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
    if let Some((_, name)) = short {
        return (*name).to_owned();
    }
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('_').map(capitalised).collect()
}

/// Whether this is an alias without `alias/` in front, rather than an id, an ARN or a whole alias.
fn is_bare_alias(name: &str) -> bool {
    let is_id = name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    !name.is_empty() && !is_id && !name.starts_with("alias/") && !name.starts_with("arn:")
}

/// Whether a parameter of the query is the signature's.
fn is_of_signatures(name: &str) -> bool {
    let begins = name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-amz-"));
    begins || matches!(name, "AWSAccessKeyId" | "Expires" | "Signature")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    fn fields(value: &Value) -> Fields {
        Fields::parse(value.to_string().as_bytes()).unwrap()
    }

    fn told(operation: Operation, key: Option<&str>, body: &Value, query: &str) -> Result<Fields, S3Error> {
        let query = Query::parse(query).unwrap();
        read(operation, key.map(str::to_owned), body.to_string().as_bytes(), &query)
    }

    #[test]
    fn both_spellings_say_the_same() {
        let made = fields(&json!({"AliasName": "alias/my-key", "Description": "d",
            "Tags": [{"TagKey": "a", "TagValue": "b"}]}));
        for body in [
            json!({"alias": "my-key", "description": "d", "tags": [{"tag_key": "a", "tag_value": "b"}]}),
            json!({"Alias": "alias/my-key", "Description": "d", "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            json!({"alias_name": "alias/my-key", "Description": "d", "tags": [{"TagKey": "a", "tag_value": "b"}]}),
        ] {
            assert_eq!(told(Operation::CreateKey, None, &body, "").unwrap(), made, "{body}");
        }
        let opened =
            fields(&json!({"CiphertextBlob": "AA==", "KeyId": "alias/k", "EncryptionContext": {"my_name": "v"}}));
        for body in [
            json!({"ciphertext": "AA==", "key_id": "k", "context": {"my_name": "v"}}),
            json!({"CiphertextBlob": "AA==", "KeyId": "alias/k", "encryption_context": {"my_name": "v"}}),
        ] {
            assert_eq!(told(Operation::Decrypt, None, &body, "").unwrap(), opened, "{body}");
        }
    }

    #[test]
    fn path_and_query_say_it_too() {
        let none = json!({});
        let deleted = fields(&json!({"KeyId": ID, "PendingWindowInDays": 7}));
        for query in ["waiting_period_days=7", "PendingWindowInDays=7&X-Amz-Signature=0&x-amz-date=1"] {
            assert_eq!(told(Operation::ScheduleKeyDeletion, Some(ID), &none, query).unwrap(), deleted, "{query}");
        }
        let listed = fields(&json!({"Limit": 2, "Marker": "x"}));
        assert_eq!(told(Operation::ListKeys, None, &none, "limit=2&marker=x").unwrap(), listed);
        for (name, expected) in [("k", "alias/k"), (ID, ID), ("alias/k", "alias/k"), ("arn:aws:kms", "arn:aws:kms")] {
            let found = told(Operation::DescribeKey, Some(name), &none, "").unwrap();
            assert_eq!(found.key("KeyId").unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_known_or_said_twice_is_refused() {
        let none = json!({});
        for (operation, key, body, query) in [
            (Operation::CreateKey, None, json!({"colour": "red"}), ""),
            (Operation::CreateKey, None, json!({"alias": "a", "AliasName": "b"}), ""),
            (Operation::CreateAlias, None, json!({"Alias_Name": "a", "AliasName": "b"}), ""),
            (Operation::EnableKey, Some(ID), json!({"KeyId": ID}), ""),
            (Operation::ScheduleKeyDeletion, Some(ID), none.clone(), "waiting_period=7"),
            (Operation::ScheduleKeyDeletion, Some(ID), json!({"waiting_period_days": 7}), "waiting_period_days=8"),
            (Operation::ListKeys, None, json!({"alias": "x"}), ""),
        ] {
            let refused = told(operation, key, &body, query).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::ValidationException, "{body} {query}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(body in ".{0,80}", name in ".{0,12}", query in "[a-zA-Z_=&%0-9-]{0,40}") {
            if let Ok(query) = Query::parse(&query) {
                let _ = read(Operation::Encrypt, Some(name.clone()), body.as_bytes(), &query);
            }
            prop_assert!(!member(&name).contains('_') || SHORT.iter().any(|(short, _)| short.eq_ignore_ascii_case(&name)));
        }
    }
}
