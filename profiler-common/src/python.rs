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

/// Bytes of a thread state that are read; every version's has more.
const TSTATE_BYTES: u32 = 8 * WINDOW_WORDS as u32;

/// Bytes of a frame within which the fields that are read lie, where frames are packed (3.11+).
pub const PACKED_FRAME_BYTES: u32 = 80;

/// A field that this version does not have.
pub const ABSENT: u32 = u32::MAX;

/// Where the fields stand in CPython's structs, in bytes; those that a walk reads lie below `read_bytes`, and those of a
/// thread state within the first [`WINDOW_WORDS`].
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
    /// Frame → `is_entry`, one byte (3.11 alone), or [`ABSENT`].
    pub frame_is_entry: u32,
    /// Low bits of the code object's address that are a tag (3.14+: `_PyStackRef`).
    pub code_tag: u32,
    /// `PyThreadState` → the u32 that tells whether it holds the GIL (3.12+), or [`ABSENT`].
    pub tstate_gil: u32,
    /// The bits of it that do.
    pub gil_mask: u32,
    /// `PyThreadState.thread_id`, outside the window.
    pub tstate_thread_id: u32,
    /// `PyThreadState.interp`.
    pub tstate_interpreter: u32,
    /// Of code objects.
    pub code: CodeOffsets,
}

/// Words of a code object that are read at once: every field below lies within.
pub const CODE_WORDS: usize = 18;

/// A code object's words, and zeros behind them up to a power of two: a place in it is masked, not compared, since each
/// comparison would double the ways that the verifier looks through.
pub type CodeWords = [u64; 32];

/// Where the fields of code objects stand, and the data of the strings that they point to, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct CodeOffsets {
    /// `co_firstlineno`, an i32.
    pub first_line: u32,
    /// `co_filename`.
    pub file: u32,
    /// `co_qualname` where there is one, else `co_name`.
    pub name: u32,
    /// `co_linetable`, or `co_lnotab` up to 3.9: `bytes`.
    pub line_table: u32,
    /// `co_version` (3.12+), a u32 that no two living code objects share while the interpreter has numbers left; or
    /// [`ABSENT`].
    pub version: u32,
    /// Where the instructions begin (3.11+).
    pub instructions: u32,
    /// Header of a compact ASCII string, behind which its characters are.
    pub ascii_header: u32,
    /// Header of a compact string of other characters.
    pub compact_header: u32,
}

/// The way from a thread's thread pointer to a word that is the thread's own: up to three steps, each an offset added to
/// what the step before has read; the last step's sum is the word's address.
///
/// glibc's pthread keys take one step (the first 32) or two; musl's two; thread-local variables one where the linker
/// laid them out at the start, else three, by way of the dynamic thread vector.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Slot {
    /// What is added in each step.
    pub offsets: [i64; Slot::STEPS],
    /// How many steps there are.
    pub steps: u64,
}

impl Slot {
    /// Most steps.
    pub const STEPS: usize = 3;

    /// By these steps, at least one.
    #[must_use]
    pub fn new(steps: &[i64]) -> Self {
        let mut slot = Self { steps: steps.len().min(Self::STEPS) as u64, ..Self::default() };
        for (offset, step) in slot.offsets.iter_mut().zip(steps) {
            *offset = *step;
        }
        slot
    }

    /// The word, read by `read`; `None` if a step cannot be read. A block of thread-local memory that the thread has not
    /// used yet is marked by the address −1: its words would be 0.
    #[inline(always)]
    pub fn load(&self, thread_pointer: u64, mut read: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
        let mut word = thread_pointer;
        for (step, offset) in self.offsets.iter().enumerate() {
            if step as u64 >= self.steps {
                break;
            }
            if word == 0 || word == u64::MAX {
                return Some(0);
            }
            word = read(word.wrapping_add_signed(*offset))?;
        }
        Some(word)
    }
}

/// Where greenlet keeps which greenlet a thread runs; the zeroed value means that it is not loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Greenlets {
    /// Thread pointer → greenlet's state of the thread, which begins with its main greenlet and its current one.
    pub state: Slot,
    /// The type that every main greenlet has.
    pub main_type: u64,
}

impl Greenlets {
    /// True if greenlet is not loaded.
    #[inline(always)]
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.main_type == 0
    }

    /// True if a thread runs a greenlet that is not its main one. A thread that has made none has 0 or 1 in place of a state,
    /// one that is older than greenlet may have anything: the type tells.
    #[inline(always)]
    pub fn is_one_running(&self, thread_pointer: u64, mut read: impl FnMut(u64) -> Option<u64>) -> bool {
        if self.is_none() {
            return false;
        }
        let state = self.state.load(thread_pointer, &mut read).unwrap_or(0);
        if state <= 1 {
            return false;
        }
        let (main, current) = (read(state).unwrap_or(0), read(state.wrapping_add(8)).unwrap_or(0));
        main != current && current != 0 && read(main.wrapping_add(OBJECT_TYPE)) == Some(self.main_type)
    }
}

