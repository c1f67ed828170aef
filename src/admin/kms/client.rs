//! `/kms/client/generate-key`, `encrypt` and `decrypt`: client-side encryption for scripts that cannot do it themselves. Pure: a
//! JSON document in, one out.
//!
//! What they make is what the library and the command line make (`docs/client-encryption.md`); no key of KMS is involved. The node
//! sees key and plaintext while it answers, and keeps neither.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::client_encryption::{
    ALGORITHM, ClientKey, Context, Decryptor, Encryptor, Error, Metadata, generate_key, key_from_base64, key_to_base64,
};
use crate::s3::error::{ErrorCode, S3Error};

/// Bytes of one request document.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Bytes that one request encrypts: in base64, with what belongs to it, they fit into a request of their own for decryption.
pub const PLAINTEXT_BYTES_MAX: usize = 512 * 1024;

/// One of the three routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientRoute {
    /// `POST /kms/client/generate-key`
    GenerateKey,
    /// `POST /kms/client/encrypt`
    Encrypt,
    /// `POST /kms/client/decrypt`
    Decrypt,
}

/// Why there is no answer; the text is for the client.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The request is not what the route takes: `ValidationException`, 400.
    #[error("{0}")]
    Invalid(String),
    /// What is to be decrypted does not pass: `InvalidCiphertextException`, 400.
    #[error("{0}")]
    InvalidCiphertext(String),
    /// The node cannot do it: `InternalError`, 500.
    #[error("{0}")]
    Internal(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ToEncrypt {
    #[serde(alias = "key")]
    key: Zeroizing<String>,
    #[serde(alias = "plaintext")]
    plaintext: Zeroizing<String>,
    #[serde(alias = "context", default)]
    context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ToDecrypt {
    #[serde(alias = "key")]
    key: Zeroizing<String>,
    #[serde(alias = "ciphertext")]
    ciphertext: String,
    #[serde(alias = "metadata")]
    metadata: Map<String, Value>,
    #[serde(alias = "context", default)]
    context: Context,
}

/// Answers one request; `body` has at most [`BODY_BYTES_MAX`].
pub fn answer(route: ClientRoute, body: &[u8]) -> Result<Value, Refused> {
    match route {
        ClientRoute::GenerateKey => generate(),
        ClientRoute::Encrypt => encrypt(&document(body)?),
        ClientRoute::Decrypt => decrypt(&document(body)?),
    }
}

fn generate() -> Result<Value, Refused> {
    let key = generate_key()?;
    Ok(json!({"Algorithm": ALGORITHM, "Key": *key_to_base64(&key), "KeyId": key.id()}))
}

fn encrypt(asked: &ToEncrypt) -> Result<Value, Refused> {
    let key = key(&asked.key)?;
    let plaintext = Zeroizing::new(bytes("Plaintext", &asked.plaintext)?);
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(Refused::Invalid(format!("Plaintext has more than {PLAINTEXT_BYTES_MAX} bytes.")));
    }
    let encryptor = Encryptor::new(&key, &asked.context)?;
    let metadata: Map<String, Value> =
        encryptor.metadata().headers().into_iter().map(|(name, value)| (name, value.into())).collect();
    let mut ciphertext = Vec::new();
    encryptor.copy(plaintext.as_slice(), &mut ciphertext)?;
    Ok(json!({"Ciphertext": STANDARD.encode(ciphertext), "Metadata": metadata, "KeyId": key.id()}))
}

fn decrypt(asked: &ToDecrypt) -> Result<Value, Refused> {
    let key = key(&asked.key)?;
    let ciphertext = bytes("Ciphertext", &asked.ciphertext)?;
    let pairs = asked.metadata.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    let decryptor = Decryptor::new(&Metadata::from_pairs(pairs)?, &key)?;
    if !asked.context.is_empty() {
        decryptor.require_context(&asked.context)?;
    }
    let context = decryptor.context().clone();
    let mut plaintext = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    decryptor.copy(ciphertext.as_slice(), &mut *plaintext)?;
    Ok(json!({"Plaintext": STANDARD.encode(plaintext.as_slice()), "Context": context, "KeyId": key.id()}))
}

fn document<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Refused::Invalid(format!("The request has more than {BODY_BYTES_MAX} bytes.")));
    }
    serde_json::from_slice(body).map_err(|error| Refused::Invalid(format!("The request cannot be read: {error}.")))
}

