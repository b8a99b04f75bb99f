//! The asyncio task that a thread runs (3.14+): where it is kept, and what it is called.
//!
//! The extension module `_asyncio`, or the interpreter that has it built in, tells the offsets in a section of its own.

use object::{Object, ObjectSection};

use crate::{python::interpreter::Interpreter, sys::memory::Memory};

/// Words of `_AsyncioDebug`; of these the ones that are used.
const WORDS: usize = 13;
const TASK_NAME: usize = 1;
const RUNNING_TASK: usize = 11;

/// Largest struct that is believed.
const MAX_OFFSET: u64 = 1 << 16;

/// Offsets, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asyncio {
    /// `PyThreadState` → the task that runs.
    pub running_task: u64,
    /// Task → its name: a `str`, or a number before somebody asks.
    task_name: u64,
}

impl Asyncio {
    /// As a file tells them; `None` if it does not.
    #[must_use]
    pub fn of<'data>(elf: &impl Object<'data>) -> Option<Self> {
        let section = elf.section_by_name(".AsyncioDebug")?;
        let data = section.data().ok()?;
        let word = |index: usize| {
            let word = u64::from_ne_bytes(*data.get(index * 8..)?.first_chunk()?);
            Some(word).filter(|offset| *offset < MAX_OFFSET && offset.is_multiple_of(8))
        };
        (data.len() >= WORDS * 8)
            .then(|| Some(Self { running_task: word(RUNNING_TASK)?, task_name: word(TASK_NAME)? }))?
    }

    /// The name of a task, as it is now: tasks come and go.
    #[must_use]
    pub fn name(&self, memory: Memory, interpreter: &Interpreter, task: u64) -> Option<String> {
        let name = memory.u64(task.wrapping_add(self.task_name)).filter(|name| *name != 0)?;
        interpreter
            .text(memory, name)
            .or_else(|| Some(format!("Task-{}", interpreter.small_number(memory, name)?)))
    }
}
