//! The buckets that the last requests were for.

use actix_web::http::Method;
use serde::Deserialize;

use super::ways::address;
use crate::console::failure::Failure;
use crate::console::links;
use crate::console::sorting::{Column, Head, Sorting};
use crate::console::units::{When, bytes, count};
use crate::console::visit::{Visit, read};

/// What the table is sorted by: as the route names it.
const COLUMNS: &[Column] =
    &[Column::descending("requests"), Column::descending("received"), Column::descending("sent")];
/// Rows of the table.
const ROWS: usize = 10;

#[derive(Deserialize)]
struct Told {
    since: Option<String>,
    requests: u64,
    buckets: Vec<OfBucket>,
}

#[derive(Deserialize)]
struct OfBucket {
    bucket: String,
    requests: u64,
    errors: u64,
    bytes_received: u64,
    bytes_sent: u64,
}

/// The table.
pub struct Busiest {
    /// When the oldest of the requests ended.
    pub since: Option<When>,
    /// How many they are.
    pub requests: String,
    /// The buckets.
    pub rows: Vec<Row>,
    /// The head of requests.
    pub by_requests: Head,
    /// Of what came in.
    pub by_received: Head,
    /// Of what went out.
    pub by_sent: Head,
}

/// A bucket.
pub struct Row {
    /// Its name.
    pub bucket: String,
    /// Its requests, without the base.
    pub address: String,
    /// How many.
    pub requests: String,
    /// How many were refused or failed.
    pub errors: String,
    /// Bytes that came in.
    pub received: String,
    /// Bytes that went out.
    pub sent: String,
}

impl Busiest {
    /// As the page's address wants it sorted. `fields`: what else stands in that address. Errs: as the route.
    pub async fn of(visit: &Visit, fields: &[(&'static str, String)]) -> Result<Self, Failure> {
        let (sorting, words) = (Sorting::of(&visit.query, COLUMNS), &visit.t.monitor);
        let target = format!("/_myfsio/requests/buckets?by={}&limit={ROWS}", sorting.by());
        let mut told: Told = read(visit.asker()?.json(Method::GET, &target, None).await?)?;
        if !sorting.descends {
            told.buckets.reverse();
        }
        let head = |name, word| {
            sorting.head(name, word, |sorted| format!("{}#traffic", address(&["metrics"], fields, &sorted)))
        };
        Ok(Self {
            since: told.since.as_deref().map(When::told),
            requests: count(told.requests),
            rows: told.buckets.into_iter().map(row).collect(),
            by_requests: head("requests", words.requests_rate),
            by_received: head("received", words.received),
            by_sent: head("sent", words.sent),
        })
    }
}

fn row(of: OfBucket) -> Row {
    Row {
        address: links::link(&["requests"], &[("bucket", &of.bucket)]),
        bucket: of.bucket,
        requests: count(of.requests),
        errors: count(of.errors),
        received: bytes(of.bytes_received),
        sent: bytes(of.bytes_sent),
    }
}
