//! The exact numbers as a table: a block a fleet, a row a process.
//!
//! A block leads with its findings. The budget comes first in its table; what else there is room for on a line stands around it.

use std::collections::BTreeSet;

use profiler_common::wait::Reason;

use crate::{
    model::{
        accounting::{FleetDelta, StatDelta},
        report::Finding,
        worker::Role,
    },
    render::{
        stat::{
            budget, findings, imbalance, lifecycle, memory,
            rows::{self, StatRow},
            switches,
        },
        term::{
            self, escape,
            grid::{self, FilledColumn, RowKind, TableOptions},
            wrap::wrapped,
        },
    },
    units,
};

/// The kernel tells user from system by what runs when it ticks; from so few ticks it is not told.
const TICKS: u64 = 20;

/// How much stands around the budget, from all to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Around {
    Nothing,
    Time,
    Split,
    Rates,
}

/// All fleets' blocks, an empty line between two, each with its findings.
#[must_use]
pub fn text(stat: &StatDelta, findings: &[Vec<Finding>], options: TableOptions) -> String {
    if stat.fleets.is_empty() {
        return "no process was seen\n".to_owned();
    }
    let findings = findings.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
    let blocks: Vec<String> = stat
        .fleets
        .iter()
        .zip(findings)
        .map(|(fleet, findings)| block(stat, fleet, findings, options))
        .collect();
    blocks.join("\n")
}

/// A fleet's headline, its findings, its table, and the lines below it.
fn block(stat: &StatDelta, fleet: &FleetDelta, findings: &[Finding], options: TableOptions) -> String {
    let table = FleetTable::new(stat, fleet, options);
    let (columns, mut notes) = table.fitting(options.width);
    let header = term::bold(&headline(fleet, stat.duration_ns), options.colour);
    let findings = findings::text(findings, options);
    let space = if findings.is_empty() { "" } else { "\n" };
    let mut text = format!("{header}\n{findings}{space}{}\n", table.grid(columns, options));
    let switches = || switches::counts_and_rates(&table.rows, stat.duration_ns);
    let memory = || memory::columns(&table.rows);
    let has_memory = fleet.workers.iter().any(|worker| worker.memory.is_some());
    for columns in [options.switches.then(switches), has_memory.then(memory)].into_iter().flatten() {
        let columns = table.names().into_iter().chain(columns).collect();
        text += &["\n", &table.grid(columns, options), "\n"].concat();
    }
    let lines = imbalance::text(fleet) + &imbalance::empty_wakeups(fleet) + &lifecycle::text(fleet);
    notes.extend(lines.lines().map(str::to_owned));
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        text += &[&wrapped(&note, 2, options.width)[..], "\n"].concat();
    }
    text
}

/// A fleet's table, before it is known how much of it there is room for.
struct FleetTable<'a> {
    stat: &'a StatDelta,
    fleet: &'a FleetDelta,
    rows: Vec<StatRow<'a>>,
}

impl<'a> FleetTable<'a> {
    fn new(stat: &'a StatDelta, fleet: &'a FleetDelta, options: TableOptions) -> Self {
        Self { stat, fleet, rows: rows::rows(fleet, options.threads) }
    }

    /// The most columns that fit, and the notes to them. The names and the budget are always there: where a line is too short
    /// for these, the reasons that take least become one column.
    fn fitting(&self, width: Option<usize>) -> (Vec<FilledColumn>, Vec<String>) {
        let reasons = budget::reasons(&self.rows);
        let most = [Around::Rates, Around::Split, Around::Time].map(|around| (around, reasons.len()));
        let fewer = (0..=reasons.len()).rev().map(|shown| (Around::Nothing, shown));
        let mut last = None;
        for (around, shown) in most.into_iter().chain(fewer) {
            let (shown, others) = reasons.split_at(shown);
            // One column alone takes no more room than the one for the rest.
            if others.len() == 1 {
                continue;
            }
            let columns = self.columns(around, shown, others);
            let fits = width.is_none_or(|width| grid::width(&columns) <= width);
            last = Some((columns, self.notes(around, others)));
            if fits {
                break;
            }
        }
        last.unwrap_or_default()
    }

