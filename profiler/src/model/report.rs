//! What an audit found: idle costs, a sweep of loads for each set-up, what bends its curve, and what to run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    budget_state::BudgetState,
    estimate::Estimate,
    knee_cause::KneeCause,
    load::Load,
    quality::Quality,
    recording::{About, Recording},
};

/// An audit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`crate::model::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Where and how it was made.
    pub about: About,
    /// What was audited: the fleet's name, or the command that serves.
    pub subject: String,
    /// The URL that was asked.
    pub url: String,
    /// When it began, ns since the epoch.
    pub started_unix_ns: u64,
    /// How long it took.
    pub duration_ns: u64,
    /// True if the user ended it early.
    pub interrupted: bool,
    /// Rounds that were made, and those that were asked for.
    pub rounds: Rounds,
    /// The exact commands that were run, in order, each once.
    pub commands: Vec<String>,
    /// The answer in a sentence or a few: winner, margin, or that no difference was measured.
    pub summary: Vec<String>,
    /// The recommended set-up, the second best, and by how much it is better; absent if none could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<Recommendation>,
    /// Conclusions, the weightiest first.
    pub findings: Vec<Finding>,
    /// What each set-up did, best first.
    pub series: Vec<Series>,
    /// Every window that was measured, in the order of time.
    pub runs: Vec<Run>,
    /// Throughput while measuring, of that without, in windows that took turns; absent if it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_while_measured: Option<Estimate>,
    /// Servers that did not come up, died or answered errors, with their last words.
    pub problems: Vec<Problem>,
    /// Quality of all windows together.
    pub quality: Quality,
}

/// Rounds of an audit: in each, every set-up is put under every load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// Rounds that were made to their end.
    pub made: u32,
    /// Rounds that were asked for, at least.
    pub asked: u32,
    /// After so long no other round was begun.
    pub limit_ns: u64,
}

/// A way to run the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Setup {
    /// `sync`, `gthread` …; absent if there is no such thing, or it is not known.
    pub worker_class: Option<String>,
    /// Workers; absent if it was not chosen.
    pub workers: Option<u32>,
}

impl Setup {
    /// `gthread × 4`.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.worker_class.as_deref(), self.workers) {
            (Some(class), Some(workers)) => format!("{class} × {workers}"),
            (Some(class), None) => class.to_owned(),
            (None, Some(1)) => "1 worker".to_owned(),
            (None, Some(workers)) => format!("{workers} workers"),
            (None, None) => "as it runs".to_owned(),
        }
    }
}

/// What one set-up did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Set-up that the numbers are of.
    pub setup: Setup,
    /// What it costs while it has nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<IdleCost>,
    /// Points of the curve, by rising concurrency (or, in an open loop, rate).
    pub points: Vec<Point>,
    /// The Universal Scalability Law fitted to the throughput, where there are enough points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usl: Option<Usl>,
    /// Where more load stops to bring more throughput; absent if it was not reached, or the intervals do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knee: Option<Knee>,
    /// Stacks of all its windows under load together; not in JSON, for it is large.
    #[serde(skip)]
    pub recording: Option<Recording>,
}

/// Cost of an idle fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdleCost {
    /// How long it was watched.
    pub duration_ns: u64,
    /// On-CPU time of a worker, ms per second: the mean over workers.
    pub worker_cpu_ms_per_second: f64,
    /// Wake-ups of a worker per second: the mean over workers.
    pub worker_wakeups_per_second: f64,
    /// On-CPU time of the master, ms per second; absent if there is none.
    pub master_cpu_ms_per_second: Option<f64>,
    /// Wake-ups of the master per second; absent if there is none.
    pub master_wakeups_per_second: Option<f64>,
}

