//! Asking again while the node is busy.

use std::time::Duration;

use actix_web::http::StatusCode;

use super::Refusal;

/// How often a busy node is asked again, and how long it is left alone before, first and at most.
const ATTEMPTS_MAX: u32 = 10;
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Asks for something until the node is not busy. Errs: what the last answer was.
pub async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let mut wait = PATIENCE.0;
    for _ in 1..ATTEMPTS_MAX {
        match ask().await {
            Err(refusal) if refusal.status == StatusCode::SERVICE_UNAVAILABLE => {}
            answer => return answer,
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(PATIENCE.1);
    }
    ask().await
}
