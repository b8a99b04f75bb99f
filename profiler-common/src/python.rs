//! The walk of a Python thread's frames, one bounded step at a time.
//!
//! The same steps run in eBPF (under `bpf_loop`, on the thread that is running) and in user space (on another
//! process's memory). What differs between versions is data: [`PyOffsets`].
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use bytemuck::{Pod, Zeroable};

/// Python frames kept of one stack; of a deeper one the leaf part is kept and the cut is marked.
pub const MAX_PY_FRAMES: usize = 512;
/// Steps of one walk: frames and the interpreter's own entry frames between them.
pub const MAX_STEPS: u32 = 1024;
/// Words of one read: 128 bytes hold every field that is needed, and a read costs by the call, not by the byte.
pub const WINDOW_WORDS: usize = 16;

/// One read's worth of a target's memory.
pub type Window = [u64; WINDOW_WORDS];

/// Bytes of a frame within which the fields that are read lie, where frames are packed (3.11+).
pub const PACKED_FRAME_BYTES: u32 = 80;

/// A field that this version does not have.
pub const ABSENT: u32 = u32::MAX;

/// Where the fields stand in CPython's structs, in bytes; those that a walk reads lie below `read_bytes`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct PyOffsets {
    /// `PyThreadState` → the current frame, or → `cframe` in 3.11 and 3.12.
    pub tstate_frame: u32,
    /// `_PyCFrame.current_frame`, or [`ABSENT`].
    pub cframe_frame: u32,
    /// `PyThreadState.datastack_chunk`, behind which `datastack_top` stands (3.11+), or [`ABSENT`].
    pub tstate_datastack: u32,
    /// Bytes of one read: no more than a frame surely has, for it may end with its mapping.
    pub read_bytes: u32,
    /// Frame → the caller's frame.
    pub frame_previous: u32,
    /// Frame → its code object.
    pub frame_code: u32,
    /// Frame → `f_lasti` (≤ 3.10, an i32) or `prev_instr`/`instr_ptr` (a pointer).
    pub frame_instr: u32,
    /// 4 or 8: bytes of `frame_instr`.
    pub frame_instr_bytes: u32,
    /// Frame → `owner`, one byte, or [`ABSENT`].
    pub frame_owner: u32,
    /// Owners from this number on mark the interpreter's entry frames, which are not Python's.
    pub native_owner: u32,
}

/// Bytes of `struct _gil_runtime_state`: 32 of its own words, then condition, mutex, condition, mutex of glibc's
/// (48 and 40 bytes on `x86_64`, 48 and 48 on aarch64). The same from 3.7 to 3.13.
pub const GIL_BYTES: u64 = 32 + 2 * (48 + 40);

/// How to walk one process; the zeroed value means that it cannot be.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct PyTarget {
    /// Thread pointer → the GIL-state slot, which holds the `PyThreadState` also while the GIL is released.
    pub slot: i64,
    /// The interpreter's executable mapping: from here …
    pub text_start: u64,
    /// … to here. Native frames inside it are the interpreter at work on the Python frames.
    pub text_end: u64,
    /// The GIL's structure, [`GIL_BYTES`] long; 0 if there is none.
    pub gil: u64,
    /// Of this version.
    pub offsets: PyOffsets,
}

impl PyTarget {
    /// True if there is no Python to walk.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.text_end == 0
    }

    /// True for an address in the interpreter's code.
    #[inline(always)]
    #[must_use]
    pub const fn is_interpreter(&self, address: u64) -> bool {
        address >= self.text_start && address < self.text_end
    }
}

/// One Python frame, raw.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct PyFrame {
    /// Address of the code object.
    pub code: u64,
    /// `f_lasti` or the instruction pointer, as the version has it.
    pub instr: u64,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum End {
    /// It is under way, or was never started.
    None = 0,
    /// At the outermost frame: the stack is complete.
    Complete = 1,
    /// At [`MAX_PY_FRAMES`] or [`MAX_STEPS`]: the outer frames are missing.
    Truncated = 2,
    /// At a frame that could not be read: the outer frames are missing.
    Unreadable = 3,
}

