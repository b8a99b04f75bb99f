//! The Python column: from the running thread to its frames.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_user};
use profiler_common::{
    config::Process,
    counter::Counter,
    python::{ABSENT, Gil, MAX_STEPS, PACKED_FRAME_BYTES, ReadMemory, Search, Walk, Window},
};

use crate::{stack::Scratch, task::Task};

/// Bytes of the frame stack that are read at once: a read costs by the call, not by the byte up to here.
const BLOCK_BYTES: usize = 4096;
const BLOCK_WORDS: usize = BLOCK_BYTES / 8;
/// Words of one packed frame.
const FRAME_WORDS: usize = PACKED_FRAME_BYTES as usize / 8;

/// A copy of a part of the thread's frame stack, on which CPython 3.11+ packs its frames, callers below callees.
#[repr(C)]
pub struct Block {
    /// The chunk of the frame stack that is in use begins here …
    chunk: u64,
    /// … and is filled to here.
    top: u64,
    /// What is copied begins here …
    start: u64,
    /// … and ends here.
    end: u64,
    /// The verifier does not know that no frame begins near the end; there is room for one that would.
    words: [u64; BLOCK_WORDS + FRAME_WORDS],
}

/// The current task's memory. A page that is not present fails: a program may not wait for it.
struct CurrentMemory<'a> {
    block: &'a mut Block,
}

impl CurrentMemory<'_> {
    /// Copies the part of the frame stack that ends behind the frame at `address`; false if it is not there.
    #[inline(always)]
    fn fetch(&mut self, address: u64) -> bool {
        let Block { chunk, top, start, end, words } = &mut *self.block;
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
    fn read(&mut self, address: u64, bytes: u32, window: &mut Window) -> bool {
        let copied =
            |block: &Block| address >= block.start && address + u64::from(PACKED_FRAME_BYTES) <= block.end;
        if !copied(self.block) && !self.fetch(address) {
            self.block.end = 0;
            return read_user((&raw mut *window).cast(), bytes.min(size_of::<Window>() as u32), address);
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
fn read_user(to: *mut c_void, bytes: u32, address: u64) -> bool {
    // SAFETY: the callers own `to`, which has room for `bytes`; the helper checks the source.
    unsafe { bpf_probe_read_user(to, bytes, address as *const c_void) == 0 }
}

#[inline(always)]
fn read_word(address: u64) -> Option<u64> {
    let mut word = 0u64;
    read_user((&raw mut word).cast(), 8, address).then_some(word)
}

/// What `bpf_loop` hands to each step: pointers to map values, which only the stack may hold.
struct Loop {
    scratch: *mut Scratch,
    process: *const Process,
    search: Search,
}

/// Walks the current thread's Python frames into the scratch; the error is why there are none.
#[inline(always)]
pub fn walk(task: Task, process: &Process, scratch: &mut Scratch) -> Result<(), Counter> {
    let python = &process.python;
    let read = read_word;
    let thread_pointer = task.thread_pointer();
    let thread_id = thread_pointer.wrapping_sub(python.interpreters.descriptor_bytes);
    let mut tstate = python.slot.load(thread_pointer, read).ok_or(Counter::ThreadSlotRead)?;
    if tstate == 0 {
        return Err(Counter::NoThreadState);
    }
    let mut gil = Gil::Unknown;
    if python.gil_holder != 0
        && let Some(holder) = read(python.gil_holder)
    {
        gil = if holder == tstate { Gil::Held } else { Gil::Released };
        // A thread of several interpreters keeps the thread state of one. It runs another if that one holds the GIL.
        if holder != 0
            && holder != tstate
            && read(holder + u64::from(python.offsets.tstate_thread_id)) == Some(thread_id)
        {
            (tstate, gil) = (holder, Gil::Held);
        }
    }
    let Scratch { walk, block, .. } = &mut *scratch;
    (block.chunk, block.top, block.start, block.end) = (0, 0, 0, 0);
    if python.offsets.tstate_datastack != ABSENT {
        // Chunk and top stand side by side. If they cannot be read, frames are read one by one.
        read_user((&raw mut block.chunk).cast(), 16, tstate + u64::from(python.offsets.tstate_datastack));
    }
    if !walk.enter(&mut CurrentMemory { block }, &python.offsets, tstate) {
        return Err(Counter::ThreadStateRead);
    }
    if python.gil_holder != 0 {
        walk.gil = gil as u32;
    }
    if python.running_task != 0 {
        walk.task = read(tstate.wrapping_add(python.running_task)).unwrap_or(0);
    }
    walk.in_greenlet = u32::from(python.greenlets.is_one_running(thread_pointer, read));
    let other = python.interpreters.other_than(walk.interpreter, read);
    let mut state = Loop { scratch, process, search: Search::default() };
    if other != 0 {
        state.search = Search::begin(&python.offsets, other, thread_id, read);
        // SAFETY: as below.
        unsafe { bpf_loop(Search::STEPS, search_one as *mut c_void, (&raw mut state).cast(), 0) };
        let tstate = state.search.result();
        if tstate != 0 {
            let are_callers = other == python.interpreters.main;
            let Scratch { walk, block, .. } = unsafe { &mut *state.scratch };
            walk.join(&mut CurrentMemory { block }, &python.offsets, tstate, are_callers);
        }
    }
    // SAFETY: `step` takes what `state` holds, which outlives the call.
    unsafe { bpf_loop(MAX_STEPS, step as *mut c_void, (&raw mut state).cast(), 0) };
    Ok(())
}

unsafe extern "C" fn search_one(_index: u64, state: *mut c_void) -> i64 {
    // SAFETY: `walk` passes a `Loop` whose pointers are live map values.
    let Loop { process, search, .. } = unsafe { &mut *state.cast::<Loop>() };
    i64::from(!search.step(unsafe { &(**process).python.offsets }, read_word))
}

/// How many code objects of the interpreter that was walked have died; `None` if it does not tell.
#[inline(always)]
pub fn code_generation(process: &Process, walk: &Walk) -> Option<u64> {
    let offset = process.python.code_generation;
    let mut generation = 0u64;
    let is_told = offset != 0
        && walk.interpreter != 0
        && read_user((&raw mut generation).cast(), 8, walk.interpreter.wrapping_add(offset));
    is_told.then_some(generation)
}

unsafe extern "C" fn step(_index: u64, state: *mut c_void) -> i64 {
    // SAFETY: `walk` passes a `Loop` whose pointers are live map values.
    let (scratch, process) = unsafe {
        let state = &*state.cast::<Loop>();
        (&mut *state.scratch, &*state.process)
    };
    let Scratch { walk, block, frames, .. } = scratch;
    i64::from(!walk.step(&mut CurrentMemory { block }, &process.python.offsets, frames))
}
