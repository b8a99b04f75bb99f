//! The GIL-state slot: where, seen from a thread's thread pointer, its `PyThreadState` is kept, also while it
//! does not hold the GIL.
//!
//! It is the value of a pthread key. glibc tells its own geometry by the descriptors that it exports for
//! `libthread_db`; whatever is found is checked against the interpreter's own list of thread states, and
//! looked for by value where the descriptors do not answer.

use crate::{
    python::{image::Image, interpreter::ThreadState},
    sys::memory::{Mapping, Memory},
};

/// Keys in the first block of glibc's two-level table, which lies in the thread's own descriptor.
const FIRST_BLOCK: u64 = 32;
/// Bytes of one key's data there: sequence number and value.
const KEY_DATA: u64 = 16;
/// Bytes above the thread pointer that hold the descriptor (`sizeof(struct pthread)`, rounded up).
const DESCRIPTOR_BYTES: usize = 2400;

/// Offset of the slot from the thread pointer; the error says why there is none, as a clause.
pub fn find(
    memory: Memory,
    tgid: u32,
    mappings: &[Mapping],
    key: Option<u32>,
    states: &[ThreadState],
) -> Result<i64, String> {
    if states.is_empty() {
        return Err("it has no threads yet".to_owned());
    }
    let Some(key) = key.map(u64::from) else {
        return Err("its thread key is not made yet".to_owned());
    };
    if key < FIRST_BLOCK
        && let Some(first) = first_block(tgid, mappings)
    {
        let slot = first + key * KEY_DATA + KEY_DATA / 2;
        if states.iter().any(|state| memory.u64(state.thread_id.wrapping_add(slot)) == Some(state.address)) {
            return Ok(slot.cast_signed());
        }
    }
    calibrate(memory, states)
        .ok_or_else(|| format!("the slot of its thread key {key} is not where this libc keeps such slots"))
}

/// Where glibc's first block of keys begins, from the thread pointer.
fn first_block(tgid: u32, mappings: &[Mapping]) -> Option<u64> {
    let libc = mappings.iter().filter(|mapping| {
        let name = mapping.path.file_name().unwrap_or_default().to_string_lossy();
        // Until glibc 2.33 the descriptors were libpthread's.
        name.starts_with("libc.so.") || name.starts_with("libc-2.") || name.starts_with("libpthread")
    });
    let descriptor = libc
        .filter_map(|mapping| Image::of(&mapping.reachable(tgid)))
        .find_map(|image| image.constant("_thread_db_pthread_specific"))?;
    // {bits, count, offset} of the table of blocks; the first block of 32 lies right before it.
    u64::from(descriptor[2]).checked_sub(FIRST_BLOCK * KEY_DATA)
}

/// Looks for the thread states by value: the one offset that holds in every thread.
fn calibrate(memory: Memory, states: &[ThreadState]) -> Option<i64> {
    let words = |state: &ThreadState| memory.bytes(state.thread_id, DESCRIPTOR_BYTES);
    let (first, others) = states.split_first()?;
    let holds = |offset: u64| {
        others.iter().all(|state| memory.u64(state.thread_id.wrapping_add(offset)) == Some(state.address))
    };
    let descriptor = words(first)?;
    let mut hits = descriptor
        .chunks_exact(8)
        .zip((0u64..).step_by(8))
        .filter(|(word, offset)| **word == first.address.to_ne_bytes() && holds(*offset));
    let (_, offset) = hits.next()?;
    // Two offsets that both hold would be a guess.
    hits.next().is_none().then_some(offset.cast_signed())
}
