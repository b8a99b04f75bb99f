//! Sends the code objects of a stack to user space while the stack runs.
//!
//! They come and go, and their memory is used again. So their names are taken where they are sure to be right: under the
//! thread that runs them. A definition's number is a hash of what it says, and stacks name code objects by it. All processes
//! share the numbers; the hash has a key, for else one process could make a definition with another's number.

use core::{
    array::from_mut,
    ffi::c_void,
    mem::offset_of,
    ptr::{self, read_volatile},
};

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user},
    macros::map,
    maps::LruHashMap,
};
use bytemuck::{Pod, Zeroable};
use profiler_common::{
    event::{CodeRecord, MAX_FILE_BYTES, MAX_LINES_BYTES, MAX_NAME_BYTES, RecordKind},
    loss_cause::LossCause,
    python::{
        CODE_WORDS, CodeOffsets, CodeWords, ENTRY, FrameRef, MARKS, MAX_PY_FRAMES, PyFrame, PyOffsets,
        PyTarget, code_word, fold, identity,
    },
    siphash::{HashKey, SipHash},
};

use crate::{maps::RING, pystack::read_word, stack::Scratch};

/// The key of the definitions' numbers; set by the loader.
#[unsafe(no_mangle)]
static DEFINITION_KEY: HashKey = [0; 2];

/// Code object of a process → what it was when it was defined, and the definition's number. Used in this file alone.
#[map]
static SEEN: LruHashMap<CodeAddress, SeenCode> = LruHashMap::with_max_entries(32768, 0);

/// Number of a definition → present if user space has it. Used in this file alone.
#[map]
static TOLD: LruHashMap<u64, u32> = LruHashMap::with_max_entries(32768, 0);

/// Address of a code object in a process.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct CodeAddress {
    address: u64,
    tgid: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct SeenCode {
    identity: u64,
    id: u64,
}

/// Scratch room in which a definition is made. `code` and `lines` are one ring record.
#[repr(C)]
pub struct Definition {
    words: CodeWords,
    /// Hash over the identities of the code objects defined so far.
    identities: u64,
    /// Words of the last object that was read, from its third on; here because a program's own stack is small.
    header: [u64; 3],
    /// Hash of what the definition says.
    hash: SipHash,
    code: CodeRecord,
    lines: [u64; MAX_LINES_BYTES / 8],
}

// `name`, `file` and `lines` are taken for one array of words.
const _: () = assert!(
    offset_of!(Definition, lines)
        == offset_of!(Definition, code) + offset_of!(CodeRecord, name) + TEXT_WORDS * 8
);

/// Frames that one function goes through, and how often it is called at most: a loop in a loop, since the verifier looks
/// through each turn of the outer one, and once through the inner one, which is in a function that it verifies by itself.
const BATCH: usize = 32;
const BATCHES: usize = MAX_PY_FRAMES / BATCH;

/// What the code objects of the stack in the scratch are, in one number that is not 0.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn identify(scratch: *mut Scratch, python: *const PyTarget) -> u64 {
    // SAFETY: the caller's, live; the verifier wants it compared.
    let Some(known) = (unsafe { scratch.as_mut() }) else { return 0 };
    known.definition.identities = 1;
    for batch in 0..BATCHES {
        if identify_batch(scratch, python, batch as u32) == 0 {
            break;
        }
    }
    known.definition.identities.max(1)
}

/// Folds what some of the code objects are; 0 behind the last one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn identify_batch(scratch: *mut Scratch, python: *const PyTarget, batch: u32) -> u32 {
    // SAFETY: as above, and apart.
    let (Some(scratch), Some(python)) = (unsafe { (scratch.as_mut(), python.as_ref()) }) else { return 0 };
    let Scratch { walk, frames, definition, .. } = scratch;
    for index in 0..BATCH {
        let index = batch as usize * BATCH + index;
        if index >= walk.len as usize {
            return 0;
        }
        let code = frames[index & (MAX_PY_FRAMES - 1)].code();
        let identity = identify_code(&mut definition.words, &python.offsets.code, code);
        definition.identities = fold(definition.identities, identity);
    }
    1
}

