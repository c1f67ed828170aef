//! Where buckets are replicated to, and how that goes. Everything goes over the routes below `/_myfsio/replication`, which decide:
//! administrators make and remove, whoever may replicate a bucket pauses, resumes, retries and settles.

mod act;
mod board;
mod compared;
mod connection;
mod connections;
mod lags;
mod rule;
mod told;

pub use told::rules;

use crate::console::route::{ADMINS, REPLICATORS, Row};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/connections", ADMINS, |visit| Box::pin(connections::list(visit))),
    Row::post("/ui/connections", ADMINS, |visit| Box::pin(connections::create(visit)))
        .tested_by("name=matrix&endpoint_url=http%3A%2F%2F127.0.0.1%3A9&access_key=a&secret_key=s"),
    Row::get("/ui/connections/{connection}", ADMINS, |visit| Box::pin(connection::show(visit))),
    Row::post("/ui/connections/{connection}", ADMINS, |visit| Box::pin(connection::change(visit))),
    Row::post("/ui/connections/{connection}/test", ADMINS, |visit| Box::pin(connection::test(visit))),
    Row::post("/ui/connections/{connection}/delete", ADMINS, |visit| Box::pin(connection::delete(visit))),
    Row::get("/ui/buckets/{bucket}/replication", REPLICATORS, |visit| Box::pin(board::show(visit))),
    Row::post("/ui/buckets/{bucket}/replication", ADMINS, |visit| Box::pin(rule::set(visit))),
    Row::post("/ui/buckets/{bucket}/replication/remove", ADMINS, |visit| Box::pin(rule::remove(visit)))
        .tested_by("confirm=shared"),
    Row::post("/ui/buckets/{bucket}/replication/pause", REPLICATORS, |visit| Box::pin(act::pause(visit))),
    Row::post("/ui/buckets/{bucket}/replication/resume", REPLICATORS, |visit| Box::pin(act::resume(visit))),
    Row::post("/ui/buckets/{bucket}/replication/retry", REPLICATORS, |visit| Box::pin(act::retry(visit))),
    Row::post("/ui/buckets/{bucket}/replication/dismiss", ADMINS, |visit| Box::pin(act::dismiss(visit))),
    Row::post("/ui/buckets/{bucket}/replication/resync", ADMINS, |visit| Box::pin(act::resync(visit))),
    Row::post("/ui/buckets/{bucket}/replication/compare", ADMINS, |visit| Box::pin(act::compare(visit))),
    Row::post("/ui/buckets/{bucket}/replication/resolve", REPLICATORS, |visit| Box::pin(act::resolve(visit)))
        .tested_by("key=a&version_id=null&keep=current"),
];
