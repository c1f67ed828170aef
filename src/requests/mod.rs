//! Requests that ended: what each was, what became of it and where its time went. The last ones are kept to be searched, and who
//! listens hears of every one. Nothing secret is kept: no query, no header, no body.

mod clock;
mod filter;
mod log;
mod record;
mod traffic;

pub use clock::{Stopwatch, Times};
pub use filter::RequestFilter;
pub use log::RequestLog;
pub use record::{RequestRecord, json};
pub use traffic::{Measure, busiest};
