//! Who is asking: picks the one mechanism that a request uses and carries it through.
//!
//! A request without any is anonymous; whether that suffices is for the policy to say. A request with two is refused:
//! which of them was meant cannot be known.

use std::borrow::Cow;
use std::sync::Arc;

use myfsio_actors::names::{AccessKeyId, Stamp};

use super::chunked::ChunkSigner;
use super::claim::{Claim, session_token};
use super::credentials::{Credentials, SecretText};
use super::header_signs::HeaderSigns;
use super::payload::{DeclaredPayload, PayloadSigning};
use super::settings::{AuthSettings, client_address, exposed};
use super::signing::seconds_of;
use super::{header_pair, presigned, sigv2, sigv4, verify};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::{RequestHead, visible};

/// How a request proved who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Not at all.
    Anonymous,
    /// `Authorization` header.
    SigV4Header,
    /// Presigned query.
    SigV4Query,
    /// `Authorization` header of Signature Version 2.
    SigV2Header,
    /// Query of Signature Version 2.
    SigV2Query,
    /// `X-Access-Key` and `X-Secret-Key`.
    HeaderPair,
    /// Signed policy of a POST form.
    PostForm,
}

/// An authenticated request.
#[derive(Debug)]
pub struct Authenticated<P> {
    /// Who asks; `None` is anonymous.
    pub principal: Option<Arc<P>>,
    /// The access key that was used.
    pub access_key_id: Option<AccessKeyId>,
    /// How it was proven.
    pub mechanism: Mechanism,
    /// How the body is to be read and checked.
    pub payload: PayloadSigning,
    /// Time of signing, in seconds since the Unix epoch.
    pub signed_at_seconds: Option<i64>,
    /// The session token, where the access key is a temporary one.
    pub session_token: Option<SecretText>,
    /// Names of the headers that the signature covers, lower case; none where the whole request is not signed. All of them where the
    /// secret itself is sent.
    pub signed_headers: Vec<Cow<'static, str>>,
}

/// Authenticates a request head. Errs: each S3 error that the mechanism's module names, InvalidArgument for two
/// mechanisms at once, and those of the keeper of the keys.
pub async fn authenticate<C: Credentials>(
    head: &RequestHead<'_>,
    settings: &AuthSettings,
    credentials: &C,
    now: Stamp,
) -> Result<Authenticated<C::Principal>, S3Error> {
    let (access_key_id, secret) = match claimed(head, settings, seconds_of(now))? {
        Claimed::Version4(claim, mechanism) => return verified(head, settings, credentials, claim, mechanism).await,
        Claimed::Version2(claim, mechanism) => return verified_version_2(head, credentials, claim, mechanism).await,
        Claimed::Pair(access_key_id, secret) => (access_key_id, secret),
        Claimed::Nothing => {
            return Ok(Authenticated {
                principal: None,
                access_key_id: None,
                mechanism: Mechanism::Anonymous,
                payload: unsigned_payload(head)?,
                signed_at_seconds: None,
                session_token: None,
                signed_headers: Vec::new(),
            });
        }
    };
    let payload = unsigned_payload(head)?;
    let session_token = session_token(head, None)?;
    let token = session_token.as_ref().map(SecretText::expose);
    let address = client_address(head, &settings.trusted_proxies);
    let checked = credentials.verify_secret(&access_key_id, token, secret, address, exposed(head)).await;
    let principal = checked.map_err(|error| error.into_s3(&access_key_id))?;
    Ok(Authenticated {
        principal: Some(principal),
        access_key_id: Some(access_key_id),
        mechanism: Mechanism::HeaderPair,
        payload,
        signed_at_seconds: None,
        session_token,
        // Whoever wrote the secret into the request has written the rest of it, too.
        signed_headers: head.headers.keys().map(|name| Cow::Owned(name.as_str().to_owned())).collect(),
    })
}

/// By what a request proves who sent it, before that is looked at.
enum Claimed<'a> {
    Version4(Box<Claim<'a>>, Mechanism),
    Version2(Box<sigv2::Claim>, Mechanism),
    Pair(AccessKeyId, &'a str),
    Nothing,
}

/// Parses the one mechanism that is used. Nothing of it waits, so that what it takes apart is no part of what waits.
fn claimed<'a>(head: &RequestHead<'a>, settings: &AuthSettings, now_seconds: i64) -> Result<Claimed<'a>, S3Error> {
    let signs = HeaderSigns::of(head.headers);
    let authorization = authorization(&signs)?;
    let in_query = presigned::Parameters::of(head);
    let (is_presigned, is_version_2) = (in_query.is_version_4(), in_query.is_version_2);
    let pair = if signs.has_pair { Some(header_pair::find(head)?) } else { None };
    let used = [authorization.is_some(), is_presigned, is_version_2, pair.is_some()];
    if used.iter().filter(|used| **used).count() > 1 {
        return Err(two_mechanisms(authorization));
    }
    if let Some(authorization) = authorization.filter(|text| sigv2::is_header(text)) {
        let claim = sigv2::parse_header(head, authorization, now_seconds)?;
        return Ok(Claimed::Version2(Box::new(claim), Mechanism::SigV2Header));
    }
    if let Some(authorization) = authorization {
        let claim = sigv4::parse(head, &signs, authorization, settings, now_seconds)?;
        return Ok(Claimed::Version4(Box::new(claim), Mechanism::SigV4Header));
    }
    if is_presigned {
        let claim = presigned::parse(head, &signs, in_query, settings, now_seconds)?;
        return Ok(Claimed::Version4(Box::new(claim), Mechanism::SigV4Query));
    }
    if is_version_2 {
        let claim = sigv2::parse_query(head, now_seconds)?;
        return Ok(Claimed::Version2(Box::new(claim), Mechanism::SigV2Query));
    }
    Ok(pair.map_or(Claimed::Nothing, |(access_key_id, secret)| Claimed::Pair(access_key_id, secret)))
}

