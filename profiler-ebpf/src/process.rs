//! Which processes are followed: a followed process's children are, from before their first instruction.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use bytemuck::Zeroable;
use profiler_common::{
    counter::Counter,
    event::{Exec, Fork, Kind},
    python::PyTarget,
};

use crate::{
    maps::{PROCESSES, Wake, lose, send},
    task::Task,
};

/// Hands the parent's entry to the child, whose memory is a copy: same interpreter, same addresses.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_fork")]
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    if let Err(cause) = try_fork(Task(ctx.arg(0)), Task(ctx.arg(1))) {
        lose(&ctx, cause);
    }
    0
}

#[inline(always)]
fn try_fork(parent: Task, child: Task) -> Result<(), Counter> {
    let (parent_tgid, tgid) = (parent.tgid(), child.tgid());
    if parent_tgid == tgid {
        return Ok(()); // A thread: followed with its process.
    }
    // SAFETY: copied at once; the loader replaces whole values.
    let Some(process) = (unsafe { PROCESSES.get(parent_tgid) }) else { return Ok(()) };
    let process = *process;
    PROCESSES.insert(tgid, process, 0).map_err(|_| Counter::ProcessesFull)?;
    let fork = Fork { kind: Kind::Fork as u32, tgid, parent_tgid, reserved: 0 };
    send(&fork, Wake::Now, Counter::LifecycleLost)
}

/// Forgets the interpreter of a process that runs another program now.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_exec")]
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    if let Err(cause) = try_exec(Task(ctx.arg(0))) {
        lose(&ctx, cause);
    }
    0
}

#[inline(always)]
fn try_exec(task: Task) -> Result<(), Counter> {
    let tgid = task.tgid();
    let Some(process) = PROCESSES.get_ptr_mut(tgid) else { return Ok(()) };
    // SAFETY: the verifier checked the pointer; only this process, which is here, is walked by it.
    unsafe { (*process).python = PyTarget::zeroed() };
    send(&Exec { kind: Kind::Exec as u32, tgid }, Wake::Now, Counter::LifecycleLost)
}

/// Stops following when the last trace of a process is freed, after which its number may be used again.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_free")]
pub fn sched_process_free(ctx: BtfTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let tgid = task.tgid();
    if task.tid() == tgid {
        // Not followed is the usual case, and no loss.
        let _ = PROCESSES.remove(tgid);
    }
    0
}
