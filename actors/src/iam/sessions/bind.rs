//! Whom an opened token stands for, as things are now. Pure.

use std::sync::Arc;

use super::grant::Holder;
use super::token::OpenToken;
use crate::iam::directory::Directory;
use crate::iam::principal::{Credential, Principal, Session};
use crate::iam::records::Expiry;
use crate::iam::{IamError, RoleEntry};
use crate::names::{CanonicalId, Stamp};
use crate::policy_engine::{IdentityPolicy, InvalidPolicy, PolicyHome};

/// A session as a directory has it.
#[derive(Debug)]
pub(in crate::iam) struct Bound {
    pub credential: Credential,
    /// When its credentials end.
    pub expires_at: Stamp,
    /// When the user ends whom it stands for.
    pub holder_expires_at: Expiry,
}

/// Looks up whom a token stands for. Errs: NoSuchAccessKey when the user or role is gone, Disabled.
pub(super) fn bind(open: &OpenToken, directory: &Directory) -> Result<Bound, IamError> {
    let grant = &open.grant;
    let gone = || IamError::NoSuchAccessKey(open.access_key.clone());
    let (principal, holder_expires_at) = match &grant.holder {
        Holder::User(id) => {
            let user = directory.user_by_id(&CanonicalId::from_bytes(**id)).ok_or_else(gone)?;
            if !user.is_enabled {
                return Err(IamError::Disabled(open.access_key.clone()));
            }
            let template = directory.principal_of(&user.user_id).ok_or_else(gone)?;
            let session = session(open, directory, &user.account_id);
            let access_key = open.access_key.clone();
            (Principal { access_key, session: Some(session), ..Principal::clone(template) }, Expiry(user.expires_at))
        }
        Holder::Role(id, session_name) => {
            let role = directory.role_by_id(&CanonicalId::from_bytes(**id)).ok_or_else(gone)?;
            (of_role(open, directory, role, session_name), Expiry(None))
        }
    };
    Ok(Bound {
        credential: Credential { secret: open.secret.clone(), principal: Arc::new(principal) },
        expires_at: Stamp::default().after(grant.expires_at),
        holder_expires_at,
    })
}

fn of_role(open: &OpenToken, directory: &Directory, role: &RoleEntry, session_name: &str) -> Principal {
    role.principal(open.access_key.clone(), session_name, session(open, directory, &role.account_id))
}

fn session(open: &OpenToken, directory: &Directory, account_id: &str) -> Arc<Session> {
    let grant = &open.grant;
    let inline = open.policy.iter().cloned();
    let managed = grant.terms.policy_arns.iter().map(|arn| {
        directory.managed_for(arn, account_id).unwrap_or_else(|| {
            let mistake = InvalidPolicy::new("session policies", format!("there is no policy `{arn}` any more"));
            IdentityPolicy::broken(&serde_json::Value::Null, mistake)
        })
    });
    let policies = inline.chain(managed).enumerate();
    let tags = &grant.terms.tags;
    let federation = grant.terms.federation.as_ref();
    Arc::new(Session {
        issued_at: Stamp::default().after(grant.issued_at),
        expires_at: Stamp::default().after(grant.expires_at),
        policies: policies.map(|(index, policy)| policy.at(PolicyHome::Session { index })).collect(),
        provider: federation.map(|federation| federation.provider.clone()),
        source_identity: grant.terms.source_identity.clone(),
        tags: tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
        transitive_tag_keys: tags.iter().filter(|tag| tag.is_transitive).map(|tag| tag.key.clone()).collect(),
        claims: federation.map(|federation| federation.claims.clone()).unwrap_or_default(),
    })
}
