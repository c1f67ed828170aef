//! What the requests of a multipart upload say of encryption, held against what the upload was begun with. Pure.
//!
//! A customer's key comes with every part. A method is said once, when the upload is begun; S3 refuses it on parts, Ceph and its
//! clients say it again: it is taken where it is the upload's own.

use actix_web::http::header::HeaderMap;
use myfsio_actors::bucket_config::BucketEncryption;
use myfsio_actors::encryption::{CustomerKey, Encryption, Method};
use myfsio_actors::storage::Upload;

use super::asked::{METHOD, refuse_on_read, single};
use super::choice::blocked;
use super::customer::{OF_OBJECT, incomplete, key_for, key_of};
use super::told::method_name;
use crate::s3::error::{ErrorCode, S3Error};

/// What a part brings to open its upload's data key. Errs: InvalidArgument, InvalidEncryptionAlgorithmError, InvalidRequest for a
/// key that is missing or another one, AccessDenied where the bucket has come to refuse them.
pub fn check_part(
    headers: &HeaderMap,
    upload: Option<&Encryption>,
    bucket: Option<&BucketEncryption>,
) -> Result<Option<CustomerKey>, S3Error> {
    let key = given_key(headers, upload)?;
    match (upload.map(|encryption| &encryption.method), &key) {
        (Some(Method::Customer(_)), None) => Err(unlike_upload()),
        (_, Some(_)) if bucket.is_some_and(|bucket| bucket.blocks_customer_keys == Some(true)) => Err(blocked()),
        _ => Ok(key),
    }
}

/// The same for completing, which opens nothing: a key need not come, unless checksums of the upload tell of what it encrypts.
/// Errs: as [`check_part`]; InvalidArgument for a key that is missing.
pub fn check_completion(headers: &HeaderMap, upload: &Upload) -> Result<(), S3Error> {
    let encryption = upload.encryption.as_ref();
    let needs_key = upload.checksum.is_some()
        && encryption.is_some_and(|encryption| matches!(encryption.method, Method::Customer(_)));
    match given_key(headers, encryption)? {
        None if needs_key => Err(incomplete("a valid encryption algorithm")),
        _ => Ok(()),
    }
}

/// Whether checksums may be told, which are of the plaintext: of what a customer's key encrypts only with that key.
pub fn tells_checksums(headers: &HeaderMap, encryption: Option<&Encryption>) -> bool {
    key_for(headers, OF_OBJECT, encryption).is_ok()
}

fn given_key(headers: &HeaderMap, upload: Option<&Encryption>) -> Result<Option<CustomerKey>, S3Error> {
    let method = upload.and_then(|encryption| method_name(&encryption.method));
    match single(headers, METHOD) {
        Some(said) if Some(said.as_str()) == method => {}
        _ => refuse_on_read(headers)?,
    }
    let Some(key) = key_of(headers, OF_OBJECT)? else { return Ok(None) };
    match upload.map(|encryption| &encryption.method) {
        Some(Method::Customer(check)) if key.is(check) => Ok(Some(key)),
        Some(Method::Customer(_)) => {
            let message = "The provided encryption parameters did not match the ones used originally.";
            Err(S3Error::with_message(ErrorCode::InvalidRequest, message))
        }
        _ => Err(unlike_upload()),
    }
}

