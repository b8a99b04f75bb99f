//! Threads as the kernel side sent them: at their end, on their way to it, and before they changed at an edge.

use std::collections::{HashMap, HashSet};

use profiler_common::{
    event::{Event, ExitRecord, ThreadRecord},
    sched::TaskCounters,
    wait::Waits,
};

use crate::{
    bpf::Snapshot,
    collect::{
        packed::Packed,
        stat::{Gone, ThreadKey},
    },
    sys::{heap, tids},
};

/// What a snapshot cannot list, from the events so far.
#[derive(Debug, Default)]
pub struct SentThreads {
    /// Threads that are gone, in the order of their ends.
    gone: Vec<Gone>,
    /// Threads on their way out, which the kernel may not list any more.
    leaving: HashMap<ThreadKey, ThreadRecord>,
    /// Threads as they were before they changed for the first time since the last edge.
    kept: HashMap<ThreadKey, PackedThread>,
    /// Threads that are gone, and for want of memory not among those.
    exits_not_kept: u64,
}

/// A thread whose waits take no more room than they fill: at an edge of a large fleet each thread may send one.
#[derive(Debug)]
struct PackedThread {
    task: TaskCounters,
    waits: Packed<Waits>,
}

impl PackedThread {
    fn new(ThreadRecord { task, waits }: &ThreadRecord) -> Self {
        Self { task: *task, waits: Packed::new(waits) }
    }

    fn unpack(&self) -> ThreadRecord {
        ThreadRecord { task: self.task, waits: self.waits.unpack() }
    }
}

impl SentThreads {
    /// Handles an event.
    pub fn handle(&mut self, event: &Event<'_>) {
        match event {
            Event::Exit(exit) => self.handle_exit(exit),
            Event::ThreadAtEdge(thread) => {
                self.kept.insert(ThreadKey::of(thread), PackedThread::new(thread));
            }
            _ => {}
        }
    }

    fn handle_exit(&mut self, exit: &ExitRecord) {
        let thread = ThreadRecord { task: exit.task, waits: exit.waits };
        let key = ThreadKey::of(&thread);
        if exit.is_last == 0 {
            self.leaving.insert(key, thread);
            return;
        }
        self.leaving.remove(&key);
        if heap::keep(exit.task.tgid, size_of::<ThreadRecord>()) {
            self.gone.push(Gone::from(thread));
        } else {
            self.exits_not_kept += 1;
        }
    }

    /// Begins an edge: only what changes from now on matters to it.
    pub fn begin_edge(&mut self) {
        self.kept.clear();
    }

    /// Threads that are gone, in the order of their ends.
    #[must_use]
    pub fn gone(&self) -> &[Gone] {
        &self.gone
    }

    /// Takes out those so many that ended first, but for those whose TIDs somebody has again.
    pub fn take_first(&mut self, count: usize) -> Vec<Gone> {
        let count = count.min(self.gone.len());
        self.gone.extract_if(..count, |gone| !tids::exists(gone.ids().1)).collect()
    }

    /// Processes with threads that are gone and listed, or on their way out.
    #[must_use]
    pub fn tgids(&self) -> HashSet<u32> {
        let leaving = self.leaving.values().map(|thread| thread.task.tgid);
        self.gone.iter().map(|gone| gone.ids().0).chain(leaving).collect()
    }

    /// Threads that are gone, and that there was no memory to keep.
    #[must_use]
    pub const fn exits_not_kept(&self) -> u64 {
        self.exits_not_kept
    }

    /// True if a thread that is not listed is on its way out.
    #[must_use]
    pub fn lack(&self, listed: &HashSet<ThreadKey>) -> bool {
        self.leaving.keys().any(|key| !listed.contains(key))
    }

    /// Restores threads that changed after the edge to how they stood at it, and adds those that are not listed though they
    /// have not run for the last time.
    pub fn complete(&self, snapshot: &mut Snapshot, listed: &HashSet<ThreadKey>) {
        let edge = snapshot.edge;
        let at_edge = |thread: &ThreadRecord| thread.waits.edge == edge;
        let kept = |key: &ThreadKey| self.kept.get(key).map(PackedThread::unpack).filter(at_edge);
        for thread in snapshot.threads.iter_mut().filter(|thread| at_edge(thread)) {
            if let Some(kept) = kept(&ThreadKey::of(thread)) {
                *thread = kept;
            }
        }
        let unlisted: HashSet<_> =
            self.leaving.keys().chain(self.kept.keys()).filter(|key| !listed.contains(key)).collect();
        let thread = |key: &ThreadKey| kept(key).or_else(|| self.leaving.get(key).copied());
        snapshot.threads.extend(unlisted.into_iter().filter_map(thread));
    }
}
