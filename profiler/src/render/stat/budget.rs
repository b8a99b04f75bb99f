//! The budget: where the wall time of each process's threads went, in percent, as a row that adds up to a hundred.

use profiler_common::wait::{REASONS, Reason};

use crate::{
    model::{
        accounting::{Counters, FleetDelta, ThreadDelta, WorkerDelta},
        waits::Waits,
        worker::Role,
    },
    render::{
        reason,
        term::{
            escape,
            grid::{self, Column, RowKind, TableOptions},
        },
    },
    units,
};

/// One row, before it is laid out.
struct BudgetRow<'a> {
    kind: RowKind,
    who: String,
    counters: &'a Counters,
    waits: &'a Waits,
    throttled_ns: Option<u64>,
}

/// A fleet's budget.
#[must_use]
pub fn text(fleet: &FleetDelta, options: TableOptions) -> String {
    let total = fleet.total();
    let mut rows = Vec::new();
    for worker in &fleet.workers {
        rows.push(BudgetRow::process(worker));
        if options.threads {
            rows.extend(worker.threads.iter().map(|thread| BudgetRow {
                kind: RowKind::Thread,
                who: format!("  {} {}", thread.tid, escape::short(&thread.name)),
                counters: &thread.counters,
                waits: &thread.waits,
                throttled_ns: None,
            }));
        }
    }
    if fleet.with(Role::Worker).count() > 1 {
        let (kind, who) = (RowKind::Sum, "all workers".to_owned());
        rows.push(BudgetRow { kind, who, counters: &total.0, waits: &total.1, throttled_ns: None });
    }
    // A column that would be empty in all rows is left out.
    let reasons: Vec<Reason> = Reason::ALL
        .into_iter()
        .filter(|reason| is_budgeted(*reason) && rows.iter().any(|row| row.occurs(*reason)))
        .collect();
    let shown = Shown {
        throttled: rows.iter().any(|row| row.throttled_ns.is_some()),
        uncounted: rows.iter().any(|row| row.waits.uncounted_ns != 0),
        reasons: &reasons,
    };
    let texts = rows.iter().map(|row| (row.kind, row.texts(&shown)));
    let mut text = grid::text(&columns(&shown), texts, options);
    if shown.uncounted {
        text += "\nuncounted: waits for a CPU that are not in the kernel's run-queue count: they began on the way to sleep";
    }
    if rows.iter().any(BudgetRow::does_not_close) {
        text += "\nresidual: what interrupts or a hypervisor took from under a thread; an edge may be off by some µs";
    }
    if let Some(parked) = parked(fleet) {
        text.push('\n');
        text += &parked;
    }
    text
}

/// A thread that nobody gives work is no part of what its process does.
fn is_budgeted(reason: Reason) -> bool {
    reason != Reason::Parked
}

/// How many threads the budget is of, if not of all.
fn parked(fleet: &FleetDelta) -> Option<String> {
    let threads = || fleet.workers.iter().flat_map(|worker| &worker.threads);
    let of_thousand = |part: u64| u128::from(part) * 1000;
    let is_parked = |thread: &&ThreadDelta| {
        of_thousand(thread.waits.parked_ns()) >= u128::from(thread.counters.wall_ns) * 999
    };
    let parked = threads().filter(is_parked).count();
    let works = threads().count() - parked;
    (parked != 0).then(|| {
        format!(
            "of {}; {} of native code that nobody gives work, such as a library's pool, left out: parked",
            units::counted(works as u64, "thread"),
            units::counted(parked as u64, "other"),
        )
    })
}

/// The columns that not every table has.
struct Shown<'a> {
    throttled: bool,
    uncounted: bool,
    reasons: &'a [Reason],
}

fn columns(&Shown { throttled, uncounted, reasons }: &Shown<'_>) -> Vec<Column> {
    let number = |head: String| Column { head, gap: 1, is_text: false };
    let mut columns = vec![
        Column { head: "budget\nprocess".to_owned(), gap: 1, is_text: true },
        number("on-CPU\n%".to_owned()),
        number("run queue\n%".to_owned()),
    ];
    if throttled {
        columns.push(number("throttled\n≤ %".to_owned()));
    }
    if uncounted {
        columns.push(number("uncounted\n%".to_owned()));
    }
    columns.extend(reasons.iter().map(|reason| number(format!("{}\n%", reason::label(*reason)))));
    columns.push(number("residual\n%".to_owned()));
    columns
}

