//! OpenID Connect identity providers.

use serde_json::{Value, json};

use super::tags::tags_value;
use crate::iam::directory::Directory;
use crate::iam::document::{append, append_record, fields, record, remove_from, remove_record, set};
use crate::iam::entries::{OidcProvider, Tags};
use crate::iam::error::IamError;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::provider_arn;

/// Most providers of an account, and what one has at most (IAM User Guide, "IAM and AWS STS quotas").
const PROVIDERS_MAX: usize = 100;
const CLIENT_IDS_MAX: usize = 100;
const THUMBPRINTS_MAX: usize = 5;
const THUMBPRINT_CHARACTERS: usize = 40;
const TEXT_BYTES_MAX: usize = 255;

/// A provider of the account. Errs: NoSuchEntity.
pub(super) fn own_provider<'a>(
    directory: &'a Directory,
    account_id: &str,
    arn: &str,
) -> Result<&'a OidcProvider, IamError> {
    let provider = directory.provider(arn)?;
    match provider.account_id == account_id {
        true => Ok(provider),
        false => Err(IamError::NoSuchEntity(format!("OpenIDConnect Provider not found for arn {arn}"))),
    }
}

/// A URL of http or https with a host, and without user, query and fragment.
fn check_url(url: &str) -> Result<(), IamError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let has_host = rest.split('/').next().is_some_and(|host| !host.is_empty());
    let is_plain = rest.bytes().all(|b| b.is_ascii_graphic() && !b"@?#\\\"<>".contains(&b));
    match url.len() <= TEXT_BYTES_MAX && has_host && is_plain {
        true => Ok(()),
        false => {
            Err(IamError::invalid("url", "must be a URL of https or http, without query, of at most 255 characters"))
        }
    }
}

fn check_client_id(client_id: &str) -> Result<(), IamError> {
    match (1..=TEXT_BYTES_MAX).contains(&client_id.len()) && !client_id.contains(char::is_control) {
        true => Ok(()),
        false => Err(IamError::invalid("clientID", "must have 1 to 255 characters")),
    }
}

fn check_thumbprints(thumbprints: &[String]) -> Result<(), IamError> {
    if thumbprints.len() > THUMBPRINTS_MAX {
        let reason = format!("Thumbprint list must contain fewer than {} entries.", THUMBPRINTS_MAX + 1);
        return Err(IamError::invalid("thumbprintList", reason));
    }
    let is_one = |text: &String| text.len() == THUMBPRINT_CHARACTERS && text.bytes().all(|b| b.is_ascii_alphanumeric());
    match thumbprints.iter().all(is_one) {
        true => Ok(()),
        false => Err(IamError::invalid("thumbprintList", "each must have 40 hexadecimal digits")),
    }
}

