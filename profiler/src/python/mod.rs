//! How CPython lies in a process: which version, where its frames are, what its code objects say.
//!
//! Offsets and traps: `ARCHITECTURE.md`, section 5. Nothing here stops or writes to a process.

pub mod asyncio;
pub mod code;
pub mod debug_offsets;
pub mod eval;
mod find;
mod greenlets;
pub mod image;
mod instances;
pub mod interpreter;
pub mod layout;
pub mod lines;
mod roots;
pub mod slot;
pub mod tasks;
mod thread_local;
pub mod thread_name;
mod version;

use profiler_common::python::{End, MAX_PY_FRAMES, MAX_STEPS, PyFrame, PyTarget, Search, Walk};

use crate::sys::memory::Memory;
pub use find::{Unwalkable, is_library};
pub use interpreter::{Interpreter, Part};

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
    let tstate = interpreter.thread_states(memory).into_iter().find(|state| state.is_main)?;
    let mut files = Vec::new();
    for frame in frames(memory, &interpreter, tstate.address) {
        files.push(interpreter.code(memory, frame.code())?.file);
    }
    Some(files).filter(|files| !files.is_empty())
}

/// The frames of the thread with this thread pointer, leaf first, read from outside; `None` if it is not Python's. Exact
/// for a thread that does not run meanwhile.
#[must_use]
pub fn frames_of_thread(
    memory: Memory,
    interpreter: &Interpreter,
    thread_pointer: u64,
) -> Option<Vec<PyFrame>> {
    Some(frames(memory, interpreter, interpreter.thread_state(memory, thread_pointer)?))
}

/// A thread's frames as they are met from outside.
struct Walked {
    /// Leaf first.
    frames: Vec<PyFrame>,
    /// The address of the last of them.
    outermost: u64,
    /// True if it is the outermost of all.
    is_complete: bool,
}

/// Walks a thread's frames from outside, leaf first. Exact for a thread that does not run meanwhile.
#[must_use]
pub fn frames(memory: Memory, interpreter: &Interpreter, tstate: u64) -> Vec<PyFrame> {
    walk(memory, interpreter, tstate).frames
}

fn walk(memory: Memory, interpreter: &Interpreter, tstate: u64) -> Walked {
    let offsets = &interpreter.target.offsets;
    let mut memory = memory;
    let mut frames = Box::new([PyFrame::default(); MAX_PY_FRAMES]);
    let mut walk: Walk = bytemuck::Zeroable::zeroed();
    let mut outermost = 0;
    if walk.enter(&mut memory, offsets, tstate) {
        join(memory, interpreter, &mut walk, tstate);
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
    let is_complete = walk.end == End::Complete as u32;
    Walked { frames: frames[..walk.len as usize].to_vec(), outermost, is_complete }
}

/// Joins the frames that the thread has in another interpreter.
fn join(mut memory: Memory, interpreter: &Interpreter, walk: &mut Walk, tstate: u64) {
    let PyTarget { interpreters, offsets, .. } = &interpreter.target;
    let read = |address| memory.u64(address);
    let other = interpreters.other_than(walk.interpreter, read);
    if other == 0 {
        return;
    }
    let Some(thread_id) = read(tstate.wrapping_add(u64::from(offsets.tstate_thread_id))) else { return };
    let mut search = Search::begin(offsets, other, thread_id, read);
    for _ in 0..Search::STEPS {
        if !search.step(offsets, read) {
            break;
        }
    }
    if search.result() != 0 {
        walk.join(&mut memory, offsets, search.result(), other == interpreters.main);
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
