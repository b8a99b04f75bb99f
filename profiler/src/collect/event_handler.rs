//! Handles the kernel side's events: describes new stacks, and finds the interpreters of processes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use anyhow::Result;
use profiler_common::{
    config::{BlockedStacks, StackKey},
    event::{self, Event, ThreadRecord},
    python::FrameRef,
    wait::{BEFORE_US, Reason},
};
use tokio::time::Instant;

use crate::{
    bpf::{Counts, KernelSide},
    collect::{
        allowance::Allowance,
        departed::Departed,
        session::Session,
        sleepers,
        stacks::{GEVENT_HUB, Stacks},
        starting::Starting,
        stat::ThreadKey,
        unwalked,
    },
    fleet::{self, Fleet, Member},
    python::{Interpreter, Unwalkable, thread_name},
    sys::{
        budget::{self, Missing},
        clock, heap,
        mapped::Mapped,
        memory::Memory,
        pages::Pages,
        readable, tids,
    },
    units,
};

/// Processes that a sentence about several names by their PIDs.
const NAMED: usize = 5;

/// The file of asyncio that calls tasks, and those in which hubs of greenlets run.
const ASYNCIO: &str = "asyncio/events.py";
const HUBS: [&str; 2] = [GEVENT_HUB, "eventlet/hubs/hub.py"];

/// State of the followed processes and their stacks, from the events so far.
#[derive(Debug, Default)]
pub struct EventHandler {
    /// All stacks.
    pub stacks: Stacks,
    /// Stacks described since the kernel's table was last emptied.
    pub in_table: u32,
    /// To describe stacks, of which there may be new ones without end.
    describing: Allowance,
    interpreters: HashMap<u32, Interpreter>,
    /// Processes that may yet become Python.
    starting: Starting,
    /// Processes whose exec was heard since the last round of questions.
    execs: HashSet<u32>,
    /// Processes that were looked at again since they loaded asyncio or greenlet.
    looked_again: HashSet<u32>,
    /// Processes that have loaded another interpreter, which may not have started yet.
    with_another: HashSet<u32>,
    /// What threads are called by their Pythons.
    names: HashMap<ThreadKey, String>,
    /// Processes without Python frames, and why.
    without_frames: BTreeMap<u32, String>,
    /// A sentence for each process that is gone and of which something is missing.
    incomplete_dead: BTreeSet<String>,
    /// Processes that were forked meanwhile: what it took them on a CPU to boot, once they have.
    boots: HashMap<u32, Option<u64>>,
}

impl EventHandler {
    /// Finds the interpreters of the processes that run already, and follows them.
    pub fn of_running<K: KernelSide>(session: &mut Session<K>) -> Result<Self> {
        let mut handler = Self::default();
        handler.meet(session, session.members())?;
        Ok(handler)
    }

    /// Finds the interpreters of processes, and follows them.
    pub fn meet<K: KernelSide>(
        &mut self,
        session: &mut Session<K>,
        tgids: impl IntoIterator<Item = u32>,
    ) -> Result<()> {
        let answers = tgids.into_iter().map(|tgid| (tgid, Interpreter::of(tgid))).collect();
        session.drain(|event| self.handle(event));
        self.follow_answered(session, answers)
    }

    /// Asks these, which have just been started, whether they have become Python, until they have.
    pub fn expect(&mut self, tgids: impl IntoIterator<Item = u32>) {
        tgids.into_iter().for_each(|tgid| self.starting.expect(tgid, Instant::now()));
    }

