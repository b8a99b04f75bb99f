//! The tokio runtime, on the one thread that takes snapshots.

use anyhow::{Context, Result};

/// Runs to the end on this thread, which is also the one that takes snapshots.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(work)
}
