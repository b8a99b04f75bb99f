//! What a generator has seen so far, and what lies between two such readings.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::fault::Fault;
use crate::model::load::{Latency, Load};

/// The share of a window that the generator's thread may be busy before its own pace counts, percent.
const BUSY_PERCENT: u64 = 90;
/// The share of requests that may be sent late before it shows in a percentile that is told, percent.
const LATE_PERCENT: u64 = 1;

/// All that was seen since the generator began, at one instant: each answer counted is in the histogram and no other.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When, by `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    /// Requests answered as they should be.
    pub completed: u64,
    /// The others, by what went wrong.
    pub errors: BTreeMap<Fault, u64>,
    /// How long the answers took, ns.
    pub latency: Histogram<u64>,
    /// Counted from when a request was due, not from when it was sent.
    pub from_due_time: bool,
    /// Requests that were begun; those that are under way are not answered yet.
    pub sent: u64,
    /// Those that were sent over a millisecond late, though there was a connection for them.
    pub late: u64,
    /// Those that were sent twice, because the server had closed the kept connection they were first sent on.
    pub resent: u64,
    /// On-CPU time of the generator's thread, ns …
    pub own_cpu_ns: u64,
    /// … and the time that it waited for a CPU.
    pub run_queue_ns: u64,
}

/// What happened from one reading of a generator to a later one.
#[must_use]
pub fn between(start: &Reading, end: &Reading) -> Load {
    let errors = end.errors.iter().filter_map(|(fault, count)| {
        let count = count - start.errors.get(fault).unwrap_or(&0);
        (count > 0).then(|| (fault.to_string(), count))
    });
    Load {
        generator: "built-in".to_owned(),
        command: None,
        duration_ns: end.at_ns.saturating_sub(start.at_ns),
        requests: end.completed - start.completed,
        errors: errors.collect(),
        latency: latency(start, end),
        own_cpu_ns: Some(end.own_cpu_ns.saturating_sub(start.own_cpu_ns)),
        limited: limited(start, end),
    }
}

fn latency(start: &Reading, end: &Reading) -> Option<Latency> {
    let mut latency = end.latency.clone();
    // Both histograms have the same bounds, and the later one has all that the earlier has.
    latency.subtract(&start.latency).ok()?;
    let at = |quantile| latency.value_at_quantile(quantile);
    (!latency.is_empty()).then(|| Latency {
        p50_ns: at(0.5),
        p90_ns: at(0.9),
        p95_ns: at(0.95),
        p99_ns: at(0.99),
        max_ns: latency.max(),
        mean_ns: latency.mean().round() as u64,
        from_due_time: end.from_due_time,
    })
}

/// Why the generator may have set the pace, if it may.
fn limited(start: &Reading, end: &Reading) -> Option<String> {
    let window_ns = end.at_ns.saturating_sub(start.at_ns).max(1);
    let percent = |part: u64, whole: u64| part.saturating_mul(100) / whole.max(1);
    let cpu = percent(end.own_cpu_ns.saturating_sub(start.own_cpu_ns), window_ns);
    let waited = percent(end.run_queue_ns.saturating_sub(start.run_queue_ns), window_ns);
    let late = percent(end.late - start.late, end.sent - start.sent);
    let grew = |fault: &&Fault| end.errors.get(*fault) > start.errors.get(*fault);

    if let Some(fault) = end.errors.keys().filter(|fault| fault.is_own()).find(grew) {
        Some(format!("the load generator could not open all the connections it wanted: {fault}"))
    } else if cpu > BUSY_PERCENT {
        Some(format!("the load generator was itself on its one CPU for {cpu} % of the time"))
    } else if late > LATE_PERCENT {
        Some(format!(
            "the load generator sent {late} % of the requests over a millisecond late; \
             it waited for a CPU for {waited} % of the time"
        ))
    } else if cpu + waited > BUSY_PERCENT {
        Some(format!(
            "the load generator was never idle: it was on a CPU for {cpu} % of the time \
             and waited for one for {waited} %"
        ))
    } else {
        None
    }
}
