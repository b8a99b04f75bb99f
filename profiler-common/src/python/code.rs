//! Code objects: where their fields are, and what tells one from another.
#![expect(
    clippy::inline_always,
    reason = "the walk is one eBPF function: a call would cost more than the step"
)]

use bytemuck::{Pod, Zeroable};

use crate::python::{ABSENT, OBJECT_TYPE, fold};

/// Words of a code object that are read at once: every field below lies within.
pub const CODE_WORDS: usize = 20;

/// A code object's words, and zeros behind them up to a power of two: a place in it is masked, not compared, since each
/// comparison would double the ways that the verifier looks through.
pub type CodeWords = [u64; 32];

/// Where the fields of code objects stand, and the data of the strings that they point to, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct CodeOffsets {
    /// How much further all fields of all objects stand than with the GIL, but those of code objects, which are told here: 0;
    /// without it, 16 (`struct _object`).
    pub object_shift: u64,
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

impl CodeOffsets {
    /// `PyObject.ob_type`.
    #[must_use]
    pub const fn object_type(&self) -> u32 {
        OBJECT_TYPE as u32 + self.object_shift as u32
    }
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
        read(code_word(words, offsets.name).wrapping_add(HASH + offsets.object_shift)).unwrap_or(0)
    } else {
        code_word(words, offsets.version) << 32
    };
    let lines = (code_word(words, offsets.first_line) & 0xffff_ffff) ^ version;
    let hash = fold(fold(0, code_word(words, offsets.file)), code_word(words, offsets.name));
    fold(fold(hash, code_word(words, offsets.line_table)), lines)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Offsets of CPython 3.12, for tests.
    pub const OFFSETS: CodeOffsets = CodeOffsets {
        object_shift: 0,
        first_line: 68,
        file: 112,
        name: 128,
        line_table: 136,
        version: 92,
        instructions: 192,
        ascii_header: 40,
        compact_header: 56,
    };

    #[test]
    fn what_takes_a_place_has_another_identity() {
        let mut words: CodeWords = [7; 32];
        let of = |words: &CodeWords, version, hash: u64| {
            identity(words, &CodeOffsets { version, ..OFFSETS }, |_| Some(hash))
        };
        let before = (of(&words, 92, 0), of(&words, ABSENT, 1));
        // The same addresses: only the version's number, or the name's own hash, tells.
        assert_ne!(before.1, of(&words, ABSENT, 2));
        words[11] += 1 << 32;
        assert_ne!(before.0, of(&words, 92, 0));
    }
}
