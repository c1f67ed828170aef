//! Jobs: work on a selection, a folder or a whole bucket, which goes on when its page is closed. Everything goes over the routes below
//! `/_myfsio/jobs`.

mod show;
mod start;
mod told;

pub use start::{Chosen, foresee_deletion};
pub use told::{Told, row};

use super::browse::CHANGERS;
use crate::console::route::{Row, SIGNED_IN};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/jobs", SIGNED_IN, |visit| Box::pin(show::list(visit))),
    Row::get("/ui/jobs/{job}", SIGNED_IN, |visit| Box::pin(show::one(visit))),
    Row::post("/ui/jobs/{job}/cancel", SIGNED_IN, |visit| Box::pin(show::cancel(visit))),
    Row::get("/ui/buckets/{bucket}/work", SIGNED_IN, |visit| Box::pin(start::choose(visit)))
        .tested_by("item=folder%2F"),
    Row::post("/ui/buckets/{bucket}/work", SIGNED_IN, |visit| Box::pin(start::choose(visit)))
        .tested_by("item=folder%2F"),
    Row::post("/ui/buckets/{bucket}/jobs", CHANGERS, |visit| Box::pin(start::begin(visit)))
        .tested_by("do=tag&item=matrix-none&tags=a%3Db"),
];
