//! Code objects: what a stack's are, told to user space while they run.
//!
//! They come and go, and their memory is used again. So their names are taken where they are sure to be right: under the
//! thread that runs them. A definition's number is a hash of what it says, and stacks name code objects by it.

use core::{
    ffi::c_void,
    mem::{MaybeUninit, offset_of},
    ptr,
};

use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_loop, bpf_probe_read_kernel, bpf_probe_read_user},
    macros::map,
    maps::LruHashMap,
};
use bytemuck::{Pod, Zeroable};
use profiler_common::{
    config::Process,
    counter::Counter,
    event::{Code, Kind, MAX_FILE_BYTES, MAX_LINES_BYTES, MAX_NAME_BYTES},
    python::{
        CODE_WORDS, CodeOffsets, CodeWords, ENTRY, MARKS, MAX_PY_FRAMES, PyOffsets, ToldFrame, code_word,
        fold, identity,
    },
};

use crate::{maps::RING, pystack::read_word, stack::Scratch};

/// A code object of a process → what it was when it was defined, and the definition's number. This file's alone.
#[map]
static SEEN: LruHashMap<Place, Seen> = LruHashMap::with_max_entries(32768, 0);

/// Numbers of the definitions that user space has. This file's alone.
#[map]
static TOLD: LruHashMap<u64, u32> = LruHashMap::with_max_entries(32768, 0);

/// Where a code object is.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Place {
    address: u64,
    tgid: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Seen {
    identity: u64,
    id: u64,
}

/// Where a definition is made. `code` and `lines` are one ring record.
#[repr(C)]
pub struct Definition {
    words: CodeWords,
    code: Code,
    lines: [u64; MAX_LINES_BYTES / 8],
}

// `name`, `file` and `lines` are taken for one array of words.
const _: () = assert!(
    offset_of!(Definition, lines) == offset_of!(Definition, code) + offset_of!(Code, name) + TEXT_WORDS * 8
);

/// What `bpf_loop` hands to each step.
struct Loop {
    scratch: *mut Scratch,
    process: *const Process,
    tgid: u32,
    lost: u32,
    identity: u64,
}

/// What the code objects of the stack in the scratch are, in one number.
#[inline(always)]
pub fn identify(process: &Process, scratch: &mut Scratch) -> u64 {
    let len = scratch.walk.len;
    let mut state = Loop { scratch, process, tgid: 0, lost: 0, identity: 1 };
    // SAFETY: `identify_one` takes what `state` holds, which outlives the call.
    unsafe { bpf_loop(len, identify_one as *mut c_void, (&raw mut state).cast(), 0) };
    state.identity
}

unsafe extern "C" fn identify_one(index: u64, state: *mut c_void) -> i64 {
    // SAFETY: `identify` passes a `Loop` whose pointers are live map values.
    let Loop { scratch, process, identity: folded, .. } = unsafe { &mut *state.cast::<Loop>() };
    let (scratch, process) = unsafe { (&mut **scratch, &**process) };
    let code = scratch.frames[index as usize & (MAX_PY_FRAMES - 1)].code();
    let words = &mut scratch.definition.words;
    read_code(code, words);
    *folded = fold(*folded, identity(words, &process.python.offsets.code, read_word));
    0
}

/// Replaces the addresses of the code objects of the stack in the scratch by the numbers of their definitions, telling
/// those that are new; what the code objects are, in one number. One that cannot be read keeps its address.
#[inline(always)]
pub fn define(process: &Process, tgid: u32, scratch: &mut Scratch) -> Result<u64, Counter> {
    let len = scratch.walk.len;
    let mut state = Loop { scratch, process, tgid, lost: 0, identity: 1 };
    // SAFETY: `define_one` takes what `state` holds, which outlives the call.
    unsafe { bpf_loop(len, define_one as *mut c_void, (&raw mut state).cast(), 0) };
    if state.lost != 0 { Err(Counter::RingFull) } else { Ok(state.identity) }
}

