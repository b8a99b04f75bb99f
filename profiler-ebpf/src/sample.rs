//! Samples the running thread at each tick of the sampling clock, and interns its stack.

use aya_ebpf::{
    EbpfContext as _, bindings::BPF_F_USER_STACK, helpers::bpf_get_current_pid_tgid, macros::perf_event,
    programs::PerfEventContext,
};
use profiler_common::{
    config::{ON_CPU, StackKey},
    loss_cause::LossCause,
    python::PyTarget,
    wait::NO_SYSCALL,
};

use crate::{
    maps::count_loss,
    native,
    process::Followed,
    pystack, rodata,
    scratch::{SCRATCH, Scratch, TICK},
    stack, stack_count,
    task::Task,
};

/// 1 if native frames are wanted: the whole user stack where it can be had, and the leaf even in the interpreter. Each of its
/// instructions makes another stack then. Set by the loader.
#[unsafe(no_mangle)]
static NATIVE_FRAMES: u32 = 0;

/// Samples the thread that a tick hits, if its process is followed.
///
/// Kernel: ≥ 5.15 (pointers to memory as arguments of functions that are verified by themselves).
#[perf_event]
pub fn sample(ctx: PerfEventContext) -> u32 {
    if let Err(cause) = try_sample(&ctx) {
        count_loss(&ctx, cause);
    }
    0
}

#[inline(always)]
fn try_sample(ctx: &PerfEventContext) -> Result<(), LossCause> {
    let pid_tgid = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((pid_tgid >> 32) as u32, pid_tgid as u32);
    let Some(process) = Followed::by_tgid(tgid) else { return Ok(()) };
    let Some(scratch) = SCRATCH.get_ptr_mut(TICK) else { return Ok(()) };
    // SAFETY: this CPU's own slot; a tick does not interrupt a tick.
    let scratch = unsafe { &mut *scratch };
    let hash = capture(ctx, process.python(), scratch);
    scratch.stack.key = StackKey { hash, tgid, tid, reason: ON_CPU, syscall: NO_SYSCALL };
    stack::lookup_or_intern(process, scratch, |_| {})?;
    stack_count::add_tick(&scratch.stack.key)
}

/// Builds the three columns and returns their hash.
#[inline(always)]
fn capture(ctx: &PerfEventContext, python: &PyTarget, scratch: &mut Scratch) -> u64 {
    let has_python = pystack::walk(Task::current().thread_pointer(), python, scratch) != 0;
    let Scratch { walk, stack, .. } = scratch;
    // A stack that is known to be empty is not asked for: that would cost as much as the walk.
    let address = native::instruction(ctx);
    let in_kernel = native::is_kernel(address);
    stack.kernel_len = if in_kernel { native::stack(ctx.as_ptr(), &mut stack.kernel, 0) } else { 0 };
    let wants_native = rodata::read(&NATIVE_FRAMES) != 0;
    if has_python && !wants_native && python.is_interpreter(address) {
        stack.user_len = 0;
    } else {
        stack.user_len = native::stack(ctx.as_ptr(), &mut stack.user, u64::from(BPF_F_USER_STACK));
        if has_python && (!wants_native || python.keeps_frame_pointers == 0) {
            let is_cut = native::cut(&stack.user, &mut stack.user_len, python);
            // The leaf may be a part of the interpreter that no Python frame shows.
            if is_cut && stack.user_len == 0 && wants_native {
                stack.user_len = 1;
            }
        }
    }
    let hash = native::hash(walk.hash, &stack.user, stack.user_len);
    native::hash(hash, &stack.kernel, stack.kernel_len)
}
