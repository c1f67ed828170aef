//! The KMS over HTTP, in the words of AWS KMS: operations, and who may use which key.
//!
//! The same operations are spoken in two ways: in the JSON protocol of AWS at `POST /` (`crate::aws`), and by routes below `/kms`
//! (`crate::admin`).

pub mod access;
