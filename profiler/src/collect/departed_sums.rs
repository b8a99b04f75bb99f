//! Sums of those who are not listed any more.
//!
//! Who is taken out of the lists is charged, in each window that is open, with what it did between the window's start and its end,
//! for the reasons that its stacks tell. Nothing of it remains but in those sums.

use std::collections::{BTreeMap, HashMap};

use crate::{
    collect::{
        departed::{Departed, SEVERAL, tgid_of_ended},
        stat::StatSnapshot,
    },
    fleet::Member,
    model::{
        accounting::{Counters, EndedProcesses, ThreadDelta, WorkerDelta},
        waits::{Reclassified, Waits},
        worker::{Death, Role},
    },
    units,
};

/// What those did, since a window began, who are not listed any more.
#[derive(Clone, Debug, Default)]
pub struct DepartedSums {
    /// Threads of processes that are listed, by PID.
    threads: BTreeMap<u32, ThreadSum>,
    /// Processes, by the number in place of their PIDs.
    processes: BTreeMap<u32, ProcessSum>,
}

/// Sum of threads.
#[derive(Clone, Debug, Default)]
struct ThreadSum {
    threads: u64,
    counters: Counters,
    waits: Waits,
    /// True if one of them was the first of a process that was born in the window.
    born: bool,
}

/// Sum of processes of a fleet with a role.
#[derive(Clone, Debug)]
struct ProcessSum {
    last: Member,
    ended: EndedProcesses,
    sum: ThreadSum,
}

impl DepartedSums {
    /// Takes threads out of the window's first snapshot, and adds what they did since. `reclassified` tells what their waits
    /// since then were for.
    pub fn take_threads(
        &mut self,
        start: &mut StatSnapshot,
        departed: &Departed,
        reclassified: &HashMap<u32, Vec<Reclassified>>,
        has_gil: impl Fn(u32) -> bool,
    ) {
        let mut by_thread: HashMap<(u32, u32), Vec<&Reclassified>> = HashMap::new();
        for (tgid, of_process) in reclassified {
            for of_stack in of_process {
                by_thread.entry((*tgid, of_stack.tid)).or_default().push(of_stack);
            }
        }
        for gone in &departed.threads {
            let (tgid, tid) = gone.ids();
            let Some((mut thread, born)) = start.take(gone, has_gil(tgid)) else { continue };
            for of_stack in by_thread.remove(&(tgid, tid)).into_iter().flatten() {
                thread.waits.reclassify(of_stack.from, of_stack.to, &of_stack.waits);
            }
            let ThreadDelta { counters, waits, .. } = thread;
            let born = born && tid == tgid;
            self.threads.entry(tgid).or_default().add(&ThreadSum { threads: 1, counters, waits, born });
        }
    }

    /// Makes a process, all of whose threads are taken out, one of several; nothing is left of one that ended before the window.
    pub fn take_process(
        &mut self,
        (fleet, member): &(usize, Member),
        boot_cpu_ns: Option<u64>,
        death: Option<Death>,
    ) {
        let Some(threads) = self.threads.remove(&member.tgid) else { return };
        let none = || ProcessSum {
            last: member.clone(),
            ended: EndedProcesses::default(),
            sum: ThreadSum::default(),
        };
        let all = self.processes.entry(tgid_of_ended(*fleet, member.role)).or_insert_with(none);
        all.ended.add(&EndedProcesses::one(threads.born, member.slot, boot_cpu_ns, death));
        all.sum.add(&threads);
    }

    /// The row of a process's threads that are not listed any more, if there are such.
    #[must_use]
    pub fn threads_of(&self, tgid: u32) -> Option<ThreadDelta> {
        self.threads.get(&tgid).map(ThreadSum::row)
    }

    /// True if a process that was born in the window has not its first thread any more.
    #[must_use]
    pub fn is_born(&self, tgid: u32) -> bool {
        self.threads.get(&tgid).is_some_and(|sum| sum.born)
    }

    /// The rows of a fleet's processes that are not listed any more: one for each role that they had.
    pub fn processes_of(&self, fleet: usize) -> impl Iterator<Item = WorkerDelta> {
        let numbers = [Role::Master, Role::Worker, Role::Helper].map(|role| tgid_of_ended(fleet, role));
        numbers.into_iter().filter_map(|tgid| Some(self.processes.get(&tgid)?.row(tgid)))
    }
}

impl ThreadSum {
    fn add(&mut self, other: &Self) {
        self.threads += other.threads;
        self.counters.add(&other.counters);
        self.waits.add(&other.waits);
        self.born |= other.born;
    }

    fn row(&self) -> ThreadDelta {
        ThreadDelta {
            tid: SEVERAL,
            name: format!("{} that ended", units::counted(self.threads, "thread")),
            counters: self.counters,
            waits: self.waits.clone(),
            exited: true,
        }
    }
}

impl ProcessSum {
    /// The row, with the class and the Python of the last one.
    fn row(&self, tgid: u32) -> WorkerDelta {
        let Self { last, ended, sum } = self;
        WorkerDelta {
            role: last.role,
            slot: None,
            worker_class: last.worker_class.clone(),
            tgid,
            python: last.python.clone(),
            counters: sum.counters,
            waits: sum.waits.clone(),
            throttled_ns: None,
            memory: None,
            empty_wakeups: None,
            born: false,
            boot_cpu_ns: None,
            exited: true,
            death: None,
            ended: Some(ended.clone()),
            threads: vec![sum.row()],
        }
    }
}
