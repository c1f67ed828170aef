//! Who signed the policy of a POST upload form.
//!
//! Signature Version 4 forms sign with `x-amz-*` fields; Signature Version 2 forms (`AWSAccessKeyId`, `signature`:
//! HMAC-SHA1 of the policy) are accepted too, since forms in use, ceph/s3-tests' among them, are signed so. A form
//! without a policy is anonymous.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::names::{AccessKeyId, Stamp};

use super::authenticate::{Authenticated, Mechanism};
use super::claim::{Place, SECURITY_TOKEN, check_scope_date, parse_credential};
use super::credentials::{Credentials, SecretText};
use super::payload::PayloadSigning;
use super::post_policy::{Fields, PostPolicy, field};
use super::settings::{AuthSettings, exposed};
use super::signing::{ALGORITHM, AmzDate, Scope, SigningKey, hmac_sha1, same_secret};
use super::verify::spell;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

/// An authenticated form.
#[derive(Debug)]
pub struct AuthenticatedForm<P> {
    /// Who signed it.
    pub authenticated: Authenticated<P>,
    /// The policy, whose conditions on the fields hold; the file's size is still to be checked. `None` when anonymous.
    pub policy: Option<PostPolicy>,
}

/// A signature over a policy.
enum Signature<'a> {
    Version4 { scope: Scope, date: AmzDate, hex: &'a str },
    Version2 { base64: &'a str },
}

/// Authenticates the fields in front of the file and checks them against their policy; `${filename}` is already
/// substituted. Errs: InvalidArgument (a field is missing or malformed), InvalidAccessKeyId, SignatureDoesNotMatch,
/// InvalidToken, those of [`PostPolicy`] and of the keeper of the keys.
pub async fn authenticate_form<C: Credentials>(
    head: &RequestHead<'_>,
    fields: &Fields,
    bucket: &str,
    settings: &AuthSettings,
    credentials: &C,
    now: Stamp,
) -> Result<AuthenticatedForm<C::Principal>, S3Error> {
    if field(fields, "key").is_none() {
        return Err(missing("key"));
    }
    let Some(policy_text) = field(fields, "policy") else {
        let signed = ["x-amz-signature", "signature", "AWSAccessKeyId", "x-amz-credential"];
        if signed.iter().any(|name| field(fields, name).is_some()) {
            return Err(missing("policy"));
        }
        let authenticated = Authenticated {
            principal: None,
            access_key_id: None,
            mechanism: Mechanism::Anonymous,
            payload: PayloadSigning::Unsigned,
            signed_at_seconds: None,
            session_token: None,
            signed_headers: Vec::new(),
        };
        return Ok(AuthenticatedForm { authenticated, policy: None });
    };
    let token = field(fields, SECURITY_TOKEN).filter(|token| !token.is_empty());
    let (access_key_id, signature) = parse(fields, settings)?;
    let found = credentials.credential(&access_key_id, token, || exposed(head)).await;
    let credential = found.map_err(|error| error.into_s3(&access_key_id))?;
    if !is_valid(&signature, credential.secret.expose(), policy_text) {
        let (Signature::Version4 { hex: provided, .. } | Signature::Version2 { base64: provided }) = signature;
        return Err(S3Error::new(ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", access_key_id.as_str())
            .field("StringToSign", policy_text)
            .field("SignatureProvided", provided)
            .field("StringToSignBytes", spell(policy_text.as_bytes())));
    }
    let policy = PostPolicy::parse(policy_text)?;
    policy.check_fields(fields, bucket, now)?;
    let authenticated = Authenticated {
        principal: Some(credential.principal),
        access_key_id: Some(access_key_id),
        mechanism: Mechanism::PostForm,
        payload: PayloadSigning::Unsigned,
        signed_at_seconds: match &signature {
            Signature::Version4 { date, .. } => Some(date.seconds),
            Signature::Version2 { .. } => None,
        },
        session_token: token.map(SecretText::new),
        signed_headers: Vec::new(),
    };
    Ok(AuthenticatedForm { authenticated, policy: Some(policy) })
}

fn parse<'a>(fields: &'a Fields, settings: &AuthSettings) -> Result<(AccessKeyId, Signature<'a>), S3Error> {
    let version_4 = ["x-amz-signature", "x-amz-credential", "x-amz-algorithm"];
    if version_4.iter().all(|name| field(fields, name).is_none()) {
        let id = field(fields, "AWSAccessKeyId").ok_or_else(|| missing("AWSAccessKeyId"))?;
        let base64 = field(fields, "signature").ok_or_else(|| missing("signature"))?;
        let unknown = |_| S3Error::new(ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", id);
        return Ok((AccessKeyId::parse(id).map_err(unknown)?, Signature::Version2 { base64 }));
    }
    let required = |name: &'static str| field(fields, name).ok_or_else(|| missing(name));
    let algorithm = required("x-amz-algorithm")?;
    if algorithm != ALGORITHM {
        return Err(S3Error::invalid_argument(
            "x-amz-algorithm",
            algorithm,
            "x-amz-algorithm must be AWS4-HMAC-SHA256",
        ));
    }
    let credential = required("x-amz-credential")?;
    let date = required("x-amz-date")?;
    let hex = required("x-amz-signature")?;
    let (id, scope) = parse_credential(credential, Place::Form, settings)?;
    let date = AmzDate::parse(date).ok_or_else(|| {
        S3Error::invalid_argument("x-amz-date", date, "x-amz-date must be in the form yyyyMMdd'T'HHmmss'Z'")
    })?;
    check_scope_date(&scope, &date, Place::Form)?;
    Ok((id, Signature::Version4 { scope, date, hex }))
}

fn is_valid(signature: &Signature<'_>, secret: &str, policy_text: &str) -> bool {
    match signature {
        Signature::Version4 { scope, hex, .. } => {
            let expected = SigningKey::derive(secret, scope).sign(policy_text.as_bytes());
            same_secret(expected.as_bytes(), hex.as_bytes())
        }
        Signature::Version2 { base64 } => {
            let expected = hmac_sha1(secret.as_bytes(), policy_text.as_bytes());
            STANDARD.decode(base64.trim()).is_ok_and(|provided| same_secret(&expected, &provided))
        }
    }
}

fn missing(name: &str) -> S3Error {
    let message = format!(
        "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    );
    S3Error::invalid_argument(name, "", message)
}
