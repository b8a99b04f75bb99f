//! Exact numbers: cumulative snapshots, and the difference of two.

use std::collections::{BTreeMap, HashMap};

use profiler_common::sched::TaskWords;

use crate::{
    bpf::Snapshot,
    collect::books,
    fleet::Fleet,
    model::accounting::{Books, Counters, FleetDelta, ThreadDelta, WorkerDelta},
};

/// A thread for good: tids are used again, but not with the same birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadKey {
    tid: u32,
    start_boottime: u64,
}

impl ThreadKey {
    /// The thread that these words are of.
    #[must_use]
    pub const fn of(words: &TaskWords) -> Self {
        Self { tid: words.tid, start_boottime: words.start_boottime }
    }

    /// Its tid.
    #[must_use]
    pub const fn tid(self) -> u32 {
        self.tid
    }
}

/// One thread in a snapshot.
#[derive(Clone, Debug)]
struct Thread {
    tgid: u32,
    name: String,
    books: Books,
    gone: bool,
}

/// The books of every thread that was ever followed, those that are gone included.
#[derive(Clone, Debug)]
pub struct StatSnapshot {
    /// `CLOCK_MONOTONIC` ns.
    pub at_ns: u64,
    /// `CLOCK_BOOTTIME` less `CLOCK_MONOTONIC`: births are told in the former.
    boot_offset_ns: u64,
    threads: BTreeMap<ThreadKey, Thread>,
}

impl StatSnapshot {
    /// From the words of the living and the last words of the gone.
    #[must_use]
    pub fn new(snapshot: &Snapshot, gone: &HashMap<ThreadKey, TaskWords>, boot_offset_ns: u64) -> Self {
        let living = snapshot.words.iter().map(|words| {
            let books = books::of_living(words, snapshot.clock_offset_ns);
            (ThreadKey::of(words), Thread::new(words, books, false))
        });
        let mut threads: BTreeMap<_, _> = living.collect();
        for (key, words) in gone {
            // One that ran for the last time after it was read belongs to the next window.
            if !threads.contains_key(key) || words.read_ns <= snapshot.at_ns {
                threads.insert(*key, Thread::new(words, books::of_gone(words), true));
            }
        }
        Self { at_ns: snapshot.at_ns, boot_offset_ns, threads }
    }

    /// What happened since an earlier snapshot, by fleet.
    #[must_use]
    pub fn since(&self, start: &Self, fleets: &[Fleet]) -> Vec<FleetDelta> {
        let mut threads = self.threads_since(start);
        fleets
            .iter()
            .map(|fleet| FleetDelta {
                name: fleet.name.clone(),
                server: fleet.server.clone(),
                workers: fleet
                    .members
                    .iter()
                    .filter_map(|member| {
                        let threads = threads.remove(&member.tgid)?;
                        let mut counters = Counters::default();
                        for thread in &threads {
                            counters.add(&thread.counters);
                        }
                        Some(WorkerDelta {
                            role: member.role,
                            worker_class: member.worker_class.clone(),
                            tgid: member.tgid,
                            python: member.python.clone(),
                            counters,
                            exited: threads.iter().all(|thread| thread.exited),
                            threads,
                        })
                    })
                    .collect(),
            })
            .collect()
    }

    /// What each thread did, by tgid; those that were gone before are left out.
    fn threads_since(&self, start: &Self) -> HashMap<u32, Vec<ThreadDelta>> {
        let mut by_tgid: HashMap<u32, Vec<ThreadDelta>> = HashMap::new();
        for (key, thread) in &self.threads {
            let before = start.threads.get(key);
            if before.is_some_and(|before| before.gone) {
                continue;
            }
            let birth = || Books {
                at_ns: key.start_boottime.saturating_sub(self.boot_offset_ns),
                ..Books::default()
            };
            let before = before.map_or_else(birth, |before| before.books);
            by_tgid.entry(thread.tgid).or_default().push(ThreadDelta {
                tid: key.tid,
                name: thread.name.clone(),
                counters: Counters::between(&before, &thread.books),
                exited: thread.gone,
            });
        }
        by_tgid
    }
}

impl Thread {
    fn new(words: &TaskWords, books: Books, gone: bool) -> Self {
        Self { tgid: words.tgid, name: comm(&words.comm), books, gone }
    }
}

/// The kernel's name of a thread: up to 15 bytes, any bytes.
#[must_use]
pub fn comm(bytes: &[u8; 16]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
