//! Windows of made-up servers, of which all is known.

use crate::{
    audit::observed::{Loaded, WindowSlice},
    model::{
        accounting::StatDelta,
        fixture,
        load::{Latency, Load},
        report::{Run, Setup},
    },
};

/// The URL that every window asks for.
pub const URL: &str = "http://127.0.0.1/";
/// Length of a window, s.
const SECONDS: u32 = 5;

/// A set-up of so many workers of a class.
#[must_use]
pub fn setup(class: &str, workers: u32) -> Setup {
    Setup { worker_class: Some(class.to_owned()), workers: Some(workers) }
}

/// A window under so much load, with so many answers a second and so much CPU time for each. Each second is a slice, and they
/// differ by a per cent.
#[must_use]
pub fn loaded(setup: &Setup, level: f64, per_second: f64, cpu_ms: f64) -> Loaded {
    let slice = |second: u32| {
        let requests = per_second * (0.99 + 0.005 * f64::from(second));
        WindowSlice {
            seconds: 1.0,
            requests,
            cpu_ms: requests * cpu_ms,
            voluntary: requests * 2.0,
            preempted: requests * 0.5,
        }
    };
    let slices: Vec<_> = (0..SECONDS).map(slice).collect();
    let requests = slices.iter().map(|slice| slice.requests).sum::<f64>().round() as u64;
    let latency = Latency { p50_ns: 1_000_000, p99_ns: 9_000_000, ..Latency::default() };
    let duration_ns = u64::from(SECONDS) * 1_000_000_000;
    let load = Load { duration_ns, requests, latency: Some(latency), ..Load::default() };
    Loaded {
        run: Run { url: URL.to_owned(), setup: setup.clone(), level, load, ..Run::default() },
        stat: StatDelta { duration_ns, ..fixture::stat() },
        slices,
    }
}
