//! Cumulative snapshots of all threads, and what each did between two.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use profiler_common::{event::ThreadRecord, sched::TaskCounters, wait};

use crate::{
    bpf::Snapshot,
    collect::{packed::Packed, thread_times},
    model::{
        accounting::{Counters, CumulativeTimes, ThreadDelta},
        waits::Waits,
    },
};

/// Identity of a thread, by the TID and the birth that it had when it was enlisted: TIDs are used again, but not with the same
/// birth, and a thread that calls `exec` gets both of its process's first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadKey {
    tid: u32,
    start_time: u64,
}

impl ThreadKey {
    /// The key of a thread. If the kernel side could not enlist the thread, it is the TID and the start time that it has now.
    #[must_use]
    pub const fn of(ThreadRecord { task, waits }: &ThreadRecord) -> Self {
        if waits.birth == 0 {
            Self { tid: task.tid, start_time: task.start_time }
        } else {
            Self { tid: waits.tid, start_time: waits.birth }
        }
    }
}

/// What threads did, by tgid.
pub type ThreadDeltas = HashMap<u32, Vec<(ThreadKey, ThreadDelta)>>;

/// A thread that is gone, as it was at its end. Who shows it shares its waits.
#[derive(Clone, Debug)]
pub struct Gone {
    key: ThreadKey,
    task: TaskCounters,
    waits: Arc<Packed<wait::Waits>>,
}

impl Gone {
    /// The thread's key.
    #[must_use]
    pub const fn key(&self) -> ThreadKey {
        self.key
    }

    /// PID and TID at its end.
    #[must_use]
    pub const fn ids(&self) -> (u32, u32) {
        (self.task.tgid, self.task.tid)
    }
}

impl From<ThreadRecord> for Gone {
    fn from(thread: ThreadRecord) -> Self {
        Self { key: ThreadKey::of(&thread), task: thread.task, waits: Arc::new(Packed::new(&thread.waits)) }
    }
}

/// One thread in a snapshot.
#[derive(Clone, Debug)]
struct Thread {
    tgid: u32,
    tid: u32,
    /// Birth of the thread, `CLOCK_MONOTONIC` ns.
    birth_ns: u64,
    /// Birth of the process, `CLOCK_MONOTONIC` ns, if this is its first thread.
    process_birth_ns: u64,
    name: String,
    times: CumulativeTimes,
    waits: Arc<Packed<wait::Waits>>,
    gone: bool,
}

/// Cumulative times and waits of every thread that was ever followed, those that are gone included.
#[derive(Clone, Debug)]
pub struct StatSnapshot {
    /// `CLOCK_MONOTONIC` ns.
    pub at_ns: u64,
    /// False if waits are not looked at.
    has_waits: bool,
    threads: BTreeMap<ThreadKey, Thread>,
}

impl StatSnapshot {
    /// Builds a snapshot from the threads that live and the last counters of those that are gone.
    #[must_use]
    pub fn new(snapshot: &Snapshot, gone: &[Gone], has_waits: bool) -> Self {
        let living = snapshot.threads.iter().map(|living| {
            let times = thread_times::of_living(living, snapshot.clock_offset_ns);
            let waits = thread_times::waits_of_living(living, snapshot.clock_offset_ns);
            let key = ThreadKey::of(living);
            (key, Thread::new(key, &living.task, times, Arc::new(Packed::new(&waits)), false))
        });
        let mut threads: BTreeMap<_, _> = living.collect();
        for gone in gone {
            let Gone { key, task, .. } = gone;
            let died_before = task.read_ns <= snapshot.began_ns;
            let thread = Thread::from(gone);
            // One that died after the edge is as it was read, if it was; and one that was born after it is the next window's.
            if died_before || (!threads.contains_key(key) && thread.birth_ns < snapshot.began_ns) {
                threads.insert(*key, thread);
            }
        }
        Self { at_ns: snapshot.at_ns, has_waits, threads }
    }

