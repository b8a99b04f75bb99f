//! The tables of an audit's report, as texts: HTML, Markdown and the terminal lay out the same ones.
//!
//! A table without rows is no table. A column has as many decimals as its largest number leaves room for, so that
//! its digits line up.

use std::collections::BTreeSet;

use crate::{
    model::{
        estimate::Estimate,
        report::{IdleCost, Point, Report, Run, Series},
    },
    render::{report::words, term::escape},
    units,
};

/// The name of the columns of throughputs.
pub const THROUGHPUT: &str = "throughput";
/// Name of the column of how many windows were measured.
pub const WINDOWS: &str = "windows";

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportTable {
    /// What it shows.
    pub title: &'static str,
    /// Columns of the table.
    pub columns: Vec<TableColumn>,
    /// Rows of the table, of as many cells as there are columns.
    pub rows: Vec<TableRow>,
}

/// A column's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableColumn {
    /// What it is.
    pub name: String,
    /// In which unit; empty if it needs none.
    pub unit: &'static str,
    /// True for words, which stand to the left.
    pub is_text: bool,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// The set-up's place in [`Report::series`]: its colour. Absent if it is not there.
    pub series: Option<usize>,
    /// True for the first row of a set-up.
    pub begins: bool,
    /// Cells of the row.
    pub cells: Vec<Cell>,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Number or words of the cell, safe for a terminal; `-` if there is nothing to show.
    pub text: String,
    /// The number's 95 % interval, `low–high`; empty if there is none.
    pub interval: String,
}

/// All columns of numbers, from a function of the row's source to what may be told.
type NumberColumns<'a, T> = (&'static str, &'static str, &'a dyn Fn(&T) -> Option<Estimate>);

/// Each set-up where its throughput is highest.
#[must_use]
pub fn best(report: &Report) -> Option<ReportTable> {
    let best = |series: &Series| series.points.iter().cloned().max_by(by_throughput);
    let points = report.series.iter().enumerate().filter_map(|(at, series)| Some((at, best(series)?)));
    let points: Vec<_> = points.collect();
    let level = words::level(report);
    let numbers: [NumberColumns<Point>; 7] = [
        (level, "", &|point| Some(exact(point.level))),
        (THROUGHPUT, "/s", &|point| Some(point.throughput)),
        ("latency p50", "ms", &|point| point.latency_p50_ms),
        ("latency p99", "ms", &|point| point.latency_p99_ms),
        ("CPU per request", "ms", &|point| Some(point.cpu_ms_per_request)),
        ("voluntary switches", "per request", &|point| Some(point.voluntary_switches_per_request)),
        ("preempted switches", "per request", &|point| Some(point.preempted_switches_per_request)),
    ];
    table("Each set-up at its best", report, &points, &[], &numbers)
}

/// Each set-up under each load.
#[must_use]
pub fn levels(report: &Report) -> Option<ReportTable> {
    let points = all_points(report);
    let numbers: [NumberColumns<Point>; 10] = [
        (words::level(report), "", &|point| Some(exact(point.level))),
        (THROUGHPUT, "/s", &|point| Some(point.throughput)),
        ("latency p50", "ms", &|point| point.latency_p50_ms),
        ("latency p99", "ms", &|point| point.latency_p99_ms),
        ("CPU per request", "ms", &|point| Some(point.cpu_ms_per_request)),
        ("voluntary switches", "per request", &|point| Some(point.voluntary_switches_per_request)),
        ("preempted switches", "per request", &|point| Some(point.preempted_switches_per_request)),
        ("CPUs busy", "", &|point| Some(point.cpus_busy)),
        ("errors", "", &|point| Some(exact(point.errors as f64))),
        (WINDOWS, "", &|point| Some(exact(f64::from(point.windows)))),
    ];
    let limits: Words<Point> =
        ("the load generator set the pace", &|point| point.load_limited.clone().unwrap_or_default());
    let limited = points.iter().any(|(_, point)| point.load_limited.is_some());
    let limits = if limited { &[limits][..] } else { &[] };
    table("Each set-up under each load", report, &points, limits, &numbers)
}

/// Where the wall time of the workers' threads went, in percent.
#[must_use]
pub fn budget(report: &Report) -> Option<ReportTable> {
    let mut points = all_points(report);
    points.retain(|(_, point)| !point.budget.is_empty());
    let share = |point: &Point, state: &str| exact(point.budget.get(state).copied().unwrap_or(0.0) * 100.0);
    let states = states(report);
    let shares: Vec<_> = states.iter().map(|state| move |point: &Point| Some(share(point, state))).collect();
    let mut numbers: Vec<NumberColumns<Point>> =
        vec![(words::level(report), "", &|point| Some(exact(point.level)))];
    numbers.extend(shares.iter().map(|share| ("", "%", share as &dyn Fn(&Point) -> Option<Estimate>)));
    let mut table = table("Where the time of the workers' threads went", report, &points, &[], &numbers)?;
    for (column, state) in table.columns.iter_mut().skip(2).zip(states) {
        column.name = words::state(state);
    }
    Some(table)
}

