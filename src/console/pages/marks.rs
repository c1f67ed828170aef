//! Marks of what forms of an object were filled in for, so that nobody overwrites what they have not seen.

use std::sync::Arc;

use myfsio_actors::names::ObjectKey;
use myfsio_actors::storage::{Bucket, Object};

use super::properties::mark;
use crate::console::failure::Failure;
use crate::console::visit::Visit;
use crate::within::{Asker, Expected};

/// Which object it is: another text as soon as anybody writes another one.
pub fn seen(object: &Object) -> String {
    format!("{}-{}-{}", object.stamp.0, object.version_id, object.etag)
}

/// A mark of an object and its tags.
pub fn of_tags(object: &Object) -> String {
    mark(&format!("{} {:?}", seen(object), object.attributes.tags))
}

/// A mark of an object and its legal hold.
pub fn of_hold(object: &Object) -> String {
    mark(&format!("{} {}", seen(object), object.controls.is_held()))
}

/// A mark of an object and its retention.
pub fn of_retention(object: &Object) -> String {
    mark(&format!("{} {:?}", seen(object), object.controls.retention))
}

/// A mark of an object and its access control list.
pub fn of_list(object: &Object) -> String {
    mark(&format!("{} {:?}", seen(object), object.controls.acl))
}

/// Who asks for what a form changes of an object, as it is now: should somebody else be faster, then that request is refused. Errs: the
/// form was loaded with another mark; AccessDenied to whoever may not do `action` at all, whatever has become of the object.
pub async fn check(
    visit: &Visit,
    bucket: &Bucket,
    key: &ObjectKey,
    action: &str,
    now: &Arc<Object>,
    mark: fn(&Object) -> String,
) -> Result<Asker, Failure> {
    let asker = visit.asker()?;
    if visit.form.text("revision") == mark(now) {
        return Ok(asker.expecting(Expected::Object(Arc::clone(now))));
    }
    if !asker.may(action, Some(bucket), Some(key.as_str())) {
        asker.ask(action, bucket).await?;
    }
    Err(Failure::Changed)
}
