//! Interns stacks: a new one is sent to user space, and from then on counted in a map.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value a key would be copied to the program's stack"
)]

use core::num::NonZeroU64;

use aya_ebpf::{
    bindings::{BPF_NOEXIST, BPF_RB_NO_WAKEUP},
    helpers::bpf_get_current_comm,
};
use profiler_common::{
    config::{READS_STACKS, StackCount, StackKey},
    event::{RecordKind, StackRecord},
    loss_cause::LossCause,
    python::{Borrowed, End, GilState, MAX_PY_FRAMES, PyFrame, PyTarget, Walk, fold},
    wait::{BUCKETS, bucket},
};

use crate::{
    borrowed::find_borrowed,
    code::{self, Definition},
    map_cell::{MapCell, field},
    maps::{LATE, RING, STACKS, count, count_many, edge},
    process::Followed,
    pystack::{self, FrameCopy},
};

/// Count of a stack that is new.
static EMPTY: StackCount = StackCount {
    count: 0,
    ns: 0,
    received: 0,
    reserved: 0,
    empty: 0,
    lengths: [0; BUCKETS],
    identity: 0,
    generation: 0,
    sure_count: 0,
    sure_ns: 0,
    lookups: 0,
};

/// Where a stack is built: what is kept here needs no room on the programs' own stack. `stack` and `frames` are one ring
/// record.
#[repr(C)]
pub struct Scratch {
    /// Cause of a wait: its reason, its system call, and the user's instruction.
    pub cause: [u64; 3],
    pub walk: Walk,
    pub block: FrameCopy,
    pub borrowed: Borrowed,
    pub definition: Definition,
    pub stack: StackRecord,
    pub frames: [PyFrame; MAX_PY_FRAMES],
}

/// Walks the Python frames of the current thread, by its thread pointer; returns how many there are, and counts why there are
/// none.
#[inline(always)]
pub fn walk(thread_pointer: u64, python: &PyTarget, scratch: &mut Scratch) -> u32 {
    find_borrowed(thread_pointer, python, scratch);
    walk_found(thread_pointer, python, scratch)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_found(thread_pointer: u64, python: *const PyTarget, scratch: *mut Scratch) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(python), Some(scratch)) = (unsafe { (python.as_ref(), scratch.as_mut()) }) else { return 0 };
    scratch.walk.start(0);
    if python.is_none() {
        count(LossCause::NotWalkable);
        return 0;
    }
    let result = pystack::walk(thread_pointer, python, scratch);
    let is_elsewhere = python.unwalked.runs(thread_pointer, pystack::read_word);
    if let Err(cause) = result
        && !is_elsewhere
    {
        count(cause);
        return 0;
    }
    let walk = &mut scratch.walk;
    if walk.end == End::Truncated as u32 || (walk.len != 0 && walk.end == End::None as u32) {
        walk.end = End::Truncated as u32;
        count(LossCause::FramesTruncated);
    } else if walk.end == End::Unreadable as u32 {
        count(LossCause::FrameRead);
    } else if walk.end == End::MayBeElsewhere as u32 {
        count(LossCause::MayBeElsewhere);
    }
    if is_elsewhere {
        // Which GIL it holds is not known.
        (walk.end, walk.gil) = (End::OtherInterpreter as u32, GilState::Unknown as u32);
        count(LossCause::OtherInterpreter);
    }
    walk.mix_in();
    walk.len
}

/// Looks up the stack in the scratch under its key, and interns it if it is new, or if its code objects have changed, which
/// changes the key. `finish` adds to it what is only wanted of a new stack. True if it was interned.
#[inline(always)]
pub fn lookup_or_intern(
    process: &Followed,
    scratch: &mut Scratch,
    finish: impl FnOnce(&mut StackRecord),
) -> Result<bool, LossCause> {
    let python = process.python();
    if field!(process.code_changes).get() != 0 {
        let identity = code::identify(scratch, python);
        scratch.stack.key.hash = fold(scratch.stack.key.hash, identity);
    } else if let Some(sum) = MapCell::find(&STACKS, &scratch.stack.key) {
        match look_again(sum, python, scratch) {
            None => return Ok(false),
            Some(identity) => {
                field!(process.code_changes).set(1);
                scratch.stack.key.hash = fold(scratch.stack.key.hash, identity);
            }
        }
    }
    if STACKS.get_ptr(&scratch.stack.key).is_some() {
        return Ok(false);
    }
    finish(&mut scratch.stack);
    describe(python, scratch)?;
    Ok(true)
}

