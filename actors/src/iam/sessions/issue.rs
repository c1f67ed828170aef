//! Who gets temporary credentials. Pure but for the random numbers in them.

use super::error::{SessionError, TrustDecision};
use super::grant::{Grant, Holder, PACKED_BYTES_MAX, Terms};
use super::terms::{SECONDS_MIN, SessionRequest, check_seconds};
use super::token::{OpenToken, seal};
use crate::iam::RoleEntry;
use crate::iam::directory::Directory;
use crate::iam::principal::Principal;
use crate::names::{AccessKeyId, Stamp};
use crate::policy_engine::{RequestContext, TrustRequest};
use crate::seal::{Sealer, SecretKey};

/// How long a session of a role lasts when nothing is said of it, and how long at most one that a session of a role asks for, in
/// seconds.
const ROLE_SECONDS: u64 = 3600;
/// How long a session of a user lasts when nothing is said of it, and at most (STS API Reference, GetSessionToken), in seconds.
const USER_SECONDS: u64 = 43_200;
const USER_SECONDS_MAX: u64 = 129_600;
/// The same of an account's root.
const ROOT_SECONDS_MAX: u64 = 3600;

/// Temporary credentials, given.
#[derive(Debug, Clone)]
pub struct IssuedSession {
    /// Access key id.
    pub access_key: AccessKeyId,
    /// Secret access key.
    pub secret_key: SecretKey,
    /// Session token.
    pub token: SecretKey,
    /// When they end.
    pub expires_at: Stamp,
    /// The role that was assumed.
    pub role: Option<AssumedRole>,
    /// Hundredths of what policies and tags may take that they do take; none without any.
    pub packed_percent: Option<usize>,
    /// Who stands behind them.
    pub source_identity: Option<String>,
    /// The identity provider's word for whom they were given to.
    pub identity: Option<Issuer>,
}

/// A role, assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`
    pub arn: String,
    /// `<role id>:<session>`
    pub id: String,
}

/// Who vouched for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its URL.
    pub provider: String,
    /// Its name for that somebody.
    pub subject: String,
    /// The client that it was asked for.
    pub audience: String,
}

/// Assumes a role for a signed caller (STS API Reference, AssumeRole). `context`: what conditions may ask for, without what the
/// request says. Errs: Validation, MalformedPolicyDocument, Denied, PackedPolicyTooLarge.
pub(in crate::iam) fn assume_role(
    directory: &Directory,
    sealer: &Sealer,
    caller: &Principal,
    request: &SessionRequest,
    context: &RequestContext,
) -> Result<IssuedSession, SessionError> {
    let policy = request.check()?;
    let denied = |action: &str, cause: String| {
        let (who, role) = (caller.caller_arn(), &request.role_arn);
        SessionError::denied(format!("User: {who} is not authorized to perform: {action} on resource: {role}"), cause)
    };
    let role = directory.role_by_arn(&request.role_arn);
    let role = role.ok_or_else(|| denied("sts:AssumeRole", "there is no such role".to_owned()))?;
    let trust = role.trust.as_ref().map_err(|mistake| denied("sts:AssumeRole", mistake.to_string()))?;
    let terms = inherit(caller, Terms { policy: policy.map(|policy| policy.to_string()), ..terms(request)? })?;
    let mut context = context.clone();
    request.tell(&mut context);
    tell_role(role, &mut context);
    for action in actions("sts:AssumeRole", &terms) {
        let asked =
            TrustRequest { action, account_id: &role.account_id, role_arn: &request.role_arn, context: &context };
        let (decision, trace) = trust.decide(caller, asked);
        if !decision.allowed {
            let error = denied(action, format!("{:?}", decision.reason));
            let role_arn = request.role_arn.clone();
            return Err(error.by_trust(TrustDecision { action, role_arn, decision, trace }));
        }
    }
    if caller.role.is_some() && request.seconds.is_some_and(|seconds| seconds > ROLE_SECONDS) {
        let message =
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(SessionError::Validation(message.to_owned()));
    }
    issue_for_role(directory, sealer, role, request, terms, context.now)
}

