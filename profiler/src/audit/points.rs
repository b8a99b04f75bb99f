//! Builds the points of curves: all windows of one set-up under one load together.

use std::collections::{BTreeMap, BTreeSet};

use profiler_common::wait::Reason;

use crate::{
    audit::{
        causes::Facts,
        observed::{Loaded, WindowSlice, busy_by_worker},
    },
    model::{
        accounting::Counters,
        budget_state::BudgetState,
        estimate::Estimate,
        load::Latency,
        report::{Point, Setup},
        waits::Waits,
    },
    stats::{bootstrap, windows::WindowSeries},
};

/// A point of a curve, and what else its windows showed.
#[derive(Clone, Debug, Default)]
pub struct MeasuredPoint {
    /// The point.
    pub point: Point,
    /// What may bend the curve here.
    pub facts: Facts,
    /// Slices of the windows that the point is made of.
    pub slices: Vec<WindowSlice>,
}

/// A set-up and its curve.
pub type Curve = (Setup, Vec<MeasuredPoint>);

/// A set-up counts only where at most so many of its requests failed.
const ERRORS: f64 = 0.01;

/// The curve of a set-up, by rising level.
#[must_use]
pub fn curve(loaded: &[&Loaded], setup: &Setup, cpus: f64) -> Vec<MeasuredPoint> {
    let of_setup = |loaded: &&&Loaded| loaded.run.setup == *setup;
    // Levels are positive, so their bits are in their order.
    let levels: BTreeSet<u64> =
        loaded.iter().filter(of_setup).map(|loaded| loaded.run.level.to_bits()).collect();
    let at_level = |bits: u64| {
        let windows: Vec<_> = loaded
            .iter()
            .filter(of_setup)
            .copied()
            .filter(|loaded| loaded.run.level.to_bits() == bits)
            .collect();
        seen(f64::from_bits(bits), &windows, cpus)
    };
    levels.into_iter().map(at_level).collect()
}

/// Where a curve is highest, among the levels at which it served.
#[must_use]
pub fn peak(curve: &[MeasuredPoint]) -> Option<&MeasuredPoint> {
    let served = |seen: &&MeasuredPoint| {
        let requests: f64 = seen.slices.iter().map(|slice| slice.requests).sum();
        requests > 0.0 && seen.point.errors as f64 <= ERRORS * (requests + seen.point.errors as f64)
    };
    let throughput = |seen: &MeasuredPoint| seen.point.throughput.value;
    curve.iter().filter(served).max_by(|one, other| throughput(one).total_cmp(&throughput(other)))
}

/// True if every throughput is known to this share of itself, up or down.
#[must_use]
pub fn are_tight(loaded: &[Loaded], share: f64) -> bool {
    let points: BTreeSet<_> =
        loaded.iter().map(|Loaded { run, .. }| (&run.url, &run.setup, run.level.to_bits())).collect();
    let is_tight = |point: &(&String, &Setup, u64)| {
        let of_point =
            loaded.iter().filter(|Loaded { run, .. }| (&run.url, &run.setup, run.level.to_bits()) == *point);
        let slices: Vec<_> = of_point.flat_map(|loaded| loaded.slices.iter().copied()).collect();
        let Estimate { value, low, high } = ratio(&slices, |slice| (slice.requests, slice.seconds));
        high - low <= 2.0 * share * value
    };
    points.iter().all(is_tight)
}

fn seen(level: f64, windows: &[&Loaded], cpus: f64) -> MeasuredPoint {
    let slices: Vec<_> = windows.iter().flat_map(|window| window.slices.iter().copied()).collect();
    let (budget, throttled) = budget(windows);
    let by_worker = mean_by_worker(windows);
    let limited = windows.iter().find_map(|window| window.run.load.limited.clone());
    let point = Point {
        level,
        windows: windows.len() as u32,
        throughput: ratio(&slices, |slice| (slice.requests, slice.seconds)),
        latency_p50_ms: latency(windows, |latency| latency.p50_ns),
        latency_p99_ms: latency(windows, |latency| latency.p99_ns),
        cpu_ms_per_request: ratio(&slices, |slice| (slice.cpu_ms, slice.requests)),
        voluntary_switches_per_request: ratio(&slices, |slice| (slice.voluntary, slice.requests)),
        preempted_switches_per_request: ratio(&slices, |slice| (slice.preempted, slice.requests)),
        cpus_busy: ratio(&slices, |slice| (slice.cpu_ms / 1e3, slice.seconds)),
        cpus_busy_by_worker: by_worker.clone(),
        budget: budget.clone(),
        errors: windows.iter().map(|window| window.run.load.errors()).sum(),
        load_limited: limited.clone(),
    };
    let generator: u64 = windows.iter().filter_map(|window| window.run.load.own_cpu_ns).sum();
    let lasted: u64 = windows.iter().map(|window| window.run.load.duration_ns).sum();
    let facts = Facts {
        cpus,
        busy: point.cpus_busy.value,
        busy_by_worker: by_worker,
        generator_busy: generator as f64 / lasted.max(1) as f64,
        throttled,
        budget,
        load_limited: limited,
    };
    MeasuredPoint { point, facts, slices }
}

