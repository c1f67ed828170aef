//! The way of a request through these APIs: body → who asks → which action → whether it may → handler → answer.

use std::sync::Arc;

use actix_http::RequestHead;
use actix_http::error::PayloadError;
use actix_web::HttpResponse;
use actix_web::http::Method;
use bytes::Bytes;
use futures_util::Stream;
use myfsio_actors::iam::Principal;
use myfsio_actors::names::Stamp;
use myfsio_actors::policy_engine::RequestContext;
use tracing::Instrument as _;

use super::action::{self, Action};
use super::authenticate::authenticate;
use super::call::Call;
use super::dispatch::dispatch;
use super::error::{ApiError, ErrorCode};
use super::parameters::{Parameters, missing};
use super::service::{Service, TARGET, claimed_scope, is_form};
use super::{iam, kms, permission, respond};
use crate::decisions::{Circumstances, Refused};
use crate::node::Node;
use crate::s3::authorize::{Authenticated, Facts};
use crate::s3::body::{BodyLimits, RequestBody};
use crate::s3::checksum::BodyChecks;
use crate::s3::headers::text;
use crate::s3::preflight::{check_head_size, client_of, is_secure};
use crate::s3::query::Query;
use crate::s3::respond::RequestId;
use crate::telemetry::request_span;

