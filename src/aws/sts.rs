//! The actions of STS (STS API Reference). Each reads its parameters, asks IAM, and writes what it has to tell.

use myfsio_actors::iam::{IssuedSession, Principal, SessionError, SessionRequest, TrustDecision, WhichUser};

use super::action::Action as A;
use super::call::Call;
use super::error::{ApiError, ErrorCode};
use super::parameters::{Parameters, pattern};
use crate::decisions::{Explanation, Why};
use crate::s3::xml::XmlWriter;

/// Most members of the lists of a request; IAM has narrower bounds of its own.
const MEMBERS_MAX: usize = 50;

/// Runs the handler of an action of STS.
pub async fn dispatch(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    match call.action {
        A::AssumeRole => assume_role(call, out),
        A::AssumeRoleWithWebIdentity => assume_role_with_web_identity(call, out).await,
        A::GetSessionToken => get_session_token(call, out),
        A::GetCallerIdentity => get_caller_identity(call, out),
        A::GetAccessKeyInfo => get_access_key_info(call, out),
        _ => Err(ErrorCode::InvalidAction.into()),
    }
}

fn assume_role(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    refuse_second_factor(parameters)?;
    if !parameters.structures("ProvidedContexts", MEMBERS_MAX)?.is_empty() {
        let message = "Contexts of other identity providers are not implemented.";
        return Err(ApiError::with_message(ErrorCode::NotImplemented, message));
    }
    let mut tags = Vec::new();
    for at in parameters.structures("Tags", MEMBERS_MAX)? {
        let part = |name: &str| parameters.get(&format!("{at}.{name}")).unwrap_or_default().to_owned();
        tags.push((part("Key"), part("Value")));
    }
    let transitive = parameters.list("TransitiveTagKeys", MEMBERS_MAX)?;
    let request = SessionRequest {
        tags,
        transitive_tag_keys: transitive.into_iter().map(str::to_owned).collect(),
        source_identity: owned(parameters, "SourceIdentity"),
        external_id: owned(parameters, "ExternalId"),
        ..session_of_role(parameters)?
    };
    let caller = call.caller()?;
    let issued = call.node.access.iam.assume_role(caller, &request, &call.context);
    tell_session(&issued.map_err(|error| explained(caller, error))?, out);
    Ok(())
}

/// The refusal of somebody who wants to assume a role, with what its trust policy considered.
fn explained(caller: &Principal, error: SessionError) -> ApiError {
    let SessionError::Denied { message, cause, trust: Some(decided) } = error else { return error.into() };
    let TrustDecision { action, role_arn, decision, trace } = *decided;
    let told = Explanation::about(Some(caller), action, role_arn, &decision, trace);
    let error = ApiError::from(SessionError::Denied { message, cause, trust: None });
    error.explained(Why::Decided(Box::new(told)))
}

async fn assume_role_with_web_identity(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    if parameters.get("ProviderId").is_some_and(|provider| !provider.is_empty()) {
        let message = "Identity providers that give no OpenID Connect tokens are not implemented.";
        return Err(ApiError::with_message(ErrorCode::NotImplemented, message));
    }
    let token = parameters.required("WebIdentityToken")?;
    let request = session_of_role(parameters)?;
    let issued = call.node.access.iam.assume_role_with_web_identity(token, &request, &call.context).await?;
    tell_session(&issued, out);
    if let Some(identity) = &issued.identity {
        out.text("SubjectFromWebIdentityToken", &identity.subject);
        out.text("Audience", &identity.audience).text("Provider", &identity.provider);
    }
    Ok(())
}

fn get_session_token(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    refuse_second_factor(&call.parameters)?;
    let seconds = call.parameters.number("DurationSeconds", 0, u64::MAX)?;
    let issued = call.node.access.iam.session_token(call.caller()?, seconds)?;
    tell_credentials(&issued, out);
    Ok(())
}

fn get_caller_identity(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let caller = call.caller()?;
    // Of an account's root, the user id is the account's.
    let is_account = caller.is_named_root && caller.role.is_none();
    let user_id = if is_account { caller.account_id.as_str().into() } else { caller.unique_id() };
    out.text("Arn", &caller.caller_arn()).text("UserId", &user_id).text("Account", &caller.account_id);
    Ok(())
}

