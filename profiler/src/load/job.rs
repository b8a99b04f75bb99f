//! What is to be done on the generator's thread, and when it is over.

use std::{cell::Cell, sync::Arc};

use tokio::sync::Notify;

use super::{client::RequestTemplate, tally::Tally};

/// Requests to send.
pub struct Job {
    /// What each request is.
    pub template: RequestTemplate,
    /// Where its answers are counted.
    pub tally: Arc<Tally>,
    /// How many requests may still be taken.
    left: Cell<u64>,
    stop: Notify,
}

impl Job {
    /// So many requests, or without end.
    pub fn new(template: RequestTemplate, tally: Arc<Tally>, requests: Option<u64>) -> Self {
        Self { template, tally, left: Cell::new(requests.unwrap_or(u64::MAX)), stop: Notify::new() }
    }

    /// Takes a request to send; false if there is none left.
    pub fn take(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }

    /// True if no request is left to take.
    pub fn is_over(&self) -> bool {
        self.left.get() == 0
    }

    /// Waits until no request is left because somebody said so.
    pub async fn told_to_stop(&self) {
        self.stop.notified().await;
    }

    /// Leaves no request to take.
    pub fn stop(&self) {
        self.left.set(0);
        self.stop.notify_one();
    }
}
