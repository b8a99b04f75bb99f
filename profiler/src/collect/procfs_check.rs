//! Compares the counters that were read with those of the same threads in `/proc`.

use std::{collections::HashMap, fs, path::PathBuf};

use profiler_common::event::ThreadRecord;

use crate::{
    model::quality::Quality,
    sys::{status::ProcStatus, tids},
};

/// Counters of one thread in `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcCounters {
    /// `schedstat`, first word.
    pub on_cpu_ns: u64,
    /// `status`, `voluntary_ctxt_switches`.
    pub voluntary: u64,
    /// `status`, `nonvoluntary_ctxt_switches`.
    pub preempted: u64,
}

/// Counters of threads in `/proc`, by tid.
pub type ProcThreads = HashMap<u32, ProcCounters>;

/// Most threads that are compared: each costs four files at each edge.
const MOST: usize = 256;

/// A thread: tgid and TID.
type Tid = (u32, u32);

/// The threads of these processes that are to be compared: all, or as many as are, spread over all.
#[must_use]
pub fn choose(tgids: impl IntoIterator<Item = u32>) -> Vec<Tid> {
    let threads = |tgid| tids::all_of(tgid).into_iter().map(move |tid| (tgid, tid));
    let all: Vec<_> = tgids.into_iter().flat_map(threads).collect();
    let step = all.len().div_ceil(MOST).max(1);
    all.into_iter().step_by(step).collect()
}

/// Reads `/proc` for these threads; those that vanish meanwhile are left out.
#[must_use]
pub fn read(threads: &[Tid]) -> ProcThreads {
    threads
        .iter()
        .filter_map(|&(tgid, tid)| {
            if !tids::exists(tid) {
                return None;
            }
            let thread = PathBuf::from(format!("/proc/{tgid}/task/{tid}"));
            let schedstat = fs::read_to_string(thread.join("schedstat")).ok()?;
            let status = ProcStatus::read(thread)?;
            let times = ProcCounters {
                on_cpu_ns: schedstat.split(' ').next()?.parse().ok()?,
                voluntary: status.number("voluntary_ctxt_switches", 0)?,
                preempted: status.number("nonvoluntary_ctxt_switches", 0)?,
            };
            Some((tid, times))
        })
        .collect()
}

/// Compares counters that were read between two readings of `/proc`: each must lie between what these say. Notes the largest
/// amounts by which one does not.
pub fn compare(quality: &mut Quality, before: &ProcThreads, threads: &[ThreadRecord], after: &ProcThreads) {
    for ThreadRecord { task, .. } in threads {
        let (Some(before), Some(after)) = (before.get(&task.tid), after.get(&task.tid)) else { continue };
        let outside =
            |low: u64, value: u64, high: u64| low.saturating_sub(value).max(value.saturating_sub(high));
        let on_cpu = outside(before.on_cpu_ns, task.sum_exec_runtime, after.on_cpu_ns);
        let switches = outside(before.voluntary, task.voluntary, after.voluntary).max(outside(
            before.preempted,
            task.preempted,
            after.preempted,
        ));
        quality.largest_on_cpu_difference_ns = quality.largest_on_cpu_difference_ns.max(on_cpu);
        quality.largest_switch_difference = quality.largest_switch_difference.max(switches);
        quality.threads_compared += 1;
    }
}