fn too_many_client_ids() -> IamError {
    IamError::LimitExceeded(format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {CLIENT_IDS_MAX}"))
}

/// Adds an identity provider (IAM API Reference, CreateOpenIDConnectProvider). Answers its ARN. Errs: EntityAlreadyExists,
/// InvalidInput, LimitExceeded.
#[derive(Debug, Clone)]
pub struct CreateOidcProvider {
    /// Account, twelve digits.
    pub account_id: String,
    /// The issuer's URL.
    pub url: String,
    /// Audiences that it may name.
    pub client_ids: Vec<String>,
    /// SHA-1 of the certificates of those who may have signed its server's.
    pub thumbprints: Vec<String>,
    /// Its tags.
    pub tags: Tags,
    /// Whether it may be on this machine or a private network, and without TLS.
    pub may_be_private: bool,
}

impl IamChange for CreateOidcProvider {
    type Answer = String;

    fn action(&self) -> &'static str {
        "iam:CreateOpenIDConnectProvider"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<String, IamError> {
        check_url(&self.url)?;
        if !self.may_be_private && !self.url.starts_with("https://") {
            return Err(IamError::invalid("url", "must begin with https://"));
        }
        self.client_ids.iter().try_for_each(|client_id| check_client_id(client_id))?;
        if self.client_ids.len() > CLIENT_IDS_MAX {
            return Err(too_many_client_ids());
        }
        check_thumbprints(&self.thumbprints)?;
        let arn = provider_arn(&self.account_id, &self.url);
        draft.target.clone_from(&arn);
        if draft.directory.provider(&arn).is_ok() {
            return Err(IamError::EntityAlreadyExists(format!("Provider with url {} already exists.", self.url)));
        }
        if draft.directory.providers_of(&self.account_id).count() >= PROVIDERS_MAX {
            let reason = format!("Cannot exceed quota for OpenIdConnectProvidersPerAccount: {PROVIDERS_MAX}");
            return Err(IamError::LimitExceeded(reason));
        }
        let provider = fields([
            ("url", Some(Value::from(self.url.as_str()))),
            ("account_id", Some(Value::from(self.account_id.as_str()))),
            ("client_ids", Some(json!(self.client_ids))),
            ("thumbprints", Some(json!(self.thumbprints))),
            ("private", Some(Value::from(self.may_be_private))),
            ("created_at", Some(draft.time())),
            ("tags", tags_value(&[], &self.tags, "TagsPerOpenIDConnectProvider")?),
        ]);
        append_record(draft.document, "oidc_providers", provider);
        Ok(arn)
    }
}

/// Removes an identity provider (IAM API Reference, DeleteOpenIDConnectProvider). Errs: NoSuchEntity.
#[derive(Debug, Clone)]
pub struct DeleteOidcProvider {
    /// Whose it must be.
    pub account_id: String,
    /// Its ARN.
    pub arn: String,
}

impl IamChange for DeleteOidcProvider {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:DeleteOpenIDConnectProvider"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let provider = own_provider(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        remove_record(draft.document, "oidc_providers", provider.place);
        Ok(())
    }
}

/// Adds an audience; one that is there stays (IAM API Reference, AddClientIDToOpenIDConnectProvider). Errs: NoSuchEntity,
/// InvalidInput, LimitExceeded.
#[derive(Debug, Clone)]
pub struct AddClientId {
    /// Whose the provider must be.
    pub account_id: String,
    /// ARN of the provider.
    pub arn: String,
    /// The audience.
    pub client_id: String,
}

impl IamChange for AddClientId {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:AddClientIDToOpenIDConnectProvider"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let provider = own_provider(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        check_client_id(&self.client_id)?;
        if provider.client_ids.contains(&self.client_id) {
            return Ok(());
        }
        if provider.client_ids.len() >= CLIENT_IDS_MAX {
            return Err(too_many_client_ids());
        }
        let record = record(draft.document, "oidc_providers", provider.place)?;
        append(record, "client_ids", Value::from(self.client_id.as_str()));
        Ok(())
    }
}

/// Removes an audience, also one that is not there (IAM API Reference, RemoveClientIDFromOpenIDConnectProvider). Errs: NoSuchEntity.
#[derive(Debug, Clone)]
pub struct RemoveClientId {
    /// Whose the provider must be.
    pub account_id: String,
    /// ARN of the provider.
    pub arn: String,
    /// The audience.
    pub client_id: String,
}

impl IamChange for RemoveClientId {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:RemoveClientIDFromOpenIDConnectProvider"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let provider = own_provider(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        let record = record(draft.document, "oidc_providers", provider.place)?;
        remove_from(record, "client_ids", |client_id| client_id.as_str() == Some(&self.client_id));
        Ok(())
    }
}

/// Replaces the thumbprints (IAM API Reference, UpdateOpenIDConnectProviderThumbprint). Errs: NoSuchEntity, InvalidInput.
#[derive(Debug, Clone)]
pub struct UpdateThumbprints {
    /// Whose the provider must be.
    pub account_id: String,
    /// ARN of the provider.
    pub arn: String,
    /// The new ones.
    pub thumbprints: Vec<String>,
}

impl IamChange for UpdateThumbprints {
    type Answer = ();

    fn action(&self) -> &'static str {
        "iam:UpdateOpenIDConnectProviderThumbprint"
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<(), IamError> {
        let provider = own_provider(draft.directory, &self.account_id, &self.arn)?;
        draft.target.clone_from(&self.arn);
        check_thumbprints(&self.thumbprints)?;
        let record = record(draft.document, "oidc_providers", provider.place)?;
        set(record, "thumbprints", Some(json!(self.thumbprints)));
        Ok(())
    }
}
