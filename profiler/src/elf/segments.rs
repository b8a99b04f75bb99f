//! Where the parts of an ELF file are loaded.

use std::fs::File;

use object::{
    Endianness, ReadRef,
    elf::PT_LOAD,
    read::elf::{ElfFile64, ProgramHeader as _},
};

use crate::elf::Pieces;

/// The loaded parts of a file: (offset, bytes, address).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments(Vec<(u64, u64, u64)>);

impl Segments {
    /// Of a file; `None` if it is not 64-bit ELF.
    #[must_use]
    pub fn of_file(file: &File) -> Option<Self> {
        let pieces = Pieces::of(file);
        let elf = ElfFile64::<Endianness, _>::parse(&pieces).ok()?;
        Some(Self::of(&elf))
    }

    fn of<'data, R: ReadRef<'data>>(elf: &ElfFile64<'data, Endianness, R>) -> Self {
        let endian = elf.endian();
        let loaded = elf.elf_program_headers().iter().filter(|header| header.p_type(endian) == PT_LOAD);
        let part = |header: &object::elf::ProgramHeader64<Endianness>| {
            (header.p_offset(endian), header.p_filesz(endian), header.p_vaddr(endian))
        };
        Self(loaded.map(part).collect())
    }

    /// The address that the file itself gives to an offset in it.
    #[must_use]
    pub fn address(&self, offset: u64) -> Option<u64> {
        let (start, _, address) =
            self.0.iter().find(|(start, bytes, _)| offset.wrapping_sub(*start) < *bytes)?;
        Some((offset - start).wrapping_add(*address))
    }
}
