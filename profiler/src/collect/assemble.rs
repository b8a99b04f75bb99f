//! Rows of fleets from two edges: each is built once, of all that is known of its process.

use std::collections::HashMap;

use crate::{
    collect::{
        departed_sums::DepartedSums,
        stat::{StatSnapshot, ThreadDeltas},
    },
    fleet::{Fleet, Member},
    model::{
        accounting::{Counters, FleetDelta, WorkerDelta},
        waits::{Reclassified, Waits},
        worker::Death,
    },
};

/// What is known of the processes of a window besides their counters.
pub struct WindowFacts<'a> {
    /// The fleets, with all members that were ever seen.
    pub fleets: &'a [Fleet],
    /// Whether waits for a GIL are told apart in a process.
    pub has_gil: &'a dyn Fn(u32) -> bool,
    /// How long quotas held a process inside the window, ns; `None` without a quota.
    pub throttled_ns: &'a dyn Fn(u32) -> Option<u64>,
    /// What it took a process on a CPU to boot, ns; `None` if it has not, or if that is not known.
    pub boot_cpu_ns: &'a dyn Fn(u32) -> Option<u64>,
    /// How processes ended, by tgid.
    pub deaths: &'a HashMap<u32, Death>,
    /// Waits that were for something else than the kernel says, by tgid.
    pub reclassified: HashMap<u32, Vec<Reclassified>>,
    /// Waits for work that ended without any, by tgid; of those processes only of which that is known.
    pub empty_wakeups: HashMap<u32, u64>,
    /// What those did who are not listed any more.
    pub departed: &'a DepartedSums,
}

/// The fleets' rows of the window between two edges.
#[must_use]
pub fn fleets(start: &StatSnapshot, end: &StatSnapshot, facts: &WindowFacts<'_>) -> Vec<FleetDelta> {
    let mut threads = end.threads_since(start, facts.has_gil);
    let is_born = |tgid: u32, threads: &ThreadDeltas| {
        let threads = threads.get(&tgid).into_iter().flatten();
        threads.filter(|(_, thread)| thread.tid == tgid).any(|(key, _)| end.is_born(key, start))
    };
    let mut row = |member: &Member| {
        let born = is_born(member.tgid, &threads) || facts.departed.is_born(member.tgid);
        let listed = threads.remove(&member.tgid).into_iter().flatten().map(|(_, thread)| thread);
        let mut threads: Vec<_> = facts.departed.threads_of(member.tgid).into_iter().chain(listed).collect();
        if threads.is_empty() {
            return None;
        }
        let (mut counters, mut waits) = (Counters::default(), Waits::default());
        for thread in &threads {
            counters.add(&thread.counters);
            waits.add(&thread.waits);
        }
        let mut places = HashMap::new();
        for (place, thread) in threads.iter().enumerate() {
            places.entry(thread.tid).or_insert(place);
        }
        for of_stack in facts.reclassified.get(&member.tgid).into_iter().flatten() {
            waits.reclassify(of_stack.from, of_stack.to, &of_stack.waits);
            if let Some(place) = places.get(&of_stack.tid) {
                threads[*place].waits.reclassify(of_stack.from, of_stack.to, &of_stack.waits);
            }
        }
        let exited = threads.iter().all(|thread| thread.exited);
        Some(WorkerDelta {
            role: member.role,
            slot: member.slot,
            worker_class: member.worker_class.clone(),
            tgid: member.tgid,
            python: member.python.clone(),
            counters,
            waits,
            throttled_ns: (facts.throttled_ns)(member.tgid),
            memory: None,
            empty_wakeups: facts.empty_wakeups.get(&member.tgid).copied(),
            born,
            boot_cpu_ns: born.then(|| (facts.boot_cpu_ns)(member.tgid)).flatten(),
            exited,
            death: facts.deaths.get(&member.tgid).filter(|_| exited).copied(),
            ended: None,
            threads,
        })
    };
    let fleet = |(place, fleet): (usize, &Fleet)| FleetDelta {
        name: fleet.name.clone(),
        server: fleet.server.clone(),
        workers: fleet
            .members
            .iter()
            .filter_map(&mut row)
            .chain(facts.departed.processes_of(place))
            .collect(),
    };
    facts.fleets.iter().enumerate().map(fleet).collect()
}