unsafe extern "C" fn define_one(index: u64, state: *mut c_void) -> i64 {
    // SAFETY: `define` passes a `Loop` whose pointers are live map values.
    let Loop { scratch, process, tgid, lost, identity: folded } = unsafe { &mut *state.cast::<Loop>() };
    let (scratch, process) = unsafe { (&mut **scratch, &**process) };
    let Scratch { frames, definition, .. } = scratch;
    let frame = &mut frames[index as usize & (MAX_PY_FRAMES - 1)];
    let (address, entry) = (frame.code(), frame.tagged_code & ENTRY);
    let offsets = &process.python.offsets;
    let told = ToldFrame::by_address(frame, offsets);
    (frame.tagged_code, frame.instr) = (told.tagged_code, told.instr);
    read_code(address, &mut definition.words);
    let identity = identity(&definition.words, &offsets.code, read_word);
    *folded = fold(*folded, identity);
    let place = Place { address, tgid: u64::from(*tgid) };
    // SAFETY: copied at once.
    if let Some(seen) = unsafe { SEEN.get(place) }.filter(|seen| seen.identity == identity) {
        let id = seen.id;
        // SAFETY: not kept.
        if unsafe { TOLD.get(id) }.is_some() {
            frame.tagged_code = id | entry;
            return 0;
        }
    }
    let Some(id) = fill(definition, offsets, address, *tgid) else { return 0 };
    // SAFETY: not kept.
    if unsafe { TOLD.get(id) }.is_none() {
        if !tell(definition) {
            *lost = 1;
            return 1;
        }
        // If it is not kept it is told again.
        let _ = TOLD.insert(id, 0, 0);
    }
    // If it is not kept its words are told again, and found to be known.
    let _ = SEEN.insert(place, Seen { identity, id }, 0);
    frame.tagged_code = id | entry;
    0
}

/// Fills a definition from the code object whose words it has; its number, or `None` if it cannot be read or has too long
/// a name or path.
#[inline(always)]
fn fill(definition: &mut Definition, python: &PyOffsets, address: u64, tgid: u32) -> Option<u64> {
    let offsets = &python.code;
    let Definition { words, code, lines: table } = definition;
    (code.kind, code.tgid, code.address) = (Kind::Code as u32, tgid, address);
    code.identity = identity(words, offsets, read_word);
    code.first_line = code_word(words, offsets.first_line) as u32;
    (code.name_width, code.name_bytes) =
        string::<MAX_NAME_BYTES>(&raw mut code.name, code_word(words, offsets.name), offsets)?;
    (code.file_width, code.file_bytes) =
        string::<MAX_FILE_BYTES>(&raw mut code.file, code_word(words, offsets.file), offsets)?;
    code.lines_bytes = bytes(table, code_word(words, offsets.line_table), offsets)?;
    let widths = u64::from(code.name_width) << 32 | u64::from(code.file_width);
    let hash = fold(fold(u64::from(code.first_line), widths), u64::from(code.lines_bytes));
    // Versions that write their line tables differently differ in one of these: to each the same bytes mean another thing.
    let hash = fold(hash, u64::from(python.frame_instr) << 32 | u64::from(offsets.instructions));
    let lines = if code.lines_bytes == u32::MAX { 0 } else { code.lines_bytes.div_ceil(8) };
    let mut state = Folding { text: (&raw const code.name).cast(), hash };
    // SAFETY: `fold_one` takes what `state` holds, which outlives the call. A loop of its own, which the verifier looks
    // through once.
    unsafe { bpf_loop(TEXT_WORDS as u32 + lines, fold_one as *mut c_void, (&raw mut state).cast(), 0) };
    let mut id = state.hash;
    // Without a line table two that differ in it only would be one.
    if code.lines_bytes == u32::MAX {
        id = fold(id, code_word(words, offsets.line_table));
    }
    code.id = (id & !MARKS) | (MARKS + 1);
    Some(code.id)
}

