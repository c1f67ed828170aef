//! OpenID Connect identity providers (IAM API Reference, CreateOpenIDConnectProvider and its like).

use myfsio_actors::iam::{AddClientId, CreateOidcProvider, DeleteOidcProvider, RemoveClientId, UpdateThumbprints};

use super::target::{arn_parameter, directory, resource};
use super::{change, write};
use crate::aws::call::Call;
use crate::aws::error::ApiError;
use crate::aws::permission;
use crate::s3::xml::XmlWriter;

/// Most client ids and thumbprints of a provider, and the longest of them, in characters.
const CLIENT_IDS_MAX: usize = 100;
const THUMBPRINTS_MAX: usize = 5;
const TEXT_MAX: usize = 255;
/// Element that names a provider.
const ARN: &str = "OpenIDConnectProviderArn";

/// CreateOpenIDConnectProvider.
pub async fn create(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let parameters = &call.parameters;
    let resource = resource(call)?.unwrap_or_else(|| "*".to_owned());
    let message = CreateOidcProvider {
        account_id: call.account_id()?.to_owned(),
        url: parameters.text("Url", TEXT_MAX)?.to_owned(),
        client_ids: owned(parameters.list("ClientIDList", CLIENT_IDS_MAX)?),
        thumbprints: owned(parameters.list("ThumbprintList", THUMBPRINTS_MAX)?),
        tags: parameters.tags("Tags")?,
        // Else whoever has an account could have the node ask its own surroundings.
        may_be_private: permission::is_by_grant(call, call.action.row().permission, &resource)?,
    };
    let arn = change(call, message).await?;
    out.text(ARN, &arn);
    write::tags(out, &directory(call).provider(&arn)?.tags);
    Ok(())
}

/// GetOpenIDConnectProvider.
pub fn get(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    let directory = directory(call);
    let provider = directory.provider(arn_parameter(call, ARN)?)?;
    // AWS has no provider without TLS, and so leaves the scheme out.
    out.text("Url", provider.url.strip_prefix("https://").unwrap_or(&provider.url));
    write::texts(out, "ClientIDList", provider.client_ids.iter().map(String::as_str));
    write::texts(out, "ThumbprintList", provider.thumbprints.iter().map(String::as_str));
    write::created(out, provider.created_at);
    write::tags(out, &provider.tags);
    Ok(())
}

/// ListOpenIDConnectProviders.
pub fn list(call: &Call, out: &mut XmlWriter) -> Result<(), ApiError> {
    out.open("OpenIDConnectProviderList");
    for provider in directory(call).providers_of(call.account_id()?) {
        out.open("member").text("Arn", &provider.arn()).close();
    }
    out.close();
    Ok(())
}

/// DeleteOpenIDConnectProvider.
pub async fn delete(call: &Call) -> Result<(), ApiError> {
    let (account_id, arn) = provider_of_account(call)?;
    change(call, DeleteOidcProvider { account_id, arn }).await
}

/// AddClientIDToOpenIDConnectProvider.
pub async fn add_client_id(call: &Call) -> Result<(), ApiError> {
    let client_id = call.parameters.text("ClientID", TEXT_MAX)?.to_owned();
    let (account_id, arn) = provider_of_account(call)?;
    change(call, AddClientId { account_id, arn, client_id }).await
}

/// RemoveClientIDFromOpenIDConnectProvider.
pub async fn remove_client_id(call: &Call) -> Result<(), ApiError> {
    let client_id = call.parameters.text("ClientID", TEXT_MAX)?.to_owned();
    let (account_id, arn) = provider_of_account(call)?;
    change(call, RemoveClientId { account_id, arn, client_id }).await
}

/// UpdateOpenIDConnectProviderThumbprint.
pub async fn update_thumbprints(call: &Call) -> Result<(), ApiError> {
    let thumbprints = owned(call.parameters.list("ThumbprintList", THUMBPRINTS_MAX)?);
    let (account_id, arn) = provider_of_account(call)?;
    change(call, UpdateThumbprints { account_id, arn, thumbprints }).await
}

/// The account of the caller, of which a provider must be to be changed, and the provider's ARN.
fn provider_of_account(call: &Call) -> Result<(String, String), ApiError> {
    Ok((call.account_id()?.to_owned(), arn_parameter(call, ARN)?.to_owned()))
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}
