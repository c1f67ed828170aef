//! What the node does and did: figures over time, requests, changes, and why something was refused.

mod audit;
pub mod chart;
pub mod figures;
pub mod forecast;
pub mod growth;
mod metrics;
pub mod requests;
mod trace;
mod traffic;
mod ways;
mod why;

use crate::console::route::{ADMINS, Row, SIGNED_IN};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/metrics", ADMINS, |visit| Box::pin(metrics::show(visit))),
    Row::get("/ui/metrics/csv", ADMINS, |visit| Box::pin(metrics::csv(visit))),
    Row::get("/ui/requests", ADMINS, |visit| Box::pin(requests::show(visit))),
    Row::get("/ui/requests/csv", ADMINS, |visit| Box::pin(requests::csv(visit))),
    Row::get("/ui/trace", ADMINS, |visit| Box::pin(trace::show(visit))),
    Row::get("/ui/trace/stream", ADMINS, |visit| Box::pin(trace::follow(visit))),
    Row::get("/ui/audit", ADMINS, |visit| Box::pin(audit::show(visit))),
    Row::get("/ui/audit/csv", ADMINS, |visit| Box::pin(audit::csv(visit))),
    // Everybody may ask why they were refused.
    Row::get("/ui/why", SIGNED_IN, |visit| Box::pin(why::show(visit))),
    Row::get("/ui/simulate", SIGNED_IN, |visit| Box::pin(why::ask(visit))),
    Row::post("/ui/simulate", ADMINS, |visit| Box::pin(why::simulate(visit)))
        .tested_by("principal=anonymous&action=s3%3AGetObject&bucket=other&key=x"),
];