/// `PyObject.ob_type`.
pub const OBJECT_TYPE: u64 = 8;

/// Bytes of `struct _gil_runtime_state`: 32 of its own words, then condition, mutex, condition, mutex of glibc's
/// (48 and 40 bytes on `x86_64`, 48 and 48 on aarch64). The same from 3.7 to 3.15.
pub const GIL_BYTES: u64 = 32 + 2 * (48 + 40);

/// How to walk one process; the zeroed value means that it cannot be.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct PyTarget {
    /// Thread pointer → the GIL-state slot, which holds the `PyThreadState` also while the GIL is released.
    pub slot: Slot,
    /// The interpreter's executable mapping: from here …
    pub text_start: u64,
    /// … to here. Native frames inside it are the interpreter at work on the Python frames.
    pub text_end: u64,
    /// The GIL's structure, [`GIL_BYTES`] long; 0 if there is none.
    pub gil: u64,
    /// Where the thread state that holds the GIL is written (≤ 3.11: one for all interpreters); 0 if nowhere.
    pub gil_holder: u64,
    /// `PyThreadState` → the asyncio task that runs (3.14+); 0 if not known.
    pub running_task: u64,
    /// `PyInterpreterState` → how many of its code objects have died (3.14+); 0 if it does not tell.
    pub code_generation: u64,
    /// Which greenlets run.
    pub greenlets: Greenlets,
    /// 1 if its code keeps frame pointers: then the user stack goes through it.
    pub keeps_frame_pointers: u64,
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
    /// Address of the code object; the lowest bit, which no address has, marks a frame that native code called.
    pub tagged_code: u64,
    /// `f_lasti` or the instruction pointer, as the version has it.
    pub instr: u64,
}

/// The mark in [`PyFrame::tagged_code`].
pub const ENTRY: u64 = 1;

impl PyFrame {
    /// Address of the code object.
    #[must_use]
    pub const fn code(&self) -> u64 {
        self.tagged_code & !ENTRY
    }

    /// True if native code called it: the interpreter was entered anew for it.
    #[must_use]
    pub const fn is_entry(&self) -> bool {
        self.tagged_code & ENTRY != 0
    }
}

/// One Python frame as it is told to user space: of a code object by its definition ([`crate::event::Code`]).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct ToldFrame {
    /// The definition's number; or, marked with [`BY_ADDRESS`], the code object's address, where it could not be defined.
    /// Marked with [`ENTRY`] if native code called it.
    pub tagged_code: u64,
    /// `f_lasti`, or the instruction's distance from the code object's start, as the version has it.
    pub instr: u64,
}

impl ToldFrame {
    /// Of a frame that was read, by its code object's address.
    #[must_use]
    pub const fn by_address(frame: &PyFrame, offsets: &PyOffsets) -> Self {
        let is_pointer = offsets.frame_instr_bytes == 8;
        let instr = if is_pointer { frame.instr.wrapping_sub(frame.code()) } else { frame.instr };
        Self { tagged_code: frame.tagged_code | BY_ADDRESS, instr }
    }
}

/// A mark in [`ToldFrame::tagged_code`].
pub const BY_ADDRESS: u64 = 2;

/// Bits of [`ToldFrame::tagged_code`] that are marks.
pub const MARKS: u64 = ENTRY | BY_ADDRESS;

const _: () = assert!(size_of::<ToldFrame>() == size_of::<PyFrame>());

