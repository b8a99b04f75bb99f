//! The tables of an audit's report, as texts: HTML, Markdown and the terminal lay out the same ones.

use std::collections::BTreeSet;

use crate::{
    model::{
        budget_state::BudgetState,
        estimate::Estimate,
        knee_cause::KneeCause,
        report::{IdleCost, Point, Report, Run, Series},
    },
    render::{
        report::{
            table::{self, Numbers, ReportTable, Words, exact, signed},
            words,
        },
        term::escape,
    },
    units,
};

/// The name of the columns of throughputs.
pub const THROUGHPUT: &str = "throughput";
/// Name of the column of how many windows were measured.
pub const WINDOWS: &str = "windows";
/// Name of the column of requests that failed.
pub const ERRORS: &str = "errors";
/// Columns of [`levels`] that say least, the least first: what a narrow screen goes without.
pub const DISPENSABLE: [&str; 6] = [WINDOWS, PREEMPTED, VOLUNTARY, CPUS_BUSY, LATENCY_P50, ERRORS];

const LATENCY_P50: &str = "latency p50";
const VOLUNTARY: &str = "voluntary switches";
const PREEMPTED: &str = "preempted switches";
const CPUS_BUSY: &str = "CPUs busy";

/// What is told of each point: its level, and what the set-up did there.
fn rates(report: &Report) -> [Numbers<'static, Point>; 7] {
    [
        (words::level(report), "", &|point| Some(exact(point.level))),
        (THROUGHPUT, "/s", &|point| Some(point.throughput)),
        (LATENCY_P50, "ms", &|point| point.latency_p50_ms),
        ("latency p99", "ms", &|point| point.latency_p99_ms),
        ("CPU per request", "ms", &|point| Some(point.cpu_ms_per_request)),
        (VOLUNTARY, "per request", &|point| Some(point.voluntary_switches_per_request)),
        (PREEMPTED, "per request", &|point| Some(point.preempted_switches_per_request)),
    ]
}

/// Each set-up where its throughput is highest.
#[must_use]
pub fn best(report: &Report) -> Option<ReportTable> {
    let best = |series: &Series| series.points.iter().cloned().max_by(by_throughput);
    let points = report.series.iter().enumerate().filter_map(|(at, series)| Some((at, best(series)?)));
    let points: Vec<_> = points.collect();
    table::build("Each set-up at its best", report, &points, &[], &rates(report))
}

/// Each set-up under each load.
#[must_use]
pub fn levels(report: &Report) -> Option<ReportTable> {
    let points = all_points(report);
    let mut numbers = rates(report).to_vec();
    let others: [Numbers<Point>; 3] = [
        (CPUS_BUSY, "", &|point| Some(point.cpus_busy)),
        (ERRORS, "", &|point| Some(exact(point.errors as f64))),
        (WINDOWS, "", &|point| Some(exact(f64::from(point.windows)))),
    ];
    numbers.extend(others);
    let limits: Words<Point> =
        ("the load generator set the pace", &|point| point.load_limited.clone().unwrap_or_default());
    let limited = points.iter().any(|(_, point)| point.load_limited.is_some());
    let limits = if limited { &[limits][..] } else { &[] };
    table::build("Each set-up under each load", report, &points, limits, &numbers)
}

/// Where the wall time of the workers' threads went, in percent.
#[must_use]
pub fn budget(report: &Report) -> Option<ReportTable> {
    let mut points = all_points(report);
    points.retain(|(_, point)| !point.budget.is_empty());
    let share = |point: &Point, state| exact(point.budget.get(state).copied().unwrap_or(0.0) * 100.0);
    let states = states(report);
    let shares: Vec<_> = states.iter().map(|state| move |point: &Point| Some(share(point, state))).collect();
    let mut numbers: Vec<Numbers<Point>> =
        vec![(words::level(report), "", &|point| Some(exact(point.level)))];
    numbers.extend(shares.iter().map(|share| ("", "%", share as &dyn Fn(&Point) -> Option<Estimate>)));
    let mut table =
        table::build("Where the time of the workers' threads went", report, &points, &[], &numbers)?;
    for (column, state) in table.columns.iter_mut().skip(2).zip(states) {
        words::state(state).clone_into(&mut column.name);
    }
    Some(table)
}

