//! Captures the stack on which a thread leaves the CPU, with the reason of its wait as a part of what the stack is.

use aya_ebpf::{EbpfContext as _, bindings::BPF_F_USER_STACK, programs::BtfTracePointContext};
use profiler_common::{
    config::{BlockedStacks, StackKey},
    loss_cause::LossCause,
    python::fold,
    wait::{KERNEL_REASONS, Reason},
};

use crate::{
    native,
    process::Followed,
    pystack, rodata,
    scratch::{SCRATCH, SWITCH, Scratch},
    stack, stack_count,
    task::Task,
    wait_reason::WaitCause,
};

/// [`BlockedStacks`]; set by the loader.
#[unsafe(no_mangle)]
static BLOCKED_STACKS: u32 = 0;

/// The stack on which a thread leaves the CPU, described if it is new; 0 if none is wanted. One way for threads that wait and
/// for those that are preempted: the verifier walks it once.
#[inline(always)]
pub fn capture(
    ctx: &BtfTracePointContext,
    task: Task,
    process: &Followed,
    wait_cause: WaitCause,
    received: u32,
) -> Result<u64, LossCause> {
    let wanted = rodata::read(&BLOCKED_STACKS);
    let all = wanted == BlockedStacks::All as u32;
    let python = process.python();
    let has_target = !python.is_none();
    let is_wanted = if is_preempted(wait_cause.reason) { all && has_target } else { all || has_target };
    if !is_wanted {
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
        cause.write_volatile([
            u64::from(wait_cause.reason),
            u64::from(wait_cause.syscall),
            wait_cause.address,
        ]);
        cause.read_volatile()
    };
    let (reason, syscall) = (reason as u32, syscall as u32);
    let has_python = pystack::walk(task.thread_pointer(), python, scratch) != 0;
    // Of what was preempted only Python is told: any instruction can be, and each would make another stack.
    let is_preempted = is_preempted(reason);
    if is_preempted && !has_python {
        return Ok(0);
    }
    let all = all && !is_preempted;
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
        stack_count::begin_wait(&scratch.stack.key, received, is_new);
    }
    Ok(scratch.stack.key.hash)
}

/// True of a reason that is no [`Reason`].
#[inline(always)]
const fn is_preempted(reason: u32) -> bool {
    reason >= KERNEL_REASONS as u32
}
