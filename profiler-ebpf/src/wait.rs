//! Accounts what followed threads wait for: opens a wait when one leaves the CPU, and closes it when the thread is back.
//!
//! No clock is read: waits are dated in the run queue's clock, as the kernel's own counters are, so that the two
//! meet: a wait begins where the thread's on-CPU time ends (`se.exec_start`), and ends where its run-queue wait
//! begins (`sched_info.last_queued`).

use aya_ebpf::programs::BtfTracePointContext;
use bytemuck::Zeroable;
use profiler_common::{
    config::StackKey,
    loss_cause::LossCause,
    wait::{
        BEFORE_US, KERNEL_REASONS, NO_SYSCALL, OpenWait, PREEMPTED, UNQUEUED, WAKERS, WaitParts, Waits,
        bucket,
    },
};

use crate::{
    map_cell::{MapCell, field},
    process::Followed,
    rodata, seqlock, stack_count,
    task::Task,
    thread,
    wait_reason::{WaitCause, wait_reason},
    wait_stack,
};

/// Waits that are shorter have no stack; set by the loader.
#[unsafe(no_mangle)]
static MIN_BLOCK_NS: u64 = 0;

/// A thread that is preempted has its stack taken if this time has passed since it last was for that: where threads wake each
/// other all the time, as over a pipe, one is preempted at each wake-up, and hardly waits.
const PREEMPTED_APART_NS: u64 = 1_000_000;

/// Opens a wait for a thread that leaves the CPU, with its stack if `STACKS`.
#[inline(always)]
pub fn on_switch_out<const STACKS: bool>(ctx: &BtfTracePointContext, task: Task) -> Result<(), LossCause> {
    let Some(waits) = thread::waits(task) else { return Ok(()) };
    let now = task.left_at();
    let mut result = Ok(());
    if field!(waits.open.since).get() != 0 {
        // Its coming back was not seen: kernels may keep switches from or to some task of their own to themselves.
        result = close(task, waits, now, 0);
    }
    let voluntary = task.voluntary();
    // Of a thread that is being enlisted at this moment the last count is not known.
    let is_voluntary = match field!(waits.has_baseline).get() {
        0 => ctx.arg::<u64>(0) == 0 && task.state() != 0,
        _ => voluntary != field!(waits.voluntary).get(),
    };
    let is_due = now.wrapping_sub(field!(waits.preempted_at).get()) >= PREEMPTED_APART_NS;
    let wants_stack = STACKS && (is_voluntary || is_due);
    let process = if wants_stack || is_voluntary { Followed::by_tgid(task.tgid()) } else { None };
    let cause = if is_voluntary { wait_reason(task, process) } else { WaitCause::of_preempted(task) };
    let mut hash = 0;
    if wants_stack && let Some(process) = process {
        if !is_voluntary {
            field!(waits.preempted_at).set(now);
        }
        match wait_stack::capture(ctx, task, process, cause, field!(waits.received).get()) {
            Ok(found) => hash = found,
            Err(cause) => result = Err(cause),
        }
    }
    let open = OpenWait { hash, reason: cause.reason, syscall: cause.syscall, ..open_at(task, now) };
    seqlock::change(task, waits, move || {
        field!(waits.has_baseline).set(1);
        field!(waits.voluntary).set(voluntary);
        field!(waits.open).write(open);
    });
    result
}

/// Closes the open wait of a thread that is back on the CPU.
#[inline(always)]
pub fn on_switch_in(task: Task) -> Result<(), LossCause> {
    let Some(waits) = thread::waits(task) else { return Ok(()) };
    if field!(waits.open.since).get() == 0 {
        return Ok(());
    }
    let (now, queued) = (task.queue().clock(), task.last_queued());
    let in_queue = if queued == 0 { 0 } else { now.saturating_sub(queued) };
    close(task, waits, now, in_queue)
}

#[inline(always)]
fn open_at(task: Task, since: u64) -> OpenWait {
    let (on_cpu, run_delay) = (task.on_cpu(), task.run_delay());
    OpenWait { since, on_cpu, run_delay, hash: 0, reason: PREEMPTED, syscall: NO_SYSCALL }
}

/// Closes a wait, and counts its parts.
#[inline(always)]
fn close(task: Task, waits: &MapCell<Waits>, now: u64, in_queue: u64) -> Result<(), LossCause> {
    let open = field!(waits.open).read();
    let parts = open.split(now, task.on_cpu(), task.run_delay() + in_queue);
    let WaitParts { queued, blocked } = parts;
    let reason = open.reason as usize;
    let is_unqueued = open.reason == UNQUEUED;
    let edge = seqlock::change(task, waits, move || {
        field!(waits.open.since).set(0);
        let runnable = if is_unqueued { queued + blocked } else { queued };
        field!(waits.run_queue[bucket(runnable)]).add(1);
        if is_unqueued {
            field!(waits.unqueued_ns).add(blocked);
        } else if reason < KERNEL_REASONS {
            field!(waits.blocked[reason].ns).add(blocked);
            field!(waits.blocked[reason].count).add(1);
            field!(waits.lengths[reason][bucket(blocked)]).add(1);
            let waker = field!(waits.waker).get() as usize;
            if waker < WAKERS {
                field!(waits.wakers[waker]).add(1);
            }
        }
    });
    let ns = open.on_stack(parts);
    if open.hash == 0 || ns < rodata::read(&MIN_BLOCK_NS) {
        return Ok(());
    }
    stack_count::add_wait(&StackKey::of_wait(task.tgid(), task.tid(), &open), ns, edge)
}

/// Begins to account a thread that is new. If it sleeps, its reason is found from outside, but not its stack.
#[inline(always)]
pub fn init_wait_state(task: Task, process: &Followed, waits: &MapCell<Waits>) {
    let voluntary = task.voluntary();
    let mut open = OpenWait::zeroed();
    if task.is_asleep() {
        let cause = wait_reason(task, Some(process));
        let (hash, reason, syscall) = (BEFORE_US, cause.reason, cause.syscall);
        open = OpenWait { hash, reason, syscall, ..open_at(task, task.left_at()) };
    }
    // Once a switch was seen it knows better.
    if field!(waits.has_baseline).get() == 0 {
        field!(waits.has_baseline).set(1);
        field!(waits.voluntary).set(voluntary);
        field!(waits.open).write(open);
    }
}

impl MapCell<OpenWait> {
    #[inline(always)]
    fn read(&self) -> OpenWait {
        OpenWait {
            since: field!(self.since).get(),
            on_cpu: field!(self.on_cpu).get(),
            run_delay: field!(self.run_delay).get(),
            hash: field!(self.hash).get(),
            reason: field!(self.reason).get(),
            syscall: field!(self.syscall).get(),
        }
    }

    #[inline(always)]
    fn write(&self, open: OpenWait) {
        field!(self.since).set(open.since);
        field!(self.on_cpu).set(open.on_cpu);
        field!(self.run_delay).set(open.run_delay);
        field!(self.hash).set(open.hash);
        field!(self.reason).set(open.reason);
        field!(self.syscall).set(open.syscall);
    }
}
