//! Sends the code objects of a stack to user space while the stack runs.
//!
//! They come and go, and their memory is used again. So their names are taken where they are sure to be right: under the
//! thread that runs them. A definition's number is a hash of what it says, and stacks name code objects by it.

use aya_ebpf::{macros::map, maps::LruHashMap};
use bytemuck::{Pod, Zeroable};
use profiler_common::{
    loss_cause::LossCause,
    python::{ENTRY, FrameRef, MAX_PY_FRAMES, PyFrame, PyOffsets, PyTarget, fold},
};

use crate::{
    code_identity::{BATCH, BATCHES, identify_code},
    content,
    definition::Definition,
    scratch::Scratch,
};

/// Code object of a process → what it was when it was defined, and the definition's number. Used in this file alone.
#[map]
static SEEN: LruHashMap<CodeAddress, SeenCode> = LruHashMap::with_max_entries(32768, 0);

/// Number of a definition → present if user space has it. Used in this file alone.
#[map]
static SENT: LruHashMap<u64, u32> = LruHashMap::with_max_entries(32768, 0);

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

/// Replaces the addresses of the code objects of the stack in the scratch by the numbers of their definitions, and sends those
/// that are new; returns what [`identify`] does. A code object that cannot be read keeps its address.
#[inline(always)]
pub fn define(python: &PyTarget, scratch: &mut Scratch) -> Result<u64, LossCause> {
    scratch.definition.identities = 1;
    scratch.definition.content.begin();
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
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
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
        content::add_frame(&raw mut definition.content, frame.tagged_code, frame.instr);
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
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
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
        if unsafe { SENT.get(id) }.is_some() {
            frame.tagged_code = id | entry;
            return 1;
        }
    }
    definition.code.identity = identity;
    let Some(id) = definition.fill(offsets, address, tgid) else { return 1 };
    // SAFETY: not kept.
    if unsafe { SENT.get(id) }.is_none() {
        if !definition.send() {
            return 0;
        }
        // If it is not kept the definition is sent again.
        let _ = SENT.insert(id, 0, 0);
    }
    // If it is not kept the code object is read again, and found to be known.
    let _ = SEEN.insert(place, SeenCode { identity, id }, 0);
    frame.tagged_code = id | entry;
    1
}
