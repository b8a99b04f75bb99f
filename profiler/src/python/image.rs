//! An ELF file that may hold an interpreter, and where its symbols are. Parsed once for all copies
//! of a file that a user's processes map.

use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, PoisonError},
};

use object::{
    Architecture, Endianness, Object, ObjectSection, ObjectSymbol,
    elf::{FileHeader64, PF_X, PT_INTERP, PT_LOAD, PT_TLS},
    read::{
        ReadRef,
        elf::{ElfFile64, ElfSymbolIterator, ProgramHeader, Sym as _},
    },
};

use crate::{
    elf::{BuildId, Pieces, debug_file::DebugFile},
    python::{asyncio::Asyncio, eval::Eval, greenlets},
    sys::{budget, memory::Mapping, privileges},
};

/// The symbols that are looked up; those of an interpreter survive `strip`, for extension modules need them.
pub(super) const SYMBOLS: [&str; 14] = [
    "_PyRuntime",
    "_PyThreadState_Current",
    "PyCode_Type",
    "PyCoro_Type",
    "PyGen_Type",
    "PyGreenlet_Type",
    "PyLong_Type",
    "PyUnicode_Type",
    "PyGILState_GetThisThreadState",
    "Py_Version",
    "Py_GetVersion",
    "_thread_db_pthread_specific",
    "_thread_db_sizeof_pthread",
    "pypy_main_startup",
];

/// Whatever holds an interpreter has one of these: CPython from 3.7 on, before, and `PyPy`.
const INTERPRETERS: [&str; 3] = ["_PyRuntime", "_PyThreadState_Current", "pypy_main_startup"];

/// What is known of one file.
#[derive(Clone, Debug, Default)]
pub struct Image {
    architecture: Option<Architecture>,
    pub(super) symbols: HashMap<&'static str, u64>,
    /// The words that some symbols stand for in the file, before it is loaded.
    pub(super) constants: HashMap<&'static str, [u32; 3]>,
    /// Executable segments: (address, file offset).
    pub(super) segments: Vec<(u64, u64)>,
    /// Its zeroed data: (address, bytes).
    pub(super) bss: Option<(u64, u64)>,
    /// Its thread-local variables: (bytes, alignment).
    pub(super) thread_local: Option<(u64, u64)>,
    pub(super) is_executable: bool,
    /// The evaluation loop; of a file that holds an interpreter.
    eval: Eval,
    /// Where asyncio's state is; of a file that holds `_asyncio`.
    asyncio: Option<Asyncio>,
    /// Where greenlet's state is; of a file that holds greenlet.
    greenlets: Option<greenlets::InFile>,
}

/// Images by file, and by what all copies of a file have. Both by user: what one user's processes show is not believed of
/// another's.
#[derive(Default)]
struct Cache {
    files: HashMap<(u32, u64, u64, i64), Option<Arc<Image>>>,
    copies: HashMap<Copied, Arc<Image>>,
}

static CACHE: Mutex<Option<Cache>> = Mutex::new(None);

/// What copies of a file have in common, as containers and virtual environments have many.
#[derive(PartialEq, Eq, Hash)]
struct Copied {
    user: u32,
    build_id: BuildId,
    bytes: u64,
}

impl Copied {
    fn of(file: &File, user: u32, bytes: u64) -> Option<Self> {
        BuildId::of_file(file).map(|build_id| Self { user, build_id, bytes })
    }
}

impl Image {
    /// The image of a file that a process maps, read out of that process's budget.
    #[must_use]
    pub fn mapped(tgid: u32, mapping: &Mapping) -> Option<Arc<Self>> {
        let (file, user) = (mapping.open(tgid)?, budget::user(tgid));
        budget::read(tgid, 0, || Self::of(&file, user))
    }