fn key(text: &str) -> Result<ClientKey, Refused> {
    key_from_base64(text).map_err(|error| Refused::Invalid(format!("Key: {error}.")))
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, Refused> {
    STANDARD.decode(text).map_err(|_| Refused::Invalid(format!("{name} is not base64.")))
}

impl From<Refused> for S3Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(text) => Self::with_message(ErrorCode::ValidationException, text),
            Refused::InvalidCiphertext(text) => Self::with_message(ErrorCode::InvalidCiphertextException, text),
            Refused::Internal(text) => Self::internal(text),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::NotAKey
            | Error::BadContext(_)
            | Error::Missing(_)
            | Error::Malformed(..)
            | Error::Unsupported(_) => Self::Invalid(text),
            Error::WrongKey { .. }
            | Error::DamagedMetadata
            | Error::OtherContext { .. }
            | Error::Damaged { .. }
            | Error::CutOff { .. }
            | Error::Continued { .. } => Self::InvalidCiphertext(text),
            Error::NoRandomness | Error::TooLong | Error::Read(_) | Error::Write(_) => Self::Internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(route: ClientRoute, body: &Value) -> Result<Value, Refused> {
        answer(route, body.to_string().as_bytes())
    }

    fn new_key() -> String {
        answer(ClientRoute::GenerateKey, b"").unwrap()["Key"].as_str().unwrap().to_owned()
    }

    #[test]
    fn what_is_encrypted_is_decrypted() {
        let key = new_key();
        let context = json!({"object": "photos/a.jpg"});
        let text = STANDARD.encode(b"sensitive data");
        let sealed =
            ask(ClientRoute::Encrypt, &json!({"Key": key, "Plaintext": text, "Context": context.clone()})).unwrap();
        let names: Vec<&String> = sealed["Metadata"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["x-amz-meta-x-amz-key", "x-amz-meta-x-amz-iv", "x-amz-meta-x-amz-matdesc"]);
        // The seed's spelling of the names.
        let asked = json!({"key": key, "ciphertext": sealed["Ciphertext"], "metadata": sealed["Metadata"]});
        let opened = ask(ClientRoute::Decrypt, &asked).unwrap();
        assert_eq!(opened, json!({"Plaintext": text, "Context": context, "KeyId": sealed["KeyId"]}));
        let mut other = asked.clone();
        other["Context"] = json!({"object": "photos/b.jpg"});
        assert!(matches!(ask(ClientRoute::Decrypt, &other), Err(Refused::InvalidCiphertext(_))));
        let mut other = asked.clone();
        other["key"] = new_key().into();
        assert!(
            matches!(ask(ClientRoute::Decrypt, &other), Err(Refused::InvalidCiphertext(text)) if text.contains("key"))
        );
        let mut other = asked;
        other["metadata"]["x-amz-meta-x-amz-iv"].take();
        assert!(
            matches!(ask(ClientRoute::Decrypt, &other), Err(Refused::Invalid(text)) if text.contains("-iv is missing"))
        );
    }

    #[test]
    fn the_largest_plaintext_comes_back_and_a_larger_one_is_refused() {
        let key = new_key();
        let asked = |bytes| json!({"Key": key, "Plaintext": STANDARD.encode(vec![7; bytes])});
        let sealed = ask(ClientRoute::Encrypt, &asked(PLAINTEXT_BYTES_MAX)).unwrap();
        let back = json!({"Key": key, "Ciphertext": sealed["Ciphertext"], "Metadata": sealed["Metadata"]});
        assert_eq!(ask(ClientRoute::Decrypt, &back).unwrap()["Plaintext"], asked(PLAINTEXT_BYTES_MAX)["Plaintext"]);
        assert!(matches!(ask(ClientRoute::Encrypt, &asked(PLAINTEXT_BYTES_MAX + 1)), Err(Refused::Invalid(_))));
        let long = vec![b' '; BODY_BYTES_MAX + 1];
        assert!(matches!(answer(ClientRoute::Encrypt, &long), Err(Refused::Invalid(_))));
    }

    #[test]
    fn what_is_no_request_is_named() {
        let key = new_key();
        for (route, body) in [
            (ClientRoute::Encrypt, json!({})),
            (ClientRoute::Encrypt, json!([])),
            (ClientRoute::Encrypt, json!({"Key": key})),
            (ClientRoute::Encrypt, json!({"Key": "AAAA", "Plaintext": ""})),
            (ClientRoute::Encrypt, json!({"Key": key, "Plaintext": "*"})),
            (ClientRoute::Encrypt, json!({"Key": key, "Plaintext": "", "Context": {"a": 1}})),
            (ClientRoute::Encrypt, json!({"Key": key, "Plaintext": "", "Contxt": {}})),
            (ClientRoute::Decrypt, json!({"Key": key, "Ciphertext": "", "Metadata": {}})),
            (ClientRoute::Decrypt, json!({"Key": key, "Ciphertext": "", "Metadata": "x"})),
        ] {
            assert!(matches!(ask(route, &body), Err(Refused::Invalid(_))), "{body}");
        }
    }
}