    /// Handles an event. Events come in the kernel's order: a child's stacks after its fork.
    pub fn handle(&mut self, event: &Event<'_>) {
        match event {
            Event::Stack(head, frames) => {
                self.in_table += 1;
                // One that is not described counts as such.
                if self.describing.has_any(Instant::now()) {
                    let began_ns = clock::thread_cpu_ns();
                    self.handle_stack(head, frames);
                    self.describing.spend(Duration::from_nanos(clock::thread_cpu_ns() - began_ns));
                }
            }
            Event::KnownStack(head) => {
                self.in_table += 1;
                self.stacks.add_known(head);
                self.learn_from(&head.key, head.on_cpu);
            }
            // The child's memory is a copy of its parent's, and so is its entry in the kernel, which may be from before the
            // parent's was complete.
            Event::Fork(fork) => {
                self.boots.insert(fork.tgid, None);
                self.stacks.inherit(fork.tgid, fork.parent_tgid);
                let interpreter = self.interpreters.get(&fork.parent_tgid).cloned();
                if interpreter.is_none() || self.starting.contains(fork.parent_tgid) {
                    self.starting.expect(fork.tgid, Instant::now());
                }
                if let Some(interpreter) = interpreter {
                    self.interpreters.insert(fork.tgid, interpreter);
                }
            }
            Event::Exec(exec) => {
                self.execs.insert(exec.tgid);
                self.interpreters.remove(&exec.tgid);
                self.looked_again.remove(&exec.tgid);
                self.with_another.remove(&exec.tgid);
                self.stacks.forget(exec.tgid);
                self.stacks.renumber(exec.tgid, exec.caller_tid);
                self.starting.expect(exec.tgid, Instant::now());
            }
            // Its stacks came before.
            Event::Exit(exit) if exit.is_last == 1 && exit.ends_process == 1 => {
                let tgid = exit.task.tgid;
                self.stacks.forget(tgid);
                self.starting.forget(tgid);
                heap::forget(tgid);
                readable::forget(tgid);
                let missing = budget::forget(tgid);
                self.incomplete_dead.extend(missing.and_then(|missing| self.incomplete(tgid, missing)));
            }
            Event::Exit(_) | Event::ThreadAtEdge(_) => {}
            Event::Code(code, lines) => {
                if let Some(interpreter) = self.interpreters.get(&code.tgid) {
                    self.stacks.define(code, *lines, interpreter);
                }
            }
        }
    }

    fn handle_stack(&mut self, head: &event::StackRecord, frames: &[FrameRef]) {
        let interpreter = self.interpreters.get(&head.key.tgid);
        self.stacks.add_record(head, frames, interpreter);
        if interpreter.is_some_and(|interpreter| unwalked::is_shown(&mut self.stacks, head, interpreter))
            && self.with_another.insert(head.key.tgid)
        {
            self.starting.expect(head.key.tgid, Instant::now());
        }
        self.learn_from(&head.key, head.on_cpu);
    }

    /// Learns about a process from a stack that is new for one of its threads, which had run for so long, ns.
    fn learn_from(&mut self, key: &StackKey, on_cpu_ns: u64) {
        // What came after we looked at the process: it is looked at again.
        let interpreter = self.interpreters.get(&key.tgid);
        if interpreter.is_some_and(|interpreter| has_more(interpreter, &self.stacks, key))
            && self.looked_again.insert(key.tgid)
        {
            self.starting.expect(key.tgid, Instant::now());
        }
        // A stack is new when it is first waited on: the first wait for work ends the boot.
        if key.tid == key.tgid
            && self.stacks.reason(key) == Some(Reason::Idle)
            && let Some(boot) = self.boots.get_mut(&key.tgid)
        {
            boot.get_or_insert(on_cpu_ns);
        }
    }

    /// Looks, from outside, at threads, those of a process one after the other: what Python calls them, of those that are not
    /// known yet, and on which stacks those wait that `is_asleep` says have slept since before anything was attached. Its answer
    /// is asked for when the stack is read. Kernel frames are wanted where the kernel side keeps such.
    pub fn look_at(
        &mut self,
        threads: &[ThreadRecord],
        blocked: BlockedStacks,
        is_asleep: impl Fn(&ThreadRecord) -> bool,
    ) {
        for of_one in threads.chunk_by(|one, other| one.task.tgid == other.task.tgid) {
            let pages = Pages::default();
            self.stacks.begin_look();
            for thread in of_one {
                let memory = Memory::in_pages(thread.task.tgid, &pages);
                let interpreter = self.interpreters.get(&thread.task.tgid);
                if thread.waits.open.hash == BEFORE_US {
                    let read = sleepers::read(thread, memory, interpreter, blocked);
                    if is_asleep(thread) {
                        read.describe(&mut self.stacks, interpreter);
                    }
                }
                // Who runs may have to be read again.
                let is_off = thread.waits.open.since != 0;
                self.learn_name(thread, if is_off { memory } else { Memory::of(thread.task.tgid) });
            }
        }
    }

