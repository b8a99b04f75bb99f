//! A tick of the sampling clock: the stack of what runs, interned.

use aya_ebpf::{
    bindings::{BPF_F_USER_STACK, BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, generated::bpf_get_current_task_btf},
    macros::perf_event,
    programs::PerfEventContext,
};
use profiler_common::{
    config::{Process, StackKey},
    counter::Counter,
    event::{Kind, Stack},
    python::{End, MAX_PY_FRAMES, PyFrame, Walk, fold},
};

use crate::{
    maps::{PROCESSES, RING, SCRATCH, STACKS, count, lose},
    native,
    pystack::{self, Block},
    task::Task,
};

/// Where a stack is built. `stack` and `frames` are one ring record.
#[repr(C)]
pub struct Scratch {
    pub walk: Walk,
    pub block: Block,
    pub stack: Stack,
    pub frames: [PyFrame; MAX_PY_FRAMES],
}

/// Samples the thread that a tick hits, if its process is followed.
///
/// Kernel: ≥ 5.17 (`bpf_loop`).
#[perf_event]
pub fn sample(ctx: PerfEventContext) -> u32 {
    if let Err(cause) = try_sample(&ctx) {
        lose(&ctx, cause);
    }
    0
}

#[inline(always)]
fn try_sample(ctx: &PerfEventContext) -> Result<(), Counter> {
    let pid_tgid = bpf_get_current_pid_tgid();
    let (tgid, tid) = ((pid_tgid >> 32) as u32, pid_tgid as u32);
    // SAFETY: read at once; the loader replaces whole values.
    let Some(process) = (unsafe { PROCESSES.get(tgid) }) else { return Ok(()) };
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else { return Ok(()) };
    // SAFETY: this CPU's own slot; a tick does not interrupt a tick.
    let scratch = unsafe { &mut *scratch };
    let hash = capture(ctx, process, scratch);
    intern(StackKey { hash, tgid, tid }, scratch)
}

/// Builds the three columns and returns their hash.
#[inline(always)]
fn capture(ctx: &PerfEventContext, process: &Process, scratch: &mut Scratch) -> u64 {
    scratch.walk.start(0);
    let mut has_python = false;
    if process.python.is_none() {
        count(Counter::NotWalkable);
    } else {
        // SAFETY: no arguments.
        let task = Task(unsafe { bpf_get_current_task_btf() }.cast_const().cast());
        match pystack::walk(task, process, scratch) {
            Ok(()) => has_python = scratch.walk.len != 0,
            Err(cause) => count(cause),
        }
    }
    let Scratch { walk, stack, .. } = scratch;
    if walk.end == End::Truncated as u32 || (has_python && walk.end == End::None as u32) {
        walk.end = End::Truncated as u32;
        count(Counter::FramesTruncated);
    } else if walk.end == End::Unreadable as u32 {
        count(Counter::FrameRead);
    }
    // A stack that is known to be empty is not asked for: that would cost as much as the walk.
    let address = native::instruction(ctx);
    let in_kernel = native::is_kernel(address);
    stack.kernel_len = if in_kernel { native::stack(ctx, &mut stack.kernel, 0) } else { 0 };
    if has_python && process.python.is_interpreter(address) {
        (stack.user_len, stack.user_cut) = (0, 1);
    } else {
        stack.user_len = native::stack(ctx, &mut stack.user, u64::from(BPF_F_USER_STACK));
        stack.user_cut = 0;
        if has_python {
            stack.user_cut = u32::from(native::cut(&stack.user, &mut stack.user_len, &process.python));
        }
    }
    let hash = fold(walk.hash, u64::from(walk.end));
    let hash = native::hash(hash, &stack.user, stack.user_len);
    native::hash(hash, &stack.kernel, stack.kernel_len)
}

/// Adds one to the stack's count; describes it to user space when it is new.
#[inline(always)]
fn intern(key: StackKey, scratch: &mut Scratch) -> Result<(), Counter> {
    if let Some(times) = STACKS.get_ptr_mut(key) {
        // SAFETY: a thread is sampled on one CPU at a time, so nobody else adds to its keys.
        unsafe { *times += 1 };
        return Ok(());
    }
    let Scratch { walk, stack, .. } = scratch;
    stack.kind = Kind::Stack as u32;
    stack.tgid = key.tgid;
    stack.tid = key.tid;
    stack.end = walk.end;
    stack.hash = key.hash;
    stack.python_len = walk.len;
    stack.comm = bpf_get_current_comm().unwrap_or_default();
    let frames = (walk.len as usize).min(MAX_PY_FRAMES);
    let bytes = size_of::<Stack>() + frames * size_of::<PyFrame>();
    // Described first: a stack that could not be is not interned, and gets its description when seen again.
    // SAFETY: `stack` and `frames` are adjacent, and `bytes` ends within them.
    let record = unsafe { core::slice::from_raw_parts((&raw const *stack).cast::<u8>(), bytes) };
    RING.output::<[u8]>(record, u64::from(BPF_RB_NO_WAKEUP)).map_err(|_| Counter::RingFull)?;
    STACKS.insert(key, 1, u64::from(BPF_NOEXIST)).map_err(|_| Counter::StacksFull)
}
