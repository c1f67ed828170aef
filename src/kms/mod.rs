//! The KMS over HTTP, in the words of AWS KMS: operations, and who may use which key.
//!
//! The same operations are spoken in two ways: in the JSON protocol of AWS at `POST /` (`crate::aws`), and by routes below `/kms`
//! (`crate::admin`). Either makes a [`Call`] of what it reads, and [`perform`] answers what is to be told.

pub mod access;
mod call;
mod dispatch;
mod error;
mod fields;
mod handlers;
mod operation;
pub mod tell;

pub use call::Call;
pub use dispatch::perform;
pub use error::refusal;
pub use fields::Fields;
pub use operation::Operation;
