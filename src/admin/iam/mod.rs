//! Users by JSON: what the console and scripts use. Policies come in either form.
//!
//! Each route asks for the permission of what it does, by the ARN of the user, and sends one message to IAM. Who holds the
//! permission may give anything by it, as with AWS; but where grants of the short form are concerned, which count in every account, it
//! must be held by such a grant ([`IamChange::takes_by_grant`]).
//!
//! INVARIANT: a secret is in the answer to the request that made it, and nowhere else.

mod body;
mod groups;
mod keys;
mod policies;
pub mod route;
mod tell;
mod transfer;
mod users;

use std::sync::Arc;

use actix_http::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::iam::{Directory, IamChange, IamError, Permission, Principal, UserSummary, WhichUser};
use myfsio_actors::json_store::StoreError;
use myfsio_actors::policy_engine::Reason;

use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::Caller;
use crate::s3::respond::{Answer, RequestId};
use route::IamRoute;

/// Largest body, in bytes: as many policies as a user can have fit in.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A request for one of these routes.
struct Call<'a> {
    node: &'a Node,
    caller: Caller,
    request_id: RequestId,
    directory: Arc<Directory>,
}

/// Answers a request below `/_myfsio/iam`. Errs: AccessDenied, InvalidArgument, and what IAM refuses.
pub async fn answer(
    node: &Node,
    mut caller: Caller,
    request_id: RequestId,
    route: IamRoute,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Answer {
    let principal = caller.principal().ok_or(ErrorCode::AccessDenied)?;
    // IAM API Reference, "Temporary credentials": those of GetSessionToken may not call IAM, those of roles may.
    if principal.session.is_some() && principal.role.is_none() {
        let message = "The credentials of GetSessionToken may not administer users.";
        return Err(S3Error::with_message(ErrorCode::AccessDenied, message));
    }
    let body = caller.body(incoming)?.collect(BODY_BYTES_MAX).await?;
    let directory = node.access.iam.fresh().await?;
    let call = Call { node, caller, request_id, directory };
    match route {
        IamRoute::ListUsers => users::list(&call),
        IamRoute::GetUser(user) => users::get(&call, user),
        IamRoute::CreateUser => users::create(&call, &body).await,
        IamRoute::UpdateUser(user) => users::update(&call, user, &body).await,
        IamRoute::DeleteUser(user) => users::delete(&call, user).await,
        IamRoute::SetPolicies(user) => users::set_policies(&call, user, &body).await,
        IamRoute::RotateKey(user) => keys::rotate(&call, user, &body).await,
        IamRoute::CreateKey(user) => keys::create(&call, user, &body).await,
        IamRoute::UpdateKey(user, key) => keys::update(&call, user, key, &body).await,
        IamRoute::DeleteKey(user, key) => keys::delete(&call, user, key).await,
        IamRoute::Attach(user, policy) => policies::attach(&call, user, policy, true).await,
        IamRoute::Detach(user, policy) => policies::attach(&call, user, policy, false).await,
        IamRoute::Export => transfer::export(&call),
        IamRoute::Import => transfer::import(&call, &body).await,
        IamRoute::Groups(route) => groups::answer(&call, route, &body).await,
        IamRoute::Policies(route) => policies::answer(&call, route, &body).await,
    }
}

impl Call<'_> {
    /// Asks for a permission; answers why the caller has it. Errs: AccessDenied.
    fn ask(&self, action: &str, resource: &str) -> Result<Reason, S3Error> {
        self.ask_about(action, resource, &[])
    }

    /// Asks for a permission on a user. Errs: AccessDenied.
    fn ask_of(&self, action: &str, user: &UserSummary) -> Result<Reason, S3Error> {
        self.ask_about(action, &user.arn(), &user.tags)
    }

    /// Asks for a permission on what has these tags. Errs: AccessDenied.
    fn ask_about(&self, action: &str, resource: &str, tags: &[(String, String)]) -> Result<Reason, S3Error> {
        self.caller.ask_about(self.node, action, (resource, tags))
    }

    /// A managed policy's ARN in its own spelling, or as it was sent where the account sees none: policies compare texts, and must not
    /// be gone around by another letter case. Errs: AccessDenied without credentials.
    fn own_policy_arn(&self, sent: &str) -> Result<String, S3Error> {
        let account_id = self.account_id()?;
        let is_seen = |owner: &str| owner == "aws" || owner == account_id;
        let own = sent.split(':').nth(4).filter(|owner| is_seen(owner));
        Ok(own.and_then(|_| self.directory.managed_policy_arn(sent)).unwrap_or_else(|| sent.to_owned()))
    }

    /// Asks for the permission to attach a managed policy to something that has these tags, or to detach it; answers why the caller
    /// has it. `policy`: its own ARN. Errs: AccessDenied.
    fn ask_to_attach(
        &self,
        action: &str,
        (resource, tags): (&str, &[(String, String)]),
        policy: &str,
    ) -> Result<Reason, S3Error> {
        let keys = |(key, value): &(String, String)| {
            ["iam", "aws"].map(|service| (format!("{service}:ResourceTag/{key}"), value.clone()))
        };
        let mut told: Vec<_> = tags.iter().flat_map(keys).collect();
        told.push(("iam:PolicyARN".to_owned(), policy.to_owned()));
        self.caller.ask_telling(self.node, action, resource, &told)
    }

    /// The user that goes by a name, if the caller has the permission for it; one of another account only by a grant, else it is
    /// as if it were not there. Errs: AccessDenied, also for a user that is not there, unless the caller would have it for all
    /// users of its account; then NoSuchEntity.
    fn user(&self, action: &str, name: String) -> Result<(WhichUser, &UserSummary), S3Error> {
        let account_id = self.account_id()?;
        let absent = IamError::unknown_user(&name);
        let found = match self.directory.user(&WhichUser::Called(name)) {
            Ok(user) if user.account_id == account_id => self.ask_of(action, user).map(|_| Some(user))?,
            Ok(user) => self.ask_of(action, user).is_ok_and(|reason| reason.is_grant()).then_some(user),
            Err(_) => None,
        };
        match found {
            // From here on by its id, which nothing else takes on.
            Some(user) => Ok((WhichUser::Called(user.user_id.as_str().to_owned()), user)),
            None => {
                self.ask(action, &format!("arn:aws:iam::{account_id}:user/*"))?;
                Err(absent.into())
            }
        }
    }

    /// The caller's account. Errs: AccessDenied without credentials.
    fn account_id(&self) -> Result<&str, S3Error> {
        Ok(&self.principal()?.account_id)
    }

    /// Who asks. Errs: AccessDenied without credentials.
    fn principal(&self) -> Result<&Principal, S3Error> {
        self.caller.principal().map(Arc::as_ref).ok_or_else(|| ErrorCode::AccessDenied.into())
    }

    /// Makes a change. Errs: AccessDenied where it takes a grant of the short form; what IAM refuses.
    async fn change<M: IamChange>(&self, message: M) -> Result<M::Answer, S3Error> {
        for Permission { action, resource } in message.takes_by_grant(&self.directory, &self.principal()?.user_id) {
            if !self.ask(action, &resource)?.is_grant() {
                let message = format!(
                    "This concerns an account's root, or policies of the form {{\"bucket\", \"actions\"}}, which count in every \
                     account; only who holds {action} by one of these may do it."
                );
                return Err(S3Error::with_message(ErrorCode::AccessDenied, message));
            }
        }
        // Whoever may open the data directory may lock everybody out: such a command can also let somebody in again.
        let is_forced = self.caller.query().get("force") == Some("true") && self.caller.is_command(self.node);
        let (iam, by) = (&self.node.access.iam, self.caller.origin(self.request_id));
        match is_forced {
            true => Ok(iam.change_by_force(by, message).await?),
            false => Ok(iam.change(by, message).await?),
        }
    }
}

