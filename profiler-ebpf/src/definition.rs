//! Makes the definition of a code object: what user space needs to name its frames, and a hash of it.
//!
//! All processes share the definitions' numbers; the hash has a key, for else one process could make a definition with
//! another's number.

use core::{array::from_mut, ffi::c_void, mem::offset_of, ptr};

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use bytemuck::Pod;
use profiler_common::{
    event::{CodeRecord, MAX_FILE_BYTES, MAX_LINES_BYTES, MAX_NAME_BYTES, RecordKind},
    python::{CodeOffsets, CodeWords, MARKS, PyOffsets, code_word},
    siphash::{HashKey, SipHash},
};

use crate::{
    content::Content,
    maps::{RING, wake_up},
    rodata,
    user_memory::read_words,
};

/// The key of the definitions' numbers; set by the loader.
#[unsafe(no_mangle)]
static DEFINITION_KEY: HashKey = [0; 2];

/// The key of the numbers by which stacks and code objects are known.
#[inline(always)]
pub fn key() -> HashKey {
    rodata::read(&DEFINITION_KEY)
}

/// Words of a name and a path.
const TEXT_WORDS: usize = (MAX_NAME_BYTES + MAX_FILE_BYTES) / 8;
/// Words of a name, a path, and the line table behind them.
const ALL_WORDS: usize = TEXT_WORDS + MAX_LINES_BYTES / 8;

/// A definition that is made, and what it takes to make it. `code` and `lines` are one ring record.
#[repr(C)]
pub struct Definition {
    /// Words of the code object that was read last.
    pub words: CodeWords,
    /// Hash over the identities of the code objects looked at so far.
    pub identities: u64,
    /// Hash over the frames looked at so far.
    pub content: Content,
    /// Words of the last object that was read, from its third on; here because a program's own stack is small.
    header: [u64; 3],
    /// Hash of what the definition says.
    hash: SipHash,
    pub code: CodeRecord,
    lines: [u64; MAX_LINES_BYTES / 8],
}

// `name`, `file` and `lines` are taken for one array of words.
const _: () = assert!(
    offset_of!(Definition, lines)
        == offset_of!(Definition, code) + offset_of!(CodeRecord, name) + TEXT_WORDS * 8
);

impl Definition {
    /// Fills a definition from the code object whose words it has; its number, or `None` if it cannot be read or has too long
    /// a name or path.
    #[inline(always)]
    pub fn fill(&mut self, python: &PyOffsets, address: u64, tgid: u32) -> Option<u64> {
        let offsets = &python.code;
        let Self { words, header, hash, code, lines: table, .. } = &mut *self;
        (code.kind, code.tgid, code.address) = (RecordKind::Code as u32, tgid, address);
        code.first_line = code_word(words, offsets.first_line) as u32;
        (code.name_width, code.name_bytes) =
            string::<MAX_NAME_BYTES>(&raw mut code.name, header, code_word(words, offsets.name), offsets)?;
        (code.file_width, code.file_bytes) =
            string::<MAX_FILE_BYTES>(&raw mut code.file, header, code_word(words, offsets.file), offsets)?;
        code.lines_bytes = bytes(table, header, code_word(words, offsets.line_table), offsets)?;
        let widths = u64::from(code.name_width) << 32 | u64::from(code.file_width);
        *hash = SipHash::new(key());
        hash.add(u64::from(code.first_line) << 32 | u64::from(code.lines_bytes));
        hash.add(widths);
        // Versions that write their line tables differently differ in one of these: to each the same bytes mean another thing.
        hash.add(u64::from(python.frame_instr) << 32 | u64::from(offsets.instructions));
        // Two definitions whose line tables are not sent are one only if they are one in the same process.
        let (lines, place) = match code.lines_bytes {
            u32::MAX => (0, (u64::from(tgid), code_word(words, offsets.line_table))),
            bytes => (bytes.div_ceil(8), (0, 0)),
        };
        hash.add(place.0);
        hash.add(place.1);
        hash_text(self, TEXT_WORDS as u32 + lines);
        let id = self.hash.finish();
        self.code.id = (id & !MARKS) | (MARKS + 1);
        Some(self.code.id)
    }

