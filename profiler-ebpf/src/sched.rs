//! The scheduler's side: the books of every followed thread at the window's edges, and those of the ones that
//! are gone by then at their last switch.
//!
//! The kernel counts on-CPU time, waits and switches per thread itself, so nothing is counted here a second time
//! and a switch costs a followed thread no more than any other.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext, helpers::generated::bpf_seq_write, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use bytemuck::Zeroable;
use profiler_common::{
    counter::Counter,
    event::{Exit, Kind},
    sched::{TASK_DEAD, TaskWords},
};

use crate::{
    maps::{PROCESSES, Wake, lose, send},
    task::Task,
};

/// The thread that takes snapshots: its own words tell user space how the scheduler's clock runs.
#[unsafe(no_mangle)]
static SNAPSHOT_TID: u32 = 0;

/// Tells that a followed thread begins to exit.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    if let Err(cause) = try_exit(Task(ctx.arg(0)), 0) {
        lose(&ctx, cause);
    }
    0
}

/// At a followed thread's last switch-out its words are final: sends them.
///
/// Kernel: ≥ 5.14 (`__state`).
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let prev = Task(ctx.arg(1));
    if prev.state() & TASK_DEAD != 0
        && let Err(cause) = try_exit(prev, 1)
    {
        lose(&ctx, cause);
    }
    0
}

#[inline(always)]
fn try_exit(task: Task, is_last: u32) -> Result<(), Counter> {
    // SAFETY: the value is not read.
    if unsafe { PROCESSES.get(task.tgid()) }.is_none() {
        return Ok(());
    }
    let mut exit = Exit { kind: Kind::Exit as u32, is_last, words: TaskWords::zeroed() };
    task.words(&mut exit.words);
    send(&exit, Wake::Later, Counter::ExitLost)
}

/// Writes the words of every followed thread, one after the other, for the loader to read.
///
/// Kernel: ≥ 5.8 (task iterators).
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn snapshot(ctx: *mut c_void) -> i32 {
    // struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; }
    // SAFETY: the verifier knows both words of the context.
    let (meta, task) =
        unsafe { (*ctx.cast::<*const *mut c_void>(), Task(*ctx.cast::<*const c_void>().add(1))) };
    if task.0.is_null() {
        return 0;
    }
    // SAFETY: a static, and a value that is not read.
    let wanted = unsafe {
        task.tid() == core::ptr::read_volatile(&raw const SNAPSHOT_TID)
            || PROCESSES.get(task.tgid()).is_some()
    };
    if !wanted {
        return 0;
    }
    let mut words = TaskWords::zeroed();
    task.words(&mut words);
    // SAFETY: `meta->seq` is its first word; `words` lives on this stack. When the buffer is full the kernel
    // drops what was written for this task and calls again, so the result needs no look.
    unsafe { bpf_seq_write((*meta).cast(), (&raw mut words).cast(), size_of::<TaskWords>() as u32) };
    0
}

/// Does nothing: what any program on a switch costs, for `cargo xtask bench`.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_switch")]
pub fn empty(ctx: BtfTracePointContext) -> i32 {
    let _ = ctx.as_ptr();
    0
}
