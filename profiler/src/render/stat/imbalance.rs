//! How evenly the workers of a fleet share its CPU time and its wake-ups, and how many wake-ups find no work.

use std::collections::BTreeMap;

use profiler_common::wait::Reason;
use serde::Serialize;

use crate::{
    model::{accounting::FleetDelta, worker::Role},
    stats::variation,
    units,
};

/// Workers are busy unevenly from this coefficient of variation on.
pub const UNEVEN: f64 = 0.3;

/// How unevenly a fleet's workers share its work; of a fleet with two workers at least. A worker that took a dead one's slot
/// counts with it: they were there one after the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Imbalance {
    /// The coefficient of variation of the workers' on-CPU time: standard deviation by mean; absent without any.
    pub cpu_cv: Option<f64>,
    /// The coefficient of variation of the workers' wake-ups; absent without any.
    pub wakeups_cv: Option<f64>,
    /// Share of each worker.
    pub shares: Vec<WorkerShare>,
}

/// One worker's share of its fleet's work, or that of all who had its slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerShare {
    /// Slot of the worker; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// PIDs of those that had the slot, one after the other.
    pub tgids: Vec<u32>,
    /// Share of the fleet's on-CPU time, 0 to 1; absent without any.
    pub cpu: Option<f64>,
    /// Share of the fleet's wake-ups, 0 to 1; absent without any.
    pub wakeups: Option<f64>,
}

/// Totals of one slot.
#[derive(Clone, Debug, Default)]
struct SlotTotals {
    tgids: Vec<u32>,
    on_cpu_ns: u64,
    wakeups: u64,
}

/// The imbalance of a fleet; `None` with fewer than two workers, and where some that ended have one row together: whose places
/// they had is not known.
#[must_use]
pub fn of(fleet: &FleetDelta) -> Option<Imbalance> {
    let mut places: BTreeMap<(Option<u32>, u32), SlotTotals> = BTreeMap::new();
    for worker in fleet.with(Role::Worker) {
        let slot = worker.slot.map(|slot| slot.number);
        let key = (slot, if slot.is_some() { 0 } else { worker.tgid });
        let place = places.entry(key).or_default();
        place.tgids.push(worker.tgid);
        place.on_cpu_ns += worker.counters.on_cpu_ns;
        place.wakeups += worker.counters.wakeups;
    }
    if places.len() < 2 || fleet.with(Role::Worker).any(|worker| worker.ended.is_some()) {
        return None;
    }
    let cv = |values: &[u64]| {
        variation::coefficient(&values.iter().map(|value| *value as f64).collect::<Vec<_>>())
    };
    let of_cpu: Vec<u64> = places.values().map(|place| place.on_cpu_ns).collect();
    let of_wakeups: Vec<u64> = places.values().map(|place| place.wakeups).collect();
    let shares = places.into_iter().map(|((slot, _), place)| WorkerShare {
        slot,
        cpu: share(place.on_cpu_ns, &of_cpu),
        wakeups: share(place.wakeups, &of_wakeups),
        tgids: place.tgids,
    });
    Some(Imbalance { cpu_cv: cv(&of_cpu), wakeups_cv: cv(&of_wakeups), shares: shares.collect() })
}

/// A line about wake-ups that found no work: `empty wake-ups: 96 of 136 waits for work (70.6 %)`; where they are known,
/// and two workers at least can be woken for one request.
#[must_use]
pub fn empty_wakeups(fleet: &FleetDelta) -> String {
    let known: Vec<_> =
        fleet.with(Role::Worker).filter_map(|worker| Some((worker, worker.empty_wakeups?))).collect();
    let waits = known.iter().map(|(worker, _)| worker.waits.blocked[Reason::Idle as usize].count).sum();
    let empty = known.iter().map(|(_, empty)| empty).sum();
    if known.len() < 2 || waits == 0 {
        return String::new();
    }
    let (percent, waits) = (units::percent(empty, waits, 1), units::grouped(waits));
    format!("empty wake-ups: {} of {waits} waits for work ({percent} %)\n", units::grouped(empty))
}