    /// The image of a file that a process of this user shows; `None` if it cannot be read as 64-bit ELF.
    #[must_use]
    pub fn of(file: &File, user: u32) -> Option<Arc<Self>> {
        let about = file.metadata().ok()?;
        let key = (user, about.dev(), about.ino(), about.mtime());
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        let Cache { files, copies } = cache.get_or_insert_default();
        let read = || {
            let Some(copied) = Copied::of(file, user, about.len()) else {
                return Self::parse(file).map(Arc::new);
            };
            if let Some(image) = copies.get(&copied) {
                return Some(Arc::clone(image));
            }
            let image = Arc::new(Self::parse(file)?);
            copies.insert(copied, Arc::clone(&image));
            Some(image)
        };
        files.entry(key).or_insert_with(|| privileges::without_any(read).ok().flatten()).clone()
    }

    pub(crate) fn parse(file: &File) -> Option<Self> {
        let data = Pieces::of(file);
        let elf = ElfFile64::<Endianness, _>::parse(&data).ok()?;
        let mut image = Self { architecture: Some(elf.architecture()), ..Self::default() };
        let endian = elf.endian();
        for header in elf.elf_program_headers() {
            match header.p_type(endian) {
                PT_LOAD if header.p_flags(endian).contains(PF_X) => {
                    image.segments.push((header.p_vaddr(endian), header.p_offset(endian)));
                }
                PT_TLS => image.thread_local = Some((header.p_memsz(endian), header.p_align(endian))),
                PT_INTERP => image.is_executable = true,
                _ => {}
            }
        }
        image.learn(&elf, elf.dynamic_symbols(), ".dynstr");
        let runtime = elf.section_by_name(".PyRuntime").map(|section| section.address());
        if !image.holds_interpreter() && (image.is_executable || runtime.is_some()) {
            // A program's own interpreter exports nothing if it loads no modules that need it.
            image.learn(&elf, elf.symbols(), ".strtab");
        }
        if !image.holds_interpreter() && image.is_executable {
            image.learn_installed(file);
        }
        if let Some(address) = runtime {
            // It has the section to itself (3.10+), which `strip` leaves.
            image.symbols.entry("_PyRuntime").or_insert(address);
        }
        if image.symbols.contains_key("PyCode_Type") {
            image.eval = Eval::of(&elf);
        }
        image.asyncio = Asyncio::of(&elf);
        image.greenlets = image.symbol("PyGreenlet_Type").and_then(|main_type| {
            greenlets::InFile::of(&elf, main_type, image.thread_local.map(|(bytes, _)| bytes))
        });
        image.bss = elf.section_by_name(".bss").map(|section| (section.address(), section.size()));
        Some(image)
    }

    /// Learns where the known symbols of a table are.
    fn learn<'data, 'file, R: ReadRef<'data>>(
        &mut self,
        elf: &ElfFile64<'data, Endianness, R>,
        table: ElfSymbolIterator<'data, 'file, FileHeader64<Endianness>, R>,
        names: &str,
    ) {
        // All names in one read: there are thousands.
        let names = elf.section_by_name(names).and_then(|section| section.data().ok()).unwrap_or_default();
        for symbol in table.filter(ObjectSymbol::is_definition) {
            let name = names.get(symbol.elf_symbol().st_name(elf.endian()) as usize..).unwrap_or_default();
            let is_it = |known: &&&str| {
                name.strip_prefix(known.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
            };
            let Some(name) = SYMBOLS.iter().find(is_it) else { continue };
            self.symbols.insert(name, symbol.address());
            if let Some(words) = constant(elf, symbol.address()) {
                self.constants.insert(name, words);
            }
        }
    }

    /// Learns them from the symbols that are installed for a file, if there are any.
    fn learn_installed(&mut self, file: &File) {
        let Some(installed) = DebugFile::of(file) else { return };
        let data = Pieces::of(installed.file());
        if let Ok(elf) = ElfFile64::<Endianness, _>::parse(&data) {
            self.learn(&elf, elf.symbols(), ".strtab");
        }
    }

    /// True if it is an interpreter, or has one in it.
    #[must_use]
    pub fn holds_interpreter(&self) -> bool {
        INTERPRETERS.iter().any(|name| self.symbols.contains_key(name))
    }

    /// The processor architecture of its code.
    #[must_use]
    pub const fn architecture(&self) -> Option<Architecture> {
        self.architecture
    }

    /// Bytes and alignment of its thread-local variables.
    #[must_use]
    pub const fn thread_local(&self) -> Option<(u64, u64)> {
        self.thread_local
    }

    /// Where asyncio's tasks are.
    #[must_use]
    pub const fn asyncio(&self) -> Option<Asyncio> {
        self.asyncio
    }

    /// Where greenlet keeps which one runs.
    #[must_use]
    pub const fn greenlets(&self) -> Option<greenlets::InFile> {
        self.greenlets
    }

    /// Where the interpreter's loop is.
    #[must_use]
    pub const fn eval(&self) -> &Eval {
        &self.eval
    }

    /// True for a program, false for a library.
    #[must_use]
    pub const fn is_executable(&self) -> bool {
        self.is_executable
    }

    /// Where a symbol is, unloaded.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }

    /// The first words of what a symbol names, as they are in the file.
    #[must_use]
    pub fn constant(&self, name: &str) -> Option<[u32; 3]> {
        self.constants.get(name).copied()
    }

    /// Place of the zeroed data, unloaded: address and bytes.
    #[must_use]
    pub const fn bss(&self) -> Option<(u64, u64)> {
        self.bss
    }

    /// What to add to an address of the file for its address in memory, given one executable mapping of it.
    #[must_use]
    pub fn bias(&self, mapping: &Mapping) -> Option<u64> {
        let (address, offset) = self.segments.iter().find(|(_, offset)| {
            *offset >= mapping.offset && *offset - mapping.offset < mapping.end - mapping.start
        })?;
        Some(mapping.start.wrapping_add(offset - mapping.offset).wrapping_sub(*address))
    }
}

