//! Off-CPU accounting: opens a wait when a followed thread leaves the CPU, with its reason and stack, and closes it when the
//! thread is back.
//!
//! No clock is read: waits are dated in the run queue's clock, as the kernel's own counters are, so that the two
//! meet: a wait begins where the thread's on-CPU time ends (`se.exec_start`), and ends where its run-queue wait
//! begins (`sched_info.last_queued`).

use core::ptr::read_volatile;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_F_USER_STACK, BPF_RB_NO_WAKEUP},
    programs::BtfTracePointContext,
};
use bytemuck::Zeroable;
use profiler_common::{
    config::{BlockedStacks, READS_THREADS, StackKey},
    event::{RecordKind, ThreadAtEdge, ThreadRecord},
    loss_cause::LossCause,
    python::fold,
    wait::{
        BEFORE_US, KERNEL_REASONS, NO_SYSCALL, OpenWait, PREEMPTED, Reason, UNQUEUED, WAKERS, WaitParts,
        Waits, bucket,
    },
};

use crate::{
    map_cell::{MapCell, field},
    maps::{RING, SCRATCH, SWITCH, count, edge},
    native,
    process::Followed,
    stack::{self, Scratch},
    task::Task,
    thread,
    wait_reason::{WaitCause, wait_reason},
};

/// [`BlockedStacks`]; set by the loader.
#[unsafe(no_mangle)]
static BLOCKED_STACKS: u32 = 0;

