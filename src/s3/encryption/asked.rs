//! What the headers of a write ask for (S3 API Reference, PutObject). Pure.
//!
//! A form's fields are turned into the same headers, so that a form asks in the same words.

use actix_web::http::header::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::encryption::{CustomerKey, EncryptionContext};

use super::customer::{self, OF_OBJECT};
use crate::s3::error::S3Error;
use crate::s3::headers::{not_implemented, text, value_text};
use crate::s3::request_head::{has_header, values};

/// The header that names the method; S3's refusals name it for all others.
pub const METHOD: &str = "x-amz-server-side-encryption";
/// Names a KMS key.
pub const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
/// The encryption context, JSON in base64.
pub const CONTEXT: &str = "x-amz-server-side-encryption-context";
/// Whether a bucket key is used.
pub const BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";

/// Most bytes of an encryption context (KMS Developer Guide, "Quotas").
const CONTEXT_BYTES_MAX: usize = 8192;
/// What S3 itself puts into the context; a client's own pairs may not pass for it.
const RESERVED_PREFIX: &str = "aws:";

/// What a write asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How its object is to be encrypted.
    pub method: AskedMethod,
    /// Whether it is to be told to use a bucket key.
    pub bucket_key: Option<bool>,
}

/// How an object is to be encrypted.
#[derive(Debug, Clone)]
pub enum AskedMethod {
    /// As the bucket's configuration says.
    ByDefault,
    /// `AES256`.
    Managed,
    /// `aws:kms`.
    Kms {
        /// Id, ARN or alias of the key; none for the one that is used when none is named.
        key: Option<String>,
        /// What is authenticated beside the object's name.
        context: EncryptionContext,
    },
    /// With the customer's key.
    Customer(CustomerKey),
}

impl Asked {
    /// Reads the headers. Errs: InvalidArgument, InvalidEncryptionAlgorithmError, NotImplemented.
    pub fn of_write(headers: &HeaderMap) -> Result<Self, S3Error> {
        let (method, key) = (single(headers, METHOD), single(headers, KMS_KEY));
        if customer::names_key(headers, OF_OBJECT)
            && let Some(other) = method.as_deref().or(key.as_deref())
        {
            let message = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified";
            return Err(S3Error::invalid_argument(METHOD, other, message));
        }
        let customer_key = customer::key_of(headers, OF_OBJECT)?;
        let context = single(headers, CONTEXT);
        if method.as_deref() != Some("aws:kms") && (key.is_some() || context.is_some()) {
            // An unknown method is told as that.
            known(method.as_deref())?;
            let message = "Server Side Encryption with AWS KMS managed key requires HTTP header \
                           x-amz-server-side-encryption : aws:kms";
            return Err(S3Error::invalid_argument(METHOD, method.as_deref().unwrap_or("null"), message));
        }
        known(method.as_deref())?;
        let method = match (customer_key, method.as_deref()) {
            (Some(key), _) => AskedMethod::Customer(key),
            (None, Some("aws:kms")) => AskedMethod::Kms {
                key,
                context: context.map_or_else(|| Ok(EncryptionContext::default()), |text| parse_context(&text))?,
            },
            (None, Some(_)) => AskedMethod::Managed,
            (None, None) => AskedMethod::ByDefault,
        };
        let bucket_key = single(headers, BUCKET_KEY).map(|value| parse_boolean(&value)).transpose()?;
        Ok(Self { method, bucket_key })
    }

    /// Whether it asks for anything. Errs as [`Asked::of_write`] does.
    pub fn is_default(&self) -> bool {
        matches!(self.method, AskedMethod::ByDefault)
    }
}

/// Errs: InvalidArgument, NotImplemented unless it is a method that is built, or none.
fn known(method: Option<&str>) -> Result<(), S3Error> {
    match method {
        None | Some("AES256" | "aws:kms") => Ok(()),
        Some(layers @ "aws:kms:dsse") => Err(not_implemented(METHOD, layers)),
        Some(other) => {
            Err(S3Error::invalid_argument(METHOD, other, "The encryption method specified is not supported"))
        }
    }
}

/// Refuses headers of encryption where only reading is asked for: how an object is encrypted is not for its reader to say; but
/// its key may be. Errs: InvalidArgument.
pub fn refuse_on_read(headers: &HeaderMap) -> Result<(), S3Error> {
    match [METHOD, KMS_KEY, CONTEXT, BUCKET_KEY].into_iter().find(|name| has_header(headers, name)) {
        None => Ok(()),
        Some(name) => Err(unsupported(headers, name)),
    }
}

