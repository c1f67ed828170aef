//! Which bucket policies are public (S3 User Guide, "The meaning of 'public'").
//!
//! A policy is public when one of its statements allows something to callers that it does not name: its principal is everybody,
//! and none of its conditions fixes who they are or where they come from. What the statement allows plays no part, and a
//! deny beside it makes it no less public.

use super::condition::Condition;
use super::document::{Document, Effect, Statement};

/// Condition keys, in lower case, whose fixed values tell who calls, or from where. S3 also counts `aws:userid`, which callers
/// without credentials have too here, and the header that names a KMS key, which any caller can send.
const FIXING_KEYS: [&str; 10] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
];

impl Document {
    /// Whether the policy is public.
    pub fn is_public(&self) -> bool {
        self.statements.iter().any(Statement::is_public)
    }
}

impl Statement {
    fn is_public(&self) -> bool {
        let is_open = self.principals.as_ref().is_some_and(|principals| principals.is_open());
        self.effect == Effect::Allow && is_open && !self.conditions.iter().any(fixes_callers)
    }
}

fn fixes_callers(condition: &Condition) -> bool {
    FIXING_KEYS.contains(&condition.lower_key()) && condition.is_fixed()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::parse::parse_bucket_policy;
    use crate::names::BucketName;

    fn is_public(change: Value) -> bool {
        let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::photos/*"});
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => statement.as_object_mut().unwrap().remove(name),
                value => statement.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        let named = json!({"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "s3:*",
            "Resource": "arn:aws:s3:::photos"});
        let text = json!({"Version": "2012-10-17", "Statement": [named, statement]}).to_string();
        parse_bucket_policy(&text, &BucketName::parse("photos").unwrap()).unwrap().1.is_public()
    }

    #[test]
    fn principals() {
        assert!(is_public(json!({})));
        assert!(is_public(json!({"Principal": {"AWS": "*"}})));
        assert!(is_public(json!({"Principal": {"AWS": ["111111111111", "*"]}})));
        assert!(!is_public(json!({"Principal": {"AWS": "arn:aws:iam::111111111111:user/ann"}})));
        assert!(!is_public(json!({"Principal": {"Service": "logging.s3.amazonaws.com"}})));
        assert!(!is_public(json!({"Effect": "Deny"})));
        assert!(!is_public(json!({"Effect": "Deny", "Principal": null, "NotPrincipal": {"AWS": "111111111111"}})));
    }

    #[test]
    fn conditions() {
        let rows = [
            (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), false),
            (json!({"IpAddress": {"aws:SourceIp": ["10.0.0.1", "2001:db8::/32"]}}), false),
            (json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}), true),
            (json!({"IpAddress": {"aws:SourceIp": ["10.0.0.1", "::/0"]}}), true),
            (json!({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), true),
            (json!({"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}), true),
            (json!({"StringEquals": {"aws:PrincipalAccount": "111111111111"}}), false),
            (json!({"ForAllValues:StringEquals": {"aws:PrincipalAccount": "111111111111"}}), true),
            (json!({"StringLike": {"aws:userid": "AIDA:*"}}), true),
            (json!({"StringEquals": {"AWS:UserId": "${aws:username}"}}), true),
            (json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}}), false),
            (json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}), true),
            (json!({"Null": {"aws:SourceIp": false}}), true),
            (json!({"StringEquals": {"s3:prefix": "a"}}), true),
            (json!({"StringEquals": {"s3:prefix": "a"}, "IpAddress": {"aws:SourceIp": "10.0.0.1"}}), false),
        ];
        for (condition, expected) in rows {
            assert_eq!(is_public(json!({"Condition": condition})), expected, "{condition}");
        }
    }
}
