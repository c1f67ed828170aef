//! One request on its way to a handler: authenticated, allowed, its parameters decoded.

use std::net::IpAddr;
use std::sync::Arc;

use myfsio_actors::audit::ChangeOrigin;
use myfsio_actors::iam::Principal;
use myfsio_actors::names::Stamp;
use myfsio_actors::policy_engine::RequestContext;

use super::action::Action;
use super::error::{ApiError, ErrorCode};
use super::parameters::Parameters;
use crate::node::Node;
use crate::s3::authorize;
use crate::s3::respond::RequestId;

/// One request.
#[derive(Debug)]
pub struct Call {
    /// The node that serves it.
    pub node: Arc<Node>,
    /// What it asks for.
    pub action: Action,
    /// Its parameters.
    pub parameters: Parameters,
    /// Who asks; none without a signature.
    pub principal: Option<Arc<Principal>>,
    /// Names the request in responses and logs.
    pub request_id: RequestId,
    /// When its head had arrived.
    pub received: Stamp,
    /// Address of the client, as far as it is known.
    pub peer: Option<IpAddr>,
    /// What conditions of policies may ask for.
    pub context: RequestContext,
}

impl Call {
    /// Who asks. Errs: MissingAuthenticationToken without a signature.
    pub fn caller(&self) -> Result<&Arc<Principal>, ApiError> {
        self.principal.as_ref().ok_or_else(|| ErrorCode::MissingAuthenticationToken.into())
    }

    /// The account of who asks. Errs: MissingAuthenticationToken.
    pub fn account_id(&self) -> Result<&str, ApiError> {
        Ok(&self.caller()?.account_id)
    }

    /// Who makes a change, for the audit log.
    pub fn origin(&self) -> ChangeOrigin {
        authorize::changed_by(self.principal.as_deref(), self.request_id, self.peer)
    }
}