/// Reads a code object's words and returns its identity.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn identify_code(words: *mut CodeWords, offsets: *const CodeOffsets, code: u64) -> u64 {
    // SAFETY: as above.
    let (Some(words), Some(offsets)) = (unsafe { (words.as_mut(), offsets.as_ref()) }) else { return 0 };
    // No more than the smallest has: it may end with its mapping, and then nothing of it would be read.
    if let Some(words) = words.first_chunk_mut::<CODE_WORDS>() {
        read(words, code);
    }
    identity(words, offsets, read_word)
}

/// Replaces the addresses of the code objects of the stack in the scratch by the numbers of their definitions, and sends those
/// that are new; returns what [`identify`] does. A code object that cannot be read keeps its address.
#[inline(always)]
pub fn define(python: &PyTarget, scratch: &mut Scratch) -> Result<u64, LossCause> {
    scratch.definition.identities = 1;
    for batch in 0..BATCHES {
        match define_batch(scratch, python, batch as u32) {
            SENT_ALL => break,
            SENT_BATCH => {}
            _ => return Err(LossCause::RingFull),
        }
    }
    Ok(scratch.definition.identities.max(1))
}

/// Results of a batch: there was no room for a definition; all were sent and more frames follow; or none do.
const NO_ROOM: u32 = 0;
const SENT_BATCH: u32 = 1;
const SENT_ALL: u32 = 2;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn define_batch(scratch: *mut Scratch, python: *const PyTarget, batch: u32) -> u32 {
    // SAFETY: as above.
    let (Some(scratch), Some(python)) = (unsafe { (scratch.as_mut(), python.as_ref()) }) else {
        return NO_ROOM;
    };
    let Scratch { walk, frames, definition, stack, .. } = scratch;
    for index in 0..BATCH {
        let index = batch as usize * BATCH + index;
        if index >= walk.len as usize {
            return SENT_ALL;
        }
        let frame = &mut frames[index & (MAX_PY_FRAMES - 1)];
        if define_code(frame, definition, &python.offsets, stack.key.tgid) == 0 {
            return NO_ROOM;
        }
    }
    SENT_BATCH
}

/// Replaces a frame's code object by its definition; 0 if there was no room to send it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn define_code(
    frame: *mut PyFrame,
    definition: *mut Definition,
    offsets: *const PyOffsets,
    tgid: u32,
) -> u32 {
    // SAFETY: as above.
    let (Some(frame), Some(definition), Some(offsets)) =
        (unsafe { (frame.as_mut(), definition.as_mut(), offsets.as_ref()) })
    else {
        return 0;
    };
    let (address, entry) = (frame.code(), frame.tagged_code & ENTRY);
    let frame_ref = FrameRef::by_address(frame, offsets);
    (frame.tagged_code, frame.instr) = (frame_ref.tagged_code, frame_ref.instr);
    let identity = identify_code(&mut definition.words, &offsets.code, address);
    definition.identities = fold(definition.identities, identity);
    let place = CodeAddress { address, tgid: u64::from(tgid) };
    // SAFETY: copied at once.
    if let Some(seen) = unsafe { SEEN.get(place) }.filter(|seen| seen.identity == identity) {
        let id = seen.id;
        // SAFETY: not kept.
        if unsafe { TOLD.get(id) }.is_some() {
            frame.tagged_code = id | entry;
            return 1;
        }
    }
    definition.code.identity = identity;
    let Some(id) = fill(definition, offsets, address, tgid) else { return 1 };
    // SAFETY: not kept.
    if unsafe { TOLD.get(id) }.is_none() {
        if !send_definition(definition) {
            return 0;
        }
        // If it is not kept the definition is sent again.
        let _ = TOLD.insert(id, 0, 0);
    }
    // If it is not kept the code object is read again, and found to be known.
    let _ = SEEN.insert(place, SeenCode { identity, id }, 0);
    frame.tagged_code = id | entry;
    1
}

