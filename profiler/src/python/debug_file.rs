//! The symbols that were stripped from a file: where distributions install them, by its build-id.

use std::{fs::File, path::Path};

use object::{
    Endianness, Object as _, ReadCache,
    elf::PT_LOAD,
    read::elf::{ElfFile64, ProgramHeader as _},
};

/// Where they are installed. Never where the file itself says: its makers are strangers.
const FOLDER: &str = "/usr/lib/debug/.build-id";

/// A file of symbols, and what tells where in memory the original's parts are.
#[derive(Debug)]
pub struct DebugFile {
    file: File,
    /// Of the original: (offset, bytes, address).
    segments: Vec<(u64, u64, u64)>,
}

impl DebugFile {
    /// The installed symbols of a file; `None` if there are none.
    #[must_use]
    pub fn of(original: &File) -> Option<Self> {
        Self::below(Path::new(FOLDER), original)
    }

    fn below(folder: &Path, original: &File) -> Option<Self> {
        let original = ReadCache::new(original);
        let original = ElfFile64::<Endianness, _>::parse(&original).ok()?;
        let id = original.build_id().ok()??.to_owned();
        let (first, rest) = id.split_first()?;
        let rest = rest.iter().fold(String::new(), |rest, byte| format!("{rest}{byte:02x}"));
        let file = File::open(folder.join(format!("{first:02x}/{rest}.debug"))).ok()?;
        let is_of_it = {
            let symbols = ReadCache::new(&file);
            ElfFile64::<Endianness, _>::parse(&symbols).ok()?.build_id().ok()? == Some(&id)
        };
        let endian = original.endian();
        let loaded = original.elf_program_headers().iter().filter(|header| header.p_type(endian) == PT_LOAD);
        let segments =
            loaded.map(|header| (header.p_offset(endian), header.p_filesz(endian), header.p_vaddr(endian)));
        is_of_it.then(|| Self { segments: segments.collect(), file })
    }

    /// The file that has the symbols.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The address that the symbols know an offset of the original by.
    #[must_use]
    pub fn address(&self, offset: u64) -> Option<u64> {
        let (start, _, address) =
            self.segments.iter().find(|(start, bytes, _)| offset.wrapping_sub(*start) < *bytes)?;
        Some(offset - start + address)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// Of a library that is built, and stripped, here.
    #[test]
    fn a_stripped_file_has_the_symbols_that_are_installed_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("lib.c"), "static __attribute__((noinline)) int hidden(int x) { return x * 7; }\nint shown(int x) { return hidden(x); }\n").unwrap();
        let run = |program: &str, arguments: &[&str]| {
            assert!(
                Command::new(program).args(arguments).current_dir(folder.path()).status().unwrap().success()
            );
        };
        let id = "0123456789abcdef0123456789abcdef01234567";
        run("gcc", &["-O1", "-shared", "-fPIC", "-o", "lib.so", &format!("-Wl,--build-id=0x{id}"), "lib.c"]);
        fs::create_dir(path("01")).unwrap();
        let debug = format!("01/{}.debug", &id[2..]);
        run("objcopy", &["--only-keep-debug", "lib.so", &debug]);
        let whole = fs::read(path("lib.so")).unwrap();
        let whole = object::File::parse(whole.as_slice()).unwrap();
        let hidden = object::Object::symbol_by_name(&whole, "hidden").expect("it is not inlined");
        let address = object::ObjectSymbol::address(&hidden);
        run("strip", &["lib.so"]);
        let stripped = File::open(path("lib.so")).unwrap();
        let found = DebugFile::below(folder.path(), &stripped).expect("it is installed");
        // A library's first code lies at the same offset as address.
        assert_eq!(found.address(address), Some(address));
        let symbols = ReadCache::new(found.file());
        let symbols = object::File::parse(&symbols).unwrap();
        assert!(object::Object::symbol_by_name(&symbols, "hidden").is_some());
        // Another file's symbols at this place are not believed.
        run("gcc", &["-O1", "-shared", "-fPIC", "-o", &debug, "-Wl,--build-id=0xabcd", "lib.c"]);
        assert!(DebugFile::below(folder.path(), &stripped).is_none());
    }
}