/// What one set-up did under one load, over all its windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Requests under way at once in a closed loop, or requests per second in an open one.
    pub level: f64,
    /// Windows that were measured.
    pub windows: u32,
    /// Answers per second.
    pub throughput: Estimate,
    /// Half of the answers took at most so long, ms; absent if no latency was told.
    pub latency_p50_ms: Option<Estimate>,
    /// 99 % of the answers took at most so long, ms.
    pub latency_p99_ms: Option<Estimate>,
    /// On-CPU time of the whole fleet per answer, ms.
    pub cpu_ms_per_request: Estimate,
    /// Voluntary switches of the whole fleet per answer.
    pub voluntary_switches_per_request: Estimate,
    /// Preempted switches of the whole fleet per answer.
    pub preempted_switches_per_request: Estimate,
    /// CPUs that the whole fleet kept busy.
    pub cpus_busy: Estimate,
    /// CPUs that each worker keeps busy, by slot.
    pub cpus_busy_by_worker: Vec<f64>,
    /// Where the wall time of the workers' threads went, as shares that add up to 1, less what the kernel keeps out
    /// of its books.
    pub budget: BTreeMap<BudgetState, f64>,
    /// Requests that failed.
    pub errors: u64,
    /// The load generator set the pace, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_limited: Option<String>,
}

/// Throughput X(N) = λN / (1 + σ(N−1) + κN(N−1)), fitted (Gunther's Universal Scalability Law).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usl {
    /// Throughput of one at a time, per second.
    pub lambda: f64,
    /// Contention: the share that cannot run side by side.
    pub sigma: f64,
    /// Coherency: what each pays for each other one.
    pub kappa: f64,
    /// Measured less fitted throughput, at each point.
    pub residuals: Vec<f64>,
    /// The share of the throughputs' variance that the curve explains.
    pub r_squared: f64,
    /// Where the curve is highest; absent if it only rises.
    pub peak_level: Option<f64>,
}

impl Usl {
    /// The fitted throughput.
    #[must_use]
    pub fn throughput(&self, level: f64) -> f64 {
        self.lambda * level / (1.0 + self.sigma * (level - 1.0) + self.kappa * level * (level - 1.0))
    }
}

/// Where a curve bends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// The lowest level above which none brings 10 % more throughput, with 95 % confidence.
    pub level: f64,
    /// Throughput there, per second.
    pub throughput: f64,
    /// What bends it; absent if the numbers do not tell.
    pub cause: Option<KneeCause>,
}

/// One conclusion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is so, in a sentence.
    pub claim: String,
    /// The numbers that show it.
    pub evidence: String,
    /// What to do; empty if there is nothing to do.
    pub advice: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    #[default]
    Note,
    /// Worth a change.
    Advice,
    /// Something is wrong.
    Warning,
}

/// What to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The best.
    pub best: Setup,
    /// The one that comes closest; absent if there was one only.
    pub second: Option<Setup>,
    /// Throughput of the best at its best level, of that of the second at its own.
    pub margin: Option<Estimate>,
    /// False if nothing tells the two apart: no throughput, no late answers, no price.
    pub is_real: bool,
    /// All that nothing tells from the best.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equals: Vec<Setup>,
    /// The reason, in a sentence.
    pub reason: String,
}

/// One window of the sweep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What was asked for.
    pub url: String,
    /// Set-up that the window is of.
    pub setup: Setup,
    /// See [`Point::level`].
    pub level: f64,
    /// When it began, ns after the audit.
    pub at_ns: u64,
    /// What the load generator saw.
    pub load: Load,
    /// On-CPU time of the whole fleet, ns.
    pub on_cpu_ns: u64,
    /// Voluntary switches of the whole fleet.
    pub voluntary_switches: u64,
    /// Preempted switches of the whole fleet.
    pub preempted_switches: u64,
}

/// Something that kept a window from being measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Set-up that the problem is of.
    pub setup: Setup,
    /// What happened, in a sentence.
    pub what: String,
    /// How often it did.
    pub times: u32,
    /// The line of the server's output that says why; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Last lines of the server's output, when it happened first.
    pub last_words: Vec<String>,
}
