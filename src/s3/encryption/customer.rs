//! SSE-C: the key that a customer sends with each request (S3 User Guide, "Using server-side encryption with customer-provided
//! keys"). Pure.
//!
//! Texts and order of the refusals are those of S3, which names `x-amz-server-side-encryption` in all of them.

use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use myfsio_actors::encryption::{CustomerKey, Encryption, Method};

use super::asked::{METHOD, single};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::has_header;

/// The only algorithm.
pub const ALGORITHM: &str = "AES256";

/// Whose key it is: the names of the three headers that bring it.
#[derive(Debug, Clone, Copy)]
pub struct KeyHeaders {
    /// The algorithm.
    pub algorithm: &'static str,
    /// The key, in base64.
    pub key: &'static str,
    /// Its MD5, in base64.
    pub key_md5: &'static str,
}

/// The key of the object that the request addresses.
pub const OF_OBJECT: KeyHeaders = KeyHeaders {
    algorithm: "x-amz-server-side-encryption-customer-algorithm",
    key: "x-amz-server-side-encryption-customer-key",
    key_md5: "x-amz-server-side-encryption-customer-key-md5",
};

/// The key of the object that is copied.
pub const OF_COPY_SOURCE: KeyHeaders = KeyHeaders {
    algorithm: "x-amz-copy-source-server-side-encryption-customer-algorithm",
    key: "x-amz-copy-source-server-side-encryption-customer-key",
    key_md5: "x-amz-copy-source-server-side-encryption-customer-key-md5",
};

/// Whether the request brings a key, or part of one.
pub fn brings_key(headers: &HeaderMap) -> bool {
    [OF_OBJECT, OF_COPY_SOURCE].iter().any(|names| names_key(headers, *names))
}

/// Whether one of the headers is there.
pub(super) fn names_key(headers: &HeaderMap, names: KeyHeaders) -> bool {
    [names.algorithm, names.key, names.key_md5].iter().any(|name| has_header(headers, name))
}

/// The key that the request brings, if it brings one. Errs: InvalidArgument, InvalidEncryptionAlgorithmError.
pub fn key_of(headers: &HeaderMap, names: KeyHeaders) -> Result<Option<CustomerKey>, S3Error> {
    if !names_key(headers, names) {
        return Ok(None);
    }
    let algorithm = single(headers, names.algorithm);
    let Some(key) = single(headers, names.key) else {
        return Err(match algorithm {
            Some(_) => incomplete("an appropriate secret key"),
            None => incomplete("a valid encryption algorithm"),
        });
    };
    match algorithm.as_deref() {
        Some(ALGORITHM) => {}
        Some(other) => return Err(unknown_algorithm(other)),
        None => return Err(incomplete("a valid encryption algorithm")),
    }
    let md5 =
        single(headers, names.key_md5).ok_or_else(|| incomplete("the client calculated MD5 of the secret key"))?;
    let invalid = || refused("The secret key was invalid for the specified algorithm.");
    let key = zeroize::Zeroizing::new(STANDARD.decode(key.trim()).map_err(|_| invalid())?);
    if STANDARD.encode(Md5::digest(&*key)) != md5.trim() {
        return Err(refused("The calculated MD5 hash of the key did not match the hash that was provided."));
    }
    let key: &[u8; 32] = key.as_slice().try_into().map_err(|_| invalid())?;
    Ok(Some(CustomerKey::from_bytes(key)))
}

/// The key that the request brings for what is sealed so, if it needs one. Errs: as [`key_of`]; InvalidRequest when none is
/// brought for what needs one, or one for what needs none, InvalidArgument when it is another one.
pub fn key_for(
    headers: &HeaderMap,
    names: KeyHeaders,
    encryption: Option<&Encryption>,
) -> Result<Option<CustomerKey>, S3Error> {
    match (encryption.map(|encryption| &encryption.method), key_of(headers, names)?) {
        (Some(Method::Customer(check)), Some(key)) if key.is(check) => Ok(Some(key)),
        (Some(Method::Customer(_)), Some(_)) => Err(wrong()),
        (Some(Method::Customer(_)), None) => Err(missing()),
        (_, Some(_)) => Err(not_applicable()),
        (_, None) => Ok(None),
    }
}

fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::invalid_argument(METHOD, "null", message)
}

