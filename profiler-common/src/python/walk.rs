//! The walk of a Python thread's frames, one bounded step at a time.
//!
//! The same steps run in eBPF (on the thread that is running) and in user space (on another
//! process's memory). What differs between versions is data: [`PyOffsets`].
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use bytemuck::{Pod, Zeroable};

use crate::python::{ABSENT, ENTRY, PyFrame, PyOffsets, entry::LoopRun};

/// Python frames kept of one stack; of a deeper one the leaf part is kept and the cut is marked.
pub const MAX_PY_FRAMES: usize = 512;
/// Steps of one walk: frames and the interpreter's own entry frames between them.
pub const MAX_STEPS: u32 = 1024;
/// Words of one read: 128 bytes hold every field that is needed, and a read costs by the call, not by the byte.
pub const WINDOW_WORDS: usize = 16;

/// One read's worth of a target's memory.
pub type ReadWindow = [u64; WINDOW_WORDS];

/// An address at which nothing is ever mapped.
pub const UNREADABLE: u64 = 1;

/// Whether a thread held the GIL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum GilState {
    /// Whether the thread held the GIL is not known, or there is none.
    #[default]
    Unknown = 0,
    /// The thread did not hold the GIL.
    Released = 1,
    /// The thread held the GIL.
    Held = 2,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum End {
    /// The walk is under way, or was never started.
    None = 0,
    /// At the outermost frame: the stack is complete.
    Complete = 1,
    /// At [`MAX_PY_FRAMES`] or [`MAX_STEPS`]: the outer frames are missing.
    Truncated = 2,
    /// At a frame that could not be read: the outer frames are missing.
    Unreadable = 3,
    /// Wherever it ended, the thread has frames in another interpreter too, which is not walked.
    OtherInterpreter = 4,
    /// At the outermost frame, but the thread may be in a subinterpreter whose frames are missing.
    MayBeElsewhere = 5,
}

/// Reads a target's memory.
pub trait ReadMemory {
    /// Fills the first `bytes` of `window` from `address`; false if any of them cannot be read.
    fn read(&mut self, address: u64, bytes: u32, window: &mut ReadWindow) -> bool;
}

/// A walk under way. Lives in a map value, not on the 512-byte stack.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Walk {
    /// The next frame to read; 0 at the end.
    pub next: u64,
    /// Folded over all frames, and what [`Walk::mix_in`] adds.
    pub hash: u64,
    /// The address of the asyncio task that runs, or 0.
    pub task: u64,
    /// The thread state's `PyInterpreterState`; 0 if the frames are of several.
    pub interpreter: u64,
    /// Frames found.
    pub len: u32,
    /// [`End`].
    pub end: u32,
    /// [`GilState`].
    pub gil: u32,
    /// 1 if the thread runs a greenlet that is not its main one.
    pub in_greenlet: u32,
    /// The frame on which the outermost one stands, of another interpreter; 0 if there is none.
    pub below: u64,
    /// The run of the loop that called the innermost one, until the frames that are found prove to stand on it.
    pub(super) caller: LoopRun,
    /// A frame that was read before: a walk that reads it again goes round in circles.
    pub(super) lap: u64,
    /// The thread state that was entered.
    pub(super) tstate: u64,
    /// Steps taken.
    pub(super) steps: u32,
    /// 1 once the frames of the innermost run were given up for those of its caller.
    pub(super) is_back: u32,
    /// The last window read.
    pub window: ReadWindow,
}

impl Walk {
    /// Makes ready to walk from a frame, forgetting what was walked before.
    #[inline(always)]
    pub fn start(&mut self, frame: u64) {
        self.next = frame;
        self.hash = 0;
        self.len = 0;
        self.end = End::None as u32;
        self.gil = GilState::Unknown as u32;
        self.task = 0;
        self.in_greenlet = 0;
        self.below = 0;
        (self.caller, self.lap, self.steps, self.is_back) = (LoopRun::default(), 0, 0, 0);
    }

    /// Mixes into the hash what makes the same frames another stack: how the walk ended, the GIL, whether a greenlet runs,
    /// and the task.
    #[inline(always)]
    pub fn mix_in(&mut self) {
        let state = u64::from(self.end) << 32 | u64::from(self.in_greenlet) << 16 | u64::from(self.gil);
        self.hash = fold(fold(self.hash, state), self.task);
    }

