//! Which webhook an ARN names. Pure.

use crate::bucket_config::TargetKind;
use crate::storage::EVENT_BUS;

/// Longest ARN, in bytes (AWS General Reference: 2048 in most services).
const ARN_BYTES_MAX: usize = 2048;

/// Why an ARN names no webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArn {
    /// Not the ARN of a target of its kind.
    #[error("not the ARN of a target of this kind")]
    Malformed,
    /// The target is in another region than the bucket.
    #[error("in another region than the bucket")]
    WrongRegion,
}

/// The webhook of a target: the name of the topic, queue or function. MinIO's `arn:minio:sqs:<region>:<name>:webhook` serves for
/// all kinds.
pub fn webhook_of<'a>(arn: &'a str, kind: TargetKind, region: &str) -> Result<&'a str, InvalidArn> {
    let (name, service, place) = parts_of(arn).ok_or(InvalidArn::Malformed)?;
    let expected = match kind {
        TargetKind::Topic => "sns",
        TargetKind::Queue => "sqs",
        TargetKind::Function => "lambda",
    };
    match service {
        Some(service) if service != expected => Err(InvalidArn::Malformed),
        Some(_) | None if !place.is_empty() && place != region => Err(InvalidArn::WrongRegion),
        Some(_) | None => Ok(name),
    }
}

/// The webhook of a queue's target, which was checked when it was configured.
pub fn webhook_of_target(target: &str) -> Option<&str> {
    if target == EVENT_BUS { Some(EVENT_BUS) } else { parts_of(target).map(|(name, ..)| name) }
}

/// Name, service if it tells one, and region.
fn parts_of(arn: &str) -> Option<(&str, Option<&str>, &str)> {
    // It is part of the key of every event's row.
    if arn.len() > ARN_BYTES_MAX {
        return None;
    }
    let parts: Vec<&str> = arn.split(':').collect();
    let (name, service, region) = match parts[..] {
        ["arn", "minio", "sqs", region, name, "webhook"] => (name, None, region),
        ["arn", partition, service @ ("sns" | "sqs"), region, _account, name] if partition.starts_with("aws") => {
            (name, Some(service), region)
        }
        ["arn", partition, "lambda", region, _account, "function", name]
        | ["arn", partition, "lambda", region, _account, "function", name, _]
            if partition.starts_with("aws") =>
        {
            (name, Some("lambda"), region)
        }
        _ => return None,
    };
    is_name(name).then_some((name, service, region))
}

/// Whether a webhook can be called so: what topics, queues and functions can be called.
pub fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=256).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arns_name_webhooks() {
        let of = |arn, kind| webhook_of(arn, kind, "us-east-1");
        assert_eq!(of("arn:aws:sns:us-east-1:123456789012:news", TargetKind::Topic), Ok("news"));
        assert_eq!(of("arn:aws:sqs:us-east-1:123456789012:jobs.fifo", TargetKind::Queue), Ok("jobs.fifo"));
        assert_eq!(of("arn:aws-cn:sqs::1:jobs", TargetKind::Queue), Ok("jobs"));
        assert_eq!(of("arn:aws:lambda:us-east-1:1:function:resize", TargetKind::Function), Ok("resize"));
        assert_eq!(of("arn:aws:lambda:us-east-1:1:function:resize:live", TargetKind::Function), Ok("resize"));
        for kind in [TargetKind::Topic, TargetKind::Queue, TargetKind::Function] {
            assert_eq!(of("arn:minio:sqs::hook:webhook", kind), Ok("hook"));
        }
        assert_eq!(of("arn:aws:sqs:eu-west-1:1:jobs", TargetKind::Queue), Err(InvalidArn::WrongRegion));
        for (arn, kind) in [
            ("", TargetKind::Topic),
            ("news", TargetKind::Topic),
            ("arn:aws:sns:us-east-1:1:", TargetKind::Topic),
            ("arn:aws:sns:us-east-1:1:a b", TargetKind::Topic),
            ("arn:aws:sqs:us-east-1:1:jobs", TargetKind::Topic),
            ("arn:aws:sns:us-east-1:1:news:more", TargetKind::Topic),
            ("arn:aws:lambda:us-east-1:1:resize", TargetKind::Function),
            ("arn:aws:s3:::bucket", TargetKind::Queue),
            ("arn:minio:sqs::hook:kafka", TargetKind::Queue),
            (&format!("arn:aws:sqs::{}:jobs", "1".repeat(2048)), TargetKind::Queue),
        ] {
            assert_eq!(of(arn, kind), Err(InvalidArn::Malformed), "{arn}");
        }
        assert_eq!(webhook_of_target(EVENT_BUS), Some("eventbridge"));
    }

    proptest! {
        #[test]
        fn a_name_that_is_found_is_one(arn in "arn:(aws|minio|x):(sns|sqs|lambda):[a-z]{0,3}:[0-9a-z]{0,3}(:[a-z!]{0,5}){0,3}") {
            for kind in [TargetKind::Topic, TargetKind::Queue, TargetKind::Function] {
                if let Ok(name) = webhook_of(&arn, kind, "abc") {
                    prop_assert!(is_name(name));
                    prop_assert_eq!(webhook_of_target(&arn), Some(name));
                }
            }
        }
    }
}
