//! An interpreter that can be walked: its threads, its objects, its code.

use std::{iter, ops::Range};

use profiler_common::{event, python::PyTarget};

use crate::{
    python::{
        asyncio::Asyncio,
        code::{CodeObject, string},
        layout::{Coroutines, GilLocation, Instances, Layout},
        roots::Roots,
    },
    sys::memory::Memory,
};

/// Threads of one process that are looked at from outside.
const MAX_THREADS: usize = 4096;

/// Interpreters of one process that are looked at.
const MAX_INTERPRETERS: usize = 256;

/// An interpreter that can be walked.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// Version, such as `3.11.7`.
    pub version: String,
    /// What the kernel side needs.
    pub target: PyTarget,
    /// Another one at work in its process, such as `Python 3.9.18 (libpython3.9.so.1.0)`.
    pub unwalked: Option<String>,
    pub(super) layout: Layout,
    pub(super) roots: Roots,
    /// `PyCode_Type` in memory.
    pub(super) code_type: u64,
    /// `PyUnicode_Type` in memory.
    pub(super) text_type: u64,
    /// `PyLong_Type` in memory.
    pub(super) number_type: u64,
    /// `PyCoro_Type` and `PyGen_Type` in memory.
    pub(super) coroutine_types: [u64; 2],
    /// Where asyncio's tasks are, if it is loaded.
    pub(super) asyncio: Option<Asyncio>,
    /// Addresses of the evaluation loop in memory.
    pub(super) eval: Vec<Range<u64>>,
}

/// Which part of the interpreter some native code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodePart {
    /// The loop that runs Python functions.
    Eval,
    /// The interpreter, but for its loop.
    Interpreter,
    /// Code that is no part of the interpreter.
    Other,
}

/// One of an interpreter's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadState {
    /// Address of the `PyThreadState`.
    pub address: u64,
    /// What its thread-local words are found from.
    pub thread_pointer: u64,
    /// True for the thread that started the interpreter.
    pub is_main: bool,
}

impl Interpreter {
    /// The interpreters of the process, the one that was made last first; that is the only one, mostly.
    pub(super) fn interpreters(&self, memory: Memory) -> Vec<u64> {
        let next = |address| memory.u64(address).filter(|address| *address != 0);
        let first = next(self.roots.interpreters);
        let after =
            |address: &u64| next(address.wrapping_add(u64::from(self.target.offsets.interpreter_next)));
        iter::successors(first, after).take(MAX_INTERPRETERS).collect()
    }

    /// True if its process has a subinterpreter now.
    #[must_use]
    pub fn has_subinterpreters(&self, memory: Memory) -> bool {
        self.interpreters(memory).len() > 1
    }

    /// The threads of all interpreters of the process, by their own lists. A list that changes meanwhile may miss some.
    #[must_use]
    pub fn thread_states(&self, memory: Memory) -> Vec<ThreadState> {
        let interpreters = self.interpreters(memory).into_iter();
        interpreters.flat_map(|interpreter| self.states_of(interpreter, memory)).take(MAX_THREADS).collect()
    }

    /// The threads of one interpreter of the process.
    fn states_of(&self, interpreter: u64, memory: Memory) -> impl Iterator<Item = ThreadState> {
        let offsets = &self.layout.walk;
        let mut next = memory.u64(interpreter.wrapping_add(u64::from(offsets.interpreter_threads)));
        iter::from_fn(move || {
            let address = next.filter(|address| *address != 0)?;
            let thread_id = memory.u64(address.wrapping_add(u64::from(offsets.tstate_thread_id)))?;
            next = memory.u64(address.wrapping_add(u64::from(offsets.tstate_next)));
            Some(ThreadState {
                address,
                thread_pointer: self.target.interpreters.thread_pointer(thread_id),
                // New ones are put in front: the last of the last interpreter is the first there was.
                is_main: next == Some(0) && interpreter == self.target.interpreters.main,
            })
        })
    }

    /// True if it is at work in a process that has its code where it has it itself.
    pub(super) fn is_in(&self, memory: Memory) -> bool {
        let main = self.target.interpreters.main;
        self.interpreters(memory).last() == Some(&main)
            && self.gil(memory).unwrap_or(0) == self.target.gil
            && self.states_of(main, memory).take(MAX_THREADS).any(|state| self.is_kept(memory, &state))
    }

    /// True if a thread keeps its thread state where it is looked for.
    pub(super) fn is_kept(&self, memory: Memory, state: &ThreadState) -> bool {
        self.thread_state(memory, state.thread_pointer) == Some(state.address)
    }

    /// The thread state of the thread with this thread pointer; `None` if it has none.
    #[must_use]
    pub fn thread_state(&self, memory: Memory, thread_pointer: u64) -> Option<u64> {
        let PyTarget { slot, unwalked, .. } = &self.target;
        let read = |address| memory.u64(address);
        slot.load(thread_pointer, read).filter(|tstate| *tstate != 0 && !unwalked.owns(*tstate, read))
    }

    /// Learns where types are from what threads run: symbols may be stripped. `None` if no thread runs anything.
    pub(super) fn learn_types(&mut self, memory: Memory, states: &[ThreadState]) -> Option<()> {
        let offsets = self.layout.walk.code;
        let is_called = |object: u64, name: &[u8]| {
            let (of, tp_name) = (self.type_of(memory, object)?, 24 + offsets.object_shift);
            (memory.bytes(memory.u64(of.wrapping_add(tp_name))?, name.len())? == name).then_some(of)
        };
        let mut codes = states
            .iter()
            .flat_map(|state| super::walk(memory, self, state.thread_pointer, (state.address, 0)).frames);
        let (code_type, text_type) = codes.find_map(|frame| {
            let name = memory.u64(frame.code().wrapping_add(u64::from(offsets.name)))?;
            Some((is_called(frame.code(), b"code\0")?, is_called(name, b"str\0")?))
        })?;
        (self.code_type, self.text_type) = (code_type, text_type);
        Some(())
    }