    /// Sends a definition; false if there is no room.
    #[inline(always)]
    pub fn send(&self) -> bool {
        let lines = match self.code.lines_bytes {
            u32::MAX => 0,
            bytes => (bytes as usize).min(MAX_LINES_BYTES),
        };
        // SAFETY: `code` and `lines` are adjacent, and it ends within them.
        let record = unsafe {
            core::slice::from_raw_parts((&raw const self.code).cast::<u8>(), size_of::<CodeRecord>() + lines)
        };
        RING.output::<[u8]>(record, wake_up()).is_ok()
    }
}

/// Hashes a definition's text, so many words.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn hash_text(definition: *mut Definition, len: u32) -> u32 {
    // SAFETY: the caller's, live; the verifier wants it compared. The name begins what is followed by the path and the line table.
    let Some(definition) = (unsafe { definition.as_mut() }) else { return 0 };
    let text = unsafe { &*(&raw const definition.code.name).cast::<[u64; ALL_WORDS]>() };
    let mut hash = definition.hash;
    for (index, word) in text.iter().enumerate() {
        if index as u32 >= len {
            break;
        }
        hash.add(*word);
    }
    definition.hash = hash;
    0
}

/// Copies a compact `str` of at most `MAX` bytes, the rest zeros: bytes of a character, and bytes of all.
#[inline(always)]
fn string<const MAX: usize>(
    to: *mut impl Pod,
    header: &mut [u64; 3],
    address: u64,
    offsets: &CodeOffsets,
) -> Option<(u32, u32)> {
    read_words(header, address.wrapping_add(offsets.object_shift + 16));
    // Their places no version has changed; between them is the hash.
    let (characters, state) = (header[0], header[2] as u32);
    let (width, is_compact, is_ascii) = (state >> 2 & 7, state & 1 << 5 != 0, state & 1 << 6 != 0);
    if !is_compact || !matches!(width, 1 | 2 | 4) || characters > MAX as u64 {
        return None;
    }
    let bytes = characters as u32 * width;
    if bytes > MAX as u32 {
        return None;
    }
    let data = address + u64::from(if is_ascii { offsets.ascii_header } else { offsets.compact_header });
    // SAFETY: `to` has room for MAX bytes; from nowhere the helper copies nothing and fills with zeros.
    let copied = unsafe {
        bpf_probe_read_kernel(to.cast(), MAX as u32, ptr::null());
        bpf_probe_read_user(to.cast(), bytes, data as *const c_void) == 0
    };
    copied.then_some((width, bytes))
}

/// Copies a `bytes` object of at most `MAX_LINES_BYTES`, its last word filled up with zeros; how many bytes it has, or
/// `u32::MAX` if they are more.
#[inline(always)]
fn bytes(
    to: &mut [u64; MAX_LINES_BYTES / 8],
    header: &mut [u64; 3],
    address: u64,
    offsets: &CodeOffsets,
) -> Option<u32> {
    let address = address.wrapping_add(offsets.object_shift);
    // `ob_size`; the data begins behind one more word.
    let [len, ..] = header;
    read_words(from_mut(len), address.wrapping_add(16));
    let len = *len;
    if len > MAX_LINES_BYTES as u64 {
        return Some(u32::MAX);
    }
    let len = len as u32;
    // SAFETY: `to` has room; from nowhere the helper copies nothing and fills with zeros.
    let copied = unsafe {
        bpf_probe_read_kernel(to.as_mut_ptr().cast(), MAX_LINES_BYTES as u32, ptr::null());
        bpf_probe_read_user(to.as_mut_ptr().cast(), len, (address + 32) as *const c_void) == 0
    };
    copied.then_some(len)
}