    /// Takes one step towards the caller. Returns false when the walk is at its end, which `end` then tells.
    #[inline(always)]
    pub fn step(
        &mut self,
        memory: &mut impl ReadMemory,
        offsets: &PyOffsets,
        frames: &mut [PyFrame; MAX_PY_FRAMES],
    ) -> bool {
        let has_none = self.len == 0 && self.caller.frame == 0 && self.is_outermost_run();
        if self.next == 0 && (self.caller.cframe == 0 || has_none) {
            if self.below == 0 {
                self.end = End::Complete as u32;
                return false;
            }
            (self.next, self.below) = (self.below, 0);
            return true;
        }
        if self.len as usize >= MAX_PY_FRAMES {
            self.end = End::Truncated as u32;
            return false;
        }
        if self.next == self.lap || !memory.read(self.next, offsets.read_bytes, &mut self.window) {
            self.end = End::Unreadable as u32;
            return false;
        }
        if self.steps & self.steps.wrapping_sub(1) == 0 {
            self.lap = self.next;
        }
        self.steps += 1;
        self.next = word(&self.window, offsets.frame_previous);
        let is_native =
            offsets.frame_owner != ABSENT && byte(&self.window, offsets.frame_owner) >= offsets.native_owner;
        let is_entry = match offsets.frame_is_entry {
            // Up to 3.10 every call enters the interpreter anew; from 3.12 on the entry frames tell.
            ABSENT => offsets.frame_owner == ABSENT,
            offset => byte(&self.window, offset) != 0,
        };
        if (is_native || is_entry) && self.caller.cframe != 0 {
            if self.next != self.caller.frame {
                self.end = End::Unreadable as u32;
                return false;
            }
            self.caller.cframe = 0;
        }
        if is_native {
            // The frame that was found last is the one that was entered here.
            if self.len != 0 {
                frames[(self.len as usize - 1) & (MAX_PY_FRAMES - 1)].tagged_code |= ENTRY;
            }
            return true;
        }
        let code = word(&self.window, offsets.frame_code) & !u64::from(offsets.code_tag);
        let instr = word(&self.window, offsets.frame_instr);
        let frame = PyFrame {
            tagged_code: code & !ENTRY | u64::from(is_entry),
            instr: if offsets.frame_instr_bytes == 4 { instr & 0xffff_ffff } else { instr },
        };
        self.hash = fold(fold(self.hash, frame.tagged_code), frame.instr);
        // The mask shows the verifier the bound that the comparison above ensures.
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
pub(super) fn word(window: &ReadWindow, offset: u32) -> u64 {
    let index = (offset as usize >> 3) & (WINDOW_WORDS - 1);
    window[index] >> ((offset & 7) * 8)
}

#[inline(always)]
fn byte(window: &ReadWindow, offset: u32) -> u32 {
    (word(window, offset) & 0xff) as u32
}

const _: () = assert!(MAX_PY_FRAMES.is_power_of_two() && WINDOW_WORDS.is_power_of_two());

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{boxed::Box, collections::HashMap, vec::Vec};

    use super::*;
    use crate::python::{PACKED_FRAME_BYTES, code};

    /// Objects by address; what is not there cannot be read.
    struct Objects(HashMap<u64, ReadWindow>);

    impl ReadMemory for Objects {
        fn read(&mut self, address: u64, _: u32, window: &mut ReadWindow) -> bool {
            self.0.get(&address).map(|object| *window = *object).is_some()
        }
    }

    /// Offsets of CPython 3.12, which finds its frames through a cframe and writes who owns them.
    const OFFSETS: PyOffsets = PyOffsets {
        tstate_frame: 56,
        cframe_frame: 0,
        tstate_cframe: ABSENT,
        tstate_datastack: ABSENT,
        read_bytes: PACKED_FRAME_BYTES,
        frame_previous: 8,
        frame_code: 0,
        frame_instr: 56,
        frame_instr_bytes: 8,
        frame_owner: 70,
        native_owner: 3,
        frame_is_entry: ABSENT,
        code_tag: 0,
        tstate_gil: 24,
        gil_mask: 1 << 4,
        tstate_thread_id: 136,
        tstate_next: 8,
        tstate_interpreter: 16,
        interpreter_next: 0,
        interpreter_threads: 72,
        code: code::tests::OFFSETS,
    };

    fn frame(code: u64, previous: u64, instr: u64, owner: u64) -> ReadWindow {
        let mut window = ReadWindow::default();
        (window[0], window[1], window[7], window[8]) = (code, previous, instr, owner << 48 | 7);
        window
    }

    /// A thread state at 4, its cframe at 5, its frames from 10 on, leaf first.
    fn thread(frames: impl IntoIterator<Item = ReadWindow>) -> Objects {
        let mut objects = HashMap::new();
        let (mut tstate, mut cframe) = (ReadWindow::default(), ReadWindow::default());
        (tstate[7], cframe[0]) = (5, 10);
        objects.extend([(4, tstate), (5, cframe)]);
        objects.extend((10..).zip(frames));
        Objects(objects)
    }

    fn walk(memory: &mut Objects, offsets: &PyOffsets) -> (Vec<(u64, u64)>, u32, u64) {
        let mut frames = Box::new([PyFrame::default(); MAX_PY_FRAMES]);
        let mut walk: Walk = Zeroable::zeroed();
        assert!(walk.enter(memory, offsets, 4));
        while walk.step(memory, offsets, &mut frames) || walk.step_back(memory, offsets) {}
        let found = frames[..walk.len as usize].iter().map(|frame| (frame.code(), frame.instr)).collect();
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

    /// A run of the loop that has the cframe at 3, called by the one that runs the frames from 10 on.
    fn with_inner_run(cframe: [u64; 2], frames: impl IntoIterator<Item = (u64, ReadWindow)>) -> Objects {
        let outer = [frame(200, 11, 201, 0), frame(0, 0, 0, 3)];
        let mut objects = thread(outer);
        let (mut tstate, mut outer, mut inner) =
            (ReadWindow::default(), ReadWindow::default(), ReadWindow::default());
        tstate[7] = INNER;
        (outer[0], outer[1]) = (10, 5);
        (inner[0], inner[1]) = (cframe[0], cframe[1]);
        objects.0.extend([(4, tstate), (5, ReadWindow::default()), (OUTER, outer), (INNER, inner)]);
        objects.0.extend(frames);
        objects
    }

    /// Cframes on the C stack; the thread state's own is at 5.
    const OUTER: u64 = 9000;
    const INNER: u64 = 8000;

    #[test]
    fn a_run_that_has_not_told_its_frame_yet_is_passed_over() {
        let of_outer = [(200, 201)];
        let inner = [(20, frame(100, 21, 101, 0)), (21, frame(0, 10, 0, 3))];
        let (frames, end, _) = walk(&mut with_inner_run([20, OUTER], inner), &OFFSETS);
        assert_eq!((frames, end), ([(100, 101), (200, 201)].into(), End::Complete as u32));
        // What the cframe has is nowhere, nothing, the frame of another call, or goes round in circles.
        let other = [(20, frame(100, 21, 101, 0)), (21, frame(0, 99, 0, 3))];
        let circle = [(20, frame(100, 21, 101, 0)), (21, frame(100, 20, 101, 0))];
        for (first, frames) in [(77, inner), (0, inner), (20, other), (20, circle)] {
            let (frames, end, _) = walk(&mut with_inner_run([first, OUTER], frames), &OFFSETS);
            assert_eq!((frames.as_slice(), end), (&of_outer[..], End::Complete as u32), "{first}");
        }
        // It does not tell what called it either.
        for caller in [0, 77, 20] {
            let (frames, end, _) = walk(&mut with_inner_run([20, caller], other), &OFFSETS);
            assert_eq!((frames.len(), end), (0, End::Unreadable as u32), "{caller}");
        }
    }

    #[test]
    fn a_chain_that_goes_round_in_circles_is_none() {
        let chain = [frame(100, 11, 0, 0), frame(101, 12, 0, 0), frame(102, 13, 0, 0), frame(103, 11, 0, 0)];
        let (frames, end, _) = walk(&mut thread(chain), &OFFSETS);
        assert_eq!((frames.len(), end), (0, End::Unreadable as u32));
    }

    #[test]
    fn an_unreadable_frame_cuts_the_stack() {
        let (frames, end, _) = walk(&mut thread([frame(100, 99, 101, 0)]), &OFFSETS);
        assert_eq!((frames.len(), end), (1, End::Unreadable as u32));
    }

    #[test]
    fn of_a_deep_stack_the_leaf_part_is_kept() {
        let deep = (11..).map(|previous| frame(2 * previous, previous, 0, 0)).take(MAX_PY_FRAMES + 5);
        let (frames, end, _) = walk(&mut thread(deep), &OFFSETS);
        assert_eq!((frames.len(), frames[0].0, end), (MAX_PY_FRAMES, 22, End::Truncated as u32));
    }

    #[test]
    fn a_frame_that_native_code_called_is_marked() {
        // An entry frame stands below the frame for which the interpreter was entered.
        let chain =
            [frame(100, 11, 101, 0), frame(200, 12, 201, 0), frame(0, 13, 0, 3), frame(300, 0, 301, 0)];
        let mut frames = Box::new([PyFrame::default(); MAX_PY_FRAMES]);
        let mut walk: Walk = Zeroable::zeroed();
        let memory = &mut thread(chain);
        assert!(walk.enter(memory, &OFFSETS, 4));
        while walk.step(memory, &OFFSETS, &mut frames) || walk.step_back(memory, &OFFSETS) {}
        let entries: Vec<_> = frames[..3].iter().map(|frame| (frame.code(), frame.is_entry())).collect();
        assert_eq!(entries, [(100, false), (200, true), (300, false)]);
    }

    #[test]
    fn every_word_of_every_frame_is_in_the_hash() {
        let of = |code, instr| walk(&mut thread([frame(code, 11, instr, 0), frame(7, 0, 8, 0)]), &OFFSETS).2;
        assert!(of(1, 2) != of(1, 3) && of(1, 2) != of(2, 2) && of(1, 2) != of(2, 1));
    }
}