/// Largest body, in bytes: the largest policy that a user can hold, with every byte escaped, and some more.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Answers a request that is for one of these services. It has its place among the requests under way.
pub async fn answer(
    node: &Arc<Node>,
    head: &RequestHead,
    request_id: RequestId,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> HttpResponse {
    let span = request_span(&request_id.to_string(), head.method.as_str(), head.uri.path());
    let mut service = service_of_head(head);
    let served = serve(node, head, request_id, &mut service, incoming).instrument(span).await;
    served.unwrap_or_else(|error| refuse_as(node, head, service, &error, request_id))
}

/// The service that a request speaks to, as far as its head tells.
fn service_of_head(head: &RequestHead) -> Service {
    match claimed_scope(head).as_ref().and_then(Service::of_scope) {
        Some(service) => service,
        None if head.headers.contains_key(TARGET) => Service::Kms,
        // Only who has no credentials yet comes without a signature.
        None => Service::Sts,
    }
}

/// The refusal of a request that was not read, in the protocol of its service.
pub fn refuse(node: &Node, head: &RequestHead, error: &ApiError, request_id: RequestId) -> HttpResponse {
    refuse_as(node, head, service_of_head(head), error, request_id)
}

fn refuse_as(
    node: &Node,
    head: &RequestHead,
    service: Service,
    error: &ApiError,
    request_id: RequestId,
) -> HttpResponse {
    note_refusal(node, head, service, Refused::from(error), request_id);
    match service {
        Service::Kms => kms::error(error, request_id),
        Service::Iam | Service::Sts => respond::error(service, error, request_id),
    }
}

/// Keeps a refusal for those who may ask about it, and tells the log.
fn note_refusal(node: &Node, head: &RequestHead, service: Service, refused: Refused<'_>, request_id: RequestId) {
    let path = head.uri.path().into();
    let circumstances = Circumstances { address: client_of(node, head), resource: path, ..Circumstances::default() };
    node.decisions.refused(request_id, node.clock.now(), refused, &circumstances);
    let (code, cause) = (refused.code, refused.cause.unwrap_or_default());
    match refused.status {
        500 => tracing::error!(%request_id, service = service.name(), code, cause, "failed"),
        _ => tracing::debug!(%request_id, service = service.name(), code, cause, "refused"),
    }
}

async fn serve(
    node: &Arc<Node>,
    head: &RequestHead,
    request_id: RequestId,
    service: &mut Service,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Result<HttpResponse, ApiError> {
    check_head_size(head)?;
    let received = node.clock.now();
    let body = read(node, head, incoming).await?;
    let scope = claimed_scope(head);
    let auth = authenticate(node, head, scope.as_ref(), &body, received).await?;
    if let Some(principal) = &auth.principal {
        tracing::Span::current().record("principal", principal.access_key.as_str());
    }
    if *service == Service::Kms {
        let principal = auth.principal.clone().ok_or_else(|| ApiError::from(ErrorCode::MissingAuthenticationToken))?;
        let context = context(node, head, &auth, received)?;
        return Ok(match kms::perform(node, head, (&principal, context), request_id, &body).await {
            Ok(told) => kms::answer(&told, request_id),
            Err(error) => {
                note_refusal(node, head, Service::Kms, Refused::from(&error), request_id);
                kms::refusal(&error, request_id)
            }
        });
    }
    let parameters = parameters(head, &body)?;
    if scope.is_none() && auth.principal.is_some() {
        // The header pair names no service.
        *service = service_of_version(&parameters);
    }
    let action = find(*service, &parameters, auth.principal.as_deref())?;
    let mut call = call(node, head, auth, action, parameters, request_id, received)?;
    if *service == Service::Iam {
        iam::tell(&mut call)?;
    }
    permission::ask_for_action(&call)?;
    let row = action.row();
    let mut document = respond::begin(row);
    dispatch(&call, &mut document).await?;
    tracing::debug!(%request_id, action = row.name, "answered");
    Ok(respond::end(row, document, request_id))
}

/// Reads the body. Errs: RequestEntityTooLarge, RequestExpired.
async fn read(
    node: &Node,
    head: &RequestHead,
    incoming: impl Stream<Item = Result<Bytes, PayloadError>> + 'static,
) -> Result<Bytes, ApiError> {
    let length = text(&head.headers, "content-length").and_then(|value| value.trim().parse::<u64>().ok());
    let declared = match head.headers.contains_key("transfer-encoding") {
        true => None,
        false => Some(length.unwrap_or(0)),
    };
    let limits = BodyLimits { declared, max: BODY_BYTES_MAX as u64, idle: node.settings.body_idle };
    let mut body = RequestBody::new(incoming, None, limits, BodyChecks::default());
    Ok(body.collect(BODY_BYTES_MAX).await?)
}

/// The form of a POST, or the query of a GET. Errs: MalformedQueryString, ValidationError.
fn parameters(head: &RequestHead, body: &[u8]) -> Result<Parameters, ApiError> {
    let raw = match head.method {
        Method::GET => head.uri.query().unwrap_or_default(),
        _ if is_form(&head.headers) => {
            std::str::from_utf8(body).map_err(|_| ApiError::from(ErrorCode::MalformedQueryString))?
        }
        _ => return Err(ApiError::validation("The body must be application/x-www-form-urlencoded.")),
    };
    Parameters::parse(raw)
}

/// The service that a request without a credential scope means, by its version.
fn service_of_version(parameters: &Parameters) -> Service {
    match parameters.get("Version") == Some(Service::Sts.version()) {
        true => Service::Sts,
        false => Service::Iam,
    }
}

/// The action that a request names, if who asks may name it at all. Errs: MissingAction, InvalidAction, ValidationError,
/// NotImplemented, MissingAuthenticationToken, InvalidClientTokenId.
fn find(service: Service, parameters: &Parameters, principal: Option<&Principal>) -> Result<Action, ApiError> {
    let name = parameters.get("Action").ok_or_else(|| ApiError::from(ErrorCode::MissingAction))?;
    if principal.is_none() && !action::needs_no_signature(name) {
        return Err(ErrorCode::MissingAuthenticationToken.into());
    }
    // IAM API Reference, "Temporary credentials": those of GetSessionToken may not call IAM, those of roles may.
    if service == Service::Iam && principal.is_some_and(|who| who.session.is_some() && who.role.is_none()) {
        return Err(ErrorCode::InvalidClientTokenId.into());
    }
    let version = parameters.get("Version").filter(|version| !version.is_empty()).ok_or_else(|| missing("Version"))?;
    let shown: String = name.chars().take(128).collect();
    let found = Action::find(service, name);
    if version != service.version() || (found.is_none() && !action::is_unbuilt(service, name)) {
        let version: String = version.chars().take(32).collect();
        let message = format!("Could not find operation {shown} for version {version}");
        return Err(ApiError::with_message(ErrorCode::InvalidAction, message));
    }
    let unbuilt = || ApiError::with_message(ErrorCode::NotImplemented, format!("{shown} is not implemented."));
    found.ok_or_else(unbuilt)
}

/// What conditions of policies may ask for. Errs: MalformedQueryString.
fn context(node: &Node, head: &RequestHead, auth: &Authenticated, received: Stamp) -> Result<RequestContext, ApiError> {
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let facts = Facts {
        headers: &head.headers,
        query: &query,
        address: client_of(node, head),
        secure: is_secure(node, head),
        now: received,
        mechanism: auth.mechanism,
        signed_at_seconds: auth.signed_at_seconds,
        region: &node.settings.region,
        explains: node.decisions.is_on(),
    };
    Ok(facts.plain_context())
}

fn call(
    node: &Arc<Node>,
    head: &RequestHead,
    auth: Authenticated,
    action: Action,
    parameters: Parameters,
    request_id: RequestId,
    received: Stamp,
) -> Result<Call, ApiError> {
    let context = context(node, head, &auth, received)?;
    Ok(Call {
        node: Arc::clone(node),
        action,
        parameters,
        principal: auth.principal,
        request_id,
        received,
        peer: client_of(node, head),
        context,
    })
}