/// Reads a target's memory.
pub trait ReadMemory {
    /// Fills the first `bytes` of `window` from `address`; false if any of them cannot be read.
    fn read(&mut self, address: u64, bytes: u32, window: &mut Window) -> bool;
}

/// A walk under way. Lives in a map value, not on the 512-byte stack.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Walk {
    /// The next frame to read; 0 at the end.
    pub next: u64,
    /// Folded over all frames.
    pub hash: u64,
    /// Frames found.
    pub len: u32,
    /// [`End`].
    pub end: u32,
    /// The last window read.
    pub window: Window,
}

impl Walk {
    /// Makes ready to walk from a frame, forgetting what was walked before.
    #[inline(always)]
    pub fn start(&mut self, frame: u64) {
        self.next = frame;
        self.hash = 0;
        self.len = 0;
        self.end = End::None as u32;
    }

    /// Finds the current frame of the thread state at `tstate` and makes ready to walk from it;
    /// false if its memory cannot be read.
    #[inline(always)]
    pub fn enter(&mut self, memory: &mut impl ReadMemory, offsets: &PyOffsets, tstate: u64) -> bool {
        self.start(0);
        if !memory.read(tstate, offsets.read_bytes, &mut self.window) {
            return false;
        }
        let mut frame = word(&self.window, offsets.tstate_frame);
        if offsets.cframe_frame != ABSENT && frame != 0 {
            if !memory.read(frame, offsets.read_bytes, &mut self.window) {
                return false;
            }
            frame = word(&self.window, offsets.cframe_frame);
        }
        self.next = frame;
        true
    }

    /// Takes one step towards the caller. Returns false when the walk is at its end, which `end` then tells.
    #[inline(always)]
    pub fn step(
        &mut self,
        memory: &mut impl ReadMemory,
        offsets: &PyOffsets,
        frames: &mut [PyFrame; MAX_PY_FRAMES],
    ) -> bool {
        if self.next == 0 {
            self.end = End::Complete as u32;
            return false;
        }
        if self.len as usize >= MAX_PY_FRAMES {
            self.end = End::Truncated as u32;
            return false;
        }
        if !memory.read(self.next, offsets.read_bytes, &mut self.window) {
            self.end = End::Unreadable as u32;
            return false;
        }
        self.next = word(&self.window, offsets.frame_previous);
        if offsets.frame_owner != ABSENT && byte(&self.window, offsets.frame_owner) >= offsets.native_owner {
            return true;
        }
        let instr = word(&self.window, offsets.frame_instr);
        let frame = PyFrame {
            code: word(&self.window, offsets.frame_code),
            instr: if offsets.frame_instr_bytes == 4 { instr & 0xffff_ffff } else { instr },
        };
        self.hash = fold(fold(self.hash, frame.code), frame.instr);
        // The mask tells the verifier what the comparison above told us.
        frames[self.len as usize & (MAX_PY_FRAMES - 1)] = frame;
        self.len += 1;
        true
    }
}

/// Mixes one word into a hash (the body of `MurmurHash3`'s x64 variant).
#[inline(always)]
#[must_use]
pub const fn fold(hash: u64, word: u64) -> u64 {
    let word = word.wrapping_mul(0x87c3_7b91_1142_53d5).rotate_left(31).wrapping_mul(0x4cf5_ad43_2745_937f);
    (hash ^ word).rotate_left(27).wrapping_mul(5).wrapping_add(0x52dc_e729)
}

/// The word at a byte offset; of an offset that is not 8-aligned, the rest of its word.
#[inline(always)]
fn word(window: &Window, offset: u32) -> u64 {
    let index = (offset as usize >> 3) & (WINDOW_WORDS - 1);
    window[index] >> ((offset & 7) * 8)
}

#[inline(always)]
fn byte(window: &Window, offset: u32) -> u32 {
    (word(window, offset) & 0xff) as u32
}