/// A sum divided by a sum, with its interval if there is more than one part.
pub fn ratio(slices: &[WindowSlice], parts: impl Fn(&WindowSlice) -> (f64, f64)) -> Estimate {
    let (amounts, per): (Vec<f64>, Vec<f64>) = slices.iter().map(parts).unzip();
    let value = amounts.iter().sum::<f64>() / per.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let interval = bootstrap::interval(WindowSeries { amounts: &amounts, per: &per });
    let interval = interval.map_or(Estimate { value, low: value, high: value }, Estimate::from);
    // Of nothing can there be less than none.
    Estimate { low: interval.low.max(0.0), ..interval }
}

/// The range over the windows, and its middle.
fn latency(windows: &[&Loaded], part: impl Fn(&Latency) -> u64) -> Option<Estimate> {
    let seen = windows.iter().filter_map(|window| window.run.load.latency.as_ref());
    let mut ms: Vec<_> = seen.map(|latency| part(latency) as f64 / 1e6).collect();
    ms.sort_by(f64::total_cmp);
    let (low, high) = (*ms.first()?, *ms.last()?);
    Some(Estimate { value: ms[ms.len() / 2], low, high })
}

/// Where the wall time of the workers' threads went, and the part in which a quota held them.
fn budget(windows: &[&Loaded]) -> (BTreeMap<BudgetState, f64>, f64) {
    let (mut counters, mut waits) = (Counters::default(), Waits::default());
    let (mut throttled_ns, mut lasted_ns) = (0, 0);
    for fleet in windows.iter().flat_map(|window| &window.stat.fleets) {
        let (one, its_waits) = fleet.total();
        counters.add(&one);
        waits.add(&its_waits);
    }
    for window in windows {
        // One control group holds them all, so it is counted once.
        let workers = window.stat.processes();
        throttled_ns += workers.filter_map(|worker| worker.throttled_ns).max().unwrap_or(0);
        lasted_ns += window.stat.duration_ns;
    }
    let wall_ns = counters.wall_ns.saturating_sub(waits.parked_ns()).max(1) as f64;
    let mut budget = BTreeMap::from([
        (BudgetState::OnCpu, counters.on_cpu_ns as f64 / wall_ns),
        (BudgetState::RunQueue, (counters.run_queue_ns + waits.uncounted_ns) as f64 / wall_ns),
    ]);
    for reason in Reason::ALL.into_iter().filter(|reason| *reason != Reason::Parked) {
        let ns = waits.blocked[reason as usize].ns;
        if ns != 0 {
            budget.insert(BudgetState::Blocked(reason), ns as f64 / wall_ns);
        }
    }
    (budget, throttled_ns as f64 / lasted_ns.max(1) as f64)
}

/// The mean over windows, worker by worker; those that some windows did not have count as idle there.
fn mean_by_worker(windows: &[&Loaded]) -> Vec<f64> {
    let by_window: Vec<_> = windows.iter().map(|window| busy_by_worker(&window.stat)).collect();
    let workers = by_window.iter().map(Vec::len).max().unwrap_or(0);
    let mean = |worker: usize| {
        by_window.iter().filter_map(|busy| busy.get(worker)).sum::<f64>() / by_window.len() as f64
    };
    (0..workers).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fixture::{loaded, setup};

    #[test]
    fn a_point_is_all_windows_of_its_level() {
        let (setup, other) = (setup("sync", 2), setup("sync", 4));
        let windows = [
            loaded(&setup, 4.0, 90.0, 1.0),
            loaded(&setup, 2.0, 50.0, 1.0),
            loaded(&setup, 4.0, 110.0, 2.0),
            loaded(&other, 4.0, 500.0, 1.0),
        ];
        let curve = curve(&windows.iter().collect::<Vec<_>>(), &setup, 8.0);
        let levels: Vec<_> = curve.iter().map(|seen| (seen.point.level, seen.point.windows)).collect();
        assert_eq!(levels, [(2.0, 1), (4.0, 2)]);
        let point = &curve[1].point;
        let near = |estimate: &Estimate, value: f64| (estimate.value - value).abs() < 1e-9;
        assert!(near(&point.throughput, 100.0), "{:?}", point.throughput);
        // 90 answers of 1 ms and 110 of 2.
        assert!(near(&point.cpu_ms_per_request, 310.0 / 200.0), "{:?}", point.cpu_ms_per_request);
        assert!(near(&point.voluntary_switches_per_request, 2.0));
        let Estimate { low, high, .. } = point.throughput;
        assert!(low < 90.0 && high > 110.0, "{low}…{high} of 90 and 110");
        assert_eq!(point.latency_p99_ms.map(|latency| latency.value), Some(9.0));
    }

    #[test]
    fn tight_is_what_is_known_to_a_share() {
        let setup = setup("sync", 2);
        let alike = [loaded(&setup, 4.0, 100.0, 1.0), loaded(&setup, 4.0, 101.0, 1.0)];
        assert!(are_tight(&alike, 0.05) && !are_tight(&alike, 0.001));
        let apart = [loaded(&setup, 4.0, 100.0, 1.0), loaded(&setup, 4.0, 200.0, 1.0)];
        assert!(!are_tight(&apart, 0.05));
    }
}
