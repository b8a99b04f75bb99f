//! Walks the Python frames of the current thread.

use profiler_common::{
    loss_cause::LossCause,
    python::{
        ABSENT, End, GilState, MAX_PY_FRAMES, MAX_STEPS, PyFrame, PyOffsets, PyTarget, TstateSearch,
        UNREADABLE, Walk,
    },
};

use crate::{
    borrowed::find_borrowed,
    maps::count,
    scratch::Scratch,
    user_memory::{CurrentMemory, FrameCopy, read_word},
};

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
    let result = walk_frames(thread_pointer, python, scratch);
    let is_elsewhere = python.unwalked.runs(thread_pointer, read_word);
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

/// Walks the frames of the current thread into the scratch; the error is why there are none.
#[inline(always)]
fn walk_frames(thread_pointer: u64, python: &PyTarget, scratch: &mut Scratch) -> Result<(), LossCause> {
    let kept = python.slot.load(thread_pointer, read_word).ok_or(LossCause::ThreadSlotRead)?;
    let borrowed = scratch.borrowed.result();
    let tstate = if kept == 0 && borrowed != UNREADABLE { borrowed } else { kept };
    if tstate == 0 {
        return Err(if borrowed == UNREADABLE {
            LossCause::MayBeElsewhere
        } else {
            LossCause::NoThreadState
        });
    }
    let gil = held(python, kept, borrowed);
    let Scratch { walk, block, .. } = &mut *scratch;
    block.forget();
    if python.offsets.tstate_datastack != ABSENT {
        block.read_chunk(tstate + u64::from(python.offsets.tstate_datastack));
    }
    if !walk.enter(&mut CurrentMemory { block }, &python.offsets, tstate) {
        return Err(LossCause::ThreadStateRead);
    }
    if python.unwalked.main != 0 && python.unwalked.main == walk.interpreter {
        walk.start(0);
        return Err(LossCause::NoThreadState);
    }
    if python.gil_holder != 0 {
        walk.gil = gil as u32;
    }
    if python.running_task != 0 {
        walk.task = read_word(tstate.wrapping_add(python.running_task)).unwrap_or(0);
    }
    walk.in_greenlet = u32::from(python.greenlets.is_one_running(thread_pointer, read_word));
    if borrowed == 0 || borrowed == UNREADABLE {
        join_callers(python, thread_pointer, walk, block);
    } else if kept != 0 {
        join_frames(walk, block, &raw const python.offsets, borrowed, 0);
    }
    let Scratch { walk, block, frames, borrowed, .. } = scratch;
    for _ in 0..MAX_STEPS / BATCH {
        if walk_batch(walk, block, &python.offsets, frames) == 0 {
            break;
        }
    }
    if borrowed.result() == UNREADABLE && walk.end == End::Complete as u32 {
        walk.end = End::MayBeElsewhere as u32;
    }
    Ok(())
}

/// Steps that one function takes: the loop around it has so many turns less, each of which the verifier looks through.
const BATCH: u32 = 32;

/// Takes some steps of a walk that was entered; 0 at its end.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_batch(
    walk: *mut Walk,
    block: *mut FrameCopy,
    offsets: *const PyOffsets,
    frames: *mut [PyFrame; MAX_PY_FRAMES],
) -> u32 {
    for _ in 0..BATCH {
        if walk_step(walk, block, offsets, frames) == 0 && step_back(walk, block, offsets) == 0 {
            return 0;
        }
    }
    1
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_step(
    walk: *mut Walk,
    block: *mut FrameCopy,
    offsets: *const PyOffsets,
    frames: *mut [PyFrame; MAX_PY_FRAMES],
) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(walk), Some(block), Some(offsets), Some(frames)) =
        (unsafe { (walk.as_mut(), block.as_mut(), offsets.as_ref(), frames.as_mut()) })
    else {
        return 0;
    };
    u32::from(walk.step(&mut CurrentMemory { block }, offsets, frames))
}

/// Begins anew where the innermost run of the loop is not filled in yet; 0 if that is not so.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn step_back(walk: *mut Walk, block: *mut FrameCopy, offsets: *const PyOffsets) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(walk), Some(block), Some(offsets)) =
        (unsafe { (walk.as_mut(), block.as_mut(), offsets.as_ref()) })
    else {
        return 0;
    };
    u32::from(walk.step_back(&mut CurrentMemory { block }, offsets))
}

/// Whether one of a thread's states holds the GIL, where one word tells of all that do (≤ 3.11).
#[inline(always)]
fn held(python: &PyTarget, kept: u64, borrowed: u64) -> GilState {
    if python.gil_holder == 0 {
        return GilState::Unknown;
    }
    match read_word(python.gil_holder) {
        None => GilState::Unknown,
        Some(0) => GilState::Released,
        Some(holder) if holder == kept || holder == borrowed => GilState::Held,
        Some(_) if borrowed == UNREADABLE => GilState::Unknown,
        Some(_) => GilState::Released,
    }
}

/// Joins the main interpreter's frames, if the thread is in a subinterpreter and keeps its thread state there.
#[inline(always)]
fn join_callers(python: &PyTarget, thread_pointer: u64, walk: &mut Walk, block: &mut FrameCopy) {
    let PyTarget { interpreters, offsets, .. } = python;
    if walk.interpreter == interpreters.main {
        return;
    }
    let tstate = find_thread(offsets, interpreters.main, interpreters.thread_id(thread_pointer));
    if tstate != 0 {
        join_frames(walk, block, offsets, tstate, 1);
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn join_frames(
    walk: *mut Walk,
    block: *mut FrameCopy,
    offsets: *const PyOffsets,
    tstate: u64,
    are_callers: u32,
) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(walk), Some(block), Some(offsets)) =
        (unsafe { (walk.as_mut(), block.as_mut(), offsets.as_ref()) })
    else {
        return 0;
    };
    walk.join(&mut CurrentMemory { block }, offsets, tstate, are_callers != 0);
    0
}

/// A thread's state among those of an interpreter: [`TstateSearch::result`].
#[inline(always)]
fn find_thread(offsets: &PyOffsets, interpreter: u64, thread_id: u64) -> u64 {
    let mut search = TstateSearch::begin(offsets, interpreter, thread_id, read_word);
    for _ in 0..TstateSearch::STEPS / BATCH {
        if search_batch(&raw mut search, offsets) == 0 {
            break;
        }
    }
    search.result()
}

/// Takes some steps of a search; 0 when it is over.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn search_batch(search: *mut TstateSearch, offsets: *const PyOffsets) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(search), Some(offsets)) = (unsafe { (search.as_mut(), offsets.as_ref()) }) else { return 0 };
    for _ in 0..BATCH {
        if !search.step(offsets, read_word) {
            return 0;
        }
    }
    1
}