/// Words of a name and a path.
const TEXT_WORDS: usize = (MAX_NAME_BYTES + MAX_FILE_BYTES) / 8;
/// Words of these and the line table behind them.
const ALL_WORDS: usize = TEXT_WORDS + MAX_LINES_BYTES / 8;

/// What `bpf_loop` hands to each step over a definition's words.
struct Folding {
    text: *const [u64; ALL_WORDS],
    hash: u64,
}

unsafe extern "C" fn fold_one(index: u64, state: *mut c_void) -> i64 {
    // SAFETY: `fill` passes a `Folding` whose pointer is to a live map value, of which all words are compared here.
    let Folding { text, hash } = unsafe { &mut *state.cast::<Folding>() };
    if index >= ALL_WORDS as u64 {
        return 1;
    }
    // SAFETY: as above; the name begins what is followed by the path and, in `Definition`, the line table.
    *hash = fold(*hash, unsafe { (**text)[index as usize] });
    0
}

/// Sends a definition; false if there is no room.
#[inline(always)]
fn tell(definition: &Definition) -> bool {
    let lines = match definition.code.lines_bytes {
        u32::MAX => 0,
        bytes => (bytes as usize).min(MAX_LINES_BYTES),
    };
    // SAFETY: `code` and `lines` are adjacent, and it ends within them.
    let record = unsafe {
        core::slice::from_raw_parts((&raw const definition.code).cast::<u8>(), size_of::<Code>() + lines)
    };
    RING.output::<[u8]>(record, u64::from(BPF_RB_NO_WAKEUP)).is_ok()
}

/// Copies a compact `str` of at most `MAX` bytes, the rest zeros: bytes of a character, and bytes of all.
#[inline(always)]
fn string<const MAX: usize>(to: *mut impl Pod, address: u64, offsets: &CodeOffsets) -> Option<(u32, u32)> {
    /// Words of a header up to and with `state`, whose place no version has changed: the length in characters is the
    /// third.
    const HEADER: usize = 5;
    let header = read::<HEADER>(address.wrapping_add(offsets.object_shift));
    let state = header[4] as u32;
    let (width, is_compact, is_ascii) = (state >> 2 & 7, state & 1 << 5 != 0, state & 1 << 6 != 0);
    if !is_compact || !matches!(width, 1 | 2 | 4) || header[2] > MAX as u64 {
        return None;
    }
    let bytes = header[2] as u32 * width;
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
fn bytes(to: &mut [u64; MAX_LINES_BYTES / 8], address: u64, offsets: &CodeOffsets) -> Option<u32> {
    /// Header up to and with `ob_size`; the data begins behind one more word.
    const HEADER: usize = 3;
    let address = address.wrapping_add(offsets.object_shift);
    let header = read::<HEADER>(address);
    if header[2] > MAX_LINES_BYTES as u64 {
        return Some(u32::MAX);
    }
    let len = header[2] as u32;
    // SAFETY: as above, of `to`.
    let copied = unsafe {
        bpf_probe_read_kernel(to.as_mut_ptr().cast(), MAX_LINES_BYTES as u32, ptr::null());
        bpf_probe_read_user(to.as_mut_ptr().cast(), len, (address + 32) as *const c_void) == 0
    };
    copied.then_some(len)
}

/// Words of the current task's memory; zeros if they cannot be read.
#[inline(always)]
fn read<const N: usize>(address: u64) -> [u64; N] {
    let mut words = MaybeUninit::<[u64; N]>::uninit();
    // SAFETY: the helper checks the source, and fills with zeros if it fails.
    unsafe {
        bpf_probe_read_user(words.as_mut_ptr().cast(), (N * 8) as u32, address as *const c_void);
        words.assume_init()
    }
}

/// Reads a code object's words; zeros if it cannot.
#[inline(always)]
fn read_code(address: u64, words: &mut CodeWords) {
    // SAFETY: as above.
    unsafe {
        bpf_probe_read_user(words.as_mut_ptr().cast(), (CODE_WORDS * 8) as u32, address as *const c_void)
    };
}
