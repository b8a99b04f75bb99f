//! Interpreters that were found: a worker that was forked has its parent's, and is not searched.
//!
//! Who has the same code at the same addresses has been forked from the same process, as addresses are chosen at random; where
//! they are not, it runs the same program. That it has the interpreter, too, is looked at.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    python::interpreter::Interpreter,
    sys::{budget, memory::Memory, readable},
};

/// Most that are kept.
const MAX_KNOWN: usize = 1024;

/// By user, for what one user's processes say of themselves is not believed of another's, and by the number of their code.
static KNOWN: Mutex<Option<HashMap<(u32, u64), Interpreter>>> = Mutex::new(None);

fn with<T>(use_them: impl FnOnce(&mut HashMap<(u32, u64), Interpreter>) -> T) -> T {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    use_them(known.get_or_insert_default())
}

/// The interpreter of a process whose code was read not long ago.
pub fn recall(tgid: u32) -> Option<Interpreter> {
    find(tgid, readable::code(tgid)?)
}

/// The interpreter that was found in a process with the same code, if it is at work in this one.
pub fn find(tgid: u32, code: u64) -> Option<Interpreter> {
    let known = with(|known| known.get(&(budget::user(tgid), code)).cloned());
    known.filter(|interpreter| interpreter.is_in(Memory::of(tgid)))
}

/// Keeps the interpreter of a process with this code, its only one.
pub fn keep(tgid: u32, code: u64, interpreter: &Interpreter) {
    with(|known| {
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert((budget::user(tgid), code), interpreter.clone());
    });
}