    /// Asks threads, those that are not known yet, what Python calls them.
    pub fn learn_names(&mut self, threads: &[ThreadRecord]) {
        for thread in threads {
            self.learn_name(thread, Memory::of(thread.task.tgid));
        }
    }

    /// Asks a thread what Python calls it, if that is not known yet. A process's first one goes by the process's name.
    fn learn_name(&mut self, thread: &ThreadRecord, memory: Memory) {
        let (key, task) = (ThreadKey::of(thread), &thread.task);
        let Some(interpreter) = self.interpreters.get(&task.tgid).filter(|_| task.tid != task.tgid) else {
            return;
        };
        if !self.names.contains_key(&key)
            && let Some(name) = thread_name::of(memory, interpreter, task.thread_pointer)
            && heap::keep(task.tgid, name.len())
        {
            self.names.insert(key, name);
        }
    }

    /// What Python calls a thread; `None` if it was not asked, or does not know it.
    #[must_use]
    pub fn name(&self, thread: &ThreadKey) -> Option<&str> {
        self.names.get(thread).map(String::as_str)
    }

    /// Asks the processes that are starting, those whose turn it is, whether they are Python by now.
    pub fn ask_starting(&mut self) -> Vec<Answer> {
        self.execs.clear();
        let asked = self.starting.due(Instant::now(), Mapped::of);
        let ask = |tgid| {
            let known = self.interpreters.get(&tgid);
            (tgid, known.map_or_else(|| Interpreter::of(tgid), |known| Interpreter::again(tgid, known)))
        };
        asked.into_iter().map(ask).collect()
    }

    /// Follows the processes that are Python, and awaits those that may yet become it. Call it when all events are handled that
    /// were sent before they answered.
    pub fn follow_answered<K: KernelSide>(
        &mut self,
        session: &mut Session<K>,
        answers: Vec<Answer>,
    ) -> Result<()> {
        let now = Instant::now();
        for (tgid, answer) in self.believed(answers) {
            match answer {
                Ok(interpreter) => {
                    session.follow(tgid, interpreter.target)?;
                    fleet::learn_python(&mut session.fleets, tgid, &interpreter.version);
                    if interpreter.unwalked.is_some() || !self.with_another.contains(&tgid) {
                        self.starting.found(tgid);
                    }
                    self.interpreters.insert(tgid, interpreter);
                    self.without_frames.remove(&tgid);
                }
                Err(unwalkable) => {
                    if let Some(version) = &unwalkable.version {
                        fleet::learn_python(&mut session.fleets, tgid, version);
                    }
                    if !unwalkable.transient {
                        self.starting.forget(tgid);
                    }
                    if tids::exists(tgid) && !self.starting.is_young(tgid, now) {
                        self.without_frames.insert(tgid, unwalkable.reason);
                    }
                    // One that ran already was not awaited.
                    if unwalkable.transient && !self.starting.contains(tgid) {
                        self.starting.expect(tgid, now);
                    }
                }
            }
        }
        Ok(())
    }

    /// The answers without those of processes that have called exec. An exec that is heard after the question may have come
    /// before the answer: to believe that would be to forget the interpreter as soon as the exec is heard, though the kernel
    /// side walks by it, and sends each code object once. Such a process is asked again.
    fn believed(&self, answers: Vec<Answer>) -> Vec<Answer> {
        answers.into_iter().filter(|(tgid, _)| !self.execs.contains(tgid)).collect()
    }

