//! Server-side encryption as a client sees it: what requests ask for, whose key is used, what answers tell (S3 User Guide,
//! "Protecting data with server-side encryption").
//!
//! A handler makes one call before it takes a body ([`Call::envelope`](crate::s3::context::Call::envelope)), one before it gives
//! bytes away ([`Call::data_key`](crate::s3::context::Call::data_key)), and one on its answer ([`told`]). What is encrypted how
//! is decided by rules without I/O: [`asked`] reads the headers, [`choice`] weighs them against the bucket's default, [`parts`]
//! holds a part against its upload. Where a client waits for `100 Continue`, an [`Asker`] is asked the same before. Keys come from the KMS or from the customer; sealing is Storage's.

pub mod asked;
mod calls;
pub mod choice;
pub mod customer;
mod key_use;
mod kms_error;
pub mod parts;
pub mod settings;
pub mod told;

pub use calls::envelope_by_default;
pub use key_use::Asker;
