//! Finds the thread state that the current thread runs instead of the one that is stored for it ([`Borrowed`]).

use profiler_common::python::{Borrowed, C_STACK_WORDS, CStack, PyOffsets, PyTarget};

use crate::{
    registers::GENERAL,
    scratch::Scratch,
    task::Task,
    user_memory::{FrameCopy, read_user, read_word},
};

/// Thread states that one function looks at.
const BATCH: u32 = 32;

/// Looks for the borrowed thread state, into the scratch. A function of its own, called before the walk, because inside of the
/// walk there is no room on the programs' stack.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn find_borrowed(thread_pointer: u64, python: *const PyTarget, scratch: *mut Scratch) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(python), Some(scratch)) = (unsafe { (python.as_ref(), scratch.as_mut()) }) else { return 0 };
    let Scratch { block, borrowed: search, .. } = scratch;
    search.forget();
    if python.is_none() || !python.interpreters.may_lend(read_word) {
        return 0;
    }
    let kept = python.slot.load(thread_pointer, read_word).unwrap_or(0);
    // Who holds the GIL runs the thread state that does.
    if kept != 0 && read_word(python.gil_holder) == Some(kept) {
        return 0;
    }
    let registers = Task::current().registers();
    let stack = CStack { pointer: registers.stack_pointer(), thread_pointer };
    let (offsets, interpreters) = (&python.offsets, &python.interpreters);
    let words = &raw mut block.words;
    let own = match kept {
        0 => 0,
        _ => read_word(kept.wrapping_add(u64::from(offsets.tstate_interpreter))).unwrap_or(0),
    };
    registers.general(words.cast());
    // SAFETY: it is within.
    let behind = unsafe { words.cast::<u64>().add(GENERAL) };
    let is_read = read_user(behind.cast(), 8 * (C_STACK_WORDS - GENERAL) as u32, stack.pointer);
    block.end = if is_read { C_STACK_WORDS as u64 } else { GENERAL as u64 };
    *search =
        Borrowed::begin((offsets, interpreters), stack, (kept, own), read_word, |word| place_of(word, block));
    for _ in 0..Borrowed::STEPS / BATCH {
        if look_batch(search, offsets, block) == 0 {
            break;
        }
    }
    0
}

/// Takes some steps of a search; 0 when it is over.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_batch(search: *mut Borrowed, offsets: *const PyOffsets, block: *const FrameCopy) -> u32 {
    // SAFETY: the caller's, live and apart; the verifier wants them compared.
    let (Some(search), Some(offsets)) = (unsafe { (search.as_mut(), offsets.as_ref()) }) else { return 0 };
    for _ in 0..BATCH {
        if !search.step(offsets, read_word, |word| place_of(word, block)) {
            return 0;
        }
    }
    1
}

/// Where in the copy of registers and C stack a word is: its index.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn place_of(word: u64, block: *const FrameCopy) -> u32 {
    // SAFETY: the caller's, live; the verifier wants it compared.
    let Some(block) = (unsafe { block.as_ref() }) else { return Borrowed::NOWHERE };
    for (index, other) in block.words.iter().enumerate().take(C_STACK_WORDS) {
        if index as u64 >= block.end {
            break;
        }
        if *other == word {
            return index as u32;
        }
    }
    Borrowed::NOWHERE
}