/// What each set-up costs while it has nothing to do.
#[must_use]
pub fn idle(report: &Report) -> Option<ReportTable> {
    let idle = report.series.iter().enumerate().filter_map(|(at, series)| Some((at, series.idle.clone()?)));
    let numbers: [Numbers<IdleCost>; 5] = [
        ("CPU of a worker", "ms/s", &|idle| Some(exact(idle.worker_cpu_ms_per_second))),
        ("wake-ups of a worker", "/s", &|idle| Some(exact(idle.worker_wakeups_per_second))),
        ("CPU of the master", "ms/s", &|idle| idle.master_cpu_ms_per_second.map(exact)),
        ("wake-ups of the master", "/s", &|idle| idle.master_wakeups_per_second.map(exact)),
        ("watched for", "s", &|idle| Some(exact(idle.duration_ns as f64 / 1e9))),
    ];
    table::build("What each set-up costs while idle", report, &idle.collect::<Vec<_>>(), &[], &numbers)
}

/// The fitted curves, and where and why they bend.
#[must_use]
pub fn curves(report: &Report) -> Option<ReportTable> {
    let bent = |series: &&Series| series.usl.is_some() || series.knee.is_some();
    let bent = report.series.iter().enumerate().filter(|(_, series)| bent(series));
    let bent: Vec<_> = bent.collect();
    let knee: Words<&Series> = ("what bends it", &|series| {
        let cause =
            series.knee.as_ref().map(|knee| knee.cause.map_or("not told by the numbers", KneeCause::name));
        cause.unwrap_or_default().to_owned()
    });
    let residuals: Words<&Series> = ("measured less fitted, /s", &|series| {
        let residuals = series.usl.iter().flat_map(|usl| &usl.residuals);
        residuals.map(|residual| signed(*residual, 0)).collect::<Vec<_>>().join(", ")
    });
    let numbers: [Numbers<&Series>; 7] = [
        ("one at a time λ", "/s", &|series| Some(exact(series.usl.as_ref()?.lambda))),
        ("contention σ", "", &|series| Some(exact(series.usl.as_ref()?.sigma))),
        ("coherency κ", "", &|series| Some(exact(series.usl.as_ref()?.kappa))),
        ("R²", "", &|series| Some(exact(series.usl.as_ref()?.r_squared))),
        ("highest at", "", &|series| series.usl.as_ref()?.peak_level.map(exact)),
        ("knee at", "", &|series| Some(exact(series.knee.as_ref()?.level))),
        ("throughput there", "/s", &|series| Some(exact(series.knee.as_ref()?.throughput))),
    ];
    table::build(
        "Scalability, X(N) = λN / (1 + σ(N−1) + κN(N−1))",
        report,
        &bent,
        &[knee, residuals],
        &numbers,
    )
}

/// Every window, in the order of time.
#[must_use]
pub fn windows(report: &Report) -> Option<ReportTable> {
    let place = |run: &Run| report.series.iter().position(|series| series.setup == run.setup);
    let runs: Vec<_> = report.runs.iter().map(|run| (place(run).unwrap_or(usize::MAX), run)).collect();
    let per_request = |count: u64, run: &Run| exact(count as f64 / run.load.requests as f64);
    let latency = |ns: Option<u64>| ns.map(|ns| exact(ns as f64 / 1e6));
    let numbers: [Numbers<&Run>; 10] = [
        ("began after", "s", &|run| Some(exact(run.at_ns as f64 / 1e9))),
        (words::level(report), "", &|run| Some(exact(run.level))),
        ("requests", "", &|run| Some(exact(run.load.requests as f64))),
        (THROUGHPUT, "/s", &|run| Some(exact(run.load.throughput()))),
        (LATENCY_P50, "ms", &|run| latency(run.load.latency.map(|latency| latency.p50_ns))),
        ("latency p99", "ms", &|run| latency(run.load.latency.map(|latency| latency.p99_ns))),
        ("CPU per request", "ms", &|run| Some(exact(per_request(run.on_cpu_ns, run).value / 1e6))),
        (VOLUNTARY, "per request", &|run| Some(per_request(run.voluntary_switches, run))),
        (PREEMPTED, "per request", &|run| Some(per_request(run.preempted_switches, run))),
        (ERRORS, "", &|run| Some(exact(run.load.errors() as f64))),
    ];
    let errors: Words<&Run> = ("which", &|run| {
        let kinds = run.load.errors.iter();
        kinds.map(|(kind, count)| format!("{} {kind}", units::grouped(*count))).collect::<Vec<_>>().join(", ")
    });
    let failed = report.runs.iter().any(|run| run.load.errors() != 0);
    let errors = if failed { &[errors][..] } else { &[] };
    let mut table = table::build("Every window, in the order of time", report, &runs, errors, &numbers)?;
    for (row, run) in table.rows.iter_mut().zip(&report.runs) {
        row.cells[0].text = escape::visible(&run.setup.name()).into_owned();
        row.begins = false;
    }
    Some(table)
}

