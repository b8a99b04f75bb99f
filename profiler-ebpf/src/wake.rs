//! Notes who wakes a followed thread.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use profiler_common::wait::{Reason, Waits, Waker};

use crate::{
    map_cell::{MapCell, field},
    task::Task,
    thread,
};

/// Bits of the preemption count (include/linux/preempt.h): serving a soft interrupt; in a hard one, or in an NMI.
const IN_SOFT: u32 = 0x0000_0100;
const IN_HARD: u32 = 0x000f_0000 | 0x00f0_0000;

/// Notes who wakes a followed thread. Counted when the thread runs again, so that each wait has one waker.
///
/// Kernel: ≥ 5.11 (task storage in tracing programs).
#[btf_tracepoint(function = "sched_waking")]
pub fn sched_waking(ctx: BtfTracePointContext) -> i32 {
    let task = Task::argument(&ctx, 0);
    if thread::may_be_followed(task.tgid())
        && let Some(waits) = thread::waits(task)
    {
        field!(waits.waker).set(waker_of(task, waits) as u32);
    }
    0
}

#[inline(always)]
fn waker_of(task: Task, waits: &MapCell<Waits>) -> Waker {
    let current = Task::current();
    // The idle task wakes nobody.
    let interrupt = match interrupts(current) {
        0 if current.tid() != 0 => None,
        bits if bits & IN_HARD != 0 => Some(timer_or_disk(waits)),
        _ => Some(Waker::Interrupt),
    };
    if let Some(waker) = interrupt {
        return waker;
    }
    let by = current.tgid();
    if by == task.tgid() {
        return Waker::Itself;
    }
    if !thread::may_be_followed(by) {
        return Waker::Process;
    }
    match thread::waits(current) {
        Some(by) if field!(by.fleet).get() != field!(waits.fleet).get() => Waker::Process,
        Some(by) if field!(by.is_master).get() == 1 => Waker::Master,
        Some(_) => Waker::Worker,
        None => Waker::Process,
    }
}

/// Hard interrupts that end waits are timers', and disks' that are done.
#[inline(always)]
fn timer_or_disk(waits: &MapCell<Waits>) -> Waker {
    let open = field!(waits.open.reason).get();
    let waited_for = |reason: Reason| open == reason as u32;
    if waited_for(Reason::Disk) || waited_for(Reason::PageFault) { Waker::Interrupt } else { Waker::Timer }
}

/// What interrupts the current task, as bits of the preemption count: then it only lends its CPU to what wakes.
#[inline(always)]
fn interrupts(current: Task) -> u32 {
    current.queue().preempt_count() & (IN_SOFT | IN_HARD)
}
