//! Requests as OpenTelemetry traces, told to a collector over OTLP/HTTP where a setting names one. Without it nothing of this is there.
//!
//! A request that ends is put into a bounded queue, or counted as dropped when that is full: nobody ever waits. One task takes what has
//! come in a while and sends it. What is told is what the last requests tell (`requests`), without keys, users and addresses; whoever
//! wants these asks the node by the request's id, which is the id of its span.

mod context;
mod otlp;
mod post;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub use context::{Id, TraceContext};

use crate::config::{Config, Share};
use crate::metrics::{Metrics, TraceOutcome};
use crate::requests::RequestRecord;
use crate::s3::respond::RequestId;
use otlp::Service;
use post::Post;

/// Requests that wait to be told, at most (`OTEL_BSP_MAX_QUEUE_SIZE` of the specification).
const WAITING_MAX: usize = 2048;
/// Requests that are told at a time (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`).
const BATCH: usize = 512;
/// How long a request waits for others (`OTEL_BSP_SCHEDULE_DELAY`, which is longer where each export costs a connection).
const GATHERING: Duration = Duration::from_secs(1);
/// Waits between the tries of a batch that the collector does not take at once.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];
/// How long a stop waits for what is still to be told.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Where requests become traces.
#[derive(Debug)]
pub struct Spans {
    share: Share,
    waiting: mpsc::Sender<Arc<RequestRecord>>,
    metrics: Arc<Metrics>,
}

impl Spans {
    /// The trace that a request belongs to: its client's, else one that begins with it.
    pub fn begin(&self, headers: &HeaderMap, request_id: RequestId) -> TraceContext {
        let mut told = headers.get_all("traceparent");
        let only = told.next().filter(|_| told.next().is_none());
        only.and_then(|text| TraceContext::parse(text.to_str().ok()?)).unwrap_or_else(|| {
            let (own, more) = (request_id.number(), RequestId::random().number());
            let id = Id::<16>::of((u128::from(more) << 64 | u128::from(own)).max(1));
            TraceContext { id, parent: None, sampled: self.share.takes(more) }
        })
    }

    /// Has a request told that has ended, if its trace is recorded.
    pub fn tell(&self, request: &Arc<RequestRecord>) {
        if request.trace.is_some_and(|trace| trace.sampled) && self.waiting.try_send(Arc::clone(request)).is_err() {
            self.metrics.traced(TraceOutcome::Dropped, 1);
        }
    }
}

/// The task that tells the collector.
#[derive(Debug)]
pub struct Exporter {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Tells what waits, as far as the collector takes it at once, and ends.
    pub async fn stop(self) {
        // A task that has ended hears nothing.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Begins to tell the collector that the configuration names, if it names one.
pub fn start(config: &Config, metrics: &Arc<Metrics>) -> Option<(Spans, Exporter)> {
    let endpoint = config.otel_exporter_otlp_endpoint.as_deref()?;
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let (stop, stopping) = oneshot::channel();
    let instance = format!("{:016x}", RequestId::random().number());
    let sending = Sending {
        post: Post::new(endpoint, &config.otel_exporter_otlp_headers),
        service: Service { name: config.otel_service_name.clone(), instance },
        metrics: Arc::clone(metrics),
        fails: false,
    };
    let task = actix_rt::spawn(run(sending, waiting, stopping));
    let spans = Spans { share: config.otel_traces_sampler_arg, waiting: sender, metrics: Arc::clone(metrics) };
    Some((spans, Exporter { stop, task }))
}

/// Sends batch after batch until it is stopped, and what waits then.
async fn run(mut sending: Sending, mut waiting: mpsc::Receiver<Arc<RequestRecord>>, mut stop: oneshot::Receiver<()>) {
    let mut batch = Vec::with_capacity(BATCH);
    let stopped = loop {
        tokio::select! {
            () = gather(&mut waiting, &mut batch) => {}
            _ = &mut stop => break None,
        }
        let sent = sending.send_patiently(std::mem::take(&mut batch));
        tokio::pin!(sent);
        tokio::select! {
            () = &mut sent => {}
            _ = &mut stop => break Some(timeout(LAST_PATIENCE, sent).await),
        }
    };
    waiting.close();
    let rest = async {
        while !batch.is_empty() || waiting.recv_many(&mut batch, BATCH).await > 0 {
            sending.send_patiently(std::mem::take(&mut batch)).await;
        }
    };
    // A collector that did not take one batch takes no others.
    if !matches!(stopped, Some(Err(_))) {
        let _ = timeout(LAST_PATIENCE, rest).await;
    }
}

/// Waits for a request, and a while for others that come with it.
async fn gather(waiting: &mut mpsc::Receiver<Arc<RequestRecord>>, batch: &mut Vec<Arc<RequestRecord>>) {
    if batch.is_empty() && waiting.recv_many(batch, BATCH).await == 0 {
        // The node is gone; the stop follows.
        return std::future::pending().await;
    }
    let more = async { while batch.len() < BATCH && waiting.recv_many(batch, BATCH - batch.len()).await > 0 {} };
    // Either way they are in the batch.
    let _ = timeout(GATHERING, more).await;
}

/// What sends batches.
struct Sending {
    post: Post,
    service: Service,
    metrics: Arc<Metrics>,
    /// Whether the last one was not taken; told to the log when it changes.
    fails: bool,
}

impl Sending {
    /// Sends a batch, some times over if the collector asks for that or is not there; then it is dropped.
    async fn send_patiently(&mut self, batch: Vec<Arc<RequestRecord>>) {
        let mut counted = Counted { requests: batch.len(), metrics: &self.metrics, outcome: TraceOutcome::Dropped };
        let mut waits = WAITS.into_iter();
        loop {
            let body = match otlp::document(&self.service, &batch) {
                Ok(body) => body,
                Err(error) => return tracing::error!(%error, "traces cannot be written"),
            };
            let refused = match self.post.send(body).await {
                Ok(()) => break,
                Err(refused) => refused,
            };
            if !std::mem::replace(&mut self.fails, true) {
                tracing::warn!(reason = refused.reason, "the collector of traces does not take them");
            }
            match (refused.again, waits.next()) {
                (Some(asked), Some(wait)) => sleep(asked.unwrap_or(wait)).await,
                _ => return,
            }
        }
        counted.outcome = TraceOutcome::Sent;
        if std::mem::replace(&mut self.fails, false) {
            tracing::info!("the collector of traces takes them again");
        }
    }
}

/// Counts a batch whatever becomes of it, also where the stop cuts it off.
struct Counted<'a> {
    requests: usize,
    metrics: &'a Metrics,
    outcome: TraceOutcome,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.metrics.traced(self.outcome, self.requests);
    }
}
