//! Reads a thread's name from Python's `threading`. The kernel knows that name only from 3.14 on, and of it no more than 15
//! bytes.
//!
//! A thread that `threading` started runs all its life below `Thread._bootstrap`, whose first variable is the thread's
//! object.

use profiler_common::python::End;

use crate::{
    python::{self, instances, interpreter::Interpreter},
    sys::memory::Memory,
};

/// A thread that runs calls and returns while its frames are read from outside, so the way to the outermost may break.
const TRIES: usize = 8;

/// The name of the thread with this thread pointer; `None` if `threading` did not start it.
#[must_use]
pub fn of(memory: Memory, interpreter: &Interpreter, thread_pointer: u64) -> Option<String> {
    let tstate = interpreter.thread_state(memory, thread_pointer)?;
    let mut walks = (0..TRIES).map(|_| python::walk(memory, interpreter, thread_pointer, (tstate, 0)));
    let walked = walks.find(|walked| walked.end != End::Unreadable)?;
    if walked.end != End::Complete {
        return None;
    }
    let code = interpreter.code(memory, walked.frames.last()?.code())?;
    if !code.file.ends_with("threading.py") || !code.name.ends_with("_bootstrap") {
        return None;
    }
    let thread = interpreter.first_local(memory, walked.outermost)?;
    let name = instances::attribute(memory, interpreter, thread, "_name")?;
    interpreter.text(memory, name)
}
