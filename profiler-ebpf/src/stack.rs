//! Interns stacks: a new one is sent to user space, and from then on counted in a map.

use core::num::NonZeroU64;

use aya_ebpf::helpers::bpf_get_current_comm;
use profiler_common::{
    config::StackCount,
    event::{RecordKind, StackRecord},
    loss_cause::LossCause,
    python::{MAX_PY_FRAMES, PyFrame, PyTarget, fold},
};

use crate::{
    code, code_identity, content,
    map_cell::{MapCell, field},
    maps::{RING, count_many, wake_up},
    process::Followed,
    scratch::Scratch,
    stack_count,
};

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
        let identity = code_identity::identify(scratch, python);
        scratch.stack.key.hash = fold(scratch.stack.key.hash, identity);
    } else if let Some(sum) = stack_count::find(&scratch.stack.key) {
        match look_again(sum, python, scratch) {
            None => return Ok(false),
            Some(identity) => {
                field!(process.code_changes).set(1);
                scratch.stack.key.hash = fold(scratch.stack.key.hash, identity);
            }
        }
    }
    if stack_count::find(&scratch.stack.key).is_some() {
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
    let generation = code_identity::code_generation(python, &scratch.walk);
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
    let identity = code_identity::identify(scratch, python);
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

/// Describes a new stack, which the scratch holds, and interns it. One that cannot be described is not interned, and
/// gets its description when seen again.
#[inline(always)]
fn describe(python: &PyTarget, scratch: &mut Scratch) -> Result<(), LossCause> {
    let identity = code::define(python, scratch)?;
    let generation = code_identity::code_generation(python, &scratch.walk).map_or(0, NonZeroU64::get);
    let number = content::number(scratch);
    scratch.stack.content = number;
    if content::is_described(number) {
        content::send_known(scratch)?;
    } else {
        send(scratch)?;
        content::note_described(number);
    }
    let key = &scratch.stack.key;
    stack_count::intern(key)?;
    if let Some(sum) = stack_count::find(key) {
        field!(sum.identity).set(identity);
        field!(sum.generation).set(generation);
    }
    Ok(())
}

/// Sends all of the stack in the scratch.
#[inline(always)]
fn send(scratch: &mut Scratch) -> Result<(), LossCause> {
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
    RING.output::<[u8]>(record, wake_up()).map_err(|_| LossCause::RingFull)
}
