//! Reads, from outside, the stacks of threads that were asleep before anything was attached.

use std::collections::HashMap;

use profiler_common::{
    config::{BlockedStacks, StackKey},
    event::ThreadRecord,
    python::{End, FrameRef, PyFrame},
    wait::{BEFORE_US, Reason},
};

use crate::{
    bpf,
    collect::stacks::{KernelFrames, RawStack, Stacks},
    python::{self, Interpreter},
    sys::{memory::Memory, thread},
};

/// Threads that slept when they were looked at, by tgid and TID, and since when.
#[derive(Debug, Default)]
pub struct Sleepers(HashMap<(u32, u32), u64>);

impl Sleepers {
    /// Those of these threads that have slept since before anything was attached.
    #[must_use]
    pub fn among(threads: &[ThreadRecord]) -> Self {
        let asleep = threads.iter().filter(|thread| thread.waits.open.hash == BEFORE_US);
        Self(asleep.map(|thread| ((thread.task.tgid, thread.task.tid), thread.waits.open.since)).collect())
    }

    /// True of a thread that has slept ever since they were looked at.
    #[must_use]
    pub fn contains(&self, thread: &ThreadRecord) -> bool {
        self.0.get(&(thread.task.tgid, thread.task.tid)) == Some(&thread.waits.open.since)
    }
}

/// A sleeping thread's stack, as it was read.
#[derive(Debug)]
pub struct Sleeping<'a> {
    key: StackKey,
    memory: Memory<'a>,
    python: Vec<PyFrame>,
    end: End,
    kernel: Vec<String>,
    in_greenlet: bool,
    reason: Option<Reason>,
}

/// Reads the stack of a thread; what is read of one that does not sleep is nonsense. Kernel frames cost as much as all the rest, and
/// are read where the kernel side keeps such.
pub fn read<'a>(
    thread: &ThreadRecord,
    memory: Memory<'a>,
    interpreter: Option<&Interpreter>,
    blocked: BlockedStacks,
) -> Sleeping<'a> {
    let (task, pointer) = (&thread.task, thread.task.thread_pointer);
    let key = StackKey::of_wait(task.tgid, task.tid, &thread.waits.open);
    let stack = || thread::stack_pointer(task.tgid, task.tid);
    let frames =
        interpreter.and_then(|interpreter| python::frames_of_thread(memory, interpreter, pointer, stack));
    let (python, end) = frames.unwrap_or((Vec::new(), End::None));
    let is_elsewhere = interpreter.is_some_and(|interpreter| interpreter.runs_elsewhere(memory, pointer));
    let kernel = match blocked {
        BlockedStacks::All => thread::kernel_stack(task.tgid, task.tid),
        BlockedStacks::Python | BlockedStacks::None => Vec::new(),
    };
    Sleeping {
        key,
        memory,
        python,
        end: if is_elsewhere { End::OtherInterpreter } else { end },
        kernel,
        in_greenlet: interpreter.is_some_and(|interpreter| interpreter.is_in_greenlet(memory, pointer)),
        reason: reason(&key, pointer, memory, interpreter),
    }
}

impl Sleeping<'_> {
    /// Describes it.
    pub fn describe(&self, stacks: &mut Stacks, interpreter: Option<&Interpreter>) {
        let offsets = interpreter.map(|interpreter| interpreter.target.offsets).unwrap_or_default();
        let python: Vec<_> = self.python.iter().map(|frame| FrameRef::by_address(frame, &offsets)).collect();
        let raw_stack = RawStack {
            key: self.key,
            memory: self.memory,
            end: self.end as u32,
            python: &python,
            user: &[],
            kernel: KernelFrames::Names(&self.kernel),
            holds_gil: None,
            in_greenlet: self.in_greenlet,
            task: None,
            reason: self.reason,
        };
        stacks.describe(raw_stack, interpreter);
    }
}

/// Reason of a thread that slept before, where the process's memory tells it: the kernel side reads memory of no other thread than
/// the running one.
fn reason(
    key: &StackKey,
    thread_pointer: u64,
    memory: Memory,
    interpreter: Option<&Interpreter>,
) -> Option<Reason> {
    let StackKey { tgid, tid, reason, syscall, .. } = *key;
    if reason == Reason::Socket as u32 && bpf::polls(syscall) {
        return thread::polls_pipe(tgid, tid).then_some(Reason::Pipe);
    }
    if reason == Reason::Lock as u32 {
        let interpreter = interpreter.filter(|interpreter| interpreter.has_subinterpreters(memory))?;
        let address = thread::first_argument(tgid, tid)?;
        let read = |address| memory.u64(address);
        let is_gil = interpreter.target.is_in_gil_of_subinterpreter(address, thread_pointer, read);
        return is_gil.then_some(Reason::Gil);
    }
    None
}
