//! Keys of the KMS. Everything goes over the routes below `/kms`, which decide as the operations of AWS KMS do; but for the node's job that
//! wraps data keys anew, which is for administrators.

mod change;
pub mod job;
mod key;
mod list;
pub mod told;

use crate::console::route::{ADMINS, Row};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/kms", ADMINS, |visit| Box::pin(list::show(visit))),
    Row::post("/ui/kms", ADMINS, |visit| Box::pin(change::create(visit))).tested_by("description=matrix"),
    Row::post("/ui/kms/reencrypt", ADMINS, |visit| Box::pin(job::begin(visit))),
    Row::post("/ui/kms/reencrypt/stop", ADMINS, |visit| Box::pin(job::stop(visit))),
    Row::get("/ui/kms/{key}", ADMINS, |visit| Box::pin(key::show(visit))),
    Row::post("/ui/kms/{key}/rotate", ADMINS, |visit| Box::pin(change::rotate(visit))),
    Row::post("/ui/kms/{key}/enable", ADMINS, |visit| Box::pin(change::enable(visit))),
    Row::post("/ui/kms/{key}/disable", ADMINS, |visit| Box::pin(change::disable(visit))),
    Row::post("/ui/kms/{key}/delete", ADMINS, |visit| Box::pin(change::schedule(visit))).tested_by("days=7"),
    Row::post("/ui/kms/{key}/cancel", ADMINS, |visit| Box::pin(change::cancel(visit))),
    Row::post("/ui/kms/{key}/alias", ADMINS, |visit| Box::pin(change::add_alias(visit))).tested_by("alias=matrix"),
    Row::post("/ui/kms/{key}/alias/remove", ADMINS, |visit| Box::pin(change::remove_alias(visit)))
        .tested_by("alias=alias%2Fmatrix"),
];