/// Fills a definition from the code object whose words it has; its number, or `None` if it cannot be read or has too long
/// a name or path.
#[inline(always)]
fn fill(definition: &mut Definition, python: &PyOffsets, address: u64, tgid: u32) -> Option<u64> {
    let offsets = &python.code;
    let Definition { words, header, hash, code, lines: table, .. } = &mut *definition;
    (code.kind, code.tgid, code.address) = (RecordKind::Code as u32, tgid, address);
    code.first_line = code_word(words, offsets.first_line) as u32;
    (code.name_width, code.name_bytes) =
        string::<MAX_NAME_BYTES>(&raw mut code.name, header, code_word(words, offsets.name), offsets)?;
    (code.file_width, code.file_bytes) =
        string::<MAX_FILE_BYTES>(&raw mut code.file, header, code_word(words, offsets.file), offsets)?;
    code.lines_bytes = bytes(table, header, code_word(words, offsets.line_table), offsets)?;
    let widths = u64::from(code.name_width) << 32 | u64::from(code.file_width);
    // SAFETY: ours. Volatile, since the compiler sees a key of zeros.
    *hash = SipHash::new(unsafe { read_volatile(&raw const DEFINITION_KEY) });
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
    hash_text(definition, TEXT_WORDS as u32 + lines);
    let id = definition.hash.finish();
    definition.code.id = (id & !MARKS) | (MARKS + 1);
    Some(definition.code.id)
}

/// Words of a name and a path.
const TEXT_WORDS: usize = (MAX_NAME_BYTES + MAX_FILE_BYTES) / 8;
/// Words of these and the line table behind them.
const ALL_WORDS: usize = TEXT_WORDS + MAX_LINES_BYTES / 8;

/// Hashes a definition's text, so many words.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn hash_text(definition: *mut Definition, len: u32) -> u32 {
    // SAFETY: as above; the name begins what is followed by the path and the line table.
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

/// Sends a definition; false if there is no room.
#[inline(always)]
fn send_definition(definition: &Definition) -> bool {
    let lines = match definition.code.lines_bytes {
        u32::MAX => 0,
        bytes => (bytes as usize).min(MAX_LINES_BYTES),
    };
    // SAFETY: `code` and `lines` are adjacent, and it ends within them.
    let record = unsafe {
        core::slice::from_raw_parts(
            (&raw const definition.code).cast::<u8>(),
            size_of::<CodeRecord>() + lines,
        )
    };
    RING.output::<[u8]>(record, u64::from(BPF_RB_NO_WAKEUP)).is_ok()
}

/// Copies a compact `str` of at most `MAX` bytes, the rest zeros: bytes of a character, and bytes of all.
#[inline(always)]
fn string<const MAX: usize>(
    to: *mut impl Pod,
    header: &mut [u64; 3],
    address: u64,
    offsets: &CodeOffsets,
) -> Option<(u32, u32)> {
    read(header, address.wrapping_add(offsets.object_shift + 16));
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
    read(from_mut(len), address.wrapping_add(16));
    let len = *len;
    if len > MAX_LINES_BYTES as u64 {
        return Some(u32::MAX);
    }
    let len = len as u32;
    // SAFETY: as above, of `to`.
    let copied = unsafe {
        bpf_probe_read_kernel(to.as_mut_ptr().cast(), MAX_LINES_BYTES as u32, ptr::null());
        bpf_probe_read_user(to.as_mut_ptr().cast(), len, (address + 32) as *const c_void) == 0
    };
    copied.then_some(len)
}

/// Reads words of the current task's memory; zeros if it cannot.
#[inline(always)]
fn read<const N: usize>(words: &mut [u64; N], address: u64) {
    // SAFETY: ours; the helper checks the source, and fills with zeros if it fails.
    unsafe { bpf_probe_read_user(words.as_mut_ptr().cast(), (N * 8) as u32, address as *const c_void) };
}