    /// The address of the GIL's structure.
    pub(super) fn gil(&self, memory: Memory) -> Option<u64> {
        match self.layout.gil {
            GilLocation::None => None,
            GilLocation::InRuntime(offset) => Some(self.roots.runtime?.wrapping_add(offset)),
            GilLocation::Behind(offset) => memory.u64(self.target.interpreters.main.wrapping_add(offset)),
        }
    }

    /// What native code is at an address.
    #[must_use]
    pub fn part_at(&self, address: u64) -> CodePart {
        if self.eval.iter().any(|part| part.contains(&address)) {
            CodePart::Eval
        } else if self.target.is_interpreter(address) {
            CodePart::Interpreter
        } else {
            CodePart::Other
        }
    }

    /// The name of an asyncio task, as it is now: tasks come and go.
    #[must_use]
    pub fn task_name(&self, memory: Memory, task: u64) -> Option<String> {
        let name = task.wrapping_add(self.asyncio?.task_name);
        let name = memory.u64(name).filter(|name| *name != 0)?;
        self.text(memory, name).or_else(|| Some(format!("Task-{}", self.small_number(memory, name)?)))
    }

    /// Where asyncio's tasks are.
    pub(super) const fn asyncio(&self) -> Option<&Asyncio> {
        self.asyncio.as_ref()
    }

    /// Where coroutines keep what they await.
    pub(super) const fn coroutines(&self) -> Option<&Coroutines> {
        self.layout.coroutines.as_ref()
    }

    /// True for the type of coroutines, and that of generators.
    pub(super) fn is_coroutine_type(&self, address: u64) -> bool {
        address != 0 && self.coroutine_types.contains(&address)
    }

    /// Sentence that another interpreter is at work in this process too; `None` if none is.
    #[must_use]
    pub fn also_runs(&self, tgid: u32) -> Option<String> {
        let other = self.unwalked.as_ref()?;
        Some(format!("process {tgid} also runs {other}, which is not walked"))
    }

    /// True if a thread runs a Python function of the other interpreter.
    #[must_use]
    pub fn runs_elsewhere(&self, memory: Memory, thread_pointer: u64) -> bool {
        self.target.unwalked.runs(thread_pointer, |address| memory.u64(address))
    }

    /// True if a thread runs a greenlet that is not its main one.
    #[must_use]
    pub fn is_in_greenlet(&self, memory: Memory, thread_pointer: u64) -> bool {
        self.target.greenlets.is_one_running(thread_pointer, |address| memory.u64(address))
    }

    /// True if greenlet may have been loaded since: a look at the mappings tells.
    #[must_use]
    pub const fn may_load_greenlet(&self) -> bool {
        self.target.greenlets.is_none()
    }

    /// True if asyncio may have been loaded since: a look at the mappings tells.
    #[must_use]
    pub fn may_load_asyncio(&self) -> bool {
        self.asyncio.is_none() && self.layout.code_generation.is_some()
    }

    /// The first local variable of the frame at an address.
    pub(super) fn first_local(&self, memory: Memory, frame: u64) -> Option<u64> {
        let object = memory.u64(frame.wrapping_add(self.layout.frame_locals))?;
        Some(object & !u64::from(self.layout.walk.code_tag))
    }

    /// Where instances of classes keep their attributes, and how much further objects have their fields than with the GIL.
    pub(super) const fn instances(&self) -> (Instances, u64) {
        (self.layout.instances, self.layout.walk.code.object_shift)
    }

    /// An object's type.
    pub(super) fn type_of(&self, memory: Memory, address: u64) -> Option<u64> {
        memory.u64(address.wrapping_add(u64::from(self.layout.walk.code.object_type())))
    }

    /// A `str`; `None` if it is none.
    pub(super) fn text(&self, memory: Memory, address: u64) -> Option<String> {
        let is_text = self.type_of(memory, address)? == self.text_type;
        is_text.then(|| string(memory, &self.layout.walk.code, address))?
    }

    /// An `int` of one digit, as it is written from 3.12 on; `None` if it is none.
    pub(super) fn small_number(&self, memory: Memory, address: u64) -> Option<u32> {
        let is_number = self.type_of(memory, address)? == self.number_type;
        let address = address.wrapping_add(self.layout.walk.code.object_shift);
        // lv_tag: how many digits, from the fourth bit on.
        let digits = memory.u64(address.wrapping_add(16))? >> 3;
        (is_number && digits <= 1).then(|| memory.u32(address.wrapping_add(24)))?
    }

    /// Reads a code object.
    #[must_use]
    pub fn code(&self, memory: Memory, address: u64) -> Option<CodeObject> {
        CodeObject::read(memory, &self.layout.walk.code, self.layout.lines, address, self.code_type)
    }

    /// A code object as the kernel side told it.
    #[must_use]
    pub fn code_from_record(
        &self,
        memory: Memory,
        record: &event::CodeRecord,
        lines: Option<&[u8]>,
    ) -> Option<CodeObject> {
        CodeObject::from_record(memory, record, lines, &self.layout.walk.code, self.layout.lines)
    }
}
