//! Segments of an ELF file: which addresses its parts are loaded at.

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
    /// The segments of a file; `None` if it is not 64-bit ELF.
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
        Some(offset.wrapping_sub(*start).wrapping_add(*address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_in_the_part_that_was_loaded_of_it() {
        // The second says that it goes on behind the last offset there is.
        let segments = Segments(vec![(0x1000, 0x200, 0x40_1000), (0x2000, u64::MAX, 0x50_2000)]);
        let addresses = [0x1010, 0x2004, 0x10].map(|offset| segments.address(offset));
        assert_eq!(addresses, [Some(0x40_1010), Some(0x50_2004), Some(0x50_0010)]);
        assert_eq!(Segments::default().address(0), None);
    }
}
