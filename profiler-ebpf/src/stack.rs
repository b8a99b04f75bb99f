//! Stacks, interned: described to user space when they are new, counted in a table from then on.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::bpf_get_current_comm,
};
use profiler_common::{
    config::{Process, StackCount, StackKey},
    counter::Counter,
    event::{Kind, Stack},
    python::{End, MAX_PY_FRAMES, PyFrame, Walk},
    wait::{BUCKETS, bucket},
};

use crate::{
    maps::{RING, STACKS, count},
    pystack::{self, Block},
    task::Task,
};

/// What a stack begins with.
static EMPTY: StackCount = StackCount { count: 0, ns: 0, received: 0, vain: 0, lengths: [0; BUCKETS] };

/// Where a stack is built. `stack` and `frames` are one ring record.
#[repr(C)]
pub struct Scratch {
    pub walk: Walk,
    pub block: Block,
    pub stack: Stack,
    pub frames: [PyFrame; MAX_PY_FRAMES],
}

/// Walks the Python frames of the task that runs; true if there are any. Why there are none is counted.
#[inline(always)]
pub fn walk(task: Task, process: &Process, scratch: &mut Scratch) -> bool {
    scratch.walk.start(0);
    if process.python.is_none() {
        count(Counter::NotWalkable);
        return false;
    }
    if let Err(cause) = pystack::walk(task, process, scratch) {
        count(cause);
        return false;
    }
    let walk = &mut scratch.walk;
    if walk.end == End::Truncated as u32 || (walk.len != 0 && walk.end == End::None as u32) {
        walk.end = End::Truncated as u32;
        count(Counter::FramesTruncated);
    } else if walk.end == End::Unreadable as u32 {
        count(Counter::FrameRead);
    }
    walk.mix_in();
    walk.len != 0
}

/// True if user space has been told of the stack since the table was last emptied.
#[inline(always)]
pub fn is_known(key: &StackKey) -> bool {
    STACKS.get_ptr(key).is_some()
}

/// Notes that a wait begins on a stack, and whether anything was received since the last one there.
#[inline(always)]
pub fn begin_wait(key: &StackKey, received: u32, is_first: bool) {
    if let Some(sum) = STACKS.get_ptr_mut(key) {
        // SAFETY: a thread is switched on one CPU at a time, so nobody else changes its keys.
        unsafe {
            (*sum).vain += u32::from(!is_first && (*sum).received == received);
            (*sum).received = received;
        }
    }
}

/// Counts a tick.
#[inline(always)]
pub fn add_tick(key: &StackKey) -> Result<(), Counter> {
    let sum = STACKS.get_ptr_mut(key).ok_or(Counter::StacksFull)?;
    // SAFETY: a thread is sampled on one CPU at a time, so nobody else adds to its keys.
    unsafe { (*sum).count += 1 };
    Ok(())
}

/// Counts a wait that is over. Its stack was described when it began, though the table may have been emptied since.
#[inline(always)]
pub fn add_wait(key: &StackKey, ns: u64) -> Result<(), Counter> {
    if !is_known(key) {
        intern(key)?;
    }
    let sum = STACKS.get_ptr_mut(key).ok_or(Counter::StacksFull)?;
    // SAFETY: a thread is switched on one CPU at a time, so nobody else adds to its keys.
    unsafe {
        (*sum).count += 1;
        (*sum).ns += ns;
        (*sum).lengths[bucket(ns)] += 1;
    }
    Ok(())
}

/// Describes a new stack, which the scratch holds, and interns it. One that cannot be described is not interned, and
/// gets its description when seen again.
#[inline(always)]
pub fn describe(key: &StackKey, scratch: &mut Scratch) -> Result<(), Counter> {
    let Scratch { walk, stack, .. } = scratch;
    stack.kind = Kind::Stack as u32;
    stack.key = *key;
    stack.end = walk.end;
    stack.python_len = walk.len;
    (stack.gil, stack.task) = (walk.gil, walk.task);
    stack.comm = bpf_get_current_comm().unwrap_or_default();
    let frames = (walk.len as usize).min(MAX_PY_FRAMES);
    let bytes = size_of::<Stack>() + frames * size_of::<PyFrame>();
    // SAFETY: `stack` and `frames` are adjacent, and `bytes` ends within them.
    let record = unsafe { core::slice::from_raw_parts((&raw const *stack).cast::<u8>(), bytes) };
    RING.output::<[u8]>(record, u64::from(BPF_RB_NO_WAKEUP)).map_err(|_| Counter::RingFull)?;
    intern(key)
}

#[inline(always)]
#[expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value it would be copied to the program's stack"
)]
fn intern(key: &StackKey) -> Result<(), Counter> {
    STACKS.insert(key, &EMPTY, u64::from(BPF_NOEXIST)).map_err(|_| Counter::StacksFull)
}