pub(super) fn incomplete(what: &str) -> S3Error {
    refused(format!("Requests specifying Server Side Encryption with Customer provided keys must provide {what}."))
}

fn unknown_algorithm(algorithm: &str) -> S3Error {
    S3Error::new(ErrorCode::InvalidEncryptionAlgorithmError)
        .field("ArgumentName", METHOD)
        .field("ArgumentValue", algorithm)
}

/// The refusal of a key that came where others may have read it.
pub fn insecure() -> S3Error {
    let message =
        "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.";
    refused(message)
}

/// The refusal of a read without the key.
fn missing() -> S3Error {
    S3Error::with_message(
        ErrorCode::InvalidRequest,
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve \
         the object.",
    )
}

/// The refusal of a read with another key. S3 answers 403; 400 is what the public test suite expects.
fn wrong() -> S3Error {
    incomplete("the correct secret key")
}

/// The refusal of a key for what has none.
fn not_applicable() -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, "The encryption parameters are not applicable to this object.")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const KEY: &str = "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=";
    const MD5: &str = "DWygnHRtgiJ77HCm+1rvHw==";

    fn read(algorithm: Option<&str>, key: Option<&str>, md5: Option<&str>) -> Result<bool, (ErrorCode, String)> {
        let mut headers = HeaderMap::new();
        let mut add = |name, value: Option<&str>| {
            if let Some(value) = value {
                headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            }
        };
        add(OF_OBJECT.algorithm, algorithm);
        add(OF_OBJECT.key, key);
        add(OF_OBJECT.key_md5, md5);
        match key_of(&headers, OF_OBJECT) {
            Ok(key) => Ok(key.is_some()),
            Err(error) => Err((error.code(), error.message().to_owned())),
        }
    }

    #[test]
    fn a_key_is_three_headers() {
        assert_eq!(read(None, None, None), Ok(false));
        assert_eq!(read(Some("AES256"), Some(KEY), Some(MD5)), Ok(true));
        let short = STANDARD.encode([7; 24]);
        let short_md5 = STANDARD.encode(Md5::digest([7; 24]));
        for (algorithm, key, md5, text) in [
            (None, Some(KEY), Some(MD5), "must provide a valid encryption algorithm."),
            (None, None, Some(MD5), "must provide a valid encryption algorithm."),
            (Some("AES256"), None, Some(MD5), "must provide an appropriate secret key."),
            (Some(""), None, None, "must provide an appropriate secret key."),
            (Some("AES256"), Some(KEY), None, "must provide the client calculated MD5 of the secret key."),
            (Some("AES256"), Some(KEY), Some("AAAAAAAAAAAAAAAAAAAAAA=="), "did not match the hash that was provided."),
            (Some("AES256"), Some(KEY), Some("no base64"), "did not match the hash that was provided."),
            (Some("AES256"), Some(&short), Some(MD5), "did not match the hash that was provided."),
            (Some("AES256"), Some(&short), Some(&short_md5), "The secret key was invalid for the specified algorithm."),
            (Some("AES256"), Some("no base64"), Some(MD5), "The secret key was invalid for the specified algorithm."),
        ] {
            let (code, message) = read(algorithm, key, md5).unwrap_err();
            assert_eq!(code, ErrorCode::InvalidArgument);
            assert!(message.ends_with(text), "{message}");
        }
        let (code, message) = read(Some("AES512"), Some(KEY), Some(MD5)).unwrap_err();
        assert_eq!(code, ErrorCode::InvalidEncryptionAlgorithmError);
        assert_eq!(message, "The Encryption request you specified is not valid. Supported value: AES256.");
    }

    #[test]
    fn a_repeated_header_is_none_of_its_values() {
        let mut headers = HeaderMap::new();
        for (name, value) in [(OF_OBJECT.algorithm, "AES256"), (OF_OBJECT.key, KEY), (OF_OBJECT.key_md5, MD5)] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers.append(HeaderName::from_static(OF_OBJECT.algorithm), HeaderValue::from_static("AES256"));
        assert_eq!(key_of(&headers, OF_OBJECT).unwrap_err().code(), ErrorCode::InvalidEncryptionAlgorithmError);
        assert!(brings_key(&headers));
        assert!(key_of(&headers, OF_COPY_SOURCE).unwrap().is_none());
    }
}
