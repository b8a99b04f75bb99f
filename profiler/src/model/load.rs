//! What a load generator saw of a server in a window.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Requests and how they fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Load generator: `built-in`, `wrk`, `ab` …
    pub generator: String,
    /// Command line of the load generator, if it is a program of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The window's length.
    pub duration_ns: u64,
    /// Requests that were answered as they should.
    pub requests: u64,
    /// Requests that were not, by what went wrong: `status 500`, `connection refused`, `timeout` …
    pub errors: BTreeMap<String, u64>,
    /// How long answers took; absent if it was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// CPU time that the generator used, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_cpu_ns: Option<u64>,
    /// Why the generator, and not the server, may have set the pace; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<String>,
}

/// How long answers took, ns; by nearest rank from a histogram of three significant digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median latency, ns.
    pub p50_ns: u64,
    /// Latency at the 90th percentile, ns; absent if the load generator does not print it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_ns: Option<u64>,
    /// Latency at the 95th percentile, ns; absent if the load generator does not print it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ns: Option<u64>,
    /// Latency at the 99th percentile, ns.
    pub p99_ns: u64,
    /// Longest latency, ns.
    pub max_ns: u64,
    /// Mean latency, ns.
    pub mean_ns: u64,
    /// True in an open loop, where the clock of a request starts when it was due, not when it could be sent: what
    /// waited behind a slow answer is counted in (coordinated omission).
    pub from_due_time: bool,
}

impl Load {
    /// Requests that were not answered as they should.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Answers per second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        if self.duration_ns == 0 { 0.0 } else { self.requests as f64 * 1e9 / self.duration_ns as f64 }
    }
}
