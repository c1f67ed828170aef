//! What this node has of encryption, and over which connections a customer's key may come.

use myfsio_actors::kms::KmsClient;

use super::customer;
use crate::s3::auth::settings::exposed;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::request_head::RequestHead;

/// Errs unless new objects are encrypted (`ENCRYPTION_ENABLED`): InvalidRequest.
pub fn check_enabled(kms: &KmsClient) -> Result<(), S3Error> {
    match kms.encryption_enabled() {
        true => Ok(()),
        false => Err(disabled()),
    }
}

/// Errs unless new objects are encrypted under KMS keys (`KMS_ENABLED`): InvalidRequest, KMSNotEnabled.
pub fn check_kms_enabled(kms: &KmsClient) -> Result<(), S3Error> {
    check_enabled(kms)?;
    match kms.kms_enabled() {
        true => Ok(()),
        false => Err(ErrorCode::KMSNotEnabled.into()),
    }
}

/// The refusal of encryption where it is turned off.
pub fn disabled() -> S3Error {
    S3Error::with_message(
        ErrorCode::InvalidRequest,
        "Server-side encryption is not enabled on this server (ENCRYPTION_ENABLED).",
    )
}

/// Refuses a customer's key that came where others may have read it: over plain HTTP from elsewhere than this machine, unless
/// `allowed` (`SSE_C_OVER_HTTP`). What a proxy passes on of which nothing is known comes from elsewhere. Errs: InvalidArgument.
pub fn refuse_exposed_key(head: &RequestHead<'_>, secure: bool, allowed: bool) -> Result<(), S3Error> {
    match secure || allowed || !customer::brings_key(head.headers) || !exposed(head) {
        true => Ok(()),
        false => Err(customer::insecure()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::s3::encryption::customer::{OF_COPY_SOURCE, OF_OBJECT};

    #[test]
    fn keys_come_over_tls_or_from_here() {
        let refused = |pairs: &[(&'static str, &str)], peer: [u8; 4], secure, allowed| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
            }
            let head = RequestHead {
                method: "GET",
                path: b"/b/k",
                query: "",
                virtual_bucket: None,
                headers: &headers,
                peer: Some(peer.into()),
                secure: false,
                body_sha256: None,
            };
            refuse_exposed_key(&head, secure, allowed).is_err()
        };
        let (here, there) = ([127, 0, 0, 1], [10, 0, 0, 1]);
        for name in [OF_OBJECT.key, OF_OBJECT.algorithm, OF_COPY_SOURCE.key_md5] {
            let host = ("host", "localhost:5000");
            assert!(!refused(&[host, (name, "x")], here, false, false));
            assert!(refused(&[host, (name, "x")], there, false, false));
            assert!(!refused(&[host, (name, "x")], there, true, false));
            assert!(!refused(&[host, (name, "x")], there, false, true));
            assert!(refused(&[host, (name, "x"), ("x-forwarded-for", "1.2.3.4")], here, false, false));
        }
        assert!(!refused(&[("x-amz-server-side-encryption", "AES256")], there, false, false));
    }
}
