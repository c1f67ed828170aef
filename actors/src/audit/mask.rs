//! Taking secrets out of what is logged. Pure.

use serde_json::Value;

/// What stands in the place of a secret.
pub const MASKED: &str = "********";

/// How the names of fields that hold secrets end, in lower case and without separators: `secret_key`, `secret_key_sealed`,
/// `SecretAccessKey`, `session_token`, `webhook-token` and the like.
const ENDINGS: &[&str] = &[
    "secret",
    "secretkey",
    "secretaccesskey",
    "sealed",
    "token",
    "tokens",
    "password",
    "passphrase",
    "privatekey",
    "masterkey",
    "authorization",
    "signature",
];

/// Replaces every secret in `value`, however deep, by [`MASKED`]. A field is secret by its name; null says that there is none, and
/// stays. So does the host of a URL, but not the name and password, query and fragment, in which a webhook's token may stand.
pub fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::Null => {}
                    field if is_secret(name) => *field = Value::from(MASKED),
                    field => mask(field),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(mask),
        Value::String(text) => {
            if let Some(masked) = without_credentials(text) {
                *text = masked;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The URL without what may let somebody in; none when there is nothing of that, or it is no URL.
fn without_credentials(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (address, behind) = match rest.find(['?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (authority, path) = match address.find('/') {
        Some(at) => address.split_at(at),
        None => (address, ""),
    };
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(_, host)| (MASKED, host));
    if user.is_empty() && behind.is_empty() {
        return None;
    }
    let at = if user.is_empty() { "" } else { "@" };
    let behind = behind.get(..1).map(|mark| format!("{mark}{MASKED}")).unwrap_or_default();
    Some(format!("{scheme}://{user}{at}{host}{path}{behind}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn masked(mut value: Value) -> Value {
        mask(&mut value);
        value
    }

    #[test]
    fn secrets_are_masked_by_their_names() {
        let names = [
            "secret_key",
            "secret_key_sealed",
            "SecretAccessKey",
            "SecretKey",
            "secret",
            "client_secret",
            "token",
            "token_sealed",
            "SessionToken",
            "session_token",
            "x-amz-security-token",
            "webhook_token",
            "METRICS_TOKEN",
            "password",
            "Password",
            "db-password",
            "passphrase",
            "private_key",
            "authorization",
            "Signature",
            "master_key",
        ];
        for name in names {
            for secret in [json!("s3cret"), json!(1234), json!(["s3cret"]), json!({ "a": "s3cret" }), json!("")] {
                let told = masked(json!({ "users": [{ name: secret, "display_name": "Ann" }] }));
                assert_eq!(told, json!({ "users": [{ name: MASKED, "display_name": "Ann" }] }), "{name}");
            }
            assert_eq!(masked(json!({ name: null })), json!({ name: null }), "{name}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let value = json!({
            "access_key": "AKIA", "keys": 3, "user_id": "0a", "policies": [{"PolicyName": "token-readers", "Statement": {
                "Action": "secretsmanager:*", "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"}},
            }}],
            "thumbprints": ["aa"], "created_at": "2026-01-01T00:00:00Z", "enabled": true, "url": "https://idp.test/a/b",
            "note": "see http://wiki and ftp://user:pass@host",
        });
        assert_eq!(masked(value.clone()), value);
    }

    #[test]
    fn urls_lose_what_lets_somebody_in() {
        for (url, told) in [
            ("https://user:pass@host/path", "https://********@host/path"),
            ("https://host/hook?key=abc&x=1", "https://host/hook?********"),
            ("HTTP://a@b@host:1/#frag", "HTTP://********@host:1/#********"),
            ("https://host?a@b", "https://host?********"),
        ] {
            assert_eq!(masked(json!([url])), json!([told]));
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-z]{0,6}".prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let name = prop_oneof!["[a-z_]{1,8}", "[a-z]{0,4}_?(secret_key|token|password)"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn no_secret_left(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.iter().all(|(name, field)| {
                if is_secret(name) { field.is_null() || field == MASKED } else { no_secret_left(field) }
            }),
            Value::Array(elements) => elements.iter().all(no_secret_left),
            _ => true,
        }
    }

    proptest! {
        #[test]
        fn no_depth_hides_a_secret(value in value()) {
            let once = masked(value);
            prop_assert!(no_secret_left(&once));
            prop_assert_eq!(masked(once.clone()), once);
        }
    }
}
