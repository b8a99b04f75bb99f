//! The states of each thread add up to the wall.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{
    bounded::Punchclock,
    checks::{document::counter, exact::Window},
    report::Numbers,
    tree::Tree,
};

/// What is missing by chance, such as an edge at which the host paused, is not missing in each window.
const WINDOWS: u64 = 4;

/// The states, and what of a wait for the CPU is in no `run_delay`: kept beside the kernel's own number.
const STATES: [&str; 4] = ["on_cpu_ns", "run_queue_ns", "run_queue_uncounted_ns", "blocked_ns"];

/// Within 0.1 % or 50 µs for each thread, and what a hypervisor stole, which no kernel counts as a thread's time; in this
/// window or in one of the next.
pub fn adds_up(
    punchclock: &Punchclock,
    tree: &Tree,
    mut window: Window,
    numbers: &mut Numbers,
) -> Result<()> {
    for tries in 1.. {
        let short = missing(&window, numbers)?;
        numbers.set("windows", tries);
        if short.is_empty() {
            break;
        }
        ensure!(tries < WINDOWS, "{}", short.join(", "));
        window = Window::watch(punchclock, tree, &[])?;
    }
    Ok(())
}

/// The threads that do not add up.
fn missing(window: &Window, numbers: &mut Numbers) -> Result<Vec<String>> {
    let mut worst = 0.0_f64;
    let mut short = Vec::new();
    for thread in window.threads()? {
        let wall = counter(thread, "wall_ns")?;
        let signed = short_ns(thread)?;
        let missing = signed.unsigned_abs();
        worst = worst.max(missing as f64 / wall as f64 * 100.0);
        if missing > (wall / 1000).max(50_000) + window.stolen().as_nanos() as u64 {
            short.push(format!("{signed} ns of {wall} are in no state of {}", thread["tid"]));
        }
    }
    if !window.stolen().is_zero() {
        numbers.set("stolen_ms", window.stolen().as_millis() as u64);
    }
    numbers.set("worst_percent", (worst * 1e4).round() / 1e4);
    Ok(short)
}

/// What of a thread's time is in none of its states; less than nothing if these have more.
pub fn short_ns(thread: &Value) -> Result<i64> {
    let states = STATES.iter().map(|state| counter(thread, state)).sum::<Result<u64>>()?;
    Ok(counter(thread, "wall_ns")?.cast_signed() - states.cast_signed())
}
