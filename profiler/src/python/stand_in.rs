//! Interpreters in memory that stands in for a process's ([`crate::sys::stand_in`]).
//!
//! What is told of one by its file and its mapping is [`InterpreterFacts`]; all else is memory.

use std::path::PathBuf;

use bytemuck::{Pod, Zeroable};
use profiler_common::python::{Greenlets, PyTarget, TlsPath};

use crate::{
    python::{
        asyncio::Asyncio,
        debug_offsets, find,
        image::{Image, SYMBOLS},
        interpreter::Interpreter,
        layout::{self, Layout},
        roots::Roots,
        tasks, thread_name,
    },
    sys::memory::{Mapping, Memory},
};

/// A process that there is none of.
const NOBODY: u32 = 0;

/// The word of `.bss` by which 3.6 is found, and what stands around it: all of it would be too much.
const AROUND: u64 = 64;

/// What a process's files and mappings tell of its interpreter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct InterpreterFacts {
    /// By its file's name.
    pub minor: u64,
    /// `Py_Version`, or 0.
    pub version: u64,
    /// Where the known symbols are, unloaded, or 0.
    pub symbols: [u64; SYMBOLS.len()],
    /// Its zeroed data: address and bytes.
    pub zeroed: [u64; 2],
    /// Its thread-local variables: bytes and alignment.
    pub thread_local: [u64; 2],
    /// 1 for a program, 0 for a library.
    pub is_executable: u64,
    /// Its executable mapping: address and bytes.
    pub text: [u64; 2],
    /// How much further it is loaded than its file says.
    pub bias: u64,
    /// Where asyncio's tasks are, or zeros.
    pub asyncio: [u64; 7],
    /// The way to what greenlet keeps of a thread, and the type of main greenlets, or zeros.
    pub greenlets: [u64; 3],
    /// `PyInterpreterState` of the main interpreter.
    pub main_interpreter: u64,
    /// The word that points to the interpreter that was made last.
    pub newest_interpreter: u64,
    /// `PyThreadState` of one thread.
    pub tstate: u64,
    /// That thread's thread pointer.
    pub thread_pointer: u64,
    /// That thread's stack pointer.
    pub stack_pointer: u64,
}

impl InterpreterFacts {
    fn image(&self) -> Image {
        let pair = |[first, second]: [u64; 2]| (first != 0 || second != 0).then_some((first, second));
        let symbols = SYMBOLS.into_iter().zip(self.symbols).filter(|(_, address)| *address != 0);
        let version = (self.version != 0).then_some(("Py_Version", [self.version as u32, 0, 0]));
        let mut image = Image::default();
        image.symbols = symbols.collect();
        image.constants = version.into_iter().collect();
        image.segments = vec![(self.text[0].wrapping_sub(self.bias), 0)];
        image.bss = pair(self.zeroed);
        image.thread_local = pair(self.thread_local);
        image.is_executable = self.is_executable & 1 == 1;
        image
    }

    fn mapping(&self) -> Mapping {
        let [start, bytes] = self.text;
        Mapping {
            start,
            end: start.saturating_add(bytes),
            offset: 0,
            path: PathBuf::from(format!("/python3.{}", self.minor)),
            file: (0, 0),
        }
    }

    fn asyncio(&self) -> Option<Asyncio> {
        let [running_task, task_name, task_coro, task_node, awaited_by, awaited_by_is_set, tasks_head] =
            self.asyncio;
        let asyncio = Asyncio {
            running_task,
            task_name,
            task_coro,
            task_node,
            awaited_by,
            awaited_by_is_set,
            tasks_head,
        };
        // As a file may tell them.
        let is_told = self.asyncio != [0; 7] && self.asyncio.iter().all(|offset| *offset < 1 << 16);
        is_told.then_some(asyncio)
    }
}

