//! What the tests share: punchclock as a command, workloads that say when they are ready and are gone when
//! dropped, the interpreters of this machine, and the kernel's own books.
#![expect(clippy::missing_panics_doc, reason = "here a panic is how a test fails")]

pub mod apache;
pub mod attached;
pub mod books;
pub mod bounded;
pub mod budget;
pub mod example;
pub mod fleets;
pub mod freezer;
pub mod gunicorn;
pub mod interpreters;
pub mod late;
pub mod load;
pub mod mallory;
pub mod punchclock;
pub mod record;
pub mod recording;
pub mod servers;
pub mod steal;
pub mod truth;
pub mod watch;
pub mod workload;

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Says why a test cannot run here; in CI that is a failure.
pub fn cannot_run(why: &str) {
    assert!(env::var_os("CI").is_none(), "cannot run in CI: {why}");
    eprintln!("skipped: {why}");
}

/// Waits until something holds.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        // Asking all the time would take the CPU from those who are waited for.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The folder of the workload programs.
#[must_use]
pub fn workloads() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("workloads")
}
