//! Running totals of a load: written by the generator's thread, read by others at any time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hdrhistogram::Histogram;

use super::{client::Outcome, reading::LoadReading, request_error::RequestError};
use crate::sys::{clock, thread};

/// The longest latency that is told from longer ones, ns.
const LATENCY_MAX_NS: u64 = 3_600_000_000_000;
/// A request that was sent so much after it was due was late, ns.
const LATE_NS: u64 = 1_000_000;

/// Running totals of a load, shared between threads.
pub struct Tally {
    state: Mutex<TallyState>,
    /// Answers so far: cheaper to look at than the locked state.
    pub completed: Arc<AtomicU64>,
}

struct TallyState {
    latency: Histogram<u64>,
    errors: BTreeMap<RequestError, u64>,
    sent: u64,
    late: u64,
    resent: u64,
    from_due_time: bool,
    tid: u32,
    /// What the thread had used when it ended: on-CPU and run-queue time, ns.
    ended: Option<(u64, u64)>,
}

impl Tally {
    pub fn new(from_due_time: bool) -> Result<Self, hdrhistogram::CreationError> {
        let state = TallyState {
            latency: Histogram::new_with_max(LATENCY_MAX_NS, 3)?,
            errors: BTreeMap::new(),
            sent: 0,
            late: 0,
            resent: 0,
            from_due_time,
            tid: 0,
            ended: None,
        };
        Ok(Self { state: Mutex::new(state), completed: Arc::default() })
    }

    /// The calling thread is the generator's, and begins.
    pub fn begin(&self) {
        self.state().tid = clock::tid();
    }

    /// The calling thread is the generator's, and ends: its clock ends with it.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = Some((clock::thread_cpu_ns(), run_queue_ns(state.tid)));
    }

    /// A request is sent so long after it was due, for no reason but the generator.
    pub fn sent(&self, behind_ns: u64) {
        let mut state = self.state();
        state.sent += 1;
        state.late += u64::from(behind_ns > LATE_NS);
    }

    /// A request is over, so long after it was sent, or due.
    pub fn answered(&self, outcome: &Outcome, latency_ns: u64) {
        let mut state = self.state();
        state.resent += u64::from(outcome.resent);
        match outcome.answer {
            Ok(_) => {
                state.latency.saturating_record(latency_ns);
                self.completed.fetch_add(1, Ordering::Relaxed);
            }
            Err(request_error) => *state.errors.entry(request_error).or_default() += 1,
        }
    }

    /// All of it at one instant.
    pub fn reading(&self) -> LoadReading {
        let state = self.state();
        let (own_cpu_ns, run_queue_ns) =
            state.ended.unwrap_or_else(|| (clock::cpu_ns_of(state.tid), run_queue_ns(state.tid)));
        LoadReading {
            at_ns: clock::monotonic_ns(),
            completed: state.latency.len(),
            errors: state.errors.clone(),
            latency: state.latency.clone(),
            from_due_time: state.from_due_time,
            sent: state.sent,
            late: state.late,
            resent: state.resent,
            own_cpu_ns,
            run_queue_ns,
        }
    }

    pub fn tid(&self) -> u32 {
        self.state().tid
    }

    fn state(&self) -> MutexGuard<'_, TallyState> {
        // Nothing is half written when a lock is dropped.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run_queue_ns(tid: u32) -> u64 {
    thread::run_queue_ns(std::process::id(), tid).unwrap_or(0)
}