impl<'a> BudgetRow<'a> {
    fn process(worker: &'a WorkerDelta) -> Self {
        Self {
            kind: RowKind::Process,
            who: format!("{} {}", worker.role.name(), worker.tgid),
            counters: &worker.counters,
            waits: &worker.waits,
            throttled_ns: worker.throttled_ns,
        }
    }

    /// True if more than a thousandth is in none of its columns, or in two.
    fn does_not_close(&self) -> bool {
        self.counters.residual_ns(self.waits).unsigned_abs() > self.budget_ns() / 1000
    }

    /// The wall time of threads that have something to do.
    const fn budget_ns(&self) -> u64 {
        self.counters.wall_ns.saturating_sub(self.waits.parked_ns())
    }

    fn occurs(&self, reason: Reason) -> bool {
        self.waits.blocked[reason as usize].ns != 0
    }

    fn texts(&self, &Shown { throttled, uncounted, reasons }: &Shown<'_>) -> Vec<String> {
        let Counters { on_cpu_ns, run_queue_ns, .. } = *self.counters;
        let budget_ns = self.budget_ns();
        let share = |ns: u64| units::percent(ns, budget_ns, 2);
        let throttled_ns = self.throttled_ns.map(|ns| ns.min(run_queue_ns));
        let mut texts = vec![
            escape::visible(&self.who).into_owned(),
            share(on_cpu_ns),
            // With a quota, what is left of the wait for a CPU when it is taken off.
            share(run_queue_ns - throttled_ns.unwrap_or(0)),
        ];
        if throttled {
            texts.push(throttled_ns.map_or_else(|| "-".to_owned(), share));
        }
        if uncounted {
            texts.push(share(self.waits.uncounted_ns));
        }
        for &reason in reasons {
            let known = self.waits.has_gil || reason != Reason::Gil;
            let ns = self.waits.blocked[reason as usize].ns;
            texts.push(if known { share(ns) } else { "-".to_owned() });
        }
        let residual_ns = self.counters.residual_ns(self.waits);
        texts.push(units::decimal(residual_ns as f64 * 100.0 / budget_ns as f64, 2));
        texts
    }
}

const _: () = assert!(Reason::ALL.len() == REASONS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn each_row_adds_up_to_a_hundred() {
        let mut fleet = fixture::stat().fleets.remove(0);
        fleet.workers[2].throttled_ns = Some(2_000_000);
        let ran = &mut fleet.workers[1];
        (ran.counters.run_queue_ns, ran.waits.uncounted_ns) =
            (ran.counters.run_queue_ns - 3_000_000, 3_000_000);
        let text = text(&fleet, TableOptions { threads: true, colour: false });
        let rows: Vec<_> = text.lines().skip(3).filter(|row| !row.starts_with("uncounted: ")).collect();
        assert!(rows.len() > 5, "{text}");
        for row in rows {
            let numbers = row.split_whitespace().rev().map_while(|word| match word {
                "-" => Some(0.0),
                word if word.contains('.') => word.parse::<f64>().ok(),
                _ => None,
            });
            let sum: f64 = numbers.sum();
            assert!((sum - 100.0).abs() < 0.1, "{sum}: {row}\n{text}");
        }
        assert!(text.contains("throttled") && text.contains("uncounted") && !text.contains("disk"), "{text}");
    }

    #[test]
    fn more_than_all_is_a_negative_residual() {
        let mut fleet = fixture::stat().fleets.remove(0);
        fleet.workers.truncate(1);
        fleet.workers[0].counters.blocked_ns += 10_000_000;
        let text = text(&fleet, TableOptions::default());
        let mut lines = text.lines().rev();
        assert!(lines.next().is_some_and(|line| line.starts_with("residual: ")), "{text}");
        assert!(lines.next().is_some_and(|line| line.ends_with(" -1.00")), "{text}");
    }
}