/// What each set-up costs while it has nothing to do.
#[must_use]
pub fn idle(report: &Report) -> Option<ReportTable> {
    let idle = report.series.iter().enumerate().filter_map(|(at, series)| Some((at, series.idle.clone()?)));
    let numbers: [NumberColumns<IdleCost>; 5] = [
        ("CPU of a worker", "ms/s", &|idle| Some(exact(idle.worker_cpu_ms_per_second))),
        ("wake-ups of a worker", "/s", &|idle| Some(exact(idle.worker_wakeups_per_second))),
        ("CPU of the master", "ms/s", &|idle| idle.master_cpu_ms_per_second.map(exact)),
        ("wake-ups of the master", "/s", &|idle| idle.master_wakeups_per_second.map(exact)),
        ("watched for", "s", &|idle| Some(exact(idle.duration_ns as f64 / 1e9))),
    ];
    table("What each set-up costs while idle", report, &idle.collect::<Vec<_>>(), &[], &numbers)
}

/// The fitted curves, and where and why they bend.
#[must_use]
pub fn curves(report: &Report) -> Option<ReportTable> {
    let bent = |series: &&Series| series.usl.is_some() || series.knee.is_some();
    let bent = report.series.iter().enumerate().filter(|(_, series)| bent(series));
    let bent: Vec<_> = bent.collect();
    let knee: Words<&Series> = ("what bends it", &|series| {
        let cause =
            series.knee.as_ref().map(|knee| knee.cause.as_deref().unwrap_or("not told by the numbers"));
        cause.unwrap_or_default().to_owned()
    });
    let residuals: Words<&Series> = ("measured less fitted, /s", &|series| {
        let residuals = series.usl.iter().flat_map(|usl| &usl.residuals);
        residuals.map(|residual| signed(*residual, 0)).collect::<Vec<_>>().join(", ")
    });
    let numbers: [NumberColumns<&Series>; 7] = [
        ("one at a time λ", "/s", &|series| Some(exact(series.usl.as_ref()?.lambda))),
        ("contention σ", "", &|series| Some(exact(series.usl.as_ref()?.sigma))),
        ("coherency κ", "", &|series| Some(exact(series.usl.as_ref()?.kappa))),
        ("R²", "", &|series| Some(exact(series.usl.as_ref()?.r_squared))),
        ("highest at", "", &|series| series.usl.as_ref()?.peak_level.map(exact)),
        ("knee at", "", &|series| Some(exact(series.knee.as_ref()?.level))),
        ("throughput there", "/s", &|series| Some(exact(series.knee.as_ref()?.throughput))),
    ];
    table("Scalability, X(N) = λN / (1 + σ(N−1) + κN(N−1))", report, &bent, &[knee, residuals], &numbers)
}

/// Every window, in the order of time.
#[must_use]
pub fn windows(report: &Report) -> Option<ReportTable> {
    let place = |run: &Run| report.series.iter().position(|series| series.setup == run.setup);
    let runs: Vec<_> = report.runs.iter().map(|run| (place(run).unwrap_or(usize::MAX), run)).collect();
    let per_request = |count: u64, run: &Run| exact(count as f64 / run.load.requests as f64);
    let latency = |ns: Option<u64>| ns.map(|ns| exact(ns as f64 / 1e6));
    let numbers: [NumberColumns<&Run>; 10] = [
        ("began after", "s", &|run| Some(exact(run.at_ns as f64 / 1e9))),
        (words::level(report), "", &|run| Some(exact(run.level))),
        ("requests", "", &|run| Some(exact(run.load.requests as f64))),
        (THROUGHPUT, "/s", &|run| Some(exact(run.load.throughput()))),
        ("latency p50", "ms", &|run| latency(run.load.latency.map(|latency| latency.p50_ns))),
        ("latency p99", "ms", &|run| latency(run.load.latency.map(|latency| latency.p99_ns))),
        ("CPU per request", "ms", &|run| Some(exact(per_request(run.on_cpu_ns, run).value / 1e6))),
        ("voluntary switches", "per request", &|run| Some(per_request(run.voluntary_switches, run))),
        ("preempted switches", "per request", &|run| Some(per_request(run.preempted_switches, run))),
        ("errors", "", &|run| Some(exact(run.load.errors() as f64))),
    ];
    let errors: Words<&Run> = ("which", &|run| {
        let kinds = run.load.errors.iter();
        kinds.map(|(kind, count)| format!("{} {kind}", units::grouped(*count))).collect::<Vec<_>>().join(", ")
    });
    let failed = report.runs.iter().any(|run| run.load.errors() != 0);
    let errors = if failed { &[errors][..] } else { &[] };
    let mut table = table("Every window, in the order of time", report, &runs, errors, &numbers)?;
    for (row, run) in table.rows.iter_mut().zip(&report.runs) {
        row.cells[0].text = escape::visible(&run.setup.name()).into_owned();
        row.begins = false;
    }
    Some(table)
}

