//! The scheduler's counters of one thread, as the kernel keeps them.
//!
//! The kernel already counts what `stat` shows; the programs copy the words and user space does the sums.

use bytemuck::{Pod, Zeroable};

/// `__state` bit of a task at its last switch-out (`TASK_DEAD`, include/linux/sched.h).
pub const TASK_DEAD: u32 = 0x80;

/// One thread's counters in the kernel at one instant. Each field names its clock.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct TaskCounters {
    /// When these words were copied: `CLOCK_MONOTONIC`, ns.
    pub read_ns: u64,
    /// `se.sum_exec_runtime`: on-CPU ns up to `exec_start`.
    pub sum_exec_runtime: u64,
    /// `se.exec_start`: when `sum_exec_runtime` was last brought up to date; run-queue task clock.
    pub exec_start: u64,
    /// `rq.clock` of the thread's run queue: when that queue's clock was last read; `sched_clock`, ns.
    pub rq_clock: u64,
    /// `rq.clock_task` at that same instant.
    pub rq_clock_task: u64,
    /// `sched_info.run_delay`: ns spent runnable but waiting, finished waits only.
    pub run_delay: u64,
    /// `sched_info.last_queued`: start of the wait under way, 0 if none; same clock as `rq_clock`.
    pub last_queued: u64,
    /// `nvcsw`.
    pub voluntary: u64,
    /// `nivcsw`.
    pub preempted: u64,
    /// `se.nr_migrations`.
    pub migrations: u64,
    /// `utime`: ns in whole ticks.
    pub utime: u64,
    /// `stime`: ns in whole ticks.
    pub stime: u64,
    /// The thread pointer: where its Python thread state is found from.
    pub thread_pointer: u64,
    /// `start_time`: when it was begun to be made, `CLOCK_MONOTONIC` ns.
    pub start_time: u64,
    /// `__state`: 0 is runnable or running.
    pub state: u32,
    /// `on_cpu`: 1 while it runs.
    pub on_cpu: u32,
    /// Thread id, initial PID namespace.
    pub tid: u32,
    /// Process id, initial PID namespace.
    pub tgid: u32,
    /// `comm`, NUL padded.
    pub comm: [u8; 16],
}