/// The `Authorization` header; an empty one counts as absent. Errs: InvalidArgument when given twice or not as text.
fn authorization<'a>(signs: &HeaderSigns<'a>) -> Result<Option<&'a str>, S3Error> {
    let Some(first) = signs.authorization else { return Ok(None) };
    if signs.is_authorized_twice {
        return Err(two_mechanisms(None));
    }
    let unsupported = || S3Error::invalid_argument("Authorization", "", "Unsupported Authorization Type");
    let text = visible(first).ok_or_else(unsupported)?.trim_ascii();
    Ok((!text.is_empty()).then_some(text))
}

fn two_mechanisms(authorization: Option<&str>) -> S3Error {
    let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
                   parameter, the X-Access-Key and X-Secret-Key headers or the Authorization header should be \
                   specified";
    let error = S3Error::with_message(ErrorCode::InvalidArgument, message);
    match authorization {
        Some(value) => error.field("ArgumentName", "Authorization").field("ArgumentValue", value),
        None => error,
    }
}

fn unsigned_payload(head: &RequestHead<'_>) -> Result<PayloadSigning, S3Error> {
    Ok(match DeclaredPayload::of_unsigned_request(head)? {
        DeclaredPayload::Sha256(digest) => PayloadSigning::Sha256(digest),
        DeclaredPayload::StreamingUnsignedTrailer => PayloadSigning::StreamingUnsignedTrailer,
        DeclaredPayload::Unsigned | DeclaredPayload::StreamingSigned { .. } => PayloadSigning::Unsigned,
    })
}

async fn verified<C: Credentials>(
    head: &RequestHead<'_>,
    settings: &AuthSettings,
    credentials: &C,
    claim: Box<Claim<'_>>,
    mechanism: Mechanism,
) -> Result<Authenticated<C::Principal>, S3Error> {
    let token = claim.session_token.as_ref().map(SecretText::expose);
    let found = credentials.credential(&claim.access_key_id, token, || exposed(head)).await;
    let credential = found.map_err(|error| error.into_s3(&claim.access_key_id))?;
    let key = verify::verify(head, &claim, credential.secret.expose(), settings)?;
    let payload = match claim.payload {
        DeclaredPayload::Unsigned => PayloadSigning::Unsigned,
        DeclaredPayload::Sha256(digest) => PayloadSigning::Sha256(digest),
        DeclaredPayload::StreamingUnsignedTrailer => PayloadSigning::StreamingUnsignedTrailer,
        DeclaredPayload::StreamingSigned { trailer } => PayloadSigning::StreamingSigned {
            signer: ChunkSigner::new(key, &claim.date, &claim.scope, claim.signature.into_owned()),
            trailer,
        },
    };
    Ok(Authenticated {
        principal: Some(credential.principal),
        access_key_id: Some(claim.access_key_id),
        mechanism,
        payload,
        signed_at_seconds: Some(claim.date.seconds),
        session_token: claim.session_token,
        signed_headers: claim.signed.headers,
    })
}

/// Version 2 never signs the body; what the headers say of it holds all the same.
async fn verified_version_2<C: Credentials>(
    head: &RequestHead<'_>,
    credentials: &C,
    claim: Box<sigv2::Claim>,
    mechanism: Mechanism,
) -> Result<Authenticated<C::Principal>, S3Error> {
    let payload = unsigned_payload(head)?;
    let token = claim.session_token.as_ref().map(SecretText::expose);
    let found = credentials.credential(&claim.access_key_id, token, || exposed(head)).await;
    let credential = found.map_err(|error| error.into_s3(&claim.access_key_id))?;
    sigv2::verify(head, &claim, credential.secret.expose())?;
    Ok(Authenticated {
        principal: Some(credential.principal),
        access_key_id: Some(claim.access_key_id),
        mechanism,
        payload,
        signed_at_seconds: claim.signed_at_seconds,
        session_token: claim.session_token,
        signed_headers: Vec::new(),
    })
}
