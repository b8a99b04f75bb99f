//! Tells what the code objects of a stack are, since their memory is used again: by their words, and by how many have died.

use core::num::NonZeroU64;

use profiler_common::python::{
    CODE_WORDS, CodeOffsets, CodeWords, MAX_PY_FRAMES, PyTarget, Walk, fold, identity,
};

use crate::{
    scratch::Scratch,
    user_memory::{read_user, read_word, read_words},
};

/// Frames that one function goes through, and how often it is called at most: a loop in a loop, since the verifier looks
/// through each turn of the outer one, and once through the inner one, which is in a function that it verifies by itself.
pub const BATCH: usize = 32;
pub const BATCHES: usize = MAX_PY_FRAMES / BATCH;

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

/// Folds what some of the code objects are into `identities`; 0 behind the last one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn identify_batch(scratch: *mut Scratch, python: *const PyTarget, batch: u32) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
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
pub extern "C" fn identify_code(words: *mut CodeWords, offsets: *const CodeOffsets, code: u64) -> u64 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(words), Some(offsets)) = (unsafe { (words.as_mut(), offsets.as_ref()) }) else { return 0 };
    // No more than the smallest has: it may end with its mapping, and then nothing of it would be read.
    if let Some(words) = words.first_chunk_mut::<CODE_WORDS>() {
        read_words(words, code);
    }
    identity(words, offsets, read_word)
}

/// One more than how many code objects of the walked interpreter have died; `None` if it does not count them.
///
/// A `None` that is no word of its own would leave the word undefined, and older verifiers (6.1) refuse a program that
/// reads such a one from its stack.
#[inline(always)]
pub fn code_generation(python: &PyTarget, walk: &Walk) -> Option<NonZeroU64> {
    let offset = python.code_generation;
    if offset == 0 || walk.interpreter == 0 {
        return None;
    }
    let mut died = 0u64;
    let is_read = read_user((&raw mut died).cast(), 8, walk.interpreter.wrapping_add(offset));
    NonZeroU64::new(if is_read { died.wrapping_add(1) } else { 0 })
}
