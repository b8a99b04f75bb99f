//! The user's word to stop, heard wherever the audit is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

/// Whether the user asked to stop (Ctrl-C, SIGTERM).
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    news: Arc<Notify>,
}

impl Stop {
    /// Listens from now on.
    pub fn listen() -> Result<Self> {
        let stop = Self::default();
        let mut interrupt = signal(SignalKind::interrupt()).context("failed to catch SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("failed to catch SIGTERM")?;
        let heard = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            heard.asked.store(true, Ordering::Relaxed);
            heard.news.notify_waiters();
        });
        Ok(stop)
    }

    /// True once it was asked for. Gives the listener its turn first, for others hear the same signal.
    pub async fn is_asked(&self) -> bool {
        tokio::task::yield_now().await;
        self.asked.load(Ordering::Relaxed)
    }

    /// Lets time pass; true if the user wants to stop.
    pub async fn within(&self, duration: Duration) -> bool {
        let news = self.news.notified();
        if self.is_asked().await {
            return true;
        }
        tokio::select! {
            () = news => true,
            () = tokio::time::sleep(duration) => false,
        }
    }
}