/// The states in any budget, in the order in which they are drawn: on the CPU, waiting for one, blocked.
#[must_use]
pub fn states(report: &Report) -> Vec<BudgetState> {
    let points = report.series.iter().flat_map(|series| &series.points);
    let budgets = points.flat_map(|point| &point.budget).filter(|(_, share)| **share > 0.0);
    let occurring: BTreeSet<_> = budgets.map(|(state, _)| *state).collect();
    BudgetState::ALL.into_iter().filter(|state| occurring.contains(state)).collect()
}

fn all_points(report: &Report) -> Vec<(usize, Point)> {
    let points = |(at, series): (usize, &Series)| {
        series.points.iter().cloned().map(move |point| (at, point)).collect::<Vec<_>>()
    };
    report.series.iter().enumerate().flat_map(points).collect()
}

fn by_throughput(a: &Point, b: &Point) -> std::cmp::Ordering {
    a.throughput.value.total_cmp(&b.throughput.value)
}

#[cfg(test)]
mod tests {
    use profiler_common::wait::Reason;

    use super::*;
    use crate::{model::fixture, render::report::table::TableRow};

    fn line(row: &TableRow) -> Vec<&str> {
        row.cells.iter().map(|cell| cell.text.as_str()).collect()
    }

    #[test]
    fn the_best_level_is_that_of_the_most_throughput() {
        let report = fixture::report();
        let best = best(&report).unwrap();
        assert_eq!(line(&best.rows[0])[..3], ["sync × 2", "20", "1,200"]);
        assert_eq!(best.rows[0].cells[2].interval, "1,150–1,250");
        assert_eq!(line(&best.rows[1])[..3], ["gthread × 2", "20", "960"]);
    }

    #[test]
    fn each_set_up_begins_once() {
        let report = fixture::report();
        let levels = levels(&report).unwrap();
        let rows: Vec<_> = levels.rows.iter().map(|row| (row.series, row.begins)).collect();
        assert_eq!(rows, [(Some(0), true), (Some(0), false), (Some(1), true), (Some(1), false)]);
    }

    #[test]
    fn a_column_of_which_nothing_is_told_is_left_out() {
        let mut report = fixture::report();
        let has = |table: Option<ReportTable>, name: &str| {
            table.unwrap().columns.iter().any(|column| column.name == name)
        };
        assert!(has(levels(&report), "latency p50") && has(idle(&report), "CPU of the master"));
        for series in &mut report.series {
            series.points.iter_mut().for_each(|point| point.latency_p50_ms = None);
            series.idle.as_mut().unwrap().master_cpu_ms_per_second = None;
        }
        assert!(!has(levels(&report), "latency p50") && !has(idle(&report), "CPU of the master"));
        assert!(has(levels(&report), "latency p99"));
    }

    #[test]
    fn a_table_without_rows_is_none() {
        let report = Report::default();
        for table in [best, levels, budget, idle, curves, windows] {
            assert_eq!(table(&report), None);
        }
    }

    #[test]
    fn a_curve_tells_where_and_why_it_bends() {
        let curves = curves(&fixture::report()).unwrap();
        let told = line(&curves.rows[0]);
        // λ, σ, κ and R²; no peak, so no column of one; the knee, its cause, the residuals.
        assert_eq!(told, ["sync × 2", "90", "0.0250", "−0.000010", "0.998", "20", "1,200", "cpu", "−7, 4"]);
    }

    #[test]
    fn windows_tell_what_went_wrong() {
        let windows = windows(&fixture::report()).unwrap();
        let told = line(&windows.rows[1]);
        assert_eq!(
            told,
            ["gthread × 2", "10", "20", "8,000", "800", "8", "30", "2", "3", "0.100", "3", "3 status 500"]
        );
    }

    #[test]
    fn states_come_in_the_order_in_which_they_are_drawn() {
        let mut report = fixture::report();
        let blocked = BudgetState::Blocked;
        let more = [(blocked(Reason::Idle), 0.1), (BudgetState::RunQueue, 0.1), (blocked(Reason::Disk), 0.0)];
        report.series[1].points[0].budget.extend(more);
        let names: Vec<_> = states(&report).into_iter().map(BudgetState::name).collect();
        assert_eq!(names, ["on_cpu", "run_queue", "socket", "idle"]);
    }
}