    /// Gives threads other names than the kernel's. A process's first one goes by the process's name, whatever it was before it
    /// called `exec`.
    pub fn rename_threads<'a>(&mut self, name: impl Fn(&ThreadKey) -> Option<&'a str>) {
        for (key, thread) in self.threads.iter_mut().filter(|(_, thread)| thread.tid != thread.tgid) {
            if let Some(name) = name(key) {
                name.clone_into(&mut thread.name);
            }
        }
    }

    /// True of a process's first thread if the process began to live since an earlier snapshot.
    #[must_use]
    pub fn is_born(&self, key: &ThreadKey, start: &Self) -> bool {
        let is_born = |thread: &Thread| thread.process_birth_ns >= start.at_ns;
        !start.threads.contains_key(key) && self.threads.get(key).is_some_and(is_born)
    }

    /// What each thread did; those that were gone before are left out.
    pub fn threads_since(&self, start: &Self, has_gil: impl Fn(u32) -> bool) -> ThreadDeltas {
        let mut by_tgid = ThreadDeltas::new();
        for (key, thread) in &self.threads {
            if let Some(delta) = thread.since(start.threads.get(key), self.has_waits, has_gil(thread.tgid)) {
                by_tgid.entry(thread.tgid).or_default().push((*key, delta));
            }
        }
        by_tgid
    }

    /// Takes in, as they were then, threads of processes that were followed after this, with what they had done by then.
    pub fn include(&mut self, then: &Self, is_new: impl Fn(u32) -> bool) {
        for (key, thread) in then.threads.iter().filter(|(_, thread)| is_new(thread.tgid)) {
            self.threads.entry(*key).or_insert_with(|| thread.clone());
        }
    }

    /// Takes out a thread that is gone, and returns what it did from here to its end, and whether its process was born after this,
    /// if it was the first; nothing of one that was gone before.
    pub fn take(&mut self, gone: &Gone, has_gil: bool) -> Option<(ThreadDelta, bool)> {
        let (before, thread) = (self.threads.remove(&gone.key), Thread::from(gone));
        let born = before.is_none() && thread.process_birth_ns >= self.at_ns;
        Some((thread.since(before.as_ref(), self.has_waits, has_gil)?, born))
    }
}

impl From<&Gone> for Thread {
    fn from(Gone { key, task, waits }: &Gone) -> Self {
        Self::new(*key, task, thread_times::of_gone(task), Arc::clone(waits), true)
    }
}

impl Thread {
    fn new(
        key: ThreadKey,
        task: &TaskCounters,
        times: CumulativeTimes,
        waits: Arc<Packed<wait::Waits>>,
        gone: bool,
    ) -> Self {
        Self {
            tgid: task.tgid,
            tid: task.tid,
            birth_ns: key.start_time,
            process_birth_ns: task.start_time,
            name: comm(&task.comm),
            times,
            waits,
            gone,
        }
    }

    /// What it did since it was so, or since its birth; nothing if it was gone before.
    fn since(&self, before: Option<&Self>, has_waits: bool, has_gil: bool) -> Option<ThreadDelta> {
        if before.is_some_and(|before| before.gone) {
            return None;
        }
        let now = self.waits.unpack();
        let made_ns = self.birth_ns.max(now.made_ns);
        let birth = || CumulativeTimes { at_ns: made_ns, ..CumulativeTimes::default() };
        let waits_before = before.map(|before| before.waits.unpack()).unwrap_or_default();
        let waits = if has_waits { Waits::between(&waits_before, &now, has_gil) } else { Waits::default() };
        let blocked_ns = has_waits.then(|| waits.blocked_ns());
        let before = before.map_or_else(birth, |before| before.times);
        Some(ThreadDelta {
            tid: self.tid,
            name: self.name.clone(),
            counters: Counters::between(&before, &self.times, blocked_ns),
            waits,
            exited: self.gone,
        })
    }
}

/// The kernel's name of a thread: up to 15 bytes, any bytes.
#[must_use]
pub fn comm(bytes: &[u8; 16]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