fn unlike_upload() -> S3Error {
    S3Error::with_message(
        ErrorCode::InvalidRequest,
        "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate \
         encryption parameters.",
    )
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use myfsio_actors::encryption::{EncryptionContext, ObjectName};
    use myfsio_actors::names::{CanonicalId, ChecksumAlgorithm, ChecksumKind, ObjectKey, UploadId};
    use myfsio_actors::storage::{Attributes, Controls};

    use super::*;
    use crate::s3::encryption::asked::KMS_KEY;

    const KEY: [(&str, &str); 3] = [
        (OF_OBJECT.algorithm, "AES256"),
        (OF_OBJECT.key, "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs="),
        (OF_OBJECT.key_md5, "DWygnHRtgiJ77HCm+1rvHw=="),
    ];

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn by_method(method: Method) -> Encryption {
        Encryption { method, wrapped_key: Vec::new() }
    }

    fn managed() -> Encryption {
        by_method(Method::Managed { master: "m".to_owned() })
    }

    fn kms() -> Encryption {
        let context = EncryptionContext::default();
        by_method(Method::Kms { key_id: "k".to_owned(), version: 1, context, bucket_key: false })
    }

    fn customer(key: &CustomerKey) -> Encryption {
        key.seal(&ObjectName { bucket: "b", key: "k" }).unwrap().encryption
    }

    fn code(pairs: &[(&'static str, &str)], upload: Option<&Encryption>) -> Result<bool, ErrorCode> {
        let key = check_part(&headers(pairs), upload, None);
        key.map(|key| key.is_some()).map_err(|error| error.code())
    }

    #[test]
    fn parts_bring_the_key_of_their_upload() {
        let own = key_of(&headers(&KEY), OF_OBJECT).unwrap().unwrap();
        let (own, other) = (customer(&own), customer(&CustomerKey::from_bytes(&[1; 32])));
        assert_eq!(code(&KEY, Some(&own)), Ok(true));
        assert_eq!(code(&[], Some(&own)), Err(ErrorCode::InvalidRequest));
        assert_eq!(code(&KEY, Some(&other)), Err(ErrorCode::InvalidRequest));
        assert_eq!(code(&KEY, None), Err(ErrorCode::InvalidRequest));
        assert_eq!(code(&KEY, Some(&managed())), Err(ErrorCode::InvalidRequest));
        assert_eq!(code(&[], None), Ok(false));
        assert_eq!(code(&[], Some(&kms())), Ok(false));
        let blocking = BucketEncryption { blocks_customer_keys: Some(true), ..BucketEncryption::default() };
        let error = check_part(&headers(&KEY), Some(&own), Some(&blocking)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::AccessDenied);
    }

    #[test]
    fn completing_opens_nothing() {
        let own = customer(&key_of(&headers(&KEY), OF_OBJECT).unwrap().unwrap());
        let complete = |pairs: &[(&'static str, &str)], encryption: &Encryption, checksum| {
            let upload = Upload {
                id: UploadId::parse(&"0".repeat(32)).unwrap(),
                key: ObjectKey::parse(b"k").unwrap(),
                owner: CanonicalId::from_bytes([0; 32]),
                attributes: Attributes::default(),
                controls: Controls::default(),
                checksum,
                encryption: Some(encryption.clone()),
            };
            check_completion(&headers(pairs), &upload).map_err(|error| error.code())
        };
        let checksum = Some((ChecksumAlgorithm::Sha256, ChecksumKind::Composite));
        assert_eq!(complete(&[], &own, None), Ok(()));
        assert!(!tells_checksums(&headers(&[]), Some(&own)) && tells_checksums(&headers(&KEY), Some(&own)));
        assert!(tells_checksums(&headers(&[]), Some(&kms())) && tells_checksums(&headers(&[]), None));
        assert_eq!(complete(&[], &own, checksum), Err(ErrorCode::InvalidArgument));
        assert_eq!(complete(&KEY, &own, checksum), Ok(()));
        assert_eq!(complete(&[], &managed(), checksum), Ok(()));
        let other = customer(&CustomerKey::from_bytes(&[1; 32]));
        assert_eq!(complete(&KEY, &other, None), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn a_method_may_be_said_again() {
        let refused = Err(ErrorCode::InvalidArgument);
        assert_eq!(code(&[(METHOD, "AES256")], Some(&managed())), Ok(false));
        assert_eq!(code(&[(METHOD, "aws:kms"), (KMS_KEY, "k")], Some(&kms())), Ok(false));
        assert_eq!(code(&[(METHOD, "aws:kms")], Some(&managed())), refused);
        assert_eq!(code(&[(METHOD, "AES256")], None), refused);
        assert_eq!(code(&[(KMS_KEY, "k")], Some(&kms())), refused);
    }
}
