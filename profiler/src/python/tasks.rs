//! asyncio's tasks that wait (3.14+): each with the coroutines that await one another, and the tasks that await it.
//!
//! Read from outside while the loop may run: a chain that changes meanwhile ends early, and what is no coroutine any more is
//! not followed.

use std::{cell::RefCell, collections::HashMap, iter};

use profiler_common::python::{FrameRef, PyFrame};

use crate::{
    python::{asyncio::Asyncio, interpreter::Interpreter, layout::Coroutines},
    sys::memory::Memory,
};

/// Most of each that are read of one thread, one task, and one task again.
const MAX_TASKS: usize = 10_000;
const MAX_AWAITS: usize = 256;
const MAX_AWAITED_BY: u64 = 64;

/// An asyncio task that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsyncioTask {
    /// Name of the task, as asyncio has it; absent if it could not be read.
    pub name: Option<String>,
    /// False if it has not run yet.
    pub is_begun: bool,
    /// Coroutines of the task, each awaited by the next.
    pub awaits: Vec<Await>,
    /// The names of the tasks that await it.
    pub awaited_by: Vec<String>,
}

/// Where a coroutine waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Await {
    /// Name of the coroutine's function.
    pub name: String,
    /// `co_filename`.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// The tasks of the thread with this thread state that wait, the newest last.
#[must_use]
pub fn of_thread(memory: Memory, interpreter: &Interpreter, tstate: u64) -> Vec<AsyncioTask> {
    let (Some(asyncio), Some(layout)) = (interpreter.asyncio(), interpreter.coroutines()) else {
        return Vec::new();
    };
    let reader = Reader { memory, interpreter, asyncio, layout, awaits: RefCell::default() };
    let head = tstate.wrapping_add(asyncio.tasks_head);
    let after = |node: u64| memory.u64(node).filter(|next| *next != 0 && *next != head);
    // It may come back to another than its head.
    let nodes = iter::successors(after(head), |node| after(*node)).take(MAX_TASKS);
    nodes.filter_map(|node| reader.task(node.wrapping_sub(asyncio.task_node))).collect()
}

struct Reader<'a> {
    memory: Memory<'a>,
    interpreter: &'a Interpreter,
    asyncio: &'a Asyncio,
    layout: &'a Coroutines,
    /// Coroutines that were read already, by code object and instruction: most tasks wait at few places.
    awaits: RefCell<HashMap<(u64, u64), Await>>,
}

impl Reader<'_> {
    /// The task at an address; `None` if it is done, or none any more, or runs: then its frames are the thread's.
    fn task(&self, task: u64) -> Option<AsyncioTask> {
        let coroutine = self.memory.u64(task.wrapping_add(self.asyncio.task_coro))?;
        let state = self.state(coroutine)?;
        let is_begun = state != self.layout.created;
        if is_begun && !self.is_suspended(state) {
            return None;
        }
        let name = |task| self.interpreter.task_name(self.memory, task);
        Some(AsyncioTask {
            name: name(task),
            is_begun,
            awaits: self.chain(coroutine),
            awaited_by: self.awaited_by(task).into_iter().filter_map(name).collect(),
        })
    }

    /// `gi_frame_state` of a coroutine or generator; `None` if it is none.
    fn state(&self, object: u64) -> Option<u8> {
        let object_type = self.interpreter.type_of(self.memory, object)?;
        let mut state = [0];
        self.memory.fill(object.wrapping_add(self.layout.state), &mut state)?;
        self.interpreter.is_coroutine_type(object_type).then_some(state[0])
    }

    fn is_suspended(&self, state: u8) -> bool {
        state == self.layout.suspended || self.layout.awaiting.contains(&state)
    }

    /// A coroutine's frame, and those of what it awaits: the innermost first.
    fn chain(&self, mut coroutine: u64) -> Vec<Await> {
        let mut chain = Vec::new();
        while chain.len() < MAX_AWAITS {
            let Some(state) = self.state(coroutine) else { break };
            let frame = coroutine.wrapping_add(self.layout.frame);
            let Some(found) = self.frame(frame) else { break };
            chain.push(found);
            let awaited = self.layout.awaiting.contains(&state).then(|| self.awaited(frame)).flatten();
            let Some(awaited) = awaited else { break };
            coroutine = awaited;
        }
        chain.reverse();
        chain
    }

    fn frame(&self, frame: u64) -> Option<Await> {
        let offsets = &self.interpreter.target.offsets;
        let word = |offset: u32| self.memory.u64(frame.wrapping_add(u64::from(offset)));
        let code = word(offsets.frame_code)? & !u64::from(offsets.code_tag);
        let frame = PyFrame { tagged_code: code, instr: word(offsets.frame_instr)? };
        let instr = FrameRef::by_address(&frame, offsets).instr;
        let mut known = self.awaits.borrow_mut();
        let found = if let Some(found) = known.get(&(code, instr)) {
            found.clone()
        } else {
            let read = self.interpreter.code(self.memory, code)?;
            let found = Await { line: read.line(instr), name: read.name, file: read.file };
            known.insert((code, instr), found.clone());
            found
        };
        // Small ones can stand for more names than there is room for.
        self.memory.pay(size_of::<Await>() + found.name.len() + found.file.len())?;
        Some(found)
    }

    /// What a suspended frame awaits: it lies on the frame's own stack.
    fn awaited(&self, frame: u64) -> Option<u64> {
        let top = self.memory.u64(frame.wrapping_add(self.layout.stack_pointer))?;
        let object = self.memory.u64(top.wrapping_sub(self.layout.awaited_below))?;
        Some(object & !u64::from(self.interpreter.target.offsets.code_tag)).filter(|object| *object != 0)
    }

    /// The tasks that await one: none, one, or a set of them.
    fn awaited_by(&self, task: u64) -> Vec<u64> {
        let word = |address: u64| self.memory.u64(address).unwrap_or(0);
        let awaited_by = word(task.wrapping_add(self.asyncio.awaited_by));
        let mut is_set = [0];
        let flag = self.memory.fill(task.wrapping_add(self.asyncio.awaited_by_is_set), &mut is_set);
        if awaited_by == 0 || flag.is_none() {
            return Vec::new();
        }
        if is_set[0] == 0 {
            return vec![awaited_by];
        }
        // `setentry`: key and hash.
        let table = word(awaited_by.wrapping_add(self.layout.set_table));
        let entries = word(awaited_by.wrapping_add(self.layout.set_mask)).min(MAX_AWAITED_BY - 1) + 1;
        (0..entries).map(|index| word(table.wrapping_add(index * 16))).filter(|key| *key != 0).collect()
    }
}