impl From<IamError> for S3Error {
    fn from(error: IamError) -> Self {
        let told = |code| Self::with_message(code, error.to_string());
        match &error {
            IamError::NoSuchEntity(_) | IamError::NoSuchAccessKey(_) => told(ErrorCode::NoSuchEntity),
            IamError::EntityAlreadyExists(_) => told(ErrorCode::EntityAlreadyExists),
            IamError::DeleteConflict(_) => told(ErrorCode::DeleteConflict),
            IamError::LimitExceeded(_) => told(ErrorCode::LimitExceeded),
            IamError::UnmodifiableEntity(_) => told(ErrorCode::UnmodifiableEntity),
            IamError::InvalidInput { .. } => told(ErrorCode::InvalidArgument),
            IamError::MalformedPolicyDocument(_) => told(ErrorCode::MalformedPolicyDocument),
            IamError::Busy => Self::new(ErrorCode::SlowDown),
            IamError::Stopped | IamError::TimedOut => Self::new(ErrorCode::ServiceUnavailable).because(error),
            IamError::Disabled(_)
            | IamError::Expired(_)
            | IamError::WellKnownRefused(_)
            | IamError::WrongSecret(_)
            | IamError::InvalidToken
            | IamError::ExpiredToken
            | IamError::LockedOut { .. }
            | IamError::AddressLockedOut { .. } => Self::new(ErrorCode::AccessDenied).because(error),
            IamError::Store(store) if store.is_full() => Self::new(ErrorCode::InsufficientStorage).because(error),
            IamError::Store(StoreError::Contended { .. }) => Self::new(ErrorCode::ServiceUnavailable).because(error),
            IamError::Store(_) | IamError::Seal(_) => match error.mistake_in_file() {
                Some(message) => Self::with_message(ErrorCode::ServiceUnavailable, message).because(error),
                None => Self::internal(error),
            },
        }
    }
}
