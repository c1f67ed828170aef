//! Temporary credentials: the session token beside each mechanism.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signing::hmac_sha1;
use super::*;

const TOKEN: &str = "Zm9vYmFy-_token";
const HEADER: &str = "x-amz-security-token";

fn keys() -> Keys {
    Keys { token: Some(TOKEN), ..Keys::default() }
}

/// Whether the request is let in, and shows its token; else the code.
fn outcome(request: &Request) -> Result<(), ErrorCode> {
    let authenticated = request.run_with(&keys()).map_err(|error| error.code())?;
    assert_eq!(authenticated.session_token.as_ref().map(SecretText::expose), Some(TOKEN));
    assert!(authenticated.principal.is_some() && !format!("{authenticated:?}").contains(TOKEN));
    Ok(())
}

fn signed(token: &str) -> Request {
    Request::new("GET", "/b/k", "", &[("host", HOST), (HEADER, token)]).sign()
}

fn presigned_with(token: &str) -> Request {
    Request::new("GET", "/b/k", &format!("X-Amz-Security-Token={token}"), &[("host", HOST)]).presign("60")
}

/// Signature Version 2 over the lines that it would sign.
fn version_2(lines: &str) -> String {
    STANDARD.encode(hmac_sha1(SECRET.as_bytes(), lines.as_bytes()))
}

#[test]
fn the_header_of_a_signed_request() {
    use ErrorCode as E;
    assert_eq!(outcome(&signed(TOKEN)), Ok(()));
    assert_eq!(outcome(&signed("another")), Err(E::InvalidToken));
    assert_eq!(outcome(&signed("")), Err(E::InvalidAccessKeyId));
    assert_eq!(outcome(&Request::new("GET", "/b/k", "", &[("host", HOST)]).sign()), Err(E::InvalidAccessKeyId));
    // A lasting key has no token.
    assert_eq!(signed(TOKEN).code(), E::InvalidToken);
    let mut unsigned = Request::new("GET", "/b/k", "", &[("host", HOST)]).sign();
    unsigned.set(HEADER, TOKEN);
    assert_eq!(outcome(&unsigned), Err(E::AccessDenied));
    let mut two = signed(TOKEN);
    two.headers.append(HeaderName::from_static(HEADER), HeaderValue::from_static("another"));
    assert_eq!(outcome(&two), Err(E::InvalidToken));
    let mut binary = signed(TOKEN);
    binary.headers.insert(HeaderName::from_static(HEADER), HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(outcome(&binary), Err(E::InvalidToken));
}

#[test]
fn the_parameter_of_a_presigned_url() {
    use ErrorCode as E;
    assert_eq!(outcome(&presigned_with(TOKEN)), Ok(()));
    assert_eq!(outcome(&presigned_with("another")), Err(E::InvalidToken));
    let without = Request::new("GET", "/b/k", "", &[("host", HOST)]).presign("60");
    assert_eq!(outcome(&without), Err(E::InvalidAccessKeyId));
    let mut added = without.clone();
    added.query.push_str(&format!("&X-Amz-Security-Token={TOKEN}"));
    assert_eq!(outcome(&added), Err(E::SignatureDoesNotMatch));
    let mut in_header = without;
    in_header.set(HEADER, TOKEN);
    assert_eq!(outcome(&in_header), Err(E::AccessDenied));
    let mut both = presigned_with(TOKEN);
    both.set(HEADER, TOKEN);
    assert_eq!(outcome(&both), Ok(()));
    both.set(HEADER, "another");
    assert!(outcome(&both).is_err());
}

#[test]
fn signed_chunks() {
    let mut request = Request::new("PUT", "/b/k", "", &[("host", HOST), (HEADER, TOKEN)]);
    request.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    request.set("x-amz-decoded-content-length", "0");
    let request = request.sign();
    assert_eq!(outcome(&request), Ok(()));
    let payload = request.run_with(&keys()).unwrap().payload;
    assert!(matches!(payload, PayloadSigning::StreamingSigned { trailer: false, .. }));
}

#[test]
fn version_2_in_header_and_query() {
    let mut header = Request::new("GET", "/b/k", "", &[("host", HOST), (HEADER, TOKEN)]);
    header.set("date", "Fri, 24 May 2013 00:00:00 GMT");
    let lines = format!("GET\n\n\nFri, 24 May 2013 00:00:00 GMT\n{HEADER}:{TOKEN}\n/b/k");
    header.set("authorization", &format!("AWS {ID}:{}", version_2(&lines)));
    assert_eq!(outcome(&header), Ok(()));
    header.set(HEADER, "another");
    assert_eq!(outcome(&header), Err(ErrorCode::InvalidToken));

    let lines = format!("GET\n\n\n1369353660\n{HEADER}:{TOKEN}\n/b/k");
    let signature = encode(version_2(&lines).as_bytes(), false);
    let query = |token: &str| {
        let query = format!("AWSAccessKeyId={ID}&Signature={signature}&Expires=1369353660&{HEADER}={token}");
        let mut request = Request::new("GET", "/b/k", &query, &[("host", HOST)]);
        query_signs::adopt_headers(&request.query, &mut request.headers);
        request
    };
    assert_eq!(outcome(&query(TOKEN)), Ok(()));
    assert_eq!(outcome(&query("another")), Err(ErrorCode::InvalidToken));
    assert_eq!(outcome(&query("")), Err(ErrorCode::InvalidAccessKeyId));
}

#[test]
fn the_header_pair() {
    let pair = |secret: &str, token: Option<&str>| {
        let mut request =
            Request::new("GET", "/", "", &[("host", HOST), ("x-access-key", ID), ("x-secret-key", secret)]);
        if let Some(token) = token {
            request.set(HEADER, token);
        }
        request
    };
    assert_eq!(outcome(&pair(SECRET, Some(TOKEN))), Ok(()));
    assert_eq!(outcome(&pair("wrong", Some(TOKEN))), Err(ErrorCode::AccessDenied));
    assert_eq!(outcome(&pair(SECRET, None)), Err(ErrorCode::InvalidAccessKeyId));
    assert_eq!(outcome(&pair(SECRET, Some("another"))), Err(ErrorCode::InvalidToken));
}

#[test]
fn the_field_of_a_form() {
    let json = r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [
        {"bucket": "b"}, ["starts-with", "$key", ""], {"x-amz-security-token": "Zm9vYmFy-_token"}]}"#;
    let policy = STANDARD.encode(json);
    let form = |token: &str| {
        let fields = [
            ("key", "a"),
            ("AWSAccessKeyId", ID),
            ("policy", &policy),
            ("signature", &version_2(&policy)),
            ("x-amz-security-token", token),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = Request::new("POST", "/b", "", &[("host", HOST)]);
        let keys = keys();
        let form = done(authenticate_form(&request.head(), &fields, "b", &request.settings, &keys, NOW));
        form.map(|form| form.authenticated.session_token.map(|token| token.expose().to_owned()))
            .map_err(|error| error.code())
    };
    assert_eq!(form(TOKEN), Ok(Some(TOKEN.to_owned())));
    assert_eq!(form("another"), Err(ErrorCode::InvalidToken));
    assert_eq!(form(""), Err(ErrorCode::InvalidAccessKeyId));
}

#[test]
fn ended_credentials_are_told_as_s3_tells_them() {
    let ended = Keys { fails: Some(CredentialError::ExpiredToken), ..keys() };
    let error = signed(TOKEN).run_with(&ended).unwrap_err();
    assert_eq!((error.code(), error.message()), (ErrorCode::ExpiredToken, "The provided token has expired."));
    assert_eq!(error.code().status().as_u16(), 400);
}
