//! Walks the Python frames of the current thread.

use core::{ffi::c_void, num::NonZeroU64};

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use profiler_common::{
    loss_cause::LossCause,
    python::{
        ABSENT, End, GilState, MAX_PY_FRAMES, MAX_STEPS, PACKED_FRAME_BYTES, PyFrame, PyOffsets, PyTarget,
        ReadMemory, ReadWindow, TstateSearch, UNREADABLE, Walk,
    },
};

use crate::stack::Scratch;

/// Bytes of the frame stack that are read at once: a read costs by the call, not by the byte up to here.
const BLOCK_BYTES: usize = 4096;
const BLOCK_WORDS: usize = BLOCK_BYTES / 8;
/// Words of one packed frame.
const FRAME_WORDS: usize = PACKED_FRAME_BYTES as usize / 8;

/// A copy of a part of the thread's frame stack, on which CPython 3.11+ packs its frames, callers below callees.
#[repr(C)]
pub struct FrameCopy {
    /// Start of the chunk of the frame stack that is in use.
    chunk: u64,
    /// End of what the chunk holds.
    top: u64,
    /// Start of what is copied.
    start: u64,
    /// End of what is copied.
    pub end: u64,
    /// The verifier does not know that no frame begins near the end; there is room for one that would.
    pub words: [u64; BLOCK_WORDS + FRAME_WORDS],
}

/// The current task's memory. A page that is not present fails: a program may not wait for it.
struct CurrentMemory<'a> {
    block: &'a mut FrameCopy,
}

impl CurrentMemory<'_> {
    /// Copies the part of the frame stack that ends behind the frame at `address`; false if it is not there.
    #[inline(always)]
    fn fetch(&mut self, address: u64) -> bool {
        let FrameCopy { chunk, top, start, end, words } = &mut *self.block;
        if address < *chunk || address + u64::from(PACKED_FRAME_BYTES) > *top {
            return false;
        }
        *end = address + u64::from(PACKED_FRAME_BYTES);
        *start = (*end - BLOCK_BYTES as u64).max(*chunk);
        let mut len = *end - *start;
        if len > BLOCK_BYTES as u64 {
            len = BLOCK_BYTES as u64; // Known above; the verifier wants to see it.
        }
        read_user((&raw mut *words).cast(), len as u32, *start)
    }
}

impl ReadMemory for CurrentMemory<'_> {
    #[inline(always)]
    fn read(&mut self, address: u64, bytes: u32, window: &mut ReadWindow) -> bool {
        let copied = |block: &FrameCopy| {
            address >= block.start && address + u64::from(PACKED_FRAME_BYTES) <= block.end
        };
        if !copied(self.block) && !self.fetch(address) {
            self.block.end = 0;
            return read_user((&raw mut *window).cast(), bytes.min(size_of::<ReadWindow>() as u32), address);
        }
        let first = (address - self.block.start) as usize / 8;
        for (index, word) in window.iter_mut().enumerate().take(FRAME_WORDS) {
            // The mask is for the verifier: `first` is below BLOCK_WORDS.
            *word = self.block.words[(first & (BLOCK_WORDS - 1)) + index];
        }
        true
    }
}

#[inline(always)]
pub fn read_user(to: *mut c_void, bytes: u32, address: u64) -> bool {
    // SAFETY: the callers own `to`, which has room for `bytes`; the helper checks the source.
    unsafe { bpf_probe_read_user(to, bytes, address as *const c_void) == 0 }
}

/// A word of the current task's memory; `None` if it cannot be read.
#[inline(always)]
pub fn read_word(address: u64) -> Option<u64> {
    let mut word = 0u64;
    read_user((&raw mut word).cast(), 8, address).then_some(word)
}

/// Walks the frames of the thread that runs into the scratch; the error is why there are none.
#[inline(always)]
pub fn walk(thread_pointer: u64, python: &PyTarget, scratch: &mut Scratch) -> Result<(), LossCause> {
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
    (block.chunk, block.top, block.start, block.end) = (0, 0, 0, 0);
    if python.offsets.tstate_datastack != ABSENT {
        // Chunk and top stand side by side. If they cannot be read, frames are read one by one.
        read_user((&raw mut block.chunk).cast(), 16, tstate + u64::from(python.offsets.tstate_datastack));
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

/// One more than how many code objects of the walked interpreter have died; `None` if it does not count them.
///
/// A `None` that is no word of its own would leave the word undefined, and older verifiers (6.1) refuse a program that
/// reads such a one from its stack.
#[inline(always)]
pub fn code_generation(python: &PyTarget, walk: &Walk) -> Option<NonZeroU64> {
    let offset = python.code_generation;
    if offset == 0 || walk.interpreter == 0 {
        return None;
    }
    let mut died = 0u64;
    let is_read = read_user((&raw mut died).cast(), 8, walk.interpreter.wrapping_add(offset));
    NonZeroU64::new(if is_read { died.wrapping_add(1) } else { 0 })
}
