//! The requests that ended last, and those who listen.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::filter::RequestFilter;
use super::record::RequestRecord;

/// Records that a listener may be behind before it misses some.
const BEHIND_MAX: usize = 1024;

/// Keeps so many records and no more, the oldest going first.
#[derive(Debug)]
pub struct RequestLog {
    kept: Mutex<VecDeque<Arc<RequestRecord>>>,
    max: usize,
    told: broadcast::Sender<Arc<RequestRecord>>,
}

impl RequestLog {
    /// An empty log of at most `max` records; with 0 it keeps none.
    pub fn new(max: usize) -> Self {
        Self { kept: Mutex::default(), max, told: broadcast::Sender::new(BEHIND_MAX) }
    }

    /// Keeps a record, and tells who listens.
    pub fn record(&self, record: Arc<RequestRecord>) {
        if self.max == 0 && self.told.receiver_count() == 0 {
            return;
        }
        if self.told.receiver_count() > 0 {
            // Nobody may listen any more by now.
            let _nobody = self.told.send(Arc::clone(&record));
        }
        let mut kept = self.kept.lock();
        while kept.len() >= self.max.max(1) {
            kept.pop_front();
        }
        if self.max > 0 {
            kept.push_back(record);
        }
    }

    /// Hears of every request that ends from now on. A listener that is slow misses some, and is told how many.
    pub fn listen(&self) -> broadcast::Receiver<Arc<RequestRecord>> {
        self.told.subscribe()
    }

    /// What is wanted of the records that are kept, newest first, at most `limit`.
    pub fn find(&self, filter: &RequestFilter, limit: usize) -> Vec<Arc<RequestRecord>> {
        // Copied first, so that requests do not wait for the search.
        let kept: Vec<_> = self.kept.lock().iter().map(Arc::clone).collect();
        kept.into_iter().rev().filter(|record| filter.wants(record)).take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept() {
        let log = RequestLog::new(2);
        for status in [200, 201, 202] {
            log.record(Arc::new(RequestRecord { status, ..RequestRecord::default() }));
        }
        let found: Vec<_> = log.find(&RequestFilter::default(), 10).iter().map(|record| record.status).collect();
        assert_eq!(found, [202, 201]);
        assert_eq!(log.find(&RequestFilter::default(), 1).len(), 1);
    }

    #[test]
    fn a_log_of_none_tells_all_the_same() {
        let log = RequestLog::new(0);
        let mut heard = log.listen();
        log.record(Arc::new(RequestRecord { status: 200, ..RequestRecord::default() }));
        assert_eq!(heard.try_recv().unwrap().status, 200);
        assert!(log.find(&RequestFilter::default(), 10).is_empty());
    }
}
