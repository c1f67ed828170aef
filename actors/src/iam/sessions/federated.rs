//! Who gets temporary credentials by the word of an identity provider (STS API Reference, AssumeRoleWithWebIdentity). Pure but for
//! the random numbers in them.

use super::error::SessionError;
use super::grant::Federation;
use super::issue::{IssuedSession, Issuer, actions, issue_for_role, tell_role, terms};
use super::terms::SessionRequest;
use crate::iam::directory::Directory;
use crate::iam::oidc::{Claims, InvalidToken, KeySet, ProviderUrl, Token};
use crate::iam::{OidcProvider, RoleEntry};
use crate::policy_engine::{RequestContext, TrustRequest};
use crate::seal::Sealer;

fn denied(cause: &str) -> SessionError {
    SessionError::denied("Not authorized to perform sts:AssumeRoleWithWebIdentity", cause)
}

impl From<InvalidToken> for SessionError {
    fn from(error: InvalidToken) -> Self {
        match error {
            InvalidToken::Expired { .. } => Self::ExpiredToken(error.to_string()),
            InvalidToken::Malformed(_) | InvalidToken::Refused(_) => Self::InvalidIdentityToken(error.to_string()),
        }
    }
}

/// The role, and the provider of its account that a token says it is from. Errs: InvalidIdentityToken, also where there is no
/// such role: whoever asks has shown nothing yet.
pub(in crate::iam) fn find_provider<'d>(
    directory: &'d Directory,
    role_arn: &str,
    issuer: Option<&str>,
) -> Result<(&'d RoleEntry, &'d OidcProvider, ProviderUrl), SessionError> {
    let role = directory.role_by_arn(role_arn);
    let issuer = issuer.unwrap_or_default();
    let of_issuer = |provider: &'d OidcProvider| {
        let url =
            ProviderUrl::parse(&provider.url, provider.may_be_private).ok().filter(|url| url.is_issuer(issuer))?;
        Some((role?, provider, url))
    };
    role.and_then(|role| directory.providers_of(&role.account_id).find_map(of_issuer)).ok_or_else(|| {
        let shown: String = issuer.chars().take(200).collect();
        SessionError::InvalidIdentityToken(format!("No OpenIDConnect provider found in your account for {shown}"))
    })
}

/// What a token claims, if one of the keys has signed it. Errs: InvalidIdentityToken, ExpiredToken.
pub(in crate::iam) fn check_token(token: Token<'_>, keys: &KeySet, now_seconds: u64) -> Result<Claims, SessionError> {
    let refused = |message: &str| Err(SessionError::InvalidIdentityToken(message.to_owned()));
    if !keys.may_verify(&token.key) {
        return refused(
            "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity \
             documentation for requirements",
        );
    }
    if !keys.verifies(&token) {
        return refused("The signature of the web identity token does not match.");
    }
    Ok(token.into_claims(now_seconds)?)
}

/// Assumes a role for whom the claims are about, which were verified. Errs: as `assume_role`, and InvalidIdentityToken.
pub(in crate::iam) fn federate(
    directory: &Directory,
    sealer: &Sealer,
    request: &SessionRequest,
    claims: Claims,
    context: &RequestContext,
) -> Result<IssuedSession, SessionError> {
    let (role, provider, _) = find_provider(directory, &request.role_arn, Some(&claims.issuer))?;
    let party = claims.authorized_party.iter();
    if !claims.audience.iter().chain(party).any(|client| provider.client_ids.contains(client)) {
        return Err(SessionError::InvalidIdentityToken("Incorrect token audience".to_owned()));
    }
    let request = SessionRequest {
        tags: claims.tags.clone(),
        transitive_tag_keys: claims.transitive_tag_keys.clone(),
        source_identity: claims.source_identity.clone(),
        ..request.clone()
    };
    let policy = request.check()?;
    let arn = provider.arn();
    let federation = Federation { provider: arn.clone(), claims: keys_of_session(provider, &claims) };
    let terms = super::grant::Terms {
        policy: policy.map(|policy| policy.to_string()),
        federation: Some(federation),
        ..terms(&request)?
    };
    let mut context = context.clone();
    request.tell(&mut context);
    tell_role(role, &mut context);
    context.add("aws:FederatedProvider", arn.as_str());
    for (key, value) in condition_keys(provider, &claims) {
        context.add(key, value);
    }
    let trust = role.trust.as_ref().map_err(|mistake| denied(&mistake.to_string()))?;
    for action in actions("sts:AssumeRoleWithWebIdentity", &terms) {
        let asked =
            TrustRequest { action, account_id: &role.account_id, role_arn: &request.role_arn, context: &context };
        if !trust.allows_federated(&arn, asked) {
            return Err(denied(&format!("the trust policy does not allow {action}")));
        }
    }
    let issued = issue_for_role(directory, sealer, role, &request, terms, context.now)?;
    let audience = claims.clients().first().cloned().unwrap_or_default();
    let identity = Issuer { provider: claims.issuer, subject: claims.subject, audience };
    Ok(IssuedSession { identity: Some(identity), ..issued })
}

/// The provider as condition keys and ARNs name it: its URL without scheme.
fn name(provider: &OidcProvider) -> &str {
    let url = provider.url.as_str();
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

/// The condition keys of a session, for as long as it lasts (IAM User Guide, "Available keys for AWS OIDC federation").
fn keys_of_session(provider: &OidcProvider, claims: &Claims) -> Vec<(String, String)> {
    let name = name(provider);
    let subject = (format!("{name}:sub"), claims.subject.clone());
    let clients = claims.clients().iter().map(|client| (format!("{name}:aud"), client.clone()));
    let methods = claims.methods.iter().map(|method| (format!("{name}:amr"), method.clone()));
    std::iter::once(subject).chain(clients).chain(methods).collect()
}

/// The condition keys of a trust policy: the same, the audience as the token has it, and who asked for the token.
fn condition_keys(provider: &OidcProvider, claims: &Claims) -> Vec<(String, String)> {
    let name = name(provider);
    let mut keys = keys_of_session(provider, claims);
    keys.extend(claims.audience.iter().map(|client| (format!("{name}:oaud"), client.clone())));
    keys.extend(claims.authorized_party.iter().map(|party| (format!("{name}:azp"), party.clone())));
    keys
}