/// The facts of a living process; `None` if it runs no interpreter that is walked.
#[must_use]
pub fn capture(tgid: u32) -> Option<InterpreterFacts> {
    let memory = Memory::of(tgid);
    let known = Interpreter::of(tgid).ok()?;
    let mappings = Mapping::executable(tgid).ok()?;
    let (mapping, image) = mappings.iter().find_map(|mapping| {
        let image = Image::mapped(tgid, mapping)?;
        (mapping.start == known.target.text_start && image.holds_interpreter()).then_some((mapping, image))
    })?;
    let bias = image.bias(mapping)?;
    let first = *known.thread_states(memory).first()?;
    let asyncio = find::asyncio(tgid, &mappings);
    let Roots { interpreters, .. } = known.roots;
    let pair = |pair: Option<(u64, u64)>| pair.map_or([0; 2], |(first, second)| [first, second]);
    Some(InterpreterFacts {
        minor: known.version.split('.').nth(1)?.trim_end_matches('t').parse().ok()?,
        version: image.constant("Py_Version").map_or(0, |[version, ..]| u64::from(version)),
        symbols: SYMBOLS.map(|name| image.symbol(name).unwrap_or(0)),
        zeroed: [interpreters.wrapping_sub(bias).wrapping_sub(AROUND), 2 * AROUND],
        thread_local: pair(image.thread_local()),
        is_executable: u64::from(image.is_executable()),
        text: [mapping.start, mapping.end - mapping.start],
        bias,
        asyncio: asyncio.map_or([0; 7], |asyncio| {
            [
                asyncio.running_task,
                asyncio.task_name,
                asyncio.task_coro,
                asyncio.task_node,
                asyncio.awaited_by,
                asyncio.awaited_by_is_set,
                asyncio.tasks_head,
            ]
        }),
        greenlets: [0; 3],
        main_interpreter: known.target.interpreters.main,
        newest_interpreter: known.target.interpreters.newest,
        tstate: first.address,
        thread_pointer: first.thread_pointer,
        stack_pointer: crate::sys::thread::stack_pointer(tgid, tgid).unwrap_or(0),
    })
}

/// Where the fields of the interpreter's structs stand, by its version or by the table in memory.
pub fn layout<'a>(
    facts: &InterpreterFacts,
    bytes: impl FnOnce(u64, usize) -> Option<&'a [u8]>,
) -> Option<Layout> {
    let runtime = facts.symbols[0].wrapping_add(facts.bias);
    let table = || debug_offsets::read(bytes(runtime, debug_offsets::TABLE_BYTES)?);
    layout::of_version(u32::try_from(facts.minor).ok()?, None).or_else(table)
}

/// All names that are read of an interpreter: of its threads, of what they run, and of what their tasks wait for; `None` if it
/// is not found.
pub(crate) fn names(facts: &InterpreterFacts) -> Option<Vec<String>> {
    names_of(NOBODY, facts)
}

/// Reads a living process as [`names`] reads what stands in for one.
#[must_use]
pub fn names_of(tgid: u32, facts: &InterpreterFacts) -> Option<Vec<String>> {
    let memory = Memory::of(tgid);
    let mapping = facts.mapping();
    let found = Interpreter::in_mapping(tgid, std::slice::from_ref(&mapping), &mapping, &facts.image());
    let mut interpreter = match found {
        Ok(interpreter) => interpreter,
        Err(why) => return Some(why.version.into_iter().chain([why.reason]).collect()),
    };
    interpreter.asyncio = facts.asyncio();
    let [first, second, main_type] = facts.greenlets;
    let state = TlsPath::new(&[first.cast_signed(), second.cast_signed()]);
    interpreter.target.greenlets = Greenlets { state, main_type };
    let mut names = vec![interpreter.version.clone()];
    for state in interpreter.thread_states(memory) {
        let thread = state.thread_pointer;
        names.extend(thread_name::of(memory, &interpreter, thread));
        let stack = (thread == facts.thread_pointer).then_some(facts.stack_pointer);
        let walked = super::frames_of_thread(memory, &interpreter, thread, || stack);
        for frame in walked.into_iter().flat_map(|(frames, _)| frames) {
            let Some(code) = interpreter.code(memory, frame.code()) else { continue };
            names.push(format!("{}:{}", code.file, code.line(frame.instr)));
            names.push(code.name);
        }
        for task in tasks::of_thread(memory, &interpreter, state.address) {
            names.extend(task.name.into_iter().chain(task.awaited_by));
            names.extend(task.awaits.into_iter().flat_map(|wait| [wait.name, wait.file]));
        }
        let running = memory.u64(state.address.wrapping_add(facts.asyncio[0])).unwrap_or(0);
        names.extend(interpreter.task_name(memory, running));
        if interpreter.is_in_greenlet(memory, thread) || interpreter.runs_elsewhere(memory, thread) {
            names.push("elsewhere".to_owned());
        }
        let read = |address| memory.u64(address);
        interpreter.target.is_in_gil_of_subinterpreter(state.address, thread, read);
    }
    Some(names)
}

/// An interpreter of a version, of which no memory can be read; `None` if the version tells its layout itself.
#[must_use]
pub fn interpreter_without_memory(minor: u32) -> Option<Interpreter> {
    let layout = layout::of_version(minor, None)?;
    Some(Interpreter {
        version: format!("3.{minor}"),
        target: PyTarget { offsets: layout.walk, ..PyTarget::default() },
        unwalked: None,
        layout,
        roots: Roots::default(),
        code_type: 0,
        text_type: 0,
        number_type: 0,
        coroutine_types: [0; 2],
        asyncio: None,
        eval: Vec::new(),
    })
}