const _: () = assert!(MAX_PY_FRAMES.is_power_of_two() && WINDOW_WORDS.is_power_of_two());

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{boxed::Box, collections::HashMap, vec::Vec};

    use super::*;

    /// Objects by address; what is not there cannot be read.
    struct Objects(HashMap<u64, Window>);

    impl ReadMemory for Objects {
        fn read(&mut self, address: u64, _: u32, window: &mut Window) -> bool {
            self.0.get(&address).map(|object| *window = *object).is_some()
        }
    }

    /// As in 3.12: by way of a cframe, with owners.
    const OFFSETS: PyOffsets = PyOffsets {
        tstate_frame: 56,
        cframe_frame: 0,
        tstate_datastack: ABSENT,
        read_bytes: PACKED_FRAME_BYTES,
        frame_previous: 8,
        frame_code: 0,
        frame_instr: 56,
        frame_instr_bytes: 8,
        frame_owner: 70,
        native_owner: 3,
    };

    fn frame(code: u64, previous: u64, instr: u64, owner: u64) -> Window {
        let mut window = Window::default();
        (window[0], window[1], window[7], window[8]) = (code, previous, instr, owner << 48 | 7);
        window
    }

    /// A thread state at 1, its cframe at 2, its frames from 10 on, leaf first.
    fn thread(frames: impl IntoIterator<Item = Window>) -> Objects {
        let mut objects = HashMap::new();
        let (mut tstate, mut cframe) = (Window::default(), Window::default());
        (tstate[7], cframe[0]) = (2, 10);
        objects.extend([(1, tstate), (2, cframe)]);
        objects.extend((10..).zip(frames));
        Objects(objects)
    }

    fn walk(memory: &mut Objects, offsets: &PyOffsets) -> (Vec<(u64, u64)>, u32, u64) {
        let mut frames = Box::new([PyFrame::default(); MAX_PY_FRAMES]);
        let mut walk: Walk = Zeroable::zeroed();
        assert!(walk.enter(memory, offsets, 1));
        while walk.step(memory, offsets, &mut frames) {}
        let found = frames[..walk.len as usize].iter().map(|frame| (frame.code, frame.instr)).collect();
        (found, walk.end, walk.hash)
    }

    #[test]
    fn frames_from_leaf_to_root_without_the_interpreters_own() {
        let chain =
            [frame(100, 11, 101, 0), frame(200, 12, 201, 1), frame(0, 13, 0, 3), frame(300, 0, 301, 0)];
        let (frames, end, _) = walk(&mut thread(chain), &OFFSETS);
        assert_eq!((frames, end), ([(100, 101), (200, 201), (300, 301)].into(), End::Complete as u32));
    }

    #[test]
    fn short_instruction_indexes_have_no_neighbours() {
        let offsets = PyOffsets { frame_instr_bytes: 4, frame_owner: ABSENT, ..OFFSETS };
        let (frames, _, _) = walk(&mut thread([frame(100, 0, 0xdead_0000_0005, 9)]), &offsets);
        assert_eq!(frames, [(100, 5)]);
    }

    #[test]
    fn an_unreadable_frame_cuts_the_stack() {
        let (frames, end, _) = walk(&mut thread([frame(100, 99, 101, 0)]), &OFFSETS);
        assert_eq!((frames.len(), end), (1, End::Unreadable as u32));
    }

    #[test]
    fn of_a_deep_stack_the_leaf_part_is_kept() {
        let deep = (11..).map(|previous| frame(previous, previous, 0, 0)).take(MAX_PY_FRAMES + 5);
        let (frames, end, _) = walk(&mut thread(deep), &OFFSETS);
        assert_eq!((frames.len(), frames[0].0, end), (MAX_PY_FRAMES, 11, End::Truncated as u32));
    }

    #[test]
    fn every_word_of_every_frame_is_in_the_hash() {
        let of = |code, instr| walk(&mut thread([frame(code, 11, instr, 0), frame(7, 0, 8, 0)]), &OFFSETS).2;
        assert!(of(1, 2) != of(1, 3) && of(1, 2) != of(2, 2) && of(1, 2) != of(2, 1));
    }
}
