//! How a new object is encrypted: as its request asks, else as its bucket is configured, else not at all. Pure.

use myfsio_actors::bucket_config::{BucketEncryption, DefaultEncryption};
use myfsio_actors::encryption::{CustomerKey, EncryptionContext};

use super::asked::{Asked, AskedMethod};
use crate::s3::error::{ErrorCode, S3Error};

/// How a new object is encrypted.
#[derive(Debug, Clone)]
pub enum Choice {
    /// Not at all.
    Plain,
    /// Under the node's own key (SSE-S3).
    Managed,
    /// Under a KMS key (SSE-KMS).
    Kms {
        /// Its id, ARN or alias; none for the one that is used when none is named.
        key: Option<String>,
        /// What is authenticated beside the object's name.
        context: EncryptionContext,
        /// Whether it is told to use a bucket key.
        bucket_key: bool,
    },
    /// Under the customer's key (SSE-C).
    Customer(CustomerKey),
}

impl Choice {
    /// Weighs what a request asks for against its bucket's configuration. Errs: AccessDenied for a customer's key that the bucket
    /// refuses.
    pub fn of(asked: Asked, bucket: Option<&BucketEncryption>) -> Result<Self, S3Error> {
        let bucket_key = asked.bucket_key.unwrap_or_else(|| bucket.is_some_and(|bucket| bucket.bucket_key));
        Ok(match asked.method {
            AskedMethod::Managed => Self::Managed,
            AskedMethod::Kms { key, context } => Self::Kms { key, context, bucket_key },
            AskedMethod::Customer(_) if bucket.is_some_and(|bucket| bucket.blocks_customer_keys == Some(true)) => {
                return Err(blocked());
            }
            AskedMethod::Customer(key) => Self::Customer(key),
            AskedMethod::ByDefault => match bucket.and_then(|bucket| bucket.default.as_ref()) {
                None => Self::Plain,
                Some(DefaultEncryption::Managed) => Self::Managed,
                Some(DefaultEncryption::Kms { key }) => {
                    Self::Kms { key: key.clone(), context: EncryptionContext::default(), bucket_key }
                }
            },
        })
    }
}

/// The refusal of a customer's key where the bucket is configured to refuse them (S3 User Guide, "Blocking or unblocking SSE-C").
pub fn blocked() -> S3Error {
    S3Error::with_message(
        ErrorCode::AccessDenied,
        "This bucket has blocked upload requests that specify Server Side Encryption with Customer provided keys (SSE-C). \
         Please specify a different server-side encryption type",
    )
    .by_rule("blocked_encryption_types")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: AskedMethod, bucket_key: Option<bool>) -> Asked {
        Asked { method, bucket_key }
    }

    fn bucket(default: Option<DefaultEncryption>) -> BucketEncryption {
        BucketEncryption { default, bucket_key: true, ..BucketEncryption::default() }
    }

    fn kms(key: Option<&str>) -> DefaultEncryption {
        DefaultEncryption::Kms { key: key.map(str::to_owned) }
    }

    #[test]
    fn the_request_comes_first_then_the_bucket() {
        let choose = |asked, bucket: Option<&BucketEncryption>| Choice::of(asked, bucket).unwrap();
        let default = |bucket_key| asked(AskedMethod::ByDefault, bucket_key);
        assert!(matches!(choose(default(None), None), Choice::Plain));
        assert!(matches!(choose(default(None), Some(&bucket(None))), Choice::Plain));
        assert!(matches!(choose(default(None), Some(&bucket(Some(DefaultEncryption::Managed)))), Choice::Managed));
        let by_key = bucket(Some(kms(Some("k"))));
        for (said, told) in [(None, true), (Some(false), false)] {
            let Choice::Kms { key, bucket_key, .. } = choose(default(said), Some(&by_key)) else {
                panic!("not by KMS")
            };
            assert_eq!((key.as_deref(), bucket_key), (Some("k"), told));
        }
        assert!(matches!(choose(asked(AskedMethod::Managed, None), Some(&by_key)), Choice::Managed));
        let own = AskedMethod::Kms { key: None, context: EncryptionContext::default() };
        let Choice::Kms { key: None, bucket_key: true, .. } = choose(asked(own, None), Some(&by_key)) else {
            panic!("the bucket's key is for requests that ask for nothing")
        };
    }

    #[test]
    fn a_bucket_may_refuse_keys_of_customers() {
        let key = || asked(AskedMethod::Customer(CustomerKey::from_bytes(&[1; 32])), None);
        let blocking = |blocks| BucketEncryption { blocks_customer_keys: blocks, ..BucketEncryption::default() };
        assert!(matches!(Choice::of(key(), Some(&blocking(Some(false)))), Ok(Choice::Customer(_))));
        assert!(matches!(Choice::of(key(), Some(&blocking(None))), Ok(Choice::Customer(_))));
        assert_eq!(Choice::of(key(), Some(&blocking(Some(true)))).unwrap_err().code(), ErrorCode::AccessDenied);
        assert!(Choice::of(asked(AskedMethod::Managed, None), Some(&blocking(Some(true)))).is_ok());
    }
}
