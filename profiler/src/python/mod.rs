//! Memory layout of CPython in a target process: its version, its frames, its code objects.
//!
//! Offsets and traps: `docs/design/python.md`. Nothing here stops or writes to a process.

pub mod asyncio;
pub mod code;
pub mod debug_offsets;
pub mod eval;
mod find;
mod greenlets;
pub mod image;
mod instances;
pub mod interpreter;
mod known;
pub mod layout;
pub mod lines;
mod roots;
pub mod slot;
#[cfg(fuzzing)]
pub mod stand_in;
pub mod tasks;
mod thread_local;
pub mod thread_name;
mod thread_vector;
mod version;

use profiler_common::python::{
    Borrowed, C_STACK_WORDS, CStack, End, MAX_PY_FRAMES, MAX_STEPS, PyFrame, PyTarget, TstateSearch,
    UNREADABLE, Walk,
};

use crate::sys::{memory::Memory, thread};
pub use find::{Unwalkable, is_library};
pub use interpreter::{CodePart, Interpreter};

/// The version of the interpreter in a process, such as `3.11.7`; `None` if it runs none that is known.
#[must_use]
pub fn version(tgid: u32) -> Option<String> {
    match Interpreter::of(tgid) {
        Ok(interpreter) => Some(interpreter.version),
        Err(unwalkable) => unwalkable.version,
    }
}

/// The files of the main thread's Python frames, leaf first, as they are now; `None` if it has none or runs on.
#[must_use]
pub fn peek(tgid: u32) -> Option<Vec<String>> {
    let interpreter = Interpreter::of(tgid).ok()?;
    let memory = Memory::of(tgid);
    let main = interpreter.thread_states(memory).into_iter().find(|state| state.is_main)?;
    let stack = || thread::stack_pointer(tgid, tgid);
    let (frames, _) = frames_of_thread(memory, &interpreter, main.thread_pointer, stack)?;
    let mut files = Vec::new();
    for frame in frames {
        files.push(interpreter.code(memory, frame.code())?.file);
    }
    Some(files).filter(|files| !files.is_empty())
}

/// The frames of the thread with this thread pointer, leaf first, read from outside; `None` if it is not Python's. Exact
/// for a thread that does not run meanwhile. Its stack pointer is asked for where interpreters lend each other thread states.
#[must_use]
pub fn frames_of_thread(
    memory: Memory,
    interpreter: &Interpreter,
    thread_pointer: u64,
    stack_pointer: impl FnOnce() -> Option<u64>,
) -> Option<(Vec<PyFrame>, End)> {
    let kept = interpreter.thread_state(memory, thread_pointer).unwrap_or(0);
    let stack = || Some(CStack { pointer: stack_pointer()?, thread_pointer });
    let borrowed = borrowed(memory, interpreter, stack, kept);
    if kept == 0 && (borrowed == 0 || borrowed == UNREADABLE) {
        return None;
    }
    let walked = walk(memory, interpreter, thread_pointer, (kept, borrowed));
    Some((walked.frames, walked.end))
}

/// A thread's frames as they are met from outside.
struct Walked {
    /// Leaf first.
    frames: Vec<PyFrame>,
    /// The address of the last of them.
    outermost: u64,
    /// How the walk ended.
    end: End,
}

/// Walks the frames of a thread from outside: those of the thread states that it keeps and borrows, of which one can be 0.
/// Exact for a thread that does not run meanwhile.
fn walk(
    mut memory: Memory,
    interpreter: &Interpreter,
    thread_pointer: u64,
    (kept, borrowed): (u64, u64),
) -> Walked {
    let offsets = &interpreter.target.offsets;
    let is_elsewhere = borrowed == UNREADABLE;
    let mut frames = Box::new([PyFrame::default(); MAX_PY_FRAMES]);
    let mut walk: Walk = bytemuck::Zeroable::zeroed();
    let mut outermost = 0;
    let tstate = if kept == 0 && !is_elsewhere { borrowed } else { kept };
    if walk.enter(&mut memory, offsets, tstate) {
        if borrowed != 0 && !is_elsewhere && borrowed != tstate {
            walk.join(&mut memory, offsets, borrowed, false);
        } else {
            join_callers(memory, interpreter, &mut walk, thread_pointer);
        }
        for _ in 0..MAX_STEPS {
            let (at, len) = (walk.next, walk.len);
            if !walk.step(&mut memory, offsets, &mut frames) && !walk.step_back(&mut memory, offsets) {
                break;
            }
            if walk.len > len {
                outermost = at;
            }
        }
    }
    let end = match walk.end {
        end if end == End::Complete as u32 && is_elsewhere => End::MayBeElsewhere,
        end if end == End::Complete as u32 => End::Complete,
        end if end == End::Unreadable as u32 => End::Unreadable,
        _ => End::Truncated,
    };
    Walked { frames: frames[..walk.len as usize].to_vec(), outermost, end }
}

/// The thread state that a thread runs besides the one that it keeps, 0 if there is none, or what cannot be read if it is
/// not known.
fn borrowed(
    memory: Memory,
    interpreter: &Interpreter,
    stack: impl FnOnce() -> Option<CStack>,
    kept: u64,
) -> u64 {
    let PyTarget { interpreters, offsets, .. } = &interpreter.target;
    let read = |address| memory.u64(address);
    if !interpreters.may_lend(read) {
        return 0;
    }
    let Some(stack) = stack() else { return UNREADABLE };
    let bytes = memory.bytes(stack.pointer, 8 * C_STACK_WORDS).unwrap_or_default();
    let words: Vec<_> = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let place_of = |word| {
        let place = words.iter().position(|other| *other == word);
        place.map_or(Borrowed::NOWHERE, |place| place as u32)
    };
    let own = read(kept.wrapping_add(u64::from(offsets.tstate_interpreter))).unwrap_or(0);
    let mut search = Borrowed::begin((offsets, interpreters), stack, (kept, own), read, place_of);
    for _ in 0..Borrowed::STEPS {
        if !search.step(offsets, read, place_of) {
            break;
        }
    }
    search.result()
}

/// Joins the frames of the main interpreter that called those of a subinterpreter.
fn join_callers(mut memory: Memory, interpreter: &Interpreter, walk: &mut Walk, thread_pointer: u64) {
    let PyTarget { interpreters, offsets, .. } = &interpreter.target;
    if walk.interpreter == interpreters.main {
        return;
    }
    let read = |address| memory.u64(address);
    let thread_id = interpreters.thread_id(thread_pointer);
    let mut search = TstateSearch::begin(offsets, interpreters.main, thread_id, read);
    for _ in 0..TstateSearch::STEPS {
        if !search.step(offsets, read) {
            break;
        }
    }
    if search.result() != 0 {
        walk.join(&mut memory, offsets, search.result(), true);
    }
}

/// A root folder that `cargo xtask pythons` unpacked; says so if there is none, and fails in CI.
#[cfg(test)]
fn unpacked(root: &str) -> Option<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pythons").join(root);
    if folder.exists() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "there is no {}: cargo xtask pythons", folder.display());
    eprintln!("skipped: there is no {}: cargo xtask pythons", folder.display());
    None
}