/// Refuses all headers of encryption. Errs: InvalidArgument.
pub fn refuse_all(headers: &HeaderMap) -> Result<(), S3Error> {
    let is_one = |name: &str| name.starts_with(METHOD) || name.starts_with("x-amz-copy-source-server-side-encryption");
    match headers.keys().find(|name| is_one(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(unsupported(headers, name.as_str())),
    }
}

fn unsupported(headers: &HeaderMap, name: &str) -> S3Error {
    let value = text(headers, name).unwrap_or_default();
    S3Error::invalid_argument(name, &value, format!("{name} header is not supported for this operation."))
}

/// The value of a header; several are one list, as conditions of policies see them, and so none of these words.
pub(super) fn single(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = values(headers, name).map(value_text);
    let first = values.next()?;
    Some(values.fold(first, |all, value| format!("{all}, {value}")))
}

fn parse_boolean(value: &str) -> Result<bool, S3Error> {
    match value.trim() {
        word if word.eq_ignore_ascii_case("true") => Ok(true),
        word if word.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(S3Error::invalid_argument(BUCKET_KEY, value, "The value is neither true nor false.")),
    }
}

/// Reads an encryption context. Errs: InvalidArgument.
fn parse_context(value: &str) -> Result<EncryptionContext, S3Error> {
    let refused = |message: &'static str| S3Error::invalid_argument(CONTEXT, value, message);
    let malformed = || {
        refused(
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which \
             represents a string-string map",
        )
    };
    let json = STANDARD.decode(value.trim()).map_err(|_| malformed())?;
    if json.len() > CONTEXT_BYTES_MAX {
        return Err(refused("The encryption context is longer than 8192 bytes."));
    }
    let context: EncryptionContext = serde_json::from_slice(&json).map_err(|_| malformed())?;
    // Condition keys know no case, and what S3 adds must not be there twice.
    let is_reserved = |name: &String| name.to_ascii_lowercase().starts_with(RESERVED_PREFIX);
    match context.0.keys().any(is_reserved) {
        true => Err(refused("Names in an encryption context cannot begin with aws:")),
        false => Ok(context),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;
    use crate::s3::error::ErrorCode;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn code(pairs: &[(&'static str, &str)]) -> Result<(), ErrorCode> {
        Asked::of_write(&headers(pairs)).map(|_| ()).map_err(|error| error.code())
    }

    fn told(pairs: &[(&'static str, &str)]) -> String {
        Asked::of_write(&headers(pairs)).unwrap_err().message().to_owned()
    }

    const CUSTOMER: [(&str, &str); 3] = [
        (OF_OBJECT.algorithm, "AES256"),
        (OF_OBJECT.key, "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs="),
        (OF_OBJECT.key_md5, "DWygnHRtgiJ77HCm+1rvHw=="),
    ];

    #[test]
    fn what_is_asked_for() {
        let asked = |pairs: &[(&'static str, &str)]| Asked::of_write(&headers(pairs)).unwrap();
        assert!(asked(&[]).is_default());
        assert!(matches!(asked(&[(METHOD, "AES256")]).method, AskedMethod::Managed));
        assert!(matches!(asked(&[(METHOD, "aws:kms")]).method, AskedMethod::Kms { key: None, .. }));
        assert!(matches!(asked(&CUSTOMER).method, AskedMethod::Customer(_)));
        let context = STANDARD.encode(r#"{"team":"red","x":""}"#);
        let all = asked(&[(METHOD, "aws:kms"), (KMS_KEY, "alias/a"), (CONTEXT, &context), (BUCKET_KEY, "True")]);
        assert_eq!(all.bucket_key, Some(true));
        let AskedMethod::Kms { key, context } = all.method else { panic!("not by KMS") };
        assert_eq!(key.as_deref(), Some("alias/a"));
        assert_eq!(context, [("team", "red"), ("x", "")].into_iter().collect());
        assert_eq!(asked(&[(BUCKET_KEY, "false")]).bucket_key, Some(false));
    }

    #[test]
    fn contradictions_are_refused() {
        let bad = Err(ErrorCode::InvalidArgument);
        for method in ["", "aes256", "aes:kms", "aws:fsx", "AES256, AES256"] {
            assert_eq!(told(&[(METHOD, method)]), "The encryption method specified is not supported", "{method}");
            assert_eq!(code(&[(METHOD, method), (KMS_KEY, "k")]), bad);
        }
        assert_eq!(code(&[(METHOD, "AES256"), (METHOD, "AES256")]), bad);
        assert_eq!(code(&[(METHOD, "aws:kms:dsse")]), Err(ErrorCode::NotImplemented));
        for other in [(METHOD, "AES256"), (METHOD, "aws:kms"), (METHOD, ""), (KMS_KEY, "k")] {
            let mut pairs = CUSTOMER.to_vec();
            pairs.push(other);
            assert!(told(&pairs).starts_with("Server Side Encryption with Customer provided key is incompatible"));
        }
        let context = STANDARD.encode("{}");
        for pairs in [&[(METHOD, "AES256"), (KMS_KEY, "k")][..], &[(KMS_KEY, "k")], &[(CONTEXT, &context)]] {
            assert!(told(pairs).starts_with("Server Side Encryption with AWS KMS managed key requires"), "{pairs:?}");
        }
        assert_eq!(code(&[(BUCKET_KEY, "yes")]), bad);
    }

    #[test]
    fn contexts_are_pairs_of_text() {
        let context = |json: &str| code(&[(METHOD, "aws:kms"), (CONTEXT, &STANDARD.encode(json))]);
        assert_eq!(context("{}"), Ok(()));
        for bad in ["", "[]", "{\"a\":1}", "{\"a\":{}}", "{\"a\":null}", "x", "{\"aws:s3:arn\":\"x\"}"] {
            assert_eq!(context(bad), Err(ErrorCode::InvalidArgument), "{bad}");
        }
        assert_eq!(context(&format!("{{\"a\":\"{}\"}}", "x".repeat(8192))), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(&[(METHOD, "aws:kms"), (CONTEXT, "{}")]), Err(ErrorCode::InvalidArgument));
    }

    #[test]
    fn readers_do_not_say_how() {
        assert!(refuse_on_read(&headers(&CUSTOMER)).is_ok());
        assert!(refuse_all(&headers(&CUSTOMER)).is_err());
        assert!(refuse_all(&headers(&[("x-amz-acl", "private")])).is_ok());
        for name in [METHOD, KMS_KEY, CONTEXT, BUCKET_KEY] {
            let error = refuse_on_read(&headers(&[(name, "AES256")])).unwrap_err();
            assert_eq!(error.message(), format!("{name} header is not supported for this operation."));
        }
    }
}
