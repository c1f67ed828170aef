//! Tags of users, roles, managed policies and identity providers (IAM API Reference, TagUser and its like).

use myfsio_actors::iam::{Tag, Taggable, Tags, Untag};

use super::target::{arn_parameter, directory, named, named_user};
use super::{change, write};
use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::page::Page;
use crate::s3::xml::XmlWriter;

/// Most keys of one request, and the longest, in characters.
pub const KEYS_MAX: usize = 50;
const KEY_MAX: usize = 128;

/// What can have tags.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Users.
    User,
    /// Roles.
    Role,
    /// Managed policies.
    Policy,
    /// Identity providers.
    Provider,
}

fn tagged(call: &Call, kind: Kind) -> Result<Taggable, ApiError> {
    Ok(match kind {
        Kind::User => Taggable::User(named_user(call, &directory(call))?),
        Kind::Role => Taggable::Role(named(call, "RoleName")?),
        Kind::Policy => Taggable::Policy { account_id: own(call)?, arn: arn_parameter(call, "PolicyArn")?.to_owned() },
        Kind::Provider => {
            let arn = arn_parameter(call, "OpenIDConnectProviderArn")?.to_owned();
            Taggable::Provider { account_id: own(call)?, arn }
        }
    })
}

/// The account of the caller, of which policies and providers must be to be changed.
fn own(call: &Call) -> Result<String, ApiError> {
    call.account_id().map(str::to_owned)
}

/// TagUser, TagRole, TagPolicy, TagOpenIDConnectProvider.
pub async fn tag(call: &Call, kind: Kind) -> Result<(), ApiError> {
    let tags = call.parameters.tags("Tags")?;
    change(call, Tag { what: tagged(call, kind)?, tags }).await
}

/// UntagUser, UntagRole, UntagPolicy, UntagOpenIDConnectProvider.
pub async fn untag(call: &Call, kind: Kind) -> Result<(), ApiError> {
    let keys = call.parameters.list("TagKeys", KEYS_MAX)?;
    if keys.iter().any(|key| key.chars().count() > KEY_MAX) {
        return Err(ApiError::validation("A tag key has at most 128 characters."));
    }
    let keys = keys.into_iter().map(str::to_owned).collect();
    change(call, Untag { what: tagged(call, kind)?, keys }).await
}

/// ListUserTags, ListRoleTags, ListPolicyTags, ListOpenIDConnectProviderTags.
pub fn list(call: &Call, kind: Kind, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    let tags: &Tags = match tagged(call, kind)? {
        Taggable::User(which) => &directory.user(&which)?.tags,
        Taggable::Role(which) => &directory.role(&which.account_id, &which.name)?.tags,
        Taggable::Policy { arn, .. } => &directory.managed_policy(&arn)?.tags,
        Taggable::Provider { arn, .. } => &directory.provider(&arn)?.tags,
    };
    let page = Page::of(&call.parameters, tags, |(key, _)| key.clone())?;
    write::tag_list(out, page.items.iter().copied());
    page.end(out);
    Ok(())
}