/// The states in any budget, in the order in which they are drawn: on the CPU, waiting for one, blocked.
#[must_use]
pub fn states(report: &Report) -> Vec<&str> {
    let points = report.series.iter().flat_map(|series| &series.points);
    let budgets = points.flat_map(|point| &point.budget).filter(|(_, share)| **share > 0.0);
    let occurring: BTreeSet<&str> = budgets.map(|(state, _)| state.as_str()).collect();
    let known = words::STATES.into_iter().filter(|state| occurring.contains(state));
    let others = occurring.iter().copied().filter(|state| !words::STATES.contains(state));
    known.chain(others).collect()
}

/// A column of words: its name, and the text of a row.
type Words<'a, T> = (&'static str, &'a dyn Fn(&T) -> String);

/// A table with a row for each of `sources`, each with its set-up's place in the report's series.
fn table<T>(
    title: &'static str,
    report: &Report,
    sources: &[(usize, T)],
    words: &[Words<T>],
    numbers: &[NumberColumns<T>],
) -> Option<ReportTable> {
    // A column in which nothing is told is left out, as are columns of latencies if nobody told any.
    let told = |number: &&NumberColumns<T>| sources.iter().any(|(_, source)| number.2(source).is_some());
    let numbers: Vec<_> = numbers.iter().filter(told).collect();
    let named = |name: &str, unit, is_text| TableColumn { name: name.to_owned(), unit, is_text };
    let mut columns = vec![named("set-up", "", true)];
    columns.extend(numbers.iter().map(|(name, unit, _)| named(name, unit, false)));
    columns.extend(words.iter().map(|(name, _)| named(name, "", true)));
    let place =
        |number: &&NumberColumns<T>| places(sources.iter().filter_map(|(_, source)| number.2(source)));
    let places: Vec<_> = numbers.iter().map(place).collect();
    let mut rows: Vec<TableRow> = Vec::new();
    for (at, source) in sources {
        let series = report.series.get(*at);
        let name = series.map(|series| series.setup.name()).unwrap_or_default();
        let mut cells = vec![Cell::words(&name)];
        let texts = numbers.iter().zip(&places);
        cells.extend(texts.map(|(number, places)| Cell::number(number.2(source), *places)));
        cells.extend(words.iter().map(|(_, text)| Cell::words(&text(source))));
        let series = series.is_some().then_some(*at);
        rows.push(TableRow { series, begins: rows.last().is_none_or(|last| last.series != series), cells });
    }
    (!rows.is_empty()).then_some(ReportTable { title, columns, rows })
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

/// A number that has no interval.
fn exact(value: f64) -> Estimate {
    Estimate { value, low: value, high: value }
}

/// Decimals for a column of numbers: three digits for the largest, none if all are counts.
fn places(numbers: impl Iterator<Item = Estimate>) -> usize {
    let numbers: Vec<_> = numbers.filter(|number| number.value.is_finite()).collect();
    if numbers.iter().all(|number| number.value.fract() == 0.0 && *number == exact(number.value)) {
        return 0;
    }
    let largest = numbers.iter().map(|number| number.value.abs()).fold(0.0, f64::max);
    (2 - largest.log10().floor() as i32).clamp(0, 6) as usize
}

/// A number with its sign, if it has one.
fn signed(number: f64, places: usize) -> String {
    let text = units::decimal(number.abs(), places);
    let is_zero = text.chars().all(|c| "0.".contains(c));
    if number < 0.0 && !is_zero { format!("−{text}") } else { text }
}

impl Cell {
    fn words(text: &str) -> Self {
        let text = if text.is_empty() { "-".into() } else { escape::visible(text) };
        Self { text: text.into_owned(), interval: String::new() }
    }

    fn number(number: Option<Estimate>, places: usize) -> Self {
        let Some(Estimate { value, low, high }) = number else { return Self::words("") };
        let told = low < high && low.is_finite() && high.is_finite();
        let interval =
            if told { format!("{}–{}", signed(low, places), signed(high, places)) } else { String::new() };
        Self { text: signed(value, places), interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

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
    fn states_come_in_their_order_and_unknown_ones_last() {
        let mut report = fixture::report();
        report.series[1].points[0].budget.insert("new_state".to_owned(), 0.1);
        report.series[1].points[0].budget.insert("run_queue".to_owned(), 0.1);
        report.series[1].points[0].budget.insert("disk".to_owned(), 0.0);
        assert_eq!(states(&report), ["on_cpu", "run_queue", "socket", "new_state"]);
    }

    #[test]
    fn numbers_of_a_column_have_the_same_decimals() {
        let places_of = |values: &[f64]| places(values.iter().copied().map(exact));
        assert_eq!(places_of(&[3.0, 1000.0]), 0);
        assert_eq!(places_of(&[0.5, 1000.0]), 0);
        assert_eq!(places_of(&[0.5, 12.0]), 1);
        assert_eq!(places_of(&[0.000_041]), 6);
        assert_eq!(places_of(&[f64::NAN]), 0);
        assert_eq!(signed(-0.001, 2), "0.00");
        assert_eq!(signed(-1234.5, 1), "−1,234.5");
    }
}