    fn columns(&self, around: Around, shown: &[Reason], others: &[Reason]) -> Vec<FilledColumn> {
        let window_ns = self.stat.duration_ns;
        let numbers = |head: &str, text: &dyn Fn(&StatRow<'_>) -> String| {
            FilledColumn::of_numbers(head, self.rows.iter().map(text))
        };
        let mut columns = self.names();
        columns.push(numbers("CPU\n%", &|row| units::percent(row.counters.on_cpu_ns, window_ns, 2)));
        if around >= Around::Time {
            columns.push(numbers("on-CPU\ntime", &|row| units::span(row.counters.on_cpu_ns)));
        }
        if around >= Around::Split {
            columns.push(numbers("user\n%", &|row| self.split(row, row.counters.user_ns)).close());
            columns.push(numbers("sys\n%", &|row| self.split(row, row.counters.system_ns)));
        }
        if self.has_budget() {
            columns.extend(budget::columns(&self.rows, shown, others));
        } else {
            let share = |row: &StatRow<'_>, ns| units::percent(ns, row.counters.wall_ns, 1);
            columns.push(numbers("run queue\n%", &|row| share(row, row.counters.run_queue_ns)));
            columns.push(numbers("blocked\n%", &|row| share(row, row.counters.blocked_ns)));
        }
        if around >= Around::Rates {
            columns.extend(switches::rates(&self.rows, window_ns));
        }
        columns
    }

    fn notes(&self, around: Around, others: &[Reason]) -> Vec<String> {
        let mut notes = Vec::new();
        if self.has_budget() {
            notes.push(
                "CPU: of one core; from on-CPU % on: parts of the threads' time, 100 % together".to_owned(),
            );
        }
        if around >= Around::Split {
            notes.push(format!("user, sys: by the kernel's ticks; - where there were fewer than {TICKS}"));
        }
        if self.has_budget() {
            notes.extend(budget::notes(self.fleet, &self.rows, others));
        }
        notes
    }

    fn has_budget(&self) -> bool {
        self.rows.iter().any(|row| row.waits.are_measured)
    }

    /// A part of a row's on-CPU time by the kernel's ticks, where there were enough of them.
    fn split(&self, row: &StatRow<'_>, part_ns: u64) -> String {
        let on_cpu_ns = row.counters.on_cpu_ns;
        if on_cpu_ns < self.stat.quality.tick_ns.saturating_mul(TICKS) {
            return "-".to_owned();
        }
        units::percent(part_ns, on_cpu_ns, 0)
    }

    fn names(&self) -> Vec<FilledColumn> {
        let has_successor =
            self.fleet.with(Role::Worker).any(|worker| worker.slot.is_some_and(|slot| slot.generation != 0));
        // The headline tells a class that all workers share.
        rows::names(&self.rows, has_successor, classes(self.fleet).len() > 1)
    }

    fn grid(&self, columns: Vec<FilledColumn>, options: TableOptions) -> String {
        let kinds: Vec<RowKind> = self.rows.iter().map(|row| row.kind).collect();
        grid::side_by_side(columns, &kinds, options)
    }
}

/// Headline of a fleet: `gunicorn wsgi_app:application · 4 workers (sync) · Python 3.11.7 · 10.0 s`.
fn headline(fleet: &FleetDelta, duration_ns: u64) -> String {
    let listed = |words: BTreeSet<&str>| {
        let words: Vec<_> = words.into_iter().map(escape::visible).collect();
        words.join(", ")
    };
    let count = units::counted(fleet.worker_count(), "worker");
    let classes = match listed(classes(fleet)) {
        none if none.is_empty() => none,
        classes => format!(" ({classes})"),
    };
    let python = match listed(fleet.workers.iter().filter_map(|worker| worker.python.as_deref()).collect()) {
        none if none.is_empty() => "not Python".to_owned(),
        versions => format!("Python {versions}"),
    };
    let (server, name) = (escape::visible(&fleet.server), escape::visible(&fleet.name));
    format!("{server} {name} · {count}{classes} · {python} · {}", units::seconds(duration_ns))
}

