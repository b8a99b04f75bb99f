//! One Python frame, as it is read from memory and as it is sent to user space.

use bytemuck::{Pod, Zeroable};

use crate::python::PyOffsets;

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

/// One Python frame as it is sent to user space: with its code object's definition ([`crate::event::CodeRecord`]) in place of
/// the address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct FrameRef {
    /// The definition's number; or, marked with [`BY_ADDRESS`], the code object's address, where it could not be defined.
    /// Marked with [`ENTRY`] if native code called it.
    pub tagged_code: u64,
    /// `f_lasti`, or the instruction's distance from the code object's start, as the version has it.
    pub instr: u64,
}

impl FrameRef {
    /// A reference to a frame that was read, by the address of its code object.
    #[must_use]
    pub const fn by_address(frame: &PyFrame, offsets: &PyOffsets) -> Self {
        let is_pointer = offsets.frame_instr_bytes == 8;
        let instr = if is_pointer { frame.instr.wrapping_sub(frame.code()) } else { frame.instr };
        Self { tagged_code: frame.tagged_code | BY_ADDRESS, instr }
    }
}

/// A mark in [`FrameRef::tagged_code`].
pub const BY_ADDRESS: u64 = 2;

/// Bits of [`FrameRef::tagged_code`] that are marks.
pub const MARKS: u64 = ENTRY | BY_ADDRESS;

const _: () = assert!(size_of::<FrameRef>() == size_of::<PyFrame>());
