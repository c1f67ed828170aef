//! Whether somebody may do something with a key, asked by the KMS's own APIs and by S3 alike. Handlers ask here before they send
//! a message to the KMS, which itself asks nobody.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use myfsio_actors::encryption::EncryptionContext;
use myfsio_actors::iam::Principal;
use myfsio_actors::kms::{KeyManager, KmsKey};
use myfsio_actors::policy_engine::{
    Decision, KeyPolicy, KeyRequest, Reason, RequestContext, UseThroughS3, decide_on_key, explain_on_key,
};
use myfsio_actors::storage::Bucket;

use crate::decisions::{Explanation, Why, in_words_of_aws};
use crate::s3::authorize::Facts;
use crate::s3::error::{ErrorCode, S3Error};

/// What an action is about, as decisions see it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// ARN of the key or alias; `*` for what is about none.
    pub arn: &'a str,
    /// The account that it belongs to.
    pub account_id: &'a str,
    /// The key's policy; without one the account decides.
    pub policy: Option<&'a KeyPolicy>,
    /// The key's aliases.
    pub aliases: &'a [String],
    /// Its tags; none of what is no key.
    pub tags: Option<&'a BTreeMap<String, String>>,
}

/// The policy of the node's own key, which everybody's account has as its own: who may use the object may use it through S3, and look at
/// it (KMS Developer Guide, "AWS managed keys").
static POLICY_OF_OWN_KEY: LazyLock<KeyPolicy> = LazyLock::new(|| {
    let text = r#"{
  "Version": "2012-10-17",
  "Id": "auto-s3-1",
  "Statement": [
    {
      "Sid": "Use through S3 for all principals that are authorized to use S3",
      "Effect": "Allow",
      "Principal": {"AWS": "*"},
      "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
      "Resource": "*",
      "Condition": {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
    },
    {
      "Sid": "Direct access to key metadata",
      "Effect": "Allow",
      "Principal": {"AWS": "*"},
      "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:List*"],
      "Resource": "*"
    }
  ]
}"#;
    KeyPolicy::new(text.into())
});

/// The policy of a key: the one that it has, or the one that it has by default.
pub fn policy_text(key: &KmsKey) -> Cow<'_, str> {
    match (&key.policy, key.manager) {
        (Some(policy), _) => Cow::Borrowed(policy.text()),
        (None, KeyManager::Node) => Cow::Borrowed(POLICY_OF_OWN_KEY.text()),
        (None, KeyManager::Customer) => Cow::Owned(default_policy(&key.account)),
    }
}

/// The policy that says what holds of a key without one: its account decides (KMS Developer Guide, "Default key policy").
fn default_policy(account_id: &str) -> String {
    format!(
        r#"{{
  "Version": "2012-10-17",
  "Id": "key-default-1",
  "Statement": [
    {{
      "Sid": "Enable IAM User Permissions",
      "Effect": "Allow",
      "Principal": {{"AWS": "arn:aws:iam::{account_id}:root"}},
      "Action": "kms:*",
      "Resource": "*"
    }}
  ]
}}"#
    )
}

impl<'a> Subject<'a> {
    /// The keys of an account as a whole.
    pub fn account(account_id: &'a str) -> Self {
        Self { arn: "*", account_id, policy: None, aliases: &[], tags: None }
    }

    /// A key, as it concerns somebody.
    pub fn of(key: &'a KmsKey, principal: &'a Principal) -> Self {
        let (account_id, policy) = match key.manager {
            KeyManager::Node => (principal.account_id.as_str(), Some(&*POLICY_OF_OWN_KEY)),
            KeyManager::Customer => (key.account.as_str(), key.policy.as_deref()),
        };
        Self { arn: &key.arn, account_id, policy, aliases: &key.aliases, tags: Some(&key.tags) }
    }
}

/// A question about a key or alias.
#[derive(Debug)]
pub struct Question<'a> {
    /// Name with service, such as `kms:Decrypt`.
    pub action: &'static str,
    /// What it is about.
    pub subject: Subject<'a>,
    /// Whether a refusal is explained.
    pub explains: bool,
    context: RequestContext,
}

/// Actions that seal or open, and so have an algorithm (KMS Developer Guide, "kms:EncryptionAlgorithm").
const SEALING: [&str; 6] = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

