//! What the pure hot paths cost: signatures, routes, framing, XML, policies, rows, journal batches, listings, chunks of
//! encrypted objects.
//! `cargo bench --features internals --bench pure`; `-- --quick` is enough to see an order of magnitude, and a name behind
//! it picks some.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod http;
mod sealed;
mod state;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    http::signatures(&mut criterion);
    http::requests(&mut criterion);
    http::framing(&mut criterion);
    http::listing(&mut criterion);
    state::rows(&mut criterion);
    state::pages(&mut criterion);
    state::policies(&mut criterion);
    state::refusals(&mut criterion);
    sealed::chunks(&mut criterion);
    criterion.final_summary();
}
