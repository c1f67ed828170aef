//! A line on standard error once a second while work goes on.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is under way, counted by the connections and shown by [`Progress::show`].
#[derive(Debug, Default)]
pub struct Progress {
    steps: AtomicU64,
    bytes: AtomicU64,
    errors: AtomicU64,
    shown: bool,
    part: Mutex<String>,
    label: Mutex<Label>,
}

#[derive(Debug, Default, Clone)]
struct Label {
    text: String,
    of: Option<u64>,
    since: Option<Instant>,
}

impl Progress {
    /// Progress that is shown on a terminal, or where it is asked for.
    pub fn new(asked: bool) -> Self {
        Self { shown: asked || std::io::stderr().is_terminal(), ..Self::default() }
    }

    /// Names the part that what follows belongs to.
    pub fn part(&self, name: &str) {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = format!("{name}: ");
    }

    /// Begins something new: what it is, and how many steps it has if that is known.
    pub fn begin(&self, text: &str, of: Option<u64>) {
        for counter in [&self.steps, &self.bytes, &self.errors] {
            counter.store(0, Ordering::Relaxed);
        }
        let label = Label { text: text.to_owned(), of, since: Some(Instant::now()) };
        *self.label.lock().unwrap_or_else(PoisonError::into_inner) = label;
    }

    /// Counts a step.
    pub fn step(&self, bytes: u64, failed: bool) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.errors.fetch_add(failed.into(), Ordering::Relaxed);
    }

    /// Shows a line every second, for ever.
    pub async fn show(&self) -> Infallible {
        let terminal = std::io::stderr().is_terminal();
        if !self.shown {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let line = self.line();
            // On a terminal each line replaces the one before. A closed one is no reason to stop.
            let _ = if terminal {
                write!(std::io::stderr(), "\r\x1b[K{line}")
            } else {
                writeln!(std::io::stderr(), "{line}")
            };
        }
    }

    /// Says something for good: whole lines, above the one that a terminal shows.
    pub fn say(&self, lines: &str) {
        self.clear();
        // A closed standard error is no reason to stop.
        let _ = write!(std::io::stderr(), "{lines}");
    }

    /// Ends the line that a terminal shows.
    pub fn clear(&self) {
        if self.shown && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn line(&self) -> String {
        let label = self.label.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seconds = label.since.map(|since| since.elapsed().as_secs_f64()).unwrap_or_default();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (steps, errors) = (count(&self.steps), count(&self.errors));
        let megabytes = count(&self.bytes) as f64 / 1e6;
        let part = self.part.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut line = format!("{part}{}: {seconds:.0} s, {steps}", label.text);
        if let Some(of) = label.of {
            line.push_str(&format!(" of {of}"));
        }
        if seconds > 0.0 {
            line.push_str(&format!(", {:.0}/s, {:.1} MB/s", steps as f64 / seconds, megabytes / seconds));
        }
        if errors > 0 {
            line.push_str(&format!(", {errors} errors"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_was_done_since_it_began() {
        let progress = Progress::default();
        progress.begin("before", None);
        progress.step(7, true);
        progress.part("Million");
        progress.begin("fill", Some(10));
        progress.step(0, false);
        progress.step(0, true);
        let line = progress.line();
        assert!(line.starts_with("Million: fill: 0 s, 2 of 10"), "{line}");
        assert!(line.ends_with(", 1 errors"), "{line}");
    }
}
