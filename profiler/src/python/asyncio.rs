//! asyncio's tasks (3.14+): where they are kept, and what they are called.
//!
//! The extension module `_asyncio`, or the interpreter that has it built in, tells the offsets in a section of its own.

use object::{Object, ObjectSection};

/// Words of `_AsyncioDebug`; of these the ones that are used.
const WORDS: usize = 13;
const TASK_NAME: usize = 1;
const AWAITED_BY: usize = 2;
const AWAITED_BY_IS_SET: usize = 4;
const TASK_CORO: usize = 5;
const TASK_NODE: usize = 6;
const RUNNING_TASK: usize = 11;
const TASKS_HEAD: usize = 12;

/// Largest struct that is believed.
const MAX_OFFSET: u64 = 1 << 16;

/// Offsets, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asyncio {
    /// `PyThreadState` → the task that runs.
    pub running_task: u64,
    /// Task → its name: a `str`, or a number before somebody asks.
    pub(super) task_name: u64,
    /// Task → its coroutine.
    pub task_coro: u64,
    /// Task → its part of the thread's list.
    pub task_node: u64,
    /// Task → the task that awaits it, or a set of them.
    pub awaited_by: u64,
    /// Task → the byte that says whether they are a set.
    pub awaited_by_is_set: u64,
    /// `PyThreadState` → the list of its tasks.
    pub tasks_head: u64,
}

impl Asyncio {
    /// Offsets that a file's debug section gives; `None` if it gives none.
    #[must_use]
    pub fn of<'data>(elf: &impl Object<'data>) -> Option<Self> {
        let section = elf.section_by_name(".AsyncioDebug")?;
        let data = section.data().ok()?;
        let word = |index: usize| {
            let word = u64::from_ne_bytes(*data.get(index * 8..)?.first_chunk()?);
            Some(word).filter(|offset| *offset < MAX_OFFSET)
        };
        let address = |index| word(index).filter(|offset| offset.is_multiple_of(8));
        if data.len() < WORDS * 8 {
            return None;
        }
        Some(Self {
            running_task: address(RUNNING_TASK)?,
            task_name: address(TASK_NAME)?,
            task_coro: address(TASK_CORO)?,
            task_node: address(TASK_NODE)?,
            awaited_by: address(AWAITED_BY)?,
            awaited_by_is_set: word(AWAITED_BY_IS_SET)?,
            tasks_head: address(TASKS_HEAD)?,
        })
    }
}