/// The three words at an address, if they are in the file.
fn constant<'data>(elf: &impl Object<'data>, address: u64) -> Option<[u32; 3]> {
    let section = elf
        .sections()
        .find(|section| address.wrapping_sub(section.address()) < section.size() && section.address() != 0)?;
    let word = |index: u64| {
        let bytes = section.data_range(address + 4 * index, 4).ok()??;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    // A symbol of one word may end its section.
    Some([word(0)?, word(1).unwrap_or(0), word(2).unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::FileExt as _, process::Command};

    use super::*;

    #[test]
    fn copies_are_read_once_for_each_user() {
        let folder = tempfile::tempdir().unwrap();
        let copy = |name: &str| {
            let path = folder.path().join(name);
            fs::copy("/bin/sh", &path).unwrap();
            File::open(path).unwrap()
        };
        let [one, other] = ["a", "b"].map(copy);
        let image = |file, user| Image::of(file, u32::MAX - user).unwrap();
        let first = image(&one, 1);
        assert!(Arc::ptr_eq(&first, &image(&one, 1)) && Arc::ptr_eq(&first, &image(&other, 1)));
        assert!(!Arc::ptr_eq(&first, &image(&other, 2)) && !Arc::ptr_eq(&first, &image(&one, 3)));
    }

    #[test]
    fn a_section_that_reaches_behind_the_end_of_memory_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let source =
            "int _PyRuntime = 7, PyCode_Type = 8; int _PyEval_EvalFrameDefault(void) { return 9; }\n";
        fs::write(folder.path().join("a.c"), source).unwrap();
        let mut gcc = Command::new("gcc");
        gcc.args(["-shared", "-fPIC", "-o", "a.so", "a.c"]);
        assert!(gcc.current_dir(folder.path()).status().unwrap().success());
        let whole = fs::read(folder.path().join("a.so")).unwrap();
        let number = |at: usize, bytes: usize| {
            whole[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
        };
        // e_shoff, e_shnum; a header has 64 bytes, of which these are address, offset and size.
        let (headers, count) = (number(40, 8), number(60, 2));
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&whole, 0).unwrap();
        assert!(Image::parse(&file).unwrap().constant("_PyRuntime").is_some_and(|[word, ..]| word == 7));
        for field in (0..count).flat_map(|section| [16, 24, 32].map(|field| headers + 64 * section + field)) {
            for value in [u64::MAX, u64::MAX - 8, 1 << 63] {
                file.write_all_at(&whole, 0).unwrap();
                file.write_all_at(&value.to_le_bytes(), field as u64).unwrap();
                drop(Image::parse(&file));
            }
        }
    }
}
