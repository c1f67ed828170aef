//! Presets: what most bucket policies come down to, in a word.

use serde_json::{Value, json};

use super::document::{Clause, Document, Effect, Statement};
use super::parse::{Kind, parse_document};
use crate::names::BucketName;

/// What a bucket's policy makes of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// There is no policy.
    Private,
    /// Anybody may list the bucket and read its objects.
    Public,
    /// Anything else.
    Custom,
}

impl Preset {
    /// The policy of the Public preset.
    pub fn public_policy(bucket: &BucketName) -> Value {
        let allow = |action: &str, resource: String| json!({ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource });
        let list = allow("s3:ListBucket", format!("arn:aws:s3:::{bucket}"));
        let read = allow("s3:GetObject", format!("arn:aws:s3:::{bucket}/*"));
        json!({ "Version": "2012-10-17", "Statement": [list, read] })
    }

    /// What this policy of the bucket is.
    pub(super) fn of(document: &Document, bucket: &BucketName) -> Self {
        let public = parse_document(&Self::public_policy(bucket), Kind::Bucket(bucket));
        match public.is_ok_and(|public| document.says_the_same_as(&public)) {
            true => Self::Public,
            false => Self::Custom,
        }
    }
}

impl Document {
    /// Whether it allows what `preset` allows and no more, in however many statements. Listing is asked of buckets and reading
    /// of objects, so a statement may name both actions and both resources.
    fn says_the_same_as(&self, preset: &Self) -> bool {
        let only = |clause: &Clause, of: &dyn Fn(&Statement) -> &Clause| {
            !clause.negated
                && clause
                    .patterns
                    .iter()
                    .all(|one| preset.statements.iter().any(|said| of(said).patterns.contains(one)))
        };
        let is_plain = |statement: &Statement| {
            statement.effect == Effect::Allow
                && statement.conditions.is_empty()
                && preset.statements.iter().all(|said| said.principals == statement.principals)
                && only(&statement.actions, &|said| &said.actions)
                && only(&statement.resources, &|said| &said.resources)
        };
        let holds = |clause: &Clause, all: &Clause| all.patterns.iter().all(|one| clause.patterns.contains(one));
        let is_said = |said: &Statement| {
            let says = |own: &&Statement| holds(&own.actions, &said.actions) && holds(&own.resources, &said.resources);
            self.statements.iter().any(|own| says(&own))
        };
        self.statements.iter().all(is_plain) && preset.statements.iter().all(is_said)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse_bucket_policy;
    use super::*;

    fn preset(statements: &Value) -> Preset {
        let bucket = BucketName::parse("photos").unwrap();
        let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        Preset::of(&parse_bucket_policy(&text, &bucket).unwrap().1, &bucket)
    }

    fn allow(action: Value, resource: Value) -> Value {
        json!({ "Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource })
    }

    #[test]
    fn the_public_preset_is_recognised_however_it_is_written() {
        let bucket = BucketName::parse("photos").unwrap();
        assert_eq!(preset(&Preset::public_policy(&bucket)["Statement"]), Preset::Public);
        let (all, objects) = ("arn:aws:s3:::photos", "arn:aws:s3:::photos/*");
        let mut named = allow(json!(["s3:GetObject"]), json!([objects]));
        named["Sid"] = json!("Read");
        named["Principal"] = json!({ "AWS": "*" });
        let list = allow(json!("s3:ListBucket"), json!(all));
        assert_eq!(preset(&json!([named, list])), Preset::Public);
        let both = allow(json!(["s3:GetObject", "s3:ListBucket"]), json!([all, objects]));
        assert_eq!(preset(&json!(both)), Preset::Public);
        let read = allow(json!("s3:GetObject"), json!(objects));
        let mut denied = list.clone();
        denied["Effect"] = json!("Deny");
        let mut bound = list.clone();
        bound["Condition"] = json!({ "Bool": { "aws:SecureTransport": "true" } });
        let mut one = list.clone();
        one["Principal"] = json!({ "AWS": "111122223333" });
        let mut not = read.clone();
        not["NotAction"] = not["Action"].take();
        not.as_object_mut().unwrap().remove("Action");
        for other in [
            json!([list]),
            json!([read]),
            json!([list, denied]),
            json!([read, bound]),
            json!([read, one]),
            json!([list, not]),
            json!([list, read, allow(json!("s3:PutObject"), json!(objects))]),
            json!([list, read, denied]),
            json!([list, allow(json!("s3:Get*"), json!(objects))]),
            json!([list, allow(json!("s3:GetObject"), json!("arn:aws:s3:::photos/a/*"))]),
        ] {
            assert_eq!(preset(&other), Preset::Custom, "{other}");
        }
    }
}
