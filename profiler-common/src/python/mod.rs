//! A Python thread's frames: where a process keeps them, and the walk.
//!
//! What differs between versions and processes is data, [`PyTarget`], that the loader finds out and the kernel side goes by.

mod borrowed;
mod code;
mod entry;
mod frame;
mod greenlets;
mod interpreters;
mod slot;
mod unwalked;
mod walk;

use bytemuck::{Pod, Zeroable};

pub use borrowed::{Borrowed, C_STACK_WORDS, CStack};
pub use code::{CODE_WORDS, CodeOffsets, CodeWords, code_word, identity};
pub use frame::{BY_ADDRESS, ENTRY, FrameRef, MARKS, PyFrame};
pub use greenlets::Greenlets;
pub use interpreters::{Interpreters, TstateSearch};
pub use slot::TlsPath;
pub use unwalked::Unwalked;
pub use walk::{
    End, GilState, MAX_PY_FRAMES, MAX_STEPS, ReadMemory, ReadWindow, UNREADABLE, WINDOW_WORDS, Walk, fold,
};

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
    /// `_PyCFrame.current_frame`, which `previous` follows, or [`ABSENT`].
    pub cframe_frame: u32,
    /// `PyThreadState.cframe`, which points into the C stack of the thread that runs it (3.10 and 3.11), or [`ABSENT`].
    pub tstate_cframe: u32,
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
    /// `PyThreadState.next`.
    pub tstate_next: u32,
    /// `PyThreadState.interp`.
    pub tstate_interpreter: u32,
    /// `PyInterpreterState.next`.
    pub interpreter_next: u32,
    /// `PyInterpreterState` → its first thread state.
    pub interpreter_threads: u32,
    /// Offsets inside of code objects.
    pub code: CodeOffsets,
}

/// `PyObject.ob_type`, with the GIL.
pub const OBJECT_TYPE: u64 = 8;

/// Bytes of `struct _gil_runtime_state`: 32 of its own words, then condition, mutex, condition, mutex of glibc's
/// (48 and 40 bytes on `x86_64`, 48 and 48 on aarch64). The same from 3.7 to 3.15.
pub const GIL_BYTES: u64 = 32 + 2 * (48 + 40);

/// How to walk one process; the zeroed value means that it cannot be.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct PyTarget {
    /// Thread pointer → the GIL-state slot, which holds the `PyThreadState` also while the GIL is released.
    pub slot: TlsPath,
    /// Start of the interpreter's executable mapping. Native frames inside of it are the interpreter that runs the Python
    /// frames.
    pub text_start: u64,
    /// End of the interpreter's executable mapping.
    pub text_end: u64,
    /// The GIL's structure, [`GIL_BYTES`] long; 0 if there is none.
    pub gil: u64,
    /// `PyInterpreterState` → the pointer to its GIL, which a subinterpreter can have for itself (3.12+); 0 if one is for all.
    pub gil_pointer: u64,
    /// Where the thread state that holds the GIL is written (≤ 3.11: one for all interpreters); 0 if nowhere.
    pub gil_holder: u64,
    /// `PyThreadState` → the asyncio task that runs (3.14+); 0 if not known.
    pub running_task: u64,
    /// `PyInterpreterState` → how many of its code objects have died (3.14+); 0 if it does not count them.
    pub code_generation: u64,
    /// Interpreters of the process; a thread can have frames of several.
    pub interpreters: Interpreters,
    /// Where the running greenlet of a thread is found.
    pub greenlets: Greenlets,
    /// Another interpreter at work in the process.
    pub unwalked: Unwalked,
    /// 1 if its code keeps frame pointers: then the user stack goes through it.
    pub keeps_frame_pointers: u64,
    /// Offsets of this CPython version.
    pub offsets: PyOffsets,
}

impl PyTarget {
    /// True if there is no Python to walk.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.text_end == 0
    }

    /// True if an address is in the GIL of the subinterpreter that the thread with this thread pointer is in.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the eBPF side has no calls")]
    pub fn is_in_gil_of_subinterpreter(
        &self,
        address: u64,
        thread_pointer: u64,
        mut read: impl FnMut(u64) -> Option<u64>,
    ) -> bool {
        if self.gil_pointer == 0 {
            return false;
        }
        let tstate = self.slot.load(thread_pointer, &mut read).unwrap_or(0);
        if tstate == 0 {
            return false;
        }
        let interpreter = read(tstate.wrapping_add(u64::from(self.offsets.tstate_interpreter))).unwrap_or(0);
        if interpreter == 0 || interpreter == self.interpreters.main {
            return false;
        }
        let gil = read(interpreter.wrapping_add(self.gil_pointer)).unwrap_or(0);
        gil != 0 && address.wrapping_sub(gil) < GIL_BYTES
    }

    /// True for an address in the interpreter's code.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::inline_always, reason = "the eBPF side has no calls")]
    pub const fn is_interpreter(&self, address: u64) -> bool {
        address >= self.text_start && address < self.text_end
    }
}
