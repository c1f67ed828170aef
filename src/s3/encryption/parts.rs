//! What the requests of a multipart upload say of encryption, held against what the upload was begun with. Pure.
//!
//! A customer's key comes with every part. A method is said once, when the upload is begun; S3 refuses it on parts, Ceph and its
//! clients say it again: it is taken where it is the upload's own.

use actix_web::http::header::HeaderMap;
use myfsio_actors::bucket_config::BucketEncryption;
use myfsio_actors::encryption::{CustomerKey, Encryption, Method};

use super::asked::{METHOD, refuse_on_read, single};
use super::choice::blocked;
use super::customer::{OF_OBJECT, incomplete, key_of};
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

/// The same for completing and listing, which open nothing: a key need not come. Errs: as [`check_part`], but for what is missing.
pub fn check_completion(headers: &HeaderMap, upload: Option<&Encryption>) -> Result<(), S3Error> {
    given_key(headers, upload).map(|_| ())
}

/// The customer's key must have come where one seals: checksums are of the plaintext. Errs: InvalidArgument.
pub fn require_key(headers: &HeaderMap, encryption: &Encryption) -> Result<(), S3Error> {
    match encryption.method {
        Method::Customer(_) if given_key(headers, Some(encryption))?.is_none() => {
            Err(incomplete("a valid encryption algorithm"))
        }
        _ => Ok(()),
    }
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
        let complete = |pairs: &[(&'static str, &str)], encryption: &Encryption| {
            check_completion(&headers(pairs), Some(encryption)).map_err(|error| error.code())
        };
        let tells = |pairs: &[(&'static str, &str)], encryption: &Encryption| {
            require_key(&headers(pairs), encryption).map_err(|error| error.code())
        };
        assert_eq!((complete(&[], &own), complete(&KEY, &own)), (Ok(()), Ok(())));
        assert_eq!((tells(&[], &own), tells(&KEY, &own)), (Err(ErrorCode::InvalidArgument), Ok(())));
        assert_eq!((tells(&[], &managed()), tells(&[], &kms())), (Ok(()), Ok(())));
        let other = customer(&CustomerKey::from_bytes(&[1; 32]));
        assert_eq!(
            (complete(&KEY, &other), tells(&KEY, &other)),
            (Err(ErrorCode::InvalidRequest), Err(ErrorCode::InvalidRequest))
        );
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
