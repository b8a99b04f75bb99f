//! `SIGUSR1`: the user asks for what was recorded so far.

use std::task::{Context, Waker};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether it was asked for.
pub struct Snapshots(Signal);

impl Snapshots {
    /// Listens from now on, within the runtime. Without a listener the signal ends the process.
    pub fn listen() -> anyhow::Result<Self> {
        signal(SignalKind::user_defined1()).map(Self).context("failed to catch SIGUSR1")
    }

    /// True if it was asked for since the last call: the runtime hears signals while this thread waits.
    pub fn are_asked(&mut self) -> bool {
        self.0.poll_recv(&mut Context::from_waker(Waker::noop())).is_ready()
    }
}
