//! Keeps the set of followed processes: children of a followed process are followed before their first instruction.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, map},
    maps::HashMap,
    programs::BtfTracePointContext,
};
use bytemuck::Zeroable;
use profiler_common::{
    config::FollowedProcess,
    event::{ExecRecord, ForkRecord, RecordKind},
    loss_cause::LossCause,
    python::PyTarget,
};

use crate::{
    map_cell::{MapCell, field},
    maps::{count_loss, send},
    task::Task,
    thread,
};

/// tgid → how to follow it. The loader adds; the programs below copy it at fork and remove it at the end.
#[map]
static PROCESSES: HashMap<u32, FollowedProcess> = HashMap::with_max_entries(4096, 0);

/// A followed process.
pub type Followed = MapCell<FollowedProcess>;

impl Followed {
    /// The process of this number, if it is followed.
    #[inline(always)]
    pub fn by_tgid(tgid: u32) -> Option<&'static Self> {
        Self::find(&PROCESSES, &tgid)
    }

    /// How to walk its Python stacks.
    #[inline(always)]
    pub fn python(&self) -> &PyTarget {
        let python = field!(self.python).as_ptr();
        // SAFETY: the loader replaces whole values; in place `exec` alone writes it, where no other thread is left to walk.
        unsafe { &*python }
    }
}

/// Copies the parent's entry for the child, whose memory is a copy: same interpreter, same addresses.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    if let Err(cause) = try_fork(Task::argument(&ctx, 0), Task::argument(&ctx, 1)) {
        count_loss(&ctx, cause);
    }
    0
}

#[inline(always)]
fn try_fork(parent: Task, child: Task) -> Result<(), LossCause> {
    let (parent_tgid, tgid) = (parent.tgid(), child.tgid());
    let Some(process) = Followed::by_tgid(parent_tgid) else { return Ok(()) };
    let is_process = parent_tgid != tgid;
    let fleet = field!(process.fleet).get();
    let is_master = if is_process { 0 } else { field!(process.is_master).get() };
    if is_process {
        // SAFETY: copied at once; the loader replaces whole values.
        let copy = FollowedProcess { is_master, ..unsafe { process.as_ptr().read() } };
        PROCESSES.insert(tgid, copy, 0).map_err(|_| LossCause::ProcessesFull)?;
    }
    let waits = thread::enlist(child, fleet, is_master).ok_or(LossCause::NotEnlisted)?;
    // It has not run yet, so it has not gone to sleep either.
    field!(waits.has_baseline).set(1);
    // SAFETY: no arguments.
    field!(waits.made_ns).set(unsafe { bpf_ktime_get_ns() });
    if !is_process {
        return Ok(()); // A thread: announced with its process.
    }
    let fork = ForkRecord { kind: RecordKind::Fork as u32, tgid, parent_tgid, reserved: 0 };
    send(&fork, LossCause::LifecycleLost)
}

/// Forgets the interpreter of a process that runs another program now.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    if let Err(cause) = try_exec(Task::argument(&ctx, 0), ctx.arg(1)) {
        count_loss(&ctx, cause);
    }
    0
}

#[inline(always)]
fn try_exec(task: Task, caller_tid: u32) -> Result<(), LossCause> {
    let tgid = task.tgid();
    let Some(process) = Followed::by_tgid(tgid) else { return Ok(()) };
    let python = field!(process.python).as_ptr();
    // SAFETY: only this process, which is here, is walked by it.
    unsafe { python.write(PyTarget::zeroed()) };
    send(&ExecRecord { kind: RecordKind::Exec as u32, tgid, caller_tid }, LossCause::LifecycleLost)
}

/// Stops following when the last trace of a process is freed, after which its number may be used again.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_free")]
pub fn sched_process_free(ctx: BtfTracePointContext) -> i32 {
    let task = Task::argument(&ctx, 0);
    let tgid = task.tgid();
    if task.tid() == tgid {
        // Not followed is the usual case, and no loss.
        let _ = PROCESSES.remove(tgid);
    }
    0
}
