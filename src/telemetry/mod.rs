//! Logs: what is written, in which form, and where to.
//!
//! Lines go through a bounded queue to one writing thread, so a slow disk or terminal never holds up a request; when the
//! queue is full, lines are dropped and counted. Credentials, signatures and bodies are never logged by anyone.

mod rotate;

use std::io::{self, IsTerminal};
use std::panic;
use std::sync::Once;

use tracing::{Span, field};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

pub use self::rotate::RotatingFile;
use crate::config::{Config, LogFormat};

/// Lines that may wait for the writing thread.
const LINES_WAITING_MAX: usize = 16_384;
/// The current log file in `LOG_DIR`.
const FILE_NAME: &str = "app.log";

/// Logs that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The folder or file of the logs.
    #[error("LOG_DIR: {path}: {source}")]
    File {
        /// What could not be used.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The filter of levels.
    #[error("LOG_LEVEL: {0}")]
    Level(String),
}

/// Running logs. Dropping it writes out what waits; keep it until the last line of the process.
#[must_use = "dropping it ends the logs"]
#[derive(Debug)]
pub struct Logs {
    dropped: ErrorCounter,
    _writing: WorkerGuard,
}

impl Logs {
    /// Lines that were dropped because the writing thread did not keep up.
    pub fn dropped_lines(&self) -> usize {
        self.dropped.dropped_lines()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let dropped = self.dropped.dropped_lines();
        if dropped > 0 {
            tracing::warn!(dropped, "log lines were dropped: they came faster than they could be written");
        }
    }
}

/// Sets up the logs of the process. A second call in one process (a test that runs two nodes) keeps the first's and
/// returns `Logs` that write nothing.
pub fn start(config: &Config) -> Result<Logs, TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_level).map_err(|error| TelemetryError::Level(error.to_string()))?;
    let (writer, writing, ansi) = match &config.log_dir {
        None => {
            let (writer, writing) = queue(io::stderr());
            (writer, writing, io::stderr().is_terminal())
        }
        Some(folder) => {
            let path = folder.join(FILE_NAME);
            let file = RotatingFile::open(&path, config.log_file_bytes, config.log_files_kept)
                .map_err(|source| TelemetryError::File { path: path.display().to_string(), source })?;
            let (writer, writing) = queue(file);
            (writer, writing, false)
        }
    };
    let dropped = writer.error_counter();
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Text => fmt::layer().with_ansi(ansi).with_writer(writer).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer).boxed(),
    };
    // Fails only when the process has its logs already.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(lines.with_filter(filter)));
    log_panics();
    Ok(Logs { dropped, _writing: writing })
}

fn queue(target: impl io::Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_WAITING_MAX)
        .thread_name("myfsio-log")
        .finish(target)
}

/// A panic is a fault of the node: it belongs into the logs too, before whatever the process does about it.
fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
            tracing::error!(place, "panic: {}", text.unwrap_or("of unknown kind"));
            before(info);
        }));
    });
}

/// The span of one request's handler: its fields go with every line that is logged meanwhile. `request_id` is what the
/// client reads in `x-amz-request-id`; `principal`, an access key id, is recorded when there is one. Texts that the client chose are written escaped, so that they cannot forge lines.
pub fn request_span(request_id: &str, method: &str, target: &str) -> Span {
    tracing::info_span!(
        "request",
        request_id,
        method = ?method,
        target = ?target,
        principal = field::Empty
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_request_carries_its_id_and_cannot_forge_lines() {
        let shared = Shared::default();
        let (writer, writing) = queue(shared.clone());
        let lines = fmt::layer().with_ansi(false).with_writer(writer);
        tracing::subscriber::with_default(Registry::default().with(lines), || {
            let span = request_span("0123ABCD", "GET", "/b/\nERROR forged");
            span.record("principal", "reader");
            span.in_scope(|| tracing::info!("done"));
        });
        drop(writing);
        let text = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("0123ABCD") && text.contains("principal=\"reader\"") && text.contains("done"), "{text}");
    }

    #[test]
    fn json_lines_are_json_with_the_request_id() {
        let shared = Shared::default();
        let (writer, writing) = queue(shared.clone());
        let lines = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer);
        tracing::subscriber::with_default(Registry::default().with(lines), || {
            request_span("0123ABCD", "GET", "/b").in_scope(|| tracing::warn!(bytes = 5, "slow"));
        });
        drop(writing);
        let text = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "slow");
        assert_eq!(line["bytes"], 5);
        assert_eq!(line["span"]["request_id"], "0123ABCD");
    }
}