    /// Updates the fleets' Python versions, which before 3.11 show only after a while, and finds processes that have loaded
    /// another interpreter by now.
    pub fn update_versions(&mut self, fleets: &mut [Fleet]) {
        for (tgid, interpreter) in &mut self.interpreters {
            if let Ok(now) = Interpreter::again(*tgid, interpreter) {
                fleet::learn_python(fleets, *tgid, &now.version);
                interpreter.unwalked = now.unwalked.or_else(|| interpreter.unwalked.take());
            }
        }
    }

    /// Forgets who is not listed any more.
    pub fn forget(&mut self, departed: &Departed) {
        for gone in &departed.threads {
            if let Some(name) = self.names.remove(&gone.key()) {
                heap::give_back(gone.ids().0, name.len());
            }
        }
        for (_, Member { tgid, .. }) in &departed.processes {
            self.interpreters.remove(tgid);
            self.boots.remove(tgid);
            self.looked_again.remove(tgid);
            self.with_another.remove(tgid);
            self.without_frames.remove(tgid);
        }
    }

    /// True if waits for a GIL are told apart in a process.
    #[must_use]
    pub fn has_gil(&self, tgid: u32) -> bool {
        self.interpreters.get(&tgid).is_some_and(|interpreter| interpreter.target.gil != 0)
    }

    /// What it took a process on a CPU to boot, ns: of its first thread, from its fork until it waits for work.
    #[must_use]
    pub fn boot_cpu_ns(&self, tgid: u32) -> Option<u64> {
        self.boots.get(&tgid).copied().flatten()
    }

    /// The interpreter of a process, if it can be walked.
    #[must_use]
    pub fn interpreter(&self, tgid: u32) -> Option<&Interpreter> {
        self.interpreters.get(&tgid)
    }

    /// One sentence for all processes that have no Python frames for the same reason, and one for each of which not all could be
    /// read, or without the frames of another interpreter, with what of a window that was.
    #[must_use]
    pub fn notes(&self, window: &Counts) -> Vec<String> {
        let mut incomplete = budget::incomplete();
        incomplete.sort_unstable_by_key(|(tgid, _)| *tgid);
        let incomplete = incomplete.into_iter().filter_map(|(tgid, missing)| self.incomplete(tgid, missing));
        let unwalked = unwalked::notes(&self.interpreters, &self.stacks, window);
        without_frames(&self.without_frames)
            .into_iter()
            .chain(self.incomplete_dead.iter().cloned())
            .chain(incomplete)
            .chain(unwalked)
            .collect()
    }

    /// A sentence for a process of which something is missing. For one without an interpreter another one says why, unless it
    /// is code of no file that is missing.
    fn incomplete(&self, tgid: u32, missing: Missing) -> Option<String> {
        let is_founded = !missing.is_overdrawn || self.interpreters.contains_key(&tgid);
        is_founded.then(|| {
            format!("process {tgid} has more threads, tasks, stacks, lines or code than are kept: some are missing")
        })
    }
}

/// A process, and what interpreter it runs.
pub type Answer = (u32, Result<Interpreter, Unwalkable>);

/// True if a stack shows that its process has loaded asyncio or greenlet, which it had not when it was looked at.
fn has_more(interpreter: &Interpreter, stacks: &Stacks, key: &StackKey) -> bool {
    (interpreter.may_load_asyncio() && stacks.has_frame_of(key, ASYNCIO))
        || (interpreter.may_load_greenlet() && HUBS.iter().any(|hub| stacks.has_frame_of(key, hub)))
}

/// A sentence for each reason.
fn without_frames(processes: &BTreeMap<u32, String>) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for (tgid, reason) in processes {
        by_reason.entry(reason).or_default().push(*tgid);
    }
    let sentence = |(reason, tgids): (&str, Vec<u32>)| match &tgids[..] {
        [tgid] => format!("process {tgid} has no Python frames: {reason}"),
        tgids => {
            let named: Vec<_> = tgids.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if tgids.len() > NAMED { ", …" } else { "" };
            format!(
                "{} have no Python frames ({}{more}): of each, {reason}",
                units::counted(tgids.len() as u64, "process"),
                named.join(", ")
            )
        }
    };
    by_reason.into_iter().map(sentence).collect()
}
