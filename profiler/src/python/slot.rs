//! The GIL-state slot under a pthread key (≤ 3.14): where, seen from a thread's thread pointer, its `PyThreadState` is
//! kept, also while it does not hold the GIL.
//!
//! glibc tells its own geometry by the descriptors that it exports for `libthread_db`; musl's is fixed. Whatever is found
//! is checked against the interpreter's own list of thread states, and looked for by value where that fails.

use std::collections::HashSet;

use object::Architecture;
use profiler_common::python::TlsPath;

use crate::{
    python::{image::Image, interpreter::ThreadState},
    sys::memory::{Mapping, Memory},
};

/// Keys in one block of glibc's two-level table; the first block lies in the thread's own descriptor.
const BLOCK: u64 = 32;
/// Bytes of one key's data there: sequence number and value.
const KEY_DATA: u64 = 16;
/// Bytes of the descriptor that are looked through: the first block lies within, and no more may be mapped than the
/// descriptor has, which ends a thread's stack.
const DESCRIPTOR_BYTES: i64 = 2048;
/// Keys that glibc has.
const MAX_KEY: u32 = 1024;

/// How a C library keeps the values of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// Thread pointer → the table of blocks (`struct pthread.specific`).
    Glibc {
        /// Bytes.
        table: i64,
    },
    /// Thread pointer → the pointer to the one array (`struct pthread.tsd`).
    Musl {
        /// Bytes.
        array: i64,
    },
}

impl Libc {
    /// The C library among some mapped files; `None` if it is none that is known.
    #[must_use]
    pub fn of(tgid: u32, mappings: &[Mapping]) -> Option<Self> {
        mappings.iter().find_map(|mapping| {
            let name = mapping.path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("ld-musl-") || name.starts_with("libc.musl-") {
                return Some(Self::musl(Image::mapped(tgid, mapping)?.as_ref()));
            }
            // Until glibc 2.33 the descriptors were libpthread's.
            let is_glibc =
                name.starts_with("libc.so.") || name.starts_with("libc-2.") || name.starts_with("libpthread");
            if is_glibc { Self::glibc(Image::mapped(tgid, mapping)?.as_ref()) } else { None }
        })
    }

    /// glibc, by its descriptors: {bits, count, offset in `struct pthread`}.
    #[must_use]
    pub fn glibc(image: &Image) -> Option<Self> {
        let [_, _, table] = image.constant("_thread_db_pthread_specific")?;
        // The thread pointer points to the descriptor's start on `x86_64`, behind its end on aarch64.
        let thread_pointer = match image.architecture()? {
            Architecture::Aarch64 => image.constant("_thread_db_sizeof_pthread")?[0],
            _ => 0,
        };
        Some(Self::Glibc { table: i64::from(table) - i64::from(thread_pointer) })
    }

    /// musl, by its architecture: read in the code of 1.2's `pthread_getspecific`.
    #[must_use]
    pub fn musl(image: &Image) -> Self {
        Self::Musl { array: if image.architecture() == Some(Architecture::Aarch64) { -0x58 } else { 0x80 } }
    }

    /// The slot of a key.
    #[must_use]
    pub fn slot(self, key: u32) -> TlsPath {
        let key = i64::from(key);
        let (block, key_data) = (BLOCK.cast_signed(), KEY_DATA.cast_signed());
        let in_block = key % block * key_data + key_data / 2;
        match self {
            Self::Musl { array } => TlsPath::new(&[array, key * 8]),
            // The first block lies right before the table.
            Self::Glibc { table } if key < block => TlsPath::new(&[table - block * key_data + in_block]),
            Self::Glibc { table } => TlsPath::new(&[table + key / block * 8, in_block]),
        }
    }
}

/// What is added to a thread's `pthread_self()`, which is its descriptor's address, for its thread pointer: nothing on
/// `x86_64`; on aarch64 the descriptor's length, by glibc's own word.
#[must_use]
pub fn descriptor_bytes(tgid: u32, mappings: &[Mapping]) -> u64 {
    if cfg!(target_arch = "x86_64") {
        return 0;
    }
    let mut images = mappings.iter().filter_map(|mapping| Image::mapped(tgid, mapping));
    let bytes = images.find_map(|image| image.constant("_thread_db_sizeof_pthread"));
    bytes.map_or(0, |[bytes, ..]| u64::from(bytes))
}

/// The slot of a key, checked; the error says why there is none, as a clause. A key that is not told is looked for.
pub fn find(
    memory: Memory,
    tgid: u32,
    mappings: &[Mapping],
    key: Option<u32>,
    states: &[ThreadState],
) -> Result<TlsPath, String> {
    let listed = Listed::new(states);
    let known = key.filter(|key| *key < MAX_KEY).zip(Libc::of(tgid, mappings));
    let slot = known.map(|(key, libc)| libc.slot(key)).filter(|slot| listed.are_at(memory, slot));
    slot.or_else(|| calibrate(memory, &listed, states.first()?.thread_pointer)).ok_or_else(|| match key {
        Some(key) => format!("the slot of its thread key {key} is not where this libc keeps such slots"),
        None => "no word of its threads' descriptors points to their thread states".to_owned(),
    })
}

/// The thread states that an interpreter lists, to be looked for.
#[derive(Debug)]
pub struct Listed {
    /// Thread pointer and address of each.
    pairs: HashSet<(u64, u64)>,
    threads: HashSet<u64>,
}

