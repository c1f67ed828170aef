//! Which operation a path below `/kms` asks for. Pure.

use actix_web::http::Method;

use super::client::ClientRoute;
use crate::kms::Operation;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::percent_decode;

/// A route below `/kms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KmsRoute {
    /// An operation, and the key that it is about where the path names one, by its id, its ARN, or an alias.
    Operation(Operation, Option<String>),
    /// Client-side encryption.
    Client(ClientRoute),
}

/// `POST /kms/keys/<key>/…`
const OF_A_KEY: [(&str, Operation); 4] = [
    ("cancel-deletion", Operation::CancelKeyDeletion),
    ("disable", Operation::DisableKey),
    ("enable", Operation::EnableKey),
    ("rotate", Operation::RotateKeyOnDemand),
];

/// `POST /kms/…`
const OTHERS: [(&str, Operation); 6] = [
    ("decrypt", Operation::Decrypt),
    ("encrypt", Operation::Encrypt),
    ("generate-data-key", Operation::GenerateDataKey),
    ("generate-data-key-without-plaintext", Operation::GenerateDataKeyWithoutPlaintext),
    ("generate-random", Operation::GenerateRandom),
    ("re-encrypt", Operation::ReEncrypt),
];

/// `POST /kms/client/…`
const OF_CLIENTS: [(&str, ClientRoute); 3] =
    [("decrypt", ClientRoute::Decrypt), ("encrypt", ClientRoute::Encrypt), ("generate-key", ClientRoute::GenerateKey)];

/// Finds the route of a path that begins with `/kms`. Errs: NotImplemented, MethodNotAllowed, InvalidURI.
pub fn find(method: &Method, path: &str) -> Result<KmsRoute, S3Error> {
    let path = path.trim_start_matches('/').strip_prefix("kms/").unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.split_once('/') {
        None if path == "keys" => match *method {
            Method::GET => Ok(KmsRoute::Operation(Operation::ListKeys, None)),
            Method::POST => Ok(KmsRoute::Operation(Operation::CreateKey, None)),
            _ => Err(not_taken("GET, POST")),
        },
        None if path == "aliases" => match *method {
            Method::GET => Ok(KmsRoute::Operation(Operation::ListAliases, None)),
            Method::POST => Ok(KmsRoute::Operation(Operation::CreateAlias, None)),
            Method::DELETE => Ok(KmsRoute::Operation(Operation::DeleteAlias, None)),
            _ => Err(not_taken("GET, POST, DELETE")),
        },
        None if path == "rotations" => match *method {
            Method::GET => Ok(KmsRoute::Operation(Operation::ListKeyRotations, None)),
            _ => Err(not_taken("GET")),
        },
        None => posted(method, find_in(&OTHERS, path).map(|operation| KmsRoute::Operation(operation, None))),
        Some(("keys", rest)) => of_a_key(method, rest),
        Some(("client", word)) => posted(method, find_in(&OF_CLIENTS, word).map(KmsRoute::Client)),
        Some(_) => Err(unbuilt()),
    }
}

/// A route that takes POST, if there is one.
fn posted(method: &Method, route: Option<KmsRoute>) -> Result<KmsRoute, S3Error> {
    match (method, route) {
        (&Method::POST, Some(route)) => Ok(route),
        (_, Some(_)) => Err(not_taken("POST")),
        (_, None) => Err(unbuilt()),
    }
}

/// `<key>` or `<key>/<word>`. Slashes in a key may be escaped, and need not be.
fn of_a_key(method: &Method, rest: &str) -> Result<KmsRoute, S3Error> {
    let of = |operation, key| Ok(KmsRoute::Operation(operation, Some(decoded(key)?)));
    let changed = rest.rsplit_once('/').and_then(|(key, word)| Some((key, find_in(&OF_A_KEY, word)?)));
    match (method, changed) {
        (&Method::POST, Some((key, operation))) => of(operation, key),
        (&Method::GET, _) => of(Operation::DescribeKey, rest),
        (&Method::DELETE, _) => of(Operation::ScheduleKeyDeletion, rest),
        (_, Some(_)) => Err(not_taken("POST")),
        (&Method::POST, None) if rest.contains('/') => Err(unbuilt()),
        _ => Err(not_taken("GET, DELETE")),
    }
}

