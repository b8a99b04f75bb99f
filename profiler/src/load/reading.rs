//! Cumulative numbers of a load generator, and the difference of two readings.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::request_error::RequestError;
use crate::model::load::{Latency, Load};

/// The share of a window that the generator's thread may be busy before its own pace counts, percent.
const BUSY_PERCENT: u64 = 90;
/// The share of requests that may be sent late before it shows in a percentile that is told, percent.
const LATE_PERCENT: u64 = 1;

/// All that was counted since the generator began, at one instant: each answer counted is in the histogram and no other.
#[derive(Clone, Debug)]
pub struct LoadReading {
    /// When, by `CLOCK_MONOTONIC`, ns.
    pub at_ns: u64,
    /// Requests answered as they should be.
    pub completed: u64,
    /// The others, by what went wrong.
    pub errors: BTreeMap<RequestError, u64>,
    /// How long the answers took, ns.
    pub latency: Histogram<u64>,
    /// Counted from when a request was due, not from when it was sent.
    pub from_due_time: bool,
    /// Requests that were begun; those that are under way are not answered yet.
    pub sent: u64,
    /// Requests that were sent over a millisecond late, though there was a connection for them.
    pub late: u64,
    /// Requests that were sent twice, because the server had closed the kept connection they were first sent on.
    pub resent: u64,
    /// On-CPU time of the generator's thread, ns.
    pub own_cpu_ns: u64,
    /// Run-queue time of the generator's thread, ns.
    pub run_queue_ns: u64,
}

/// What happened from one reading of a generator to a later one.
#[must_use]
pub fn between(start: &LoadReading, end: &LoadReading) -> Load {
    let errors = end.errors.iter().filter_map(|(request_error, count)| {
        let count = count - start.errors.get(request_error).unwrap_or(&0);
        (count > 0).then(|| (request_error.to_string(), count))
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

fn latency(start: &LoadReading, end: &LoadReading) -> Option<Latency> {
    let mut latency = end.latency.clone();
    // Both histograms have the same bounds, and the later one has all that the earlier has.
    latency.subtract(&start.latency).ok()?;
    let at = |quantile| latency.value_at_quantile(quantile);
    (!latency.is_empty()).then(|| Latency {
        p50_ns: at(0.5),
        p90_ns: Some(at(0.9)),
        p95_ns: Some(at(0.95)),
        p99_ns: at(0.99),
        max_ns: latency.max(),
        mean_ns: latency.mean().round() as u64,
        from_due_time: end.from_due_time,
    })
}

/// Why the generator may have set the pace, if it may.
fn limited(start: &LoadReading, end: &LoadReading) -> Option<String> {
    let window_ns = end.at_ns.saturating_sub(start.at_ns).max(1);
    let percent = |part: u64, whole: u64| part.saturating_mul(100) / whole.max(1);
    let cpu = percent(end.own_cpu_ns.saturating_sub(start.own_cpu_ns), window_ns);
    let waited = percent(end.run_queue_ns.saturating_sub(start.run_queue_ns), window_ns);
    let late = percent(end.late - start.late, end.sent - start.sent);
    let grew =
        |request_error: &&RequestError| end.errors.get(*request_error) > start.errors.get(*request_error);

    if let Some(request_error) = end.errors.keys().filter(|request_error| request_error.is_own()).find(grew) {
        Some(format!("the load generator could not open all the connections it wanted: {request_error}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// After so long, ms, and so much of it on a CPU and waiting for one; none of 1000 requests was late.
    fn reading(at_ms: u64, cpu_ms: u64, waited_ms: u64) -> LoadReading {
        LoadReading {
            at_ns: at_ms * 1_000_000,
            completed: 0,
            errors: BTreeMap::new(),
            latency: Histogram::new_with_max(1_000_000, 3).unwrap(),
            from_due_time: false,
            sent: if at_ms == 0 { 0 } else { 1000 },
            late: 0,
            resent: 0,
            own_cpu_ns: cpu_ms * 1_000_000,
            run_queue_ns: waited_ms * 1_000_000,
        }
    }

    #[test]
    fn a_generator_that_set_the_pace_says_why() {
        let start = reading(0, 0, 0);
        let said = |end: &LoadReading| between(&start, end).limited.unwrap_or_default();
        assert_eq!(said(&reading(1000, 400, 400)), "");
        assert!(said(&reading(1000, 950, 0)).contains("on its one CPU for 95 %"));
        assert!(said(&reading(1000, 450, 500)).contains("45 % of the time and waited for one for 50 %"));
        let late = |late| LoadReading { late, ..reading(1000, 100, 300) };
        assert_eq!(said(&late(10)), "");
        assert!(
            said(&late(30))
                .contains("3 % of the requests over a millisecond late; it waited for a CPU for 30 %")
        );
        let faults = |request_error| LoadReading {
            errors: BTreeMap::from([(request_error, 5)]),
            ..reading(1000, 100, 0)
        };
        assert!(said(&faults(RequestError::NoPort)).ends_with("no free port"));
        assert_eq!(said(&faults(RequestError::Refused)), "");
        // What was before the window does not count.
        assert_eq!(between(&faults(RequestError::NoPort), &faults(RequestError::NoPort)).limited, None);
    }

    #[test]
    fn a_window_has_only_what_happened_in_it() {
        let mut start = reading(0, 10, 0);
        for ns in [900_000; 50] {
            start.latency.record(ns).unwrap();
        }
        (start.completed, start.errors) =
            (50, BTreeMap::from([(RequestError::Reset, 2), (RequestError::Timeout, 1)]));
        let mut end = LoadReading { at_ns: 2_000_000, own_cpu_ns: 10_500_000, ..start.clone() };
        for ns in 1..=1000 {
            end.latency.record(ns * 100).unwrap();
        }
        (end.completed, end.sent) = (1050, 1053);
        end.errors.insert(RequestError::Reset, 7);
        let load = between(&start, &end);
        assert_eq!((load.duration_ns, load.requests, load.own_cpu_ns), (2_000_000, 1000, Some(500_000)));
        assert_eq!(load.errors, BTreeMap::from([("reset".to_owned(), 5)]));
        let latency = load.latency.unwrap();
        // Evenly from 100 ns to 100 µs; three digits are kept.
        let is_near = |ns: u64, wanted: u64| ns.abs_diff(wanted) <= wanted / 1000;
        assert!(is_near(latency.p50_ns, 50_000) && is_near(latency.p99_ns, 99_000), "{latency:?}");
        assert!(is_near(latency.max_ns, 100_000) && is_near(latency.mean_ns, 50_050), "{latency:?}");
        assert_eq!(between(&end, &end).latency, None);
    }
}
