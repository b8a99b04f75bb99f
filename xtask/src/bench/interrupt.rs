//! An interrupt of the bench (SIGINT, SIGTERM): what it waits for fails at once, so what it started is dropped, and ends.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

/// So much later than a child, which the terminal tells too, we may hear of it.
const LATE: Duration = Duration::from_millis(100);

static ASKED: AtomicBool = AtomicBool::new(false);

/// Has the calling thread's pauses end from now on when an interrupt comes.
pub fn listen() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("failed to listen to signals")?;
    let waiting = thread::current();
    thread::spawn(move || {
        for _ in signals.forever() {
            ASKED.store(true, Ordering::Relaxed);
            waiting.unpark();
        }
    });
    Ok(())
}

/// Fails once an interrupt has come.
pub fn check() -> Result<()> {
    ensure!(!ASKED.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

/// Waits for so long; fails once an interrupt has come.
pub fn pause(duration: Duration) -> Result<()> {
    let end = Instant::now() + duration;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::park_timeout(left);
    }
}

/// Whether it is by an interrupt that something has just failed.
pub fn has_come() -> bool {
    pause(LATE).is_err()
}
