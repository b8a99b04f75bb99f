//! Code objects: names, files and lines, read from a process that may free or overwrite them any time.

use std::sync::Arc;

use profiler_common::{
    event,
    python::{CODE_WORDS, CodeOffsets, CodeWords, code_word, identity},
};

use crate::{
    python::lines::{self, LineTableFormat},
    sys::memory::Memory,
};

/// Characters of a name or path that are kept.
const MAX_STRING: usize = 4096;
/// Bytes of a line table that are believed.
const MAX_LINE_TABLE: usize = 1 << 20;

/// What a code object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeObject {
    /// Qualified name from 3.11 on, else the name.
    pub name: String,
    /// `co_filename`.
    pub file: String,
    /// `co_firstlineno`.
    pub first_line: u32,
    line_table: Arc<[u8]>,
    /// Where the first instruction is, from the code object's start; 0 where instructions are told by index.
    instructions: u32,
    format: LineTableFormat,
}

impl CodeObject {
    /// Reads the code object at an address; `None` if there is none (any more). `code_type` is the address of
    /// `PyCode_Type`, which every code object points to.
    #[must_use]
    pub fn read(
        memory: Memory,
        offsets: &CodeOffsets,
        format: LineTableFormat,
        address: u64,
        code_type: u64,
    ) -> Option<Self> {
        let mut words = CodeWords::default();
        memory.fill(address, bytemuck::cast_slice_mut(&mut words[..CODE_WORDS]))?;
        if code_word(&words, offsets.object_type()) != code_type {
            return None;
        }
        Some(Self {
            name: string(memory, offsets, code_word(&words, offsets.name))?,
            file: string(memory, offsets, code_word(&words, offsets.file))?,
            first_line: code_word(&words, offsets.first_line) as u32,
            line_table: bytes(memory, offsets, code_word(&words, offsets.line_table))?.into(),
            instructions: offsets.instructions,
            format,
        })
    }

    /// A code object from the kernel side's record. A line table that was too long for the record is read now; if the process
    /// is gone, or has another code object there, frames have the function's first line.
    #[must_use]
    pub fn from_record(
        memory: Memory,
        record: &event::CodeRecord,
        lines: Option<&[u8]>,
        offsets: &CodeOffsets,
        format: LineTableFormat,
    ) -> Option<Self> {
        let line_table = lines.map(<[u8]>::to_vec).or_else(|| {
            let mut words = CodeWords::default();
            memory.fill(record.address, bytemuck::cast_slice_mut(&mut words[..CODE_WORDS]))?;
            let is_same = code_word(&words, offsets.first_line) as u32 == record.first_line
                && identity(&words, offsets, |address| memory.u64(address)) == record.identity;
            is_same.then(|| bytes(memory, offsets, code_word(&words, offsets.line_table)))?
        });
        Some(Self {
            name: decode(record.name_width, record.name())?,
            file: decode(record.file_width, record.file())?,
            first_line: record.first_line,
            line_table: line_table.unwrap_or_default().into(),
            instructions: offsets.instructions,
            format,
        })
    }

    /// True for what the interpreter runs for itself, and hides from everybody: the frame between a call of a class and its
    /// `__init__` (3.13+) has no line, and no file but its name.
    #[must_use]
    pub fn is_interpreters(&self) -> bool {
        self.first_line == 0 && self.file == self.name
    }

    /// How it tells lines; empty if that could not be read.
    #[must_use]
    pub const fn line_table(&self) -> &Arc<[u8]> {
        &self.line_table
    }

    /// Itself with another table: an equal one, or none, with which its frames have the function's first line.
    #[must_use]
    pub fn with_line_table(self, line_table: Arc<[u8]>) -> Self {
        Self { line_table, ..self }
    }

    /// The line of a frame's instruction word (see [`profiler_common::python::FrameRef::instr`]).
    #[must_use]
    pub fn line(&self, instr: u64) -> u32 {
        let offset = match self.format {
            LineTableFormat::Lnotab => i64::from((instr as u32).cast_signed()),
            // f_lasti counts two-byte units here.
            LineTableFormat::Linetable => i64::from((instr as u32).cast_signed()) * 2,
            LineTableFormat::Locations => instr.wrapping_sub(u64::from(self.instructions)).cast_signed(),
        };
        lines::line_of(self.format, &self.line_table, self.first_line, offset)
    }
}

/// A `bytes` object: its length at 16, its data at 32.
fn bytes(memory: Memory, offsets: &CodeOffsets, address: u64) -> Option<Vec<u8>> {
    let address = address.wrapping_add(offsets.object_shift);
    let len = usize::try_from(memory.u64(address.wrapping_add(16))?).ok()?;
    (len <= MAX_LINE_TABLE).then(|| memory.bytes(address.wrapping_add(32), len))?
}

/// A compact `str` object: its length in characters at 16, its state at 32, its data behind the header.
pub(super) fn string(memory: Memory, offsets: &CodeOffsets, address: u64) -> Option<String> {
    let mut head = [0; 20];
    memory.fill(address.wrapping_add(16 + offsets.object_shift), &mut head)?;
    let len = usize::try_from(u64::from_ne_bytes(*head.first_chunk()?)).ok()?.min(MAX_STRING);
    let state = u32::from_ne_bytes(*head.last_chunk()?);
    let (width, compact, ascii) = (state >> 2 & 7, state >> 5 & 1, state >> 6 & 1);
    if compact != 1 {
        return None;
    }
    let header = if ascii == 1 { offsets.ascii_header } else { offsets.compact_header };
    let data = memory.bytes(address.wrapping_add(u64::from(header)), len * width as usize)?;
    decode(width, &data)
}

/// Characters of 1, 2 or 4 bytes.
fn decode(width: u32, data: &[u8]) -> Option<String> {
    match width {
        // Latin-1 is the first 256 characters of Unicode.
        1 => Some(data.iter().copied().map(char::from).collect()),
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
