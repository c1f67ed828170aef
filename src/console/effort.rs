//! How far a page looks through a bucket before it shows what it has found: never so far that whoever waits for it notices.

use std::time::{Duration, Instant};

/// Rows that a page looks at, and how long it looks, at most.
const ROWS_MAX: usize = 100_000;
const TIME_MAX: Duration = Duration::from_millis(50);

/// Rows that one look takes.
pub const LOOK_ROWS: usize = 1_000;

/// How far a look has come.
pub struct Effort {
    began: Instant,
    /// Rows that were looked at.
    pub looked_at: usize,
}

impl Effort {
    /// A look that begins.
    pub fn new() -> Self {
        Self { began: Instant::now(), looked_at: 0 }
    }

    /// Whether it must end.
    pub fn is_spent(&self) -> bool {
        self.looked_at >= ROWS_MAX || self.began.elapsed() >= TIME_MAX
    }
}