/// Everything that a trust policy must allow for such a session.
pub(super) fn actions(action: &'static str, terms: &Terms) -> impl Iterator<Item = &'static str> {
    let tags = (!terms.tags.is_empty()).then_some("sts:TagSession");
    let source_identity = terms.source_identity.is_some().then_some("sts:SetSourceIdentity");
    std::iter::once(action).chain(tags).chain(source_identity)
}

/// What a request says of its session, but the policy.
pub(super) fn terms(request: &SessionRequest) -> Result<Terms, SessionError> {
    Ok(Terms {
        policy: None,
        policy_arns: request.policy_arns.clone(),
        tags: request.session_tags()?,
        source_identity: request.source_identity.clone(),
        federation: None,
    })
}

/// The role as conditions see it.
pub(super) fn tell_role(role: &RoleEntry, context: &mut RequestContext) {
    for (key, value) in &role.tags {
        context.add(format!("aws:ResourceTag/{key}"), value.as_str());
        context.add(format!("iam:ResourceTag/{key}"), value.as_str());
    }
}

/// Adds what goes on from the caller's own session: transitive tags and the source identity (IAM User Guide, "Chaining roles with
/// session tags"). Errs: Validation when the request says otherwise.
fn inherit(caller: &Principal, mut terms: Terms) -> Result<Terms, SessionError> {
    let Some(session) = &caller.session else { return Ok(terms) };
    for key in &session.transitive_tag_keys {
        let Some((key, value)) = session.tags.iter().find(|(name, _)| name == key) else { continue };
        if terms.tags.iter().any(|tag| tag.key.eq_ignore_ascii_case(key)) {
            let message = "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key \
                           from the calling session.";
            return Err(SessionError::Validation(message.to_owned()));
        }
        let (key, value) = (key.clone(), value.clone());
        terms.tags.push(super::SessionTag { key, value, is_transitive: true });
    }
    match (&session.source_identity, &terms.source_identity) {
        (Some(own), Some(asked)) if own != asked => {
            let message = "The source identity of a session cannot be changed by assuming another role.";
            Err(SessionError::Validation(message.to_owned()))
        }
        (Some(own), _) => Ok(Terms { source_identity: Some(own.clone()), ..terms }),
        (None, _) => Ok(terms),
    }
}

/// Gives a session of a role, which somebody was let in to.
pub(super) fn issue_for_role(
    directory: &Directory,
    sealer: &Sealer,
    role: &RoleEntry,
    request: &SessionRequest,
    terms: Terms,
    now: Stamp,
) -> Result<IssuedSession, SessionError> {
    let seconds = request.seconds.unwrap_or(ROLE_SECONDS);
    if seconds > role.max_session_duration {
        let message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        return Err(SessionError::Validation(message.to_owned()));
    }
    for arn in &terms.policy_arns {
        if directory.managed_for(arn, &role.account_id).is_none() {
            return Err(SessionError::Validation(format!("PolicyArn {arn} does not exist or is not attachable.")));
        }
    }
    let holder = Holder::role(&role.canonical_id, &request.session_name);
    let (account_id, name, session_name) = (&role.account_id, &role.name, &request.session_name);
    let assumed = AssumedRole {
        arn: format!("arn:aws:sts::{account_id}:assumed-role/{name}/{session_name}"),
        id: format!("{}:{session_name}", role.role_id),
    };
    Ok(IssuedSession { role: Some(assumed), ..issue(sealer, holder, terms, now, seconds)? })
}

/// Gives a user temporary credentials of its own (STS API Reference, GetSessionToken). Errs: Validation, Denied for a caller that has
/// such credentials already.
pub(in crate::iam) fn session_token(
    sealer: &Sealer,
    caller: &Principal,
    seconds: Option<u64>,
    now: Stamp,
) -> Result<IssuedSession, SessionError> {
    if caller.session.is_some() {
        return Err(SessionError::denied(
            "Cannot call GetSessionToken with session credentials",
            "the caller has a session",
        ));
    }
    let seconds = seconds.unwrap_or(USER_SECONDS);
    check_seconds(seconds, USER_SECONDS_MAX)?;
    let most = if caller.is_named_root { ROOT_SECONDS_MAX } else { USER_SECONDS_MAX };
    issue(sealer, Holder::user(&caller.user_id), Terms::default(), now, seconds.clamp(SECONDS_MIN, most))
}

fn issue(
    sealer: &Sealer,
    holder: Holder,
    terms: Terms,
    now: Stamp,
    seconds: u64,
) -> Result<IssuedSession, SessionError> {
    let packed_percent = terms.packed_percent()?;
    if let Some(percent) = packed_percent.filter(|percent| *percent > 100) {
        return Err(SessionError::PackedPolicyTooLarge(percent));
    }
    let grant = Grant::new(holder, terms, now, seconds)?;
    let token = seal(&grant, sealer)?;
    // Beside policies and tags there are only texts whose length was checked, so this is a claim of a provider's token.
    let token = token.ok_or_else(|| SessionError::RejectedClaim("The claims of the token are too long.".to_owned()))?;
    let open = OpenToken::new(grant)?;
    Ok(IssuedSession {
        access_key: open.access_key,
        secret_key: open.secret,
        token: SecretKey::new(&token),
        expires_at: Stamp::default().after(open.grant.expires_at),
        role: None,
        packed_percent,
        source_identity: open.grant.terms.source_identity,
        identity: None,
    })
}

const _: () = assert!(PACKED_BYTES_MAX < super::grant::GRANT_BYTES_MAX);
