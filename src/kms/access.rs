//! Whether somebody may do something with a key, asked by the KMS's own APIs and by S3 alike. Handlers ask here before they send
//! a message to the KMS, which itself asks nobody.

use std::borrow::Cow;

use myfsio_actors::encryption::EncryptionContext;
use myfsio_actors::iam::Principal;
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
    /// Whether it is a key.
    pub is_key: bool,
}

impl<'a> Subject<'a> {
    /// The keys of an account as a whole.
    pub fn account(account_id: &'a str) -> Self {
        Self { arn: "*", account_id, policy: None, aliases: &[], is_key: false }
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
        if subject.is_key {
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
            subject.aliases.iter().for_each(|alias| context.add("kms:ResourceAliases", alias.as_str()));
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