impl<'a> Question<'a> {
    /// A question of a caller whose request says `context` about itself.
    pub fn new(
        action: &'static str,
        subject: Subject<'a>,
        principal: Option<&Principal>,
        mut context: RequestContext,
    ) -> Self {
        if let Some(principal) = principal {
            context.add("kms:CallerAccount", principal.account_id.as_str());
        }
        if subject.tags.is_some() || action == "kms:CreateKey" {
            for (key, value) in [
                ("kms:KeySpec", "SYMMETRIC_DEFAULT"),
                ("kms:CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"),
                ("kms:KeyUsage", "ENCRYPT_DECRYPT"),
                ("kms:CustomerMasterKeyUsage", "ENCRYPT_DECRYPT"),
                ("kms:KeyOrigin", "AWS_KMS"),
                ("kms:MultiRegion", "false"),
            ] {
                context.add(key, value);
            }
        }
        subject.aliases.iter().for_each(|alias| context.add("kms:ResourceAliases", alias.as_str()));
        for (name, value) in subject.tags.into_iter().flatten() {
            context.add(format!("aws:ResourceTag/{name}"), value.as_str());
        }
        if SEALING.contains(&action) {
            context.add("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
        }
        Self { action, subject, explains: false, context }
    }

    /// Adds what the request says of a condition key.
    pub fn add(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.context.add(key, value);
    }

    /// Adds the tags that the request gives.
    pub fn add_tags<'t>(&mut self, tags: impl IntoIterator<Item = (&'t str, Option<&'t str>)>) {
        for (name, value) in tags {
            if let Some(value) = value {
                self.context.add(format!("aws:RequestTag/{name}"), value);
            }
            self.context.add("aws:TagKeys", name);
        }
    }

    /// Adds the encryption context.
    pub fn add_encryption_context(&mut self, pairs: &EncryptionContext) {
        for (name, value) in &pairs.0 {
            self.context.add(format!("kms:EncryptionContext:{name}"), value.as_str());
            self.context.add("kms:EncryptionContextKeys", name.as_str());
        }
    }

    fn request<'q>(&'q self, principal: Option<&'q Principal>, through_s3: Option<UseThroughS3<'q>>) -> KeyRequest<'q> {
        let Subject { arn, account_id, policy, .. } = self.subject;
        let (action, context) = (self.action, &self.context);
        KeyRequest { principal, action, resource: arn, account_id, policy, context, through_s3 }
    }

    /// Whether the caller may.
    pub fn decide(&self, principal: Option<&Principal>) -> Decision {
        decide_on_key(&self.request(principal, None))
    }

    /// Asks for the permission; answers why the caller has it. Errs: AccessDenied.
    pub fn ask(&self, principal: Option<&Principal>) -> Result<Reason, S3Error> {
        self.verdict(&self.request(principal, None))
    }

    fn verdict(&self, request: &KeyRequest<'_>) -> Result<Reason, S3Error> {
        let decision = decide_on_key(request);
        if decision.allowed {
            return Ok(decision.reason);
        }
        let error = match request.principal {
            Some(principal) => {
                let message = in_words_of_aws(principal, self.action, self.subject.arn, &decision);
                S3Error::with_message(ErrorCode::AccessDenied, message)
            }
            None => S3Error::new(ErrorCode::AccessDenied),
        };
        let error = error.because(format_args!("{:?}", decision.reason));
        if !self.explains {
            return Err(error);
        }
        let (_, trace) = explain_on_key(request);
        let resource = self.subject.arn.to_owned();
        let told = Explanation::about(request.principal, self.action, resource, &decision, trace);
        Err(error.explained(Why::Decided(Box::new(told))))
    }
}

/// Asks whether a caller of S3 may have S3 use a key for it: `kms:Decrypt` to read what is sealed under it, `kms:GenerateDataKey` to
/// seal something new. `key` is that of the object, none for the bucket as a whole; `encryption_context` is the one that the KMS is
/// given. The permission on the bucket or object is another question. Errs: AccessDenied.
pub fn through_s3(
    principal: Option<&Principal>,
    facts: &Facts<'_>,
    action: &'static str,
    subject: Subject<'_>,
    encryption_context: &EncryptionContext,
    (bucket, key): (&Bucket, Option<&str>),
) -> Result<(), S3Error> {
    let mut question = Question::new(action, subject, principal, facts.plain_context());
    question.explains = facts.explains;
    question.add_encryption_context(encryption_context);
    question.add("kms:ViaService", format!("s3.{}.amazonaws.com", facts.region));
    for key in ["aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast"] {
        question.add(key, "s3.amazonaws.com");
    }
    let used = UseThroughS3 { bucket: &bucket.name, bucket_owner: &bucket.owner, key };
    question.verdict(&question.request(principal, Some(used))).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_that_keys_have_by_default_are_policies() {
        assert_eq!(POLICY_OF_OWN_KEY.mistake(), None);
        assert_eq!(KeyPolicy::new(default_policy("111122223333").into()).mistake(), None);
    }
}