#[cfg(test)]
mod tests {
    use profiler_common::{event::ThreadRecord, wait::Reason};

    use super::*;
    use crate::{
        bpf::{
            Snapshot,
            fixture::{MS, thread},
        },
        collect::stat::Gone,
        fleet::{discover, fixture},
        model::{waits::Blocked, worker::Role},
    };

    fn edge(at_ns: u64, living: &[ThreadRecord], gone: &[ThreadRecord]) -> StatSnapshot {
        let gone: Vec<_> = gone.iter().map(|thread| Gone::from(*thread)).collect();
        let snapshot = Snapshot {
            began_ns: at_ns,
            at_ns,
            unix_ns: 0,
            clock_offset_ns: 0,
            exact: true,
            edge: 0,
            threads: living.to_vec(),
        };
        StatSnapshot::new(&snapshot, &gone, true)
    }

    /// A Gunicorn of a master, 2, and two workers, 3 and 4.
    fn gunicorn() -> Vec<Fleet> {
        let tree = fixture::host(&[
            (2, 1, "python -m gunicorn shop:app"),
            (3, 2, "python -m gunicorn shop:app"),
            (4, 2, "python -m gunicorn shop:app"),
        ]);
        discover(&tree, &fixture::probe())
    }

    #[test]
    fn a_row_has_all_that_is_known_of_its_process() {
        let start =
            edge(100 * MS, &[thread(2, 2, MS, 9 * MS, 90 * MS), thread(3, 3, MS, 19 * MS, 80 * MS)], &[]);
        let end = edge(
            200 * MS,
            &[thread(2, 2, MS, 9 * MS, 190 * MS)],
            &[thread(3, 3, MS, 39 * MS, 110 * MS), thread(4, 4, 120 * MS, 30 * MS, 20 * MS)],
        );
        let moved = Blocked { ns: 12 * MS, count: 1, ..Blocked::default() };
        let moved = Reclassified { tid: 3, from: Reason::Socket, to: Reason::Idle, waits: moved };
        let killed = Death::Signal(9);
        let facts = WindowFacts {
            fleets: &gunicorn(),
            has_gil: &|_| true,
            throttled_ns: &|tgid| (tgid == 4).then_some(7),
            boot_cpu_ns: &|_| Some(11),
            deaths: &HashMap::from([(2, killed), (4, killed)]),
            reclassified: HashMap::from([(3, vec![moved])]),
            empty_wakeups: HashMap::from([(3, 5)]),
            departed: &DepartedSums::default(),
        };
        let fleets = fleets(&start, &end, &facts);
        let [master, one, other] = fleets[0].workers.as_slice() else { panic!("{fleets:#?}") };
        assert_eq!((master.role, master.counters.on_cpu_ns), (Role::Master, 0));
        assert_eq!(master.counters.blocked_ns, 100 * MS);
        assert!(!master.exited && master.death.is_none(), "it lives, whoever had its PID before");
        assert_eq!((one.counters.on_cpu_ns, one.counters.blocked_ns), (20 * MS, 30 * MS));
        let waits = |row: &WorkerDelta, reason| row.waits.blocked[reason as usize].ns;
        assert_eq!((waits(one, Reason::Socket), waits(one, Reason::Idle)), (18 * MS, 12 * MS));
        assert_eq!(one.threads[0].waits, one.waits, "its only thread");
        assert_eq!((one.empty_wakeups, one.boot_cpu_ns, one.born, one.exited), (Some(5), None, false, true));
        assert_eq!((one.death, one.throttled_ns), (None, None));
        assert_eq!((other.born, other.boot_cpu_ns, other.death), (true, Some(11), Some(killed)));
        assert_eq!((other.counters.wall_ns, other.throttled_ns), (50 * MS, Some(7)));
    }
}
