//! Whom a bucket tells of events: read and put. The notifier judges the targets.

use actix_web::http::StatusCode;
use myfsio_actors::bucket_config::{ConfigChange, Notification};
use myfsio_actors::notifier::{NotifierError, TestSender};

use super::bucket_config::configure;
use crate::s3::context::Call;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::text;
use crate::s3::respond::{Answer, empty, xml};
use crate::s3::xml::notification::{
    NOTIFICATION_BYTES_MAX, notification_configuration, write_notification_configuration,
};

/// S3 API Reference, GetBucketNotificationConfiguration: empty when nobody is told of anything.
pub fn get_bucket_notification(call: &Call) -> Answer {
    let bucket = call.bucket()?;
    Ok(xml(StatusCode::OK, write_notification_configuration(bucket.config.notification.as_ref())))
}

/// S3 API Reference, PutBucketNotificationConfiguration. An empty document removes what there was. Errs: MalformedXML;
/// InvalidArgument for what is ambiguous or unknown, and for targets that are not there or do not take a test event.
pub async fn put_bucket_notification(mut call: Call) -> Answer {
    let bucket = call.bucket()?;
    let body = call.body.collect(NOTIFICATION_BYTES_MAX).await?;
    if body.is_empty() {
        return Err(ErrorCode::MissingRequestBodyError.into());
    }
    let mut notification = notification_configuration(&body)?;
    name_targets(&mut notification)?;
    let skips = text(&call.headers, "x-amz-skip-destination-validation");
    let validate = skips.is_none_or(|skips| !skips.eq_ignore_ascii_case("true"));
    let sender = TestSender {
        bucket: bucket.name.as_str().to_owned(),
        request_id: call.request_id.to_string(),
        host_id: call.node.host_id.clone(),
    };
    call.node.notifier.check(&notification, validate, sender).await?;
    let change = ConfigChange::Notification((!notification.is_empty()).then_some(notification));
    configure(&call, change).await?;
    Ok(empty(StatusCode::OK))
}

/// Gives ids to targets that have none.
fn name_targets(notification: &mut Notification) -> Result<(), S3Error> {
    for target in notification.targets.iter_mut().filter(|target| target.id.is_empty()) {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes).map_err(S3Error::internal)?;
        target.id = hex::encode(bytes);
    }
    Ok(())
}

impl From<NotifierError> for S3Error {
    fn from(error: NotifierError) -> Self {
        let cause = error.to_string();
        match error {
            NotifierError::MalformedArn { arn } => {
                Self::invalid_argument("ARN", &arn, "The ARN is not well formed").because(cause)
            }
            NotifierError::WrongRegion { arn } => {
                let message =
                    "The notification destination service region is not valid for the bucket location constraint";
                Self::invalid_argument("ARN", &arn, message)
            }
            NotifierError::Unreachable { arn, reason, .. } => {
                let message = "Unable to validate the following destination configurations";
                Self::with_message(ErrorCode::InvalidArgument, message)
                    .field("ArgumentName", arn)
                    .field("ArgumentValue", reason)
                    .because(cause)
            }
            NotifierError::Storage(error) => error.into(),
            NotifierError::Busy => Self::new(ErrorCode::SlowDown).because(cause),
            NotifierError::Stopped | NotifierError::TimedOut => Self::new(ErrorCode::ServiceUnavailable).because(cause),
            NotifierError::Store(store) if store.is_full() => Self::new(ErrorCode::InsufficientStorage).because(cause),
            NotifierError::Store(_) => Self::internal(cause),
        }
    }
}
