//! What a binary that is released is, read from its file.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use object::{
    Architecture, LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, elf,
    read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _},
};

use super::Machine;

/// A download, and a page cache on every host.
const MAX_BYTES: usize = 10_000_000;

/// Fails unless the file is a static and stripped program for this machine, small, with an eBPF object for it inside.
pub fn of(binary: &Path, machine: Machine) -> Result<()> {
    let data = fs::read(binary).context("failed to read it")?;
    let file = ElfFile64::<LittleEndian>::parse(&*data).context("failed to parse it")?;
    let number = match machine {
        Machine::X86_64 => elf::EM_X86_64,
        Machine::Aarch64 => elf::EM_AARCH64,
    };
    let said = file.elf_header().e_machine(LittleEndian);
    ensure!(said == number, "it is for machine {said:?}, not {number:?}");
    for header in file.elf_program_headers() {
        ensure!(header.p_type(LittleEndian) != elf::PT_INTERP, "it wants an interpreter");
        let dynamic = header.dynamic(LittleEndian, &*data).context("failed to read its dynamic section")?;
        let needs = dynamic.into_iter().flatten().any(|entry| entry.d_tag(LittleEndian) == elf::DT_NEEDED);
        ensure!(!needs, "it needs shared libraries");
    }
    ensure!(file.symbol_table().is_none(), "it has symbols");
    let said = ebpf_machine(&data)?;
    ensure!(said == number, "its eBPF object is for machine {said:?}, not {number:?}");
    let bytes = data.len();
    ensure!(bytes <= MAX_BYTES, "it has {bytes} bytes, more than {MAX_BYTES}");
    eprintln!("dist: {} is static and for {machine}, its eBPF object too; {bytes} bytes", binary.display());
    Ok(())
}

/// The machine that the eBPF object in a binary says it is for.
fn ebpf_machine(binary: &[u8]) -> Result<elf::Machine> {
    let starts =
        binary.windows(4).enumerate().filter(|(_, bytes)| *bytes == elf::ELFMAG).map(|(start, _)| start);
    let mut files = starts.skip(1).filter_map(|start| object::File::parse(&binary[start..]).ok());
    let object = files
        .find(|file| file.architecture() == Architecture::Bpf)
        .context("failed to find an eBPF object in it")?;
    let symbol = object.symbol_by_name("MACHINE").context("failed to find MACHINE in its eBPF object")?;
    let section = symbol.section_index().and_then(|index| object.section_by_index(index).ok());
    let bytes = section.and_then(|section| section.data_range(symbol.address(), 2).ok().flatten());
    let bytes =
        bytes.and_then(|bytes| bytes.try_into().ok()).context("failed to read MACHINE in its eBPF object")?;
    Ok(elf::Machine(u16::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[test]
    fn an_ordinary_program_of_this_host_is_refused() {
        let (own, other) = if cfg!(target_arch = "aarch64") {
            (Machine::Aarch64, Machine::X86_64)
        } else {
            (Machine::X86_64, Machine::Aarch64)
        };
        let refusal = |machine| of(&env::current_exe().unwrap(), machine).unwrap_err().to_string();
        assert_eq!(refusal(own), "it wants an interpreter");
        assert!(refusal(other).starts_with("it is for machine "), "{}", refusal(other));
    }
}
