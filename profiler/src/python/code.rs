//! Code objects: names, files and lines, read from a process that may free or overwrite them any time.

use crate::{
    python::{
        layout::{CODE_BYTES, CodeLayout},
        lines,
    },
    sys::memory::Memory,
};

/// Characters of a name or path that are kept.
const MAX_STRING: usize = 4096;
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
        if word(8)? != code_type {
            return None;
        }
        let first_line =
            u32::from_ne_bytes(object.get(layout.first_line..layout.first_line + 4)?.try_into().ok()?);
        let has_pointer = layout.instructions != 0;
        Some(Self {
            name: string(memory, layout, word(layout.name)?)?,
            file: string(memory, layout, word(layout.file)?)?,
            first_line,
            line_table: bytes(memory, word(layout.line_table)?)?,
            instructions: if has_pointer { address + layout.instructions } else { 0 },
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
            lines::Format::Locations => instr.wrapping_sub(self.instructions).cast_signed(),
        };
        lines::line_of(self.layout.format, &self.line_table, self.first_line, offset)
    }
}

/// A `bytes` object: length at 16, data at 32.
fn bytes(memory: Memory, address: u64) -> Option<Vec<u8>> {
    let len = usize::try_from(memory.u64(address + 16)?).ok().filter(|len| *len <= MAX_LINE_TABLE)?;
    memory.bytes(address + 32, len)
}

/// A compact `str` object: length in characters at 16, state at 32, data behind the header.
fn string(memory: Memory, layout: &CodeLayout, address: u64) -> Option<String> {
    let mut head = [0; 20];
    memory.fill(address + 16, &mut head)?;
    let len = usize::try_from(u64::from_ne_bytes(*head.first_chunk()?)).ok()?.min(MAX_STRING);
    let state = u32::from_ne_bytes(*head.last_chunk()?);
    let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1, state >> 6 & 1);
    if compact != 1 {
        return None;
    }
    let header = if ascii == 1 { layout.ascii_header } else { layout.compact_header };
    let data = memory.bytes(address + header, len * kind as usize)?;
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
