//! The node itself: its settings, its backups, whether it is well deployed, and how programs reach it.

mod backups;
mod guide;
mod integrity;
mod self_check;
mod settings;

pub use integrity::damage_left;

use crate::console::route::{ADMINS, Row, SIGNED_IN};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/settings", ADMINS, |visit| Box::pin(settings::show(visit))),
    Row::get("/ui/self-check", ADMINS, |visit| Box::pin(self_check::show(visit))),
    Row::get("/ui/integrity", ADMINS, |visit| Box::pin(integrity::show(visit))),
    Row::post("/ui/integrity", ADMINS, |visit| Box::pin(integrity::begin(visit))).tested_by("bucket=shared"),
    Row::post("/ui/integrity/stop", ADMINS, |visit| Box::pin(integrity::stop(visit))),
    Row::get("/ui/backups", ADMINS, |visit| Box::pin(backups::show(visit))),
    Row::get("/ui/guide", SIGNED_IN, |visit| Box::pin(guide::show(visit))),
];