impl Listed {
    /// A list of these thread states.
    #[must_use]
    pub fn new(states: &[ThreadState]) -> Self {
        Self {
            pairs: states.iter().map(|state| (state.thread_pointer, state.address)).collect(),
            threads: states.iter().map(|state| state.thread_pointer).collect(),
        }
    }

    /// True if most threads have a thread state of their own there, of one interpreter or another. Not all need to: one
    /// that is being made has not stored it yet.
    #[must_use]
    pub fn are_at(&self, memory: Memory, slot: &TlsPath) -> bool {
        let holds = |thread: &&u64| {
            let held = slot.load(**thread, |address| memory.u64(address));
            held.is_some_and(|address| self.pairs.contains(&(**thread, address)))
        };
        let right = self.threads.iter().filter(holds).count();
        right != 0 && 2 * right >= self.threads.len()
    }

    /// Where a thread's own thread states stand among words, the first of which is at an offset: the first few places, for a
    /// C library and an interpreter have one or two.
    pub fn places(&self, words: &[u8], from: i64, thread_pointer: u64) -> impl Iterator<Item = i64> {
        const MAX_PLACES: usize = 16;
        let words = words.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
        let own = words
            .zip((from..).step_by(8))
            .filter(move |(word, _)| self.pairs.contains(&(thread_pointer, *word)));
        own.map(|(_, offset)| offset).take(MAX_PLACES)
    }
}

/// Looks for the thread states by value: the one word of a descriptor that holds in every thread.
fn calibrate(memory: Memory, listed: &Listed, thread_pointer: u64) -> Option<TlsPath> {
    let from = if cfg!(target_arch = "aarch64") { -DESCRIPTOR_BYTES } else { 0 };
    let descriptor = memory.bytes(thread_pointer.wrapping_add_signed(from), DESCRIPTOR_BYTES as usize)?;
    let offsets = listed.places(&descriptor, from, thread_pointer).map(|offset| TlsPath::new(&[offset]));
    let mut hits = offsets.filter(|slot| listed.are_at(memory, slot));
    // Two offsets that both hold would be a guess.
    hits.next().filter(|_| hits.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::python::unpacked;

    fn image(root: &str, path: &str) -> Option<std::sync::Arc<Image>> {
        Some(Image::of(&File::open(unpacked(root)?.join(path)).ok()?, 0).expect("it is ELF"))
    }

    #[test]
    fn glibc_tells_where_keys_are() {
        let libc = "usr/lib/x86_64-linux-gnu/libc.so.6";
        let Some(here) = image("3.15", libc) else { return };
        let here = Libc::glibc(&here).expect("it tells");
        // As the code of its `pthread_getspecific` has it.
        assert_eq!(here.slot(0), TlsPath::new(&[0x310 + 8]));
        assert_eq!(here.slot(31), TlsPath::new(&[0x310 + 31 * 16 + 8]));
        assert_eq!(here.slot(33), TlsPath::new(&[0x510 + 8, 16 + 8]));
        let there = image("arm64", "usr/lib/aarch64-linux-gnu/libc.so.6").expect("it is unpacked");
        // Below the thread pointer.
        assert_eq!(Libc::glibc(&there).expect("it tells").slot(0), TlsPath::new(&[-0x610 + 8]));
    }

    #[test]
    fn musl_keeps_keys_where_its_code_looks_for_them() {
        let Some(root) = unpacked("musl") else { return };
        let library = root.join("usr/lib/x86_64-linux-musl/libc.so");
        let code = getspecific(&library);
        // mov %fs:0x0,%rax; mov 0x80(%rax),%rax: the thread is its own first word.
        let array = [0x48, 0x8b, 0x80, 0x80, 0, 0, 0];
        assert!(code.windows(array.len()).any(|bytes| bytes == array), "{code:x?}");
        let slot = Libc::musl(&Image::of(&File::open(&library).expect("it is there"), 0).expect("it is ELF"))
            .slot(3);
        assert_eq!(slot, TlsPath::new(&[0x80, 24]));

        let library = unpacked("arm64").expect("it is unpacked").join("usr/lib/aarch64-linux-musl/libc.so");
        let code = getspecific(&library);
        // ldur x1, [x1, #-88], of some registers: 0xf85a8 and what follows.
        let loads = code.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")));
        assert!(loads.into_iter().any(|word| word & 0xffff_fc00 == 0xf85a_8000), "{code:x?}");
        let slot = Libc::musl(&Image::of(&File::open(&library).expect("it is there"), 0).expect("it is ELF"))
            .slot(3);
        assert_eq!(slot, TlsPath::new(&[-0x58, 24]));
    }

    /// The code of `pthread_getspecific`.
    fn getspecific(library: &std::path::Path) -> Vec<u8> {
        use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
        let file = std::fs::read(library).expect("it is there");
        let elf = object::File::parse(file.as_slice()).expect("it is ELF");
        let symbol = elf.dynamic_symbols().find(|symbol| symbol.name() == Ok("pthread_getspecific"));
        let symbol = symbol.expect("it exports it");
        let section = elf.section_by_name(".text").expect("it has code");
        let code = section.data_range(symbol.address(), symbol.size()).expect("it is in the file");
        code.expect("it is in the file").to_vec()
    }
}