fn find_in<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(known, _)| *known == word).map(|(_, found)| *found)
}

fn decoded(text: &str) -> Result<String, S3Error> {
    let bytes = percent_decode(text.as_bytes(), false).ok_or(ErrorCode::InvalidURI)?;
    String::from_utf8(bytes).map_err(|_| ErrorCode::InvalidURI.into())
}

fn not_taken(methods: &'static str) -> S3Error {
    S3Error::new(ErrorCode::MethodNotAllowed).header("allow", methods)
}

fn unbuilt() -> S3Error {
    S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn routes() {
        let found = |method, path: &str| match find(&method, path).unwrap() {
            KmsRoute::Operation(operation, key) => (operation, key),
            KmsRoute::Client(route) => panic!("{route:?}"),
        };
        let key = |key: &str| Some(key.to_owned());
        assert_eq!(found(Method::GET, "/kms/keys"), (Operation::ListKeys, None));
        assert_eq!(found(Method::POST, "/kms/keys/"), (Operation::CreateKey, None));
        assert_eq!(found(Method::GET, "/kms/aliases"), (Operation::ListAliases, None));
        assert_eq!(found(Method::POST, "/kms/aliases"), (Operation::CreateAlias, None));
        assert_eq!(found(Method::DELETE, "/kms/aliases"), (Operation::DeleteAlias, None));
        assert_eq!(found(Method::GET, "/kms/rotations"), (Operation::ListKeyRotations, None));
        assert_eq!(found(Method::GET, &format!("/kms/keys/{ID}")), (Operation::DescribeKey, key(ID)));
        assert_eq!(found(Method::DELETE, &format!("/kms/keys/{ID}")), (Operation::ScheduleKeyDeletion, key(ID)));
        let arn = format!("arn:aws:kms:us-east-1:111122223333:key/{ID}");
        for (word, operation) in OF_A_KEY {
            assert_eq!(found(Method::POST, &format!("/kms/keys/{ID}/{word}")), (operation, key(ID)));
            assert_eq!(found(Method::POST, &format!("/kms/keys/{arn}/{word}")), (operation, key(&arn)));
            assert_eq!(
                found(Method::POST, &format!("/kms/keys/alias%2F{word}/{word}")).1,
                key(&format!("alias/{word}"))
            );
        }
        assert_eq!(found(Method::GET, "/kms/keys/alias/a/b"), (Operation::DescribeKey, key("alias/a/b")));
        for (word, operation) in OTHERS {
            assert_eq!(found(Method::POST, &format!("/kms/{word}")), (operation, None));
        }
        for (word, route) in OF_CLIENTS {
            assert_eq!(find(&Method::POST, &format!("/kms/client/{word}")).unwrap(), KmsRoute::Client(route));
        }
    }

    #[test]
    fn what_is_no_route() {
        let code = |method, path: &str| find(&method, path).unwrap_err().code();
        for (method, path) in [
            (Method::PUT, "/kms/keys"),
            (Method::PUT, "/kms/aliases"),
            (Method::POST, "/kms/rotations"),
            (Method::GET, "/kms/encrypt"),
            (Method::PUT, "/kms/keys/x"),
            (Method::POST, "/kms/keys/x"),
            (Method::PUT, "/kms/keys/x/rotate"),
            (Method::GET, "/kms/client/encrypt"),
        ] {
            assert_eq!(code(method, path), ErrorCode::MethodNotAllowed, "{path}");
        }
        for path in ["/kms", "/kms/", "/kms/sign", "/kms/keys/x/fly", "/kms/encrypt/x", "/kms/client/x"] {
            assert_eq!(code(Method::POST, path), ErrorCode::NotImplemented, "{path}");
        }
        assert_eq!(code(Method::GET, "/kms/keys/%ff"), ErrorCode::InvalidURI);
        assert_eq!(code(Method::GET, "/kms/keys/%zz"), ErrorCode::InvalidURI);
    }
}
