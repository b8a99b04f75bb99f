//! Scheduler programs: context switches, the snapshot of every followed thread at a window's edge, and the final counters of
//! threads that exit.
//!
//! The kernel counts on-CPU time, run-queue waits and switches per thread itself; what it does not count, what a thread
//! is blocked for, `blocked` adds up.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::bpf_seq_write,
    macros::{btf_tracepoint, map},
    maps::PerCpuArray,
    programs::BtfTracePointContext,
};
use profiler_common::{
    event::{ExitRecord, RecordKind, ThreadRecord},
    loss_cause::LossCause,
    sched::TASK_DEAD,
};

use crate::{
    blocked,
    maps::{RING, count_loss},
    process::Followed,
    task::Task,
    thread,
};

/// Room for one thread of a snapshot, which is more than a program's stack holds.
#[map]
static LIVING: PerCpuArray<ThreadRecord> = PerCpuArray::with_max_entries(1, 0);

/// TID of the thread that takes snapshots: by its own counters user space relates the scheduler's clock to the others.
#[unsafe(no_mangle)]
static SNAPSHOT_TID: u32 = 0;

/// 1 if waits are accounted; set by the loader.
#[unsafe(no_mangle)]
static WAITS: u32 = 0;

/// Announces that a followed thread begins to exit.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_process_exit")]
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    if let Err(cause) = try_exit(Task::argument(&ctx, 0), 0) {
        count_loss(&ctx, cause);
    }
    0
}

/// Opens and closes the waits of followed threads, without their stacks; at a thread's last switch-out sends its final
/// counters.
///
/// Kernel: ≥ 5.15 (`bpf_task_pt_regs`).
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    switch::<false>(&ctx)
}

/// Does what `sched_switch` does, and interns the stacks on which threads wait. A program of its own, so that a kernel that
/// refuses to walk stacks still counts.
///
/// Kernel: ≥ 5.15 (`bpf_task_pt_regs`).
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch_stacks(ctx: BtfTracePointContext) -> i32 {
    switch::<true>(&ctx)
}

#[inline(always)]
fn switch<const STACKS: bool>(ctx: &BtfTracePointContext) -> i32 {
    let (prev, next) = (Task::argument(ctx, 1), Task::argument(ctx, 2));
    // SAFETY: a static.
    let waits = unsafe { core::ptr::read_volatile(&raw const WAITS) } != 0;
    let is_last = prev.state() & TASK_DEAD != 0;
    if (is_last || waits) && thread::may_be_followed(prev.tgid()) {
        let result = if is_last { try_exit(prev, 1) } else { blocked::on_switch_out::<STACKS>(ctx, prev) };
        if let Err(cause) = result {
            count_loss(ctx, cause);
        }
    }
    if waits
        && thread::may_be_followed(next.tgid())
        && let Err(cause) = blocked::on_switch_in(next)
    {
        count_loss(ctx, cause);
    }
    0
}

#[inline(always)]
fn try_exit(task: Task, is_last: u32) -> Result<(), LossCause> {
    if Followed::by_tgid(task.tgid()).is_none() {
        return Ok(());
    }
    let mut record = RING.reserve::<ExitRecord>(0).ok_or(LossCause::ExitLost)?;
    // SAFETY: all of the record's fields are set before it is submitted.
    let exit = unsafe { &mut *record.as_mut_ptr() };
    (exit.kind, exit.is_last) = (RecordKind::Exit as u32, is_last);
    (exit.ends_process, exit.code) = (u32::from(task.live() == 0), task.process_exit_code());
    task.read_counters(&mut exit.task);
    thread::copy(thread::waits(task), &mut exit.waits);
    record.submit(u64::from(BPF_RB_NO_WAKEUP));
    Ok(())
}

/// Writes the counters and waits of every followed thread that lives, one after the other, for the loader to read. A thread
/// that is new is followed from now on.
///
/// Kernel: ≥ 5.15 (`bpf_task_pt_regs`).
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn snapshot(ctx: *mut c_void) -> i32 {
    // struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; }
    // SAFETY: the verifier knows both words of the context.
    let (meta, task) =
        unsafe { (*ctx.cast::<*const *mut c_void>(), Task::new(*ctx.cast::<*const c_void>().add(1))) };
    if task.is_null() {
        return 0;
    }
    let process = Followed::by_tgid(task.tgid());
    // SAFETY: a static.
    let is_own = task.tid() == unsafe { core::ptr::read_volatile(&raw const SNAPSHOT_TID) };
    if (process.is_none() && !is_own) || task.is_gone() {
        return 0;
    }
    let Some(living) = LIVING.get_ptr_mut(0) else { return 0 };
    // SAFETY: this CPU's own slot; an iterator is read by one thread.
    let living = unsafe { &mut *living };
    match process {
        Some(process) => blocked::read(task, process, living),
        None => {
            task.read_counters(&mut living.task);
            thread::copy(None, &mut living.waits);
        }
    }
    // SAFETY: `meta->seq` is its first word. When the buffer is full the kernel drops what was written for this task
    // and calls again, so the result needs no look.
    unsafe { bpf_seq_write((*meta).cast(), (&raw mut *living).cast(), size_of::<ThreadRecord>() as u32) };
    0
}

/// Does nothing: it measures what any program on a switch costs, for `cargo xtask bench`.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_switch")]
pub fn empty(ctx: BtfTracePointContext) -> i32 {
    let _ = ctx.as_ptr();
    0
}
