//! Keeps the set of followed processes: children of a followed process are followed before their first instruction.

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use bytemuck::Zeroable;
use profiler_common::{
    config::FollowedProcess,
    event::{ExecRecord, ForkRecord, RecordKind},
    loss_cause::LossCause,
    python::PyTarget,
};

use crate::{
    maps::{PROCESSES, count_loss, send},
    task::Task,
    thread,
};

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
    // SAFETY: copied at once; the loader replaces whole values.
    let Some(process) = (unsafe { PROCESSES.get(parent_tgid) }) else { return Ok(()) };
    let is_process = parent_tgid != tgid;
    let process = FollowedProcess { is_master: if is_process { 0 } else { process.is_master }, ..*process };
    if is_process {
        PROCESSES.insert(tgid, process, 0).map_err(|_| LossCause::ProcessesFull)?;
    }
    let waits = thread::enlist(child, &process).ok_or(LossCause::NotEnlisted)?;
    // It has not run yet, so it has not gone to sleep either.
    waits.has_baseline = 1;
    // SAFETY: no arguments.
    waits.made_ns = unsafe { bpf_ktime_get_ns() };
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
    let Some(process) = PROCESSES.get_ptr_mut(tgid) else { return Ok(()) };
    // SAFETY: the verifier checked the pointer; only this process, which is here, is walked by it.
    unsafe { (*process).python = PyTarget::zeroed() };
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
