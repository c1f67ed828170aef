//! What a request is about: the entity that its parameters name, and the ARN that its permission is asked for.

use crate::aws::action::Resource;
use crate::aws::call::Call;
use crate::aws::error::ApiError;

/// The ARN that the request's permission is asked for; none where its action has rules of its own.
pub fn resource(call: &Call) -> Result<Option<String>, ApiError> {
    match call.action.row().resource {
        Resource::OwnRules => Ok(None),
        Resource::Any => Ok(Some("*".to_owned())),
    }
}