/// A line about it, if there is one: `imbalance: CPU 21.0–29.3 % each (cv 0.12), wake-ups 3.1–61.0 % each (cv 0.87)`.
#[must_use]
pub fn text(fleet: &FleetDelta) -> String {
    let Some(imbalance) = of(fleet) else { return String::new() };
    if [imbalance.cpu_cv, imbalance.wakeups_cv].into_iter().flatten().all(|variation| variation <= UNEVEN) {
        return String::new();
    }
    let part = |what: &str, cv: Option<f64>, share: fn(&WorkerShare) -> Option<f64>| {
        let shares = || imbalance.shares.iter().filter_map(share);
        let (low, high) = (shares().fold(f64::INFINITY, f64::min), shares().fold(0.0, f64::max));
        let percent = |share: f64| units::decimal(share * 100.0, 1);
        cv.map(|cv| {
            format!("{what} {}–{} % each (cv {})", percent(low), percent(high), units::decimal(cv, 2))
        })
    };
    let cpu = part("CPU", imbalance.cpu_cv, |share| share.cpu);
    let wakeups = part("wake-ups", imbalance.wakeups_cv, |share| share.wakeups);
    let parts: Vec<_> = cpu.into_iter().chain(wakeups).collect();
    if parts.is_empty() { String::new() } else { format!("imbalance: {}\n", parts.join(", ")) }
}

fn share(part: u64, all: &[u64]) -> Option<f64> {
    let sum: u64 = all.iter().sum();
    (sum != 0).then(|| part as f64 / sum as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{accounting::WorkerDelta, fixture, worker::Slot};

    type At = (u32, u32);

    /// A fleet with these workers: PID, slot and generation, on-CPU time and wake-ups.
    fn fleet(workers: &[(u32, Option<At>, u64, u64)]) -> FleetDelta {
        let mut fleet = fixture::stat().fleets.remove(0);
        let model = fleet.workers[1].clone();
        let workers = workers.iter().map(|&(tgid, slot, on_cpu_ns, wakeups)| {
            let slot = slot.map(|(number, generation)| Slot { number, generation });
            let mut worker = WorkerDelta { slot, tgid, ..model.clone() };
            (worker.counters.on_cpu_ns, worker.counters.wakeups) = (on_cpu_ns, wakeups);
            worker
        });
        fleet.workers.truncate(1);
        fleet.workers.extend(workers);
        fleet
    }

    #[test]
    fn successors_count_with_their_predecessors() {
        // 30 and 10: the mean is 20, the deviation 10.
        let fleet = fleet(&[(11, Some((1, 0)), 12, 0), (12, Some((2, 0)), 10, 7), (13, Some((1, 1)), 18, 0)]);
        let imbalance = of(&fleet).unwrap();
        assert_eq!((imbalance.cpu_cv, imbalance.wakeups_cv), (Some(0.5), Some(1.0)));
        let first = &imbalance.shares[0];
        assert_eq!((first.slot, first.tgids.as_slice(), first.cpu), (Some(1), &[11, 13][..], Some(0.75)));
        let expected = "imbalance: CPU 25.0–75.0 % each (cv 0.50), wake-ups 0.0–100.0 % each (cv 1.00)\n";
        assert_eq!(text(&fleet), expected);
    }

    #[test]
    fn without_slots_each_process_is_one() {
        let fleet = fleet(&[(11, None, 5, 0), (12, None, 5, 0), (13, None, 5, 0)]);
        let imbalance = of(&fleet).unwrap();
        assert_eq!((imbalance.cpu_cv, imbalance.wakeups_cv, imbalance.shares.len()), (Some(0.0), None, 3));
        assert_eq!(text(&fleet), "", "there is none");
    }

    #[test]
    fn empty_wakeups_are_of_the_waits_for_work() {
        let mut fleet = fleet(&[(11, None, 5, 5), (12, None, 5, 5)]);
        assert_eq!(empty_wakeups(&fleet), "");
        for (worker, count) in fleet.workers[1..].iter_mut().zip([300, 600]) {
            worker.empty_wakeups = Some(count);
        }
        // Each of the fixture's workers has 1,361 waits for work.
        assert_eq!(empty_wakeups(&fleet), "empty wake-ups: 900 of 2,722 waits for work (33.1 %)\n");
        fleet.workers.pop();
        assert_eq!(empty_wakeups(&fleet), "", "alone");
    }

    #[test]
    fn one_worker_has_nobody_to_share_with() {
        assert_eq!(of(&fleet(&[(11, Some((1, 0)), 5, 5), (12, Some((1, 1)), 5, 5)])), None);
        assert_eq!(text(&fleet(&[(11, None, 0, 0), (12, None, 0, 0)])), "");
    }
}
