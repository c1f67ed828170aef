//! The wire APIs of AWS beside S3, on the API port: IAM and STS in the Query protocol, KMS in the JSON protocol, as `aws iam`, `aws sts`,
//! `aws kms`, the SDKs and Terraform speak it.
//!
//! A request is `POST /` with a form, or a presigned `GET /?Action=…`; of KMS `POST /` with a document in JSON. The service is the one that the signature's credential
//! scope names. These clients sign the digest of the body without telling it in a header, so the body, which is small, is read
//! before the signature is checked. Then the same way as in S3: the operation's row, one question for permission, its handler,
//! the answer.

mod action;
mod authenticate;
mod call;
mod dispatch;
pub mod error;
#[cfg(any(test, feature = "internals"))]
pub(crate) mod fuzzing;
pub mod iam;
mod kms;
mod names;
mod page;
pub mod parameters;
mod permission;
mod respond;
mod serve;
mod service;
mod sts;

pub use action::{Action, Row};
pub use call::Call;
pub use error::{ApiError, ErrorCode};
pub use serve::{answer, refuse};
pub use service::{Service, is_meant};
