//! The managed policies of AWS that exist on every node (AWS Managed Policy Reference Guide), as far as they speak of what a node
//! does: `arn:aws:iam::aws:policy/<name>`.

use serde_json::{Value, json};

/// Stands for the account in their ARNs.
pub(super) const AWS_ACCOUNT: &str = "aws";

/// A policy of AWS.
pub(super) struct AwsPolicy {
    pub name: &'static str,
    pub description: &'static str,
    pub document: Value,
}

fn policy(name: &'static str, description: &'static str, actions: Value) -> AwsPolicy {
    let document = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    });
    AwsPolicy { name, description, document }
}

/// All of them.
pub(super) fn aws_policies() -> [AwsPolicy; 5] {
    [
        policy("AdministratorAccess", "Provides full access to AWS services and resources.", json!("*")),
        policy("AmazonS3FullAccess", "Provides full access to all buckets.", json!(["s3:*", "s3-object-lambda:*"])),
        policy(
            "AmazonS3ReadOnlyAccess",
            "Provides read only access to all buckets.",
            json!(["s3:Get*", "s3:List*", "s3-object-lambda:Get*", "s3-object-lambda:List*"]),
        ),
        policy("IAMFullAccess", "Provides full access to IAM.", json!(["iam:*"])),
        policy(
            "IAMReadOnlyAccess",
            "Provides read only access to IAM.",
            json!([
                "iam:GenerateCredentialReport",
                "iam:GenerateServiceLastAccessedDetails",
                "iam:Get*",
                "iam:List*",
                "iam:SimulateCustomPolicy",
                "iam:SimulatePrincipalPolicy",
            ]),
        ),
    ]
}
