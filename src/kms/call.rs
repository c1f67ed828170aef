//! One request on its way: who asks for which operation, and the one question whether it may.

use std::sync::Arc;

use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::iam::Principal;
use myfsio_actors::kms::{KeyManager, KmsClient, KmsError, KmsKey};
use myfsio_actors::policy_engine::{Reason, RequestContext};

use super::access::{Question, Subject};
use super::error::refusal;
use super::fields::Fields;
use super::operation::Operation;
use crate::node::Node;
use crate::s3::error::S3Error;

/// One request.
#[derive(Debug)]
pub struct Call<'a> {
    /// The node that serves it.
    pub node: &'a Node,
    /// What it asks for.
    pub operation: Operation,
    /// Its members.
    pub fields: Fields,
    /// Who asks.
    pub principal: &'a Principal,
    /// What conditions of policies may ask for.
    pub context: RequestContext,
    /// Who makes a change, for the audit log.
    pub by: ChangeOrigin,
}

impl Call<'_> {
    /// The keys.
    pub fn kms(&self) -> &KmsClient {
        &self.node.kms
    }

    /// The key that goes by a name for the caller, whose own aliases come first. Errs: as the KMS does.
    pub fn find(&self, name: &str) -> Result<Arc<KmsKey>, KmsError> {
        self.kms().find_for(&self.principal.account_id, name)
    }

    /// A question about something of the caller.
    pub fn question<'q>(&self, action: &'static str, subject: Subject<'q>) -> Question<'q> {
        let mut question = Question::new(action, subject, Some(self.principal), self.context.clone());
        question.explains = self.node.decisions.is_on();
        question
    }

    /// Asks; answers why the caller may. Errs: AccessDenied.
    pub fn ask(&self, question: &Question<'_>) -> Result<Reason, S3Error> {
        question.ask(Some(self.principal))
    }

    /// Asks for the permission of the operation on the keys of the account as a whole. Errs: AccessDenied.
    pub fn ask_of_account(&self) -> Result<Seen<'_>, S3Error> {
        let question = self.question(self.operation.permission(), Subject::account(&self.principal.account_id));
        let reason = self.ask(&question)?;
        let everything = matches!(reason, Reason::Administrator) || reason.is_grant();
        Ok(Seen { everything, account_id: &self.principal.account_id })
    }

    /// The key that `KeyId` names, if the operation may be done with it. Errs: as [`Self::key_for`]; ValidationException.
    pub fn key(&self) -> Result<Arc<KmsKey>, S3Error> {
        self.key_for(self.operation.permission(), self.fields.key("KeyId")?, |_| {})
    }

    /// The key that goes by a name, if the caller may do `action` with it; `more` adds what the request says to the question. Errs:
    /// AccessDenied, also for a key that is not there unless the caller would have the permission if it were its account's; then
    /// NotFoundException; InvalidArnException, ValidationException.
    pub fn key_for(
        &self,
        action: &'static str,
        name: &str,
        more: impl FnOnce(&mut Question<'_>),
    ) -> Result<Arc<KmsKey>, S3Error> {
        let key = match self.find(name) {
            Ok(key) => key,
            Err(absent @ (KmsError::NotFound(_) | KmsError::Destroyed { .. })) => {
                let arn = arn_of(name, &self.node.settings.region, &self.principal.account_id);
                let subject = Subject { arn: &arn, ..Subject::account(&self.principal.account_id) };
                let mut question = self.question(action, subject);
                more(&mut question);
                self.ask(&question)?;
                return Err(refusal(absent));
            }
            Err(error) => return Err(refusal(error)),
        };
        self.ask_about(action, &key, |question| {
            if let Some(alias) = alias_of(name) {
                question.add("kms:RequestAlias", alias);
            }
            more(question);
        })?;
        Ok(key)
    }

    /// Asks whether the caller may do `action` with a key. Errs: AccessDenied.
    pub fn ask_about(
        &self,
        action: &'static str,
        key: &KmsKey,
        more: impl FnOnce(&mut Question<'_>),
    ) -> Result<Reason, S3Error> {
        let mut question = self.question(action, Subject::of(key, self.principal));
        more(&mut question);
        self.ask(&question)
    }
}

/// Which keys the caller is told of.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    everything: bool,
    account_id: &'a str,
}

impl Seen<'_> {
    /// Whether a key is one of them: those of its account and the node's own; all of them for administrators.
    pub fn includes(&self, key: &KmsKey) -> bool {
        self.everything || key.account == self.account_id || key.manager == KeyManager::Node
    }
}

/// The alias that a name is, or has in it.
pub fn alias_of(name: &str) -> Option<&str> {
    let resource = match name.starts_with("arn:") {
        true => name.splitn(6, ':').nth(5)?,
        false => name,
    };
    resource.starts_with("alias/").then_some(resource)
}

/// The ARN that what goes by this name would have if it were there.
fn arn_of(name: &str, region: &str, account_id: &str) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    let kind = if name.starts_with("alias/") { "" } else { "key/" };
    format!("arn:aws:kms:{region}:{account_id}:{kind}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let arn = "arn:aws:kms:us-east-1:111122223333:alias/a/b";
        assert_eq!((alias_of(arn), alias_of("alias/x")), (Some("alias/a/b"), Some("alias/x")));
        assert_eq!((alias_of("arn:aws:kms"), alias_of("1234")), (None, None));
        assert_eq!(arn_of(arn, "r", "1"), arn);
        assert_eq!(arn_of("alias/x", "r", "1"), "arn:aws:kms:r:1:alias/x");
        assert_eq!(arn_of("1234", "r", "1"), "arn:aws:kms:r:1:key/1234");
    }
}
