//! Code objects: names, files and lines, read from a process that may free or overwrite them any time.

use crate::{
    python::{
        layout::{CODE_BYTES, CodeLayout, ObjectLayout},
        lines,
    },
    sys::memory::Memory,
};

/// Characters of a name or path that are kept.
const MAX_STRING: usize = 4096;
/// Threads that a code object may have copies for.
const MAX_COPIES: usize = 1 << 14;
/// Bytes of a line table that are believed.
const MAX_LINE_TABLE: usize = 1 << 20;

/// What a code object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Qualified name from 3.11 on, else the name.
    pub name: String,
    /// `co_filename`.
    pub file: String,
    first_line: u32,
    line_table: Vec<u8>,
    /// Address of the first instruction, or 0 where instructions are told by index.
    instructions: u64,
    /// In builds without the GIL: where the instructions begin, its own and the copies for single threads, sorted.
    copies: Vec<u64>,
    layout: CodeLayout,
}

impl Code {
    /// Reads the code object at an address; `None` if there is none (any more). `code_type` is the address of
    /// `PyCode_Type`, which every code object points to.
    #[must_use]
    pub fn read(memory: Memory, layout: &CodeLayout, address: u64, code_type: u64) -> Option<Self> {
        let mut object = [0; CODE_BYTES];
        memory.fill(address, &mut object)?;
        let word = |offset: usize| Some(u64::from_ne_bytes(object.get(offset..offset + 8)?.try_into().ok()?));
        if word(layout.objects.type_)? != code_type {
            return None;
        }
        let first_line =
            u32::from_ne_bytes(object.get(layout.first_line..layout.first_line + 4)?.try_into().ok()?);
        let has_pointer = layout.instructions != 0;
        let objects = &layout.objects;
        Some(Self {
            name: string(memory, objects, word(layout.name)?)?,
            file: string(memory, objects, word(layout.file)?)?,
            first_line,
            line_table: bytes(memory, objects, word(layout.line_table)?)?,
            instructions: if has_pointer { address + layout.instructions } else { 0 },
            copies: layout.copies.map(|offset| copies(memory, address + offset as u64)).unwrap_or_default(),
            layout: *layout,
        })
    }

    /// The line of a frame's instruction word (see [`profiler_common::python::PyFrame::instr`]).
    #[must_use]
    pub fn line(&self, instr: u64) -> u32 {
        let offset = match self.layout.format {
            lines::Format::Lnotab => i64::from((instr as u32).cast_signed()),
            // f_lasti counts two-byte units here.
            lines::Format::Linetable => i64::from((instr as u32).cast_signed()) * 2,
            lines::Format::Locations => instr.wrapping_sub(self.copy_of(instr)).cast_signed(),
        };
        lines::line_of(self.layout.format, &self.line_table, self.first_line, offset)
    }

    /// Where the instructions begin among which `instr` is.
    fn copy_of(&self, instr: u64) -> u64 {
        let nearest = self.copies.iter().rev().find(|copy| **copy <= instr);
        nearest.copied().unwrap_or(self.instructions)
    }
}

/// `_PyCodeArray { Py_ssize_t size; char *entries[]; }` behind a pointer: the first entry is the code object's own.
fn copies(memory: Memory, address: u64) -> Vec<u64> {
    let read = || {
        let array = memory.u64(address).filter(|array| *array != 0)?;
        let len = usize::try_from(memory.u64(array)?).ok().filter(|len| *len <= MAX_COPIES)?;
        let words = memory.bytes(array + 8, len * 8)?;
        let mut copies: Vec<_> = words
            .chunks_exact(8)
            .map(|word| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            .filter(|copy| *copy != 0)
            .collect();
        copies.sort_unstable();
        Some(copies)
    };
    read().unwrap_or_default()
}

/// A `bytes` object: its length, and its data.
fn bytes(memory: Memory, layout: &ObjectLayout, address: u64) -> Option<Vec<u8>> {
    let len = memory.u64(address.wrapping_add(layout.bytes_size))?;
    let len = usize::try_from(len).ok().filter(|len| *len <= MAX_LINE_TABLE)?;
    memory.bytes(address.wrapping_add(layout.bytes_data), len)
}

/// A compact `str` object: its length in characters, its state, and its data behind the header.
fn string(memory: Memory, layout: &ObjectLayout, address: u64) -> Option<String> {
    let len = memory.u64(address.wrapping_add(layout.string_length))?;
    let len = usize::try_from(len).ok()?.min(MAX_STRING);
    let state = memory.u32(address.wrapping_add(layout.string_state))?;
    let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1, state >> 6 & 1);
    if compact != 1 {
        return None;
    }
    let header = if ascii == 1 { layout.ascii_header } else { layout.compact_header };
    let data = memory.bytes(address.wrapping_add(header), len * kind as usize)?;
    match kind {
        // Latin-1 is the first 256 characters of Unicode.
        1 => Some(data.into_iter().map(char::from).collect()),
        2 => {
            let units = data.chunks_exact(2).map(|unit| u16::from_ne_bytes([unit[0], unit[1]]));
            // UCS-2: no surrogate pairs, each unit is a character.
            Some(
                units
                    .map(|unit| char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect(),
            )
        }
        4 => {
            let units =
                data.chunks_exact(4).map(|unit| u32::from_ne_bytes([unit[0], unit[1], unit[2], unit[3]]));
            Some(units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}