/// Waits that are shorter have no stack; set by the loader.
#[unsafe(no_mangle)]
static MIN_BLOCK_NS: u64 = 0;

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
    let (mut hash, mut reason, mut syscall) = (0, PREEMPTED, NO_SYSCALL);
    if is_voluntary {
        let process = Followed::by_tgid(task.tgid());
        let cause = wait_reason(task, process);
        (reason, syscall) = (cause.reason as u32, cause.syscall);
        if STACKS && let Some(process) = process {
            match capture(ctx, task, process, cause, field!(waits.received).get()) {
                Ok(found) => hash = found,
                Err(cause) => result = Err(cause),
            }
        }
    } else if task.state() != 0 {
        reason = UNQUEUED;
    }
    let open = OpenWait { hash, reason, syscall, ..open_at(task, now) };
    change(task, waits, move || {
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
    let WaitParts { queued, blocked } = open.split(now, task.on_cpu(), task.run_delay() + in_queue);
    let reason = open.reason as usize;
    let is_unqueued = open.reason == UNQUEUED;
    let edge = change(task, waits, move || {
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
    // SAFETY: a static.
    if open.hash == 0 || blocked < unsafe { read_volatile(&raw const MIN_BLOCK_NS) } {
        return Ok(());
    }
    stack::add_wait(&StackKey::of_wait(task.tgid(), task.tid(), &open), blocked, edge)
}

/// Reads a thread's counters and waits for a snapshot. A thread that is new is enlisted first; if it sleeps, its reason is
/// found from outside, but not its stack.
#[inline(always)]
pub fn read(task: Task, process: &Followed, living: &mut ThreadRecord) {
    let kept = match thread::waits(task) {
        Some(kept) => kept,
        None => match thread::enlist(task, field!(process.fleet).get(), field!(process.is_master).get()) {
            Some(kept) => {
                init_wait_state(task, process, kept);
                kept
            }
            None => {
                count(LossCause::NotEnlisted);
                task.read_counters(&mut living.task);
                return thread::copy(None, &mut living.waits);
            }
        },
    };
    for _ in 0..4 {
        let before = field!(kept.sequence).get();
        task.read_counters(&mut living.task);
        thread::copy(Some(kept), &mut living.waits);
        let after = field!(kept.sequence).get();
        if before == after && before & 1 == 0 {
            return;
        }
    }
    let edge = edge();
    if edge & READS_THREADS != 0 && field!(kept.edge).get() == edge {
        // It is telling how it stood before, which takes longer than these looks.
        living.waits.edge = edge;
        return;
    }
    count(LossCause::WaitsTorn);
}

#[inline(always)]
fn init_wait_state(task: Task, process: &Followed, kept: &MapCell<Waits>) {
    let voluntary = task.voluntary();
    let mut open = OpenWait::zeroed();
    if task.is_asleep() {
        let cause = wait_reason(task, Some(process));
        let (hash, reason, syscall) = (BEFORE_US, cause.reason as u32, cause.syscall);
        open = OpenWait { hash, reason, syscall, ..open_at(task, task.left_at()) };
    }
    // Once a switch was seen it knows better.
    if field!(kept.has_baseline).get() == 0 {
        field!(kept.has_baseline).set(1);
        field!(kept.voluntary).set(voluntary);
        field!(kept.open).write(open);
    }
}

/// Changes a thread's waits so that a snapshot can tell whether it read them meanwhile; returns the value of `EDGE`, which says
/// to which side of an edge the change belongs.
#[inline(always)]
fn change(task: Task, waits: &MapCell<Waits>, change: impl FnOnce()) -> u32 {
    // Volatile keeps the order, and so do the processors' stores (x86) as far as a snapshot needs it that looks again if
    // it saw a change.
    let sequence = field!(waits.sequence).get().wrapping_add(1);
    field!(waits.sequence).set(sequence);
    // From here on no snapshot reads it before the change is made: one that begins now finds it kept.
    let edge = edge();
    if edge & READS_THREADS != 0 && field!(waits.edge).get() != edge {
        field!(waits.edge).set(edge);
        send_before_change(task, waits);
    }
    change();
    field!(waits.sequence).set(sequence.wrapping_add(1));
    edge
}

/// Sends a thread's counters and waits as they are before the first change since an edge.
#[inline(never)]
fn send_before_change(task: Task, waits: &MapCell<Waits>) {
    let Some(mut record) = RING.reserve::<ThreadAtEdge>(0) else { return count(LossCause::KeptLost) };
    // SAFETY: all of the record's fields are set before it is submitted.
    let kept = unsafe { &mut *record.as_mut_ptr() };
    (kept.kind, kept.reserved) = (RecordKind::ThreadAtEdge as u32, 0);
    task.read_counters(&mut kept.living.task);
    thread::copy(Some(waits), &mut kept.living.waits);
    record.submit(u64::from(BPF_RB_NO_WAKEUP));
}

/// The stack on which a thread leaves the CPU, described if it is new; 0 if none is wanted.
#[inline(always)]
fn capture(
    ctx: &BtfTracePointContext,
    task: Task,
    process: &Followed,
    wait_cause: WaitCause,
    received: u32,
) -> Result<u64, LossCause> {
    // SAFETY: a static.
    let wanted = unsafe { read_volatile(&raw const BLOCKED_STACKS) };
    let all = wanted == BlockedStacks::All as u32;
    let python = process.python();
    if !all && python.is_none() {
        return Ok(0);
    }
    let Some(scratch) = SCRATCH.get_ptr_mut(SWITCH) else { return Ok(0) };
    // SAFETY: this CPU's own slot; a switch does not interrupt a switch.
    let scratch = unsafe { &mut *scratch };
    // On each of the ways that lead to a reason the verifier would look through all that follows. What comes from memory
    // it knows nothing of, so they are one way from here on.
    let cause = &raw mut scratch.cause;
    // SAFETY: ours.
    let [reason, syscall, address] = unsafe {
        cause.write_volatile([wait_cause.reason as u64, u64::from(wait_cause.syscall), wait_cause.address]);
        cause.read_volatile()
    };
    let (reason, syscall) = (reason as u32, syscall as u32);
    let has_python = stack::walk(task.thread_pointer(), python, scratch) != 0;
    let Scratch { walk, stack, .. } = &mut *scratch;
    (stack.user_len, stack.kernel_len) = (0, 0);
    let mut hash = fold(walk.hash, u64::from(reason));
    // The kernel's column takes as long as all the rest, so where Python tells one wait from another it is taken at first
    // sight only: the same thread, on the same line, in the same call and state, sleeps in the same place.
    let at_first_sight = all && has_python;
    if at_first_sight {
        // Of the user's the leaf is kept, which is mostly the C library.
        let is_interpreter = python.is_interpreter(address);
        (stack.user[0], stack.user_len) = (address, u32::from(!is_interpreter));
        hash = fold(fold(hash, address), u64::from(task.state()));
    } else if all {
        stack.user_len = native::stack(ctx.as_ptr(), &mut stack.user, u64::from(BPF_F_USER_STACK));
        stack.kernel_len = native::stack(ctx.as_ptr(), &mut stack.kernel, 0);
        hash = native::hash(native::hash(hash, &stack.user, stack.user_len), &stack.kernel, stack.kernel_len);
    }
    stack.key = StackKey { hash, tgid: task.tgid(), tid: task.tid(), reason, syscall };
    let is_new = stack::lookup_or_intern(process, scratch, |stack| {
        if at_first_sight {
            stack.kernel_len = native::stack(ctx.as_ptr(), &mut stack.kernel, 0);
        }
        stack.on_cpu = task.on_cpu();
    })?;
    if reason == Reason::Socket as u32 || reason == Reason::Idle as u32 {
        stack::begin_wait(&scratch.stack.key, received, is_new);
    }
    Ok(scratch.stack.key.hash)
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
