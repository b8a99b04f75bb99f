//! Context switches: accounts the waits of followed threads, and sends the final counters of those that exit.
//!
//! The kernel counts on-CPU time, run-queue waits and switches per thread itself; what it does not count, what a thread
//! is blocked for, `wait` adds up.

use aya_ebpf::{
    EbpfContext as _, bindings::BPF_RB_NO_WAKEUP, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use profiler_common::{
    event::{ExitRecord, RecordKind},
    loss_cause::LossCause,
    sched::TASK_DEAD,
};

use crate::{
    maps::{RING, count_loss},
    process::Followed,
    rodata,
    task::Task,
    thread, wait,
};

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
    let waits = rodata::read(&WAITS) != 0;
    let is_last = prev.state() & TASK_DEAD != 0;
    if (is_last || waits) && thread::may_be_followed(prev.tgid()) {
        let result = if is_last { try_exit(prev, 1) } else { wait::on_switch_out::<STACKS>(ctx, prev) };
        if let Err(cause) = result {
            count_loss(ctx, cause);
        }
    }
    if waits
        && thread::may_be_followed(next.tgid())
        && let Err(cause) = wait::on_switch_in(next)
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

/// Does nothing: it measures what any program on a switch costs, for `cargo xtask bench`.
///
/// Kernel: ≥ 5.5 (BTF tracepoints).
#[btf_tracepoint(function = "sched_switch")]
pub fn empty(ctx: BtfTracePointContext) -> i32 {
    let _ = ctx.as_ptr();
    0
}