fn get_access_key_info(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    const NAME: &str = "AccessKeyId";
    let id = call.parameters.text(NAME, 128)?;
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(pattern(NAME, id, r"[\w]*"));
    }
    let caller = call.caller()?;
    let directory = call.node.access.iam.directory();
    let is_key = |key: &str| key == id;
    let owner = directory.user(&WhichUser::from(id)).ok();
    let owner = owner.filter(|user| user.access_keys.iter().any(|key| is_key(key.access_key.as_str())));
    let account_id = match owner {
        Some(user) => &user.account_id,
        // What temporary keys are of stands in their tokens.
        None if is_key(caller.access_key.as_str()) => &caller.account_id,
        None => return Err(ApiError::validation(format!("The access key {id} is not known."))),
    };
    out.text("Account", account_id);
    Ok(())
}

/// What both ways to a role have in common.
fn session_of_role(parameters: &Parameters) -> Result<SessionRequest, ApiError> {
    let mut policy_arns = Vec::new();
    for at in parameters.structures("PolicyArns", MEMBERS_MAX)? {
        policy_arns.push(parameters.required(&format!("{at}.arn"))?.to_owned());
    }
    Ok(SessionRequest {
        role_arn: parameters.required("RoleArn")?.to_owned(),
        session_name: parameters.required("RoleSessionName")?.to_owned(),
        seconds: parameters.number("DurationSeconds", 0, u64::MAX)?,
        policy: owned(parameters, "Policy"),
        policy_arns,
        ..SessionRequest::default()
    })
}

fn owned(parameters: &Parameters, name: &str) -> Option<String> {
    parameters.get(name).map(str::to_owned)
}

/// The node knows no second factors, so that of a request is wrong. Errs: AccessDenied.
fn refuse_second_factor(parameters: &Parameters) -> Result<(), ApiError> {
    let is_given = |name: &str| parameters.get(name).is_some_and(|value| !value.is_empty());
    match is_given("SerialNumber") || is_given("TokenCode") {
        true => {
            let message = "MultiFactorAuthentication failed, unable to validate MFA code.";
            Err(ApiError::with_message(ErrorCode::AccessDenied, message))
        }
        false => Ok(()),
    }
}

fn tell_session(issued: &IssuedSession, out: &mut XmlWriter) {
    tell_credentials(issued, out);
    if let Some(role) = &issued.role {
        out.open("AssumedRoleUser").text("AssumedRoleId", &role.id).text("Arn", &role.arn).close();
    }
    if let Some(percent) = issued.packed_percent {
        out.value("PackedPolicySize", percent);
    }
    out.text_if("SourceIdentity", issued.source_identity.as_deref());
}

fn tell_credentials(issued: &IssuedSession, out: &mut XmlWriter) {
    out.open("Credentials").text("AccessKeyId", issued.access_key.as_str());
    out.text("SecretAccessKey", issued.secret_key.expose()).text("SessionToken", issued.token.expose());
    out.time("Expiration", issued.expires_at).close();
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        let code = match &error {
            SessionError::Validation(_) => ErrorCode::ValidationError,
            SessionError::MalformedPolicyDocument(_) => ErrorCode::MalformedPolicyDocument,
            SessionError::PackedPolicyTooLarge(_) => ErrorCode::PackedPolicyTooLarge,
            SessionError::Denied { .. } => ErrorCode::AccessDenied,
            SessionError::ExpiredToken(_) => ErrorCode::ExpiredToken,
            SessionError::InvalidIdentityToken(_) => ErrorCode::InvalidIdentityToken,
            SessionError::RejectedClaim(_) => ErrorCode::IdpRejectedClaim,
            SessionError::Communication => ErrorCode::IdpCommunicationError,
            SessionError::Iam(_) => ErrorCode::ServiceUnavailable,
            SessionError::Seal(_) => return Self::internal(error),
        };
        let told = Self::with_message(code, error.to_string());
        match error {
            SessionError::Denied { cause, .. } => told.because(cause),
            SessionError::Iam(error) => Self::from(error),
            _ => told,
        }
    }
}
