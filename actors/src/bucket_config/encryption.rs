//! How new objects of a bucket are encrypted when their request does not say (S3 User Guide, "Setting default server-side
//! encryption behavior for Amazon S3 buckets").

use serde::{Deserialize, Serialize};

/// A bucket's encryption configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketEncryption {
    /// What new objects are encrypted with; absent when only something else is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultEncryption>,
    /// Whether objects under a KMS key are told to use a bucket key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bucket_key: bool,
    /// Whether keys of customers are refused for new objects; absent while nothing was said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocks_customer_keys: Option<bool>,
}

/// What new objects are encrypted with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultEncryption {
    /// The node's own key: `AES256`.
    Managed,
    /// A KMS key: `aws:kms`.
    Kms {
        /// Its id, ARN or alias as it was put; absent for the one that is used when none is named.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_as_json() {
        let kept = |json: &str| serde_json::from_str::<BucketEncryption>(json).unwrap();
        let managed = BucketEncryption { default: Some(DefaultEncryption::Managed), ..BucketEncryption::default() };
        assert_eq!(serde_json::to_string(&managed).unwrap(), r#"{"default":"Managed"}"#);
        assert_eq!(kept(r#"{"default":"Managed"}"#), managed);
        let key = Some("alias/a".to_owned());
        let kms = BucketEncryption {
            default: Some(DefaultEncryption::Kms { key }),
            bucket_key: true,
            blocks_customer_keys: Some(false),
        };
        assert_eq!(kept(&serde_json::to_string(&kms).unwrap()), kms);
        assert_eq!(kept("{}"), BucketEncryption::default());
    }
}