/// Checks whether the code objects of a known stack are still those that it was described with; returns their identity if they
/// are not.
///
/// CPython 3.14 counts those that died: while none did, none can have been replaced. Before, only looking at each one tells,
/// which costs as much as the walk. So it is done at the first lookups of the stack, and then every [`SELDOM`]th; what was
/// counted in between is dropped if another code object is found then.
#[inline(always)]
fn look_again(sum: &MapCell<StackCount>, python: &PyTarget, scratch: &mut Scratch) -> Option<u64> {
    const SELDOM: u64 = 64;
    let generation = pystack::code_generation(python, &scratch.walk);
    let lookups = field!(sum.lookups).get() + 1;
    field!(sum.lookups).set(lookups);
    let is_due = match generation {
        Some(generation) => generation.get() != field!(sum.generation).get(),
        None => lookups.is_multiple_of(SELDOM) || (lookups < SELDOM && lookups & (lookups - 1) == 0),
    };
    let known = field!(sum.identity).get();
    if scratch.walk.len == 0 || (!is_due && known != 0) {
        return None;
    }
    let identity = code::identify(scratch, python);
    if known == 0 {
        field!(sum.identity).set(identity);
    }
    if known == 0 || known == identity {
        field!(sum.sure_count).set(field!(sum.count).get());
        field!(sum.sure_ns).set(field!(sum.ns).get());
        field!(sum.generation).set(generation.map_or(0, NonZeroU64::get));
        return None;
    }
    if generation.is_none() {
        let sure_count = field!(sum.sure_count).get();
        count_many(LossCause::CodeReplaced, field!(sum.count).get() - sure_count);
        field!(sum.count).set(sure_count);
        field!(sum.ns).set(field!(sum.sure_ns).get());
    }
    Some(identity)
}

/// Notes that a wait begins on a stack, and whether anything was received since the last one there.
#[inline(always)]
pub fn begin_wait(key: &StackKey, received: u32, is_first: bool) {
    if let Some(sum) = MapCell::find(&STACKS, key) {
        let is_empty = !is_first && field!(sum.received).get() == received;
        field!(sum.empty).add(u64::from(is_empty));
        field!(sum.received).set(received);
    }
}

/// Counts a tick.
#[inline(always)]
pub fn add_tick(key: &StackKey) -> Result<(), LossCause> {
    let sum = sum_at(key, edge())?;
    field!(sum.count).add(1);
    Ok(())
}

/// Counts a wait that is over, on the same side of an edge as its thread's waits do.
#[inline(always)]
pub fn add_wait(key: &StackKey, ns: u64, edge: u32) -> Result<(), LossCause> {
    let sum = sum_at(key, edge)?;
    field!(sum.count).add(1);
    field!(sum.ns).add(ns);
    field!(sum.lengths[bucket(ns)]).add(1);
    Ok(())
}

/// The count of a stack. The stack was described before, though the map may have been emptied since.
#[inline(always)]
fn sum_at(key: &StackKey, edge: u32) -> Result<&'static MapCell<StackCount>, LossCause> {
    let table = if edge & READS_STACKS == 0 { &STACKS } else { &LATE };
    if table.get_ptr(key).is_none() {
        table.insert(key, &EMPTY, u64::from(BPF_NOEXIST)).map_err(|_| LossCause::StacksFull)?;
    }
    MapCell::find(table, key).ok_or(LossCause::StacksFull)
}

/// Describes a new stack, which the scratch holds, and interns it. One that cannot be described is not interned, and
/// gets its description when seen again.
#[inline(always)]
fn describe(python: &PyTarget, scratch: &mut Scratch) -> Result<(), LossCause> {
    let identity = code::define(python, scratch)?;
    let generation = pystack::code_generation(python, &scratch.walk).map_or(0, NonZeroU64::get);
    let Scratch { walk, stack, .. } = scratch;
    stack.kind = RecordKind::Stack as u32;
    stack.end = walk.end;
    stack.python_len = walk.len;
    (stack.gil, stack.task, stack.in_greenlet) = (walk.gil, walk.task, walk.in_greenlet);
    stack.comm = bpf_get_current_comm().unwrap_or_default();
    let frames = (walk.len as usize).min(MAX_PY_FRAMES);
    let bytes = size_of::<StackRecord>() + frames * size_of::<PyFrame>();
    // SAFETY: `stack` and `frames` are adjacent, and `bytes` ends within them.
    let record = unsafe { core::slice::from_raw_parts((&raw const *stack).cast::<u8>(), bytes) };
    RING.output::<[u8]>(record, u64::from(BPF_RB_NO_WAKEUP)).map_err(|_| LossCause::RingFull)?;
    intern(&stack.key)?;
    if let Some(sum) = MapCell::find(&STACKS, &stack.key) {
        field!(sum.identity).set(identity);
        field!(sum.generation).set(generation);
    }
    Ok(())
}

#[inline(always)]
fn intern(key: &StackKey) -> Result<(), LossCause> {
    STACKS.insert(key, &EMPTY, u64::from(BPF_NOEXIST)).map_err(|_| LossCause::StacksFull)
}
