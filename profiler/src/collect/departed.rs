//! Those who ended and are not listed any more: each has a row of its own until many more have ended, so a session that lasts does
//! not grow.

use std::collections::{HashMap, HashSet};

use profiler_common::{config::StackKey, wait::NO_SYSCALL};

use crate::{collect::stat::Gone, fleet::Member, model::worker::Role};

/// Threads that ended and are listed, at most.
pub const MOST_THREADS: usize = 4096;
/// Threads that are left in the list when there were more.
pub const LEFT_THREADS: usize = 2048;
/// Processes of a fleet that ended and have a row each, at most.
pub const MOST_PROCESSES: usize = 1024;

/// The hash of stacks that are not known.
pub const UNKNOWN: u64 = 0;

/// Takes the place of a TID where several threads are one.
pub const SEVERAL: u32 = 0;

/// The number that takes the place of a PID where several processes of a fleet are one: PIDs end at 2^22.
#[must_use]
pub const fn tgid_of_ended(fleet: usize, role: Role) -> u32 {
    1 << 31 | (fleet as u32) << 2 | role as u32
}

/// Who is taken out of the lists.
#[derive(Debug)]
pub struct Departed {
    /// Threads that ended, in the order of their ends.
    pub threads: Vec<Gone>,
    /// Processes none of whose threads is listed any more, and their fleets' places.
    pub processes: Vec<(usize, Member)>,
    /// PIDs and TIDs of the threads.
    tids: HashSet<(u32, u32)>,
    /// What takes the place of each process's PID.
    tgids: HashMap<u32, u32>,
}

impl Departed {
    /// Those threads and processes.
    #[must_use]
    pub fn new(threads: Vec<Gone>, processes: Vec<(usize, Member)>) -> Self {
        let tids = threads.iter().map(Gone::ids).collect();
        let tgids = processes.iter().map(|(fleet, member)| (member.tgid, tgid_of_ended(*fleet, member.role)));
        Self { tgids: tgids.collect(), threads, processes, tids }
    }

    /// What takes the place of a thread's PID, once it is one of several; `None` if it is still listed.
    #[must_use]
    pub fn tgid_for(&self, tgid: u32, tid: u32) -> Option<u32> {
        let is_departed = self.tids.contains(&(tgid, tid)) || self.tgids.contains_key(&tgid);
        is_departed.then(|| self.tgid_of(tgid))
    }

    /// What takes the place of a PID: the same, if the process is still listed.
    #[must_use]
    pub fn tgid_of(&self, tgid: u32) -> u32 {
        self.tgids.get(&tgid).copied().unwrap_or(tgid)
    }
}

/// The keys that stacks of threads which are not listed any more have together.
#[derive(Debug)]
pub struct JoinedKeys<'a> {
    /// Who is not listed any more.
    pub departed: &'a Departed,
    /// The key that takes the place of each stack's that was described.
    pub described: HashMap<StackKey, StackKey>,
}

impl JoinedKeys<'_> {
    /// What takes the place of a key; `None` if its thread is still listed.
    #[must_use]
    pub fn of(&self, key: &StackKey) -> Option<StackKey> {
        let unknown = |tgid| StackKey { hash: UNKNOWN, tgid, tid: SEVERAL, syscall: NO_SYSCALL, ..*key };
        let described = self.described.get(key).copied();
        described.or_else(|| self.departed.tgid_for(key.tgid, key.tid).map(unknown))
    }
}