/// Whether a thread held the GIL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Gil {
    /// Not known, or there is none.
    #[default]
    Unknown = 0,
    /// It did not.
    Released = 1,
    /// It did.
    Held = 2,
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
    /// Folded over all frames, and what [`Walk::mix_in`] adds.
    pub hash: u64,
    /// The address of the asyncio task that runs, or 0.
    pub task: u64,
    /// The thread state's `PyInterpreterState`.
    pub interpreter: u64,
    /// Frames found.
    pub len: u32,
    /// [`End`].
    pub end: u32,
    /// [`Gil`].
    pub gil: u32,
    /// 1 if the thread runs a greenlet that is not its main one.
    pub in_greenlet: u32,
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
        self.gil = Gil::Unknown as u32;
        self.task = 0;
        self.in_greenlet = 0;
    }

    /// Mixes into the hash what makes the same frames another stack: how the walk ended, the GIL, whether a greenlet runs,
    /// and the task.
    #[inline(always)]
    pub fn mix_in(&mut self) {
        let state = u64::from(self.end) << 32 | u64::from(self.in_greenlet) << 16 | u64::from(self.gil);
        self.hash = fold(fold(self.hash, state), self.task);
    }

    /// Finds the current frame of the thread state at `tstate` and makes ready to walk from it;
    /// false if its memory cannot be read.
    #[inline(always)]
    pub fn enter(&mut self, memory: &mut impl ReadMemory, offsets: &PyOffsets, tstate: u64) -> bool {
        self.start(0);
        if !memory.read(tstate, TSTATE_BYTES, &mut self.window) {
            return false;
        }
        self.interpreter = word(&self.window, offsets.tstate_interpreter);
        if offsets.tstate_gil != ABSENT {
            let holds = word(&self.window, offsets.tstate_gil) as u32 & offsets.gil_mask != 0;
            self.gil = if holds { Gil::Held } else { Gil::Released } as u32;
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
            // The frame that was found last is the one that was entered here.
            if self.len != 0 {
                frames[(self.len as usize - 1) & (MAX_PY_FRAMES - 1)].tagged_code |= ENTRY;
            }
            return true;
        }
        let is_entry = match offsets.frame_is_entry {
            // Up to 3.10 every call enters the interpreter anew; from 3.12 on the entry frames tell.
            ABSENT => offsets.frame_owner == ABSENT,
            offset => byte(&self.window, offset) != 0,
        };
        let code = word(&self.window, offsets.frame_code) & !u64::from(offsets.code_tag);
        let instr = word(&self.window, offsets.frame_instr);
        let frame = PyFrame {
            tagged_code: code & !ENTRY | u64::from(is_entry),
            instr: if offsets.frame_instr_bytes == 4 { instr & 0xffff_ffff } else { instr },
        };
        self.hash = fold(fold(self.hash, frame.tagged_code), frame.instr);
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

/// The word of a code object at a byte offset, as the walk reads them.
#[inline(always)]
#[must_use]
pub const fn code_word(words: &CodeWords, offset: u32) -> u64 {
    words[(offset as usize >> 3) & (words.len() - 1)] >> ((offset & 7) * 8)
}

/// What tells one code object from another that takes its place: folded over where its names and lines are, and either
/// its version's number or, before there were any, the hash that its name keeps of itself, for in a loop that makes and
/// drops them the same addresses come again and again.
#[inline(always)]
#[must_use]
pub fn identity(words: &CodeWords, offsets: &CodeOffsets, mut read: impl FnMut(u64) -> Option<u64>) -> u64 {
    /// `PyASCIIObject.hash`.
    const HASH: u64 = 24;
    let version = if offsets.version == ABSENT {
        read(code_word(words, offsets.name).wrapping_add(HASH)).unwrap_or(0)
    } else {
        code_word(words, offsets.version) << 32
    };
    let lines = (code_word(words, offsets.first_line) & 0xffff_ffff) ^ version;
    let hash = fold(fold(0, code_word(words, offsets.file)), code_word(words, offsets.name));
    fold(fold(hash, code_word(words, offsets.line_table)), lines)
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
        frame_is_entry: ABSENT,
        code_tag: 0,
        tstate_gil: 24,
        gil_mask: 1 << 4,
        tstate_thread_id: 136,
        tstate_interpreter: 16,
        code: CodeOffsets {
            first_line: 68,
            file: 112,
            name: 128,
            line_table: 136,
            version: 92,
            instructions: 192,
            ascii_header: 40,
            compact_header: 56,
        },
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
        assert!(walk.enter(memory, &OFFSETS, 1));
        while walk.step(memory, &OFFSETS, &mut frames) {}
        let entries: Vec<_> = frames[..3].iter().map(|frame| (frame.code(), frame.is_entry())).collect();
        assert_eq!(entries, [(100, false), (200, true), (300, false)]);
    }

    #[test]
    fn a_slot_is_found_step_by_step() {
        let words = HashMap::from([(108, 500u64), (516, 700), (724, 42)]);
        let load = |steps: &[i64]| Slot::new(steps).load(100, |address| words.get(&address).copied());
        assert_eq!(load(&[8]), Some(500));
        assert_eq!(load(&[8, 16, 24]), Some(42));
        assert_eq!(load(&[9, 16]), None);
        // Thread-local memory that the thread has not used yet.
        let unused = Slot::new(&[8, 16]).load(100, |_| Some(u64::MAX));
        assert_eq!(unused, Some(0));
    }

    #[test]
    fn what_takes_a_place_has_another_identity() {
        let mut words: CodeWords = [7; 32];
        let of = |words: &CodeWords, version, hash: u64| {
            identity(words, &CodeOffsets { version, ..OFFSETS.code }, |_| Some(hash))
        };
        let before = (of(&words, 92, 0), of(&words, ABSENT, 1));
        // The same addresses: only the version's number, or the name's own hash, tells.
        assert_ne!(before.1, of(&words, ABSENT, 2));
        words[11] += 1 << 32;
        assert_ne!(before.0, of(&words, 92, 0));
    }

    #[test]
    fn every_word_of_every_frame_is_in_the_hash() {
        let of = |code, instr| walk(&mut thread([frame(code, 11, instr, 0), frame(7, 0, 8, 0)]), &OFFSETS).2;
        assert!(of(1, 2) != of(1, 3) && of(1, 2) != of(2, 2) && of(1, 2) != of(2, 1));
    }
}