/// The distinct classes of a fleet's workers.
fn classes(fleet: &FleetDelta) -> BTreeSet<&str> {
    fleet.with(Role::Worker).filter_map(|worker| worker.worker_class.as_deref()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{fixture, waits::Waits};

    fn text(stat: &StatDelta, options: TableOptions) -> String {
        super::text(stat, &[], options)
    }

    #[test]
    fn classes_get_a_column_when_they_differ() {
        let mut stat = fixture::stat();
        assert!(!text(&stat, TableOptions::default()).contains("class"));
        stat.fleets[0].workers[2].worker_class = Some("gthread".to_owned());
        let mixed = text(&stat, TableOptions::default());
        assert!(mixed.starts_with(
            "gunicorn wsgi_app:application · 2 workers (gthread, sync) · Python 3.11.7 · 1.0 s\n"
        ));
        assert!(mixed.contains("\nworker 1235 SIGKILL  2.1   gthread  "), "{mixed}");
        assert!(mixed.contains("\nhelper 1250                -  "), "{mixed}");
    }

    #[test]
    fn it_fits_every_screen() {
        let mut stat = fixture::stat();
        for worker in &mut stat.fleets[0].workers {
            (worker.exited, worker.slot) = (false, None);
            worker.tgid += 4_000_000;
            for (ns, blocked) in (1_000_001..).zip(&mut worker.waits.blocked) {
                blocked.ns = ns;
            }
            worker.counters.wall_ns = 100_000_000;
        }
        for (width, has, lacks) in
            [(80, "others", "voluntary"), (120, "child", "voluntary"), (200, "voluntary", "others")]
        {
            let options = TableOptions { width: Some(width), ..TableOptions::default() };
            let text = text(&stat, options);
            let rows = text.lines().skip(1).take(8);
            let widest = rows.map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{widest:?}\n{text}");
            assert!(text.contains(has) && !text.contains(lacks), "{width}: {text}");
        }
    }

    #[test]
    fn user_and_system_are_told_from_twenty_ticks_on() {
        let mut stat = fixture::stat();
        let worker = |stat: &StatDelta| {
            let text = text(stat, TableOptions::default());
            text.lines().find(|line| line.starts_with("worker 1235")).unwrap().to_owned()
        };
        assert!(worker(&stat).contains("200 ms    75  25 "), "{}", worker(&stat));
        stat.quality.tick_ns = 10_000_001;
        assert!(worker(&stat).contains("200 ms     -   - "), "{}", worker(&stat));
    }

    #[test]
    fn switches_are_told_if_they_are_asked_for() {
        let stat = fixture::stat();
        let options = TableOptions { width: Some(80), ..TableOptions::default() };
        assert!(!text(&stat, options).contains("preempted"));
        assert!(text(&stat, TableOptions { switches: true, ..options }).contains("preempted"));
    }

    #[test]
    fn without_waits_there_is_no_budget() {
        let mut stat = fixture::stat();
        for worker in &mut stat.fleets[0].workers {
            worker.waits = Waits::default();
        }
        let text = text(&stat, TableOptions::default());
        assert!(text.contains("blocked") && !text.contains("idle") && !text.contains("together"), "{text}");
    }

    #[test]
    fn nobody_is_said() {
        let mut stat = fixture::stat();
        stat.fleets.clear();
        assert_eq!(text(&stat, TableOptions::default()), "no process was seen\n");
    }

    #[test]
    fn only_a_willing_terminal_gets_escapes() {
        let mut stat = fixture::stat();
        stat.fleets[0].name = "\x1b[2Jevil".to_owned();
        stat.fleets[0].workers[1].threads[0].name = "a\nb\x1b[1m".to_owned();
        let options = TableOptions { threads: true, ..TableOptions::default() };
        let plain = text(&stat, options);
        assert!(!plain.contains('\x1b'));
        assert!(plain.starts_with(r"gunicorn \x1b[2Jevil · "));
        assert!(plain.contains(r"  1234 a\x0ab\x1b[1m "));
        let coloured = text(&stat, TableOptions { colour: true, ..options });
        assert!(coloured.contains("\x1b[1m"));
        assert!(!coloured.contains("\x1b[2J"));
    }
}
