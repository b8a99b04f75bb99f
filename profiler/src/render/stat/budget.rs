//! The budget: where the wall time of each process's threads went, in percent, as columns whose rows add up to a hundred.

use profiler_common::wait::{REASONS, Reason};

use crate::{
    model::accounting::{FleetDelta, ThreadDelta},
    render::{reason, stat::rows::StatRow, term::grid::FilledColumn},
    units,
};

/// Reasons to wait of which some row shows more than nothing, those first that take most. A thread that nobody gives work is no
/// part of what its process does.
#[must_use]
pub fn reasons(rows: &[StatRow<'_>]) -> Vec<Reason> {
    let ns = |reason: Reason| rows.iter().map(|row| row.waits.blocked[reason as usize].ns).sum::<u64>();
    let shows = |row: &StatRow<'_>, reason| share(row, row.waits.blocked[reason as usize].ns) != NOTHING;
    let mut reasons: Vec<_> = Reason::ALL
        .into_iter()
        .filter(|reason| {
            *reason != Reason::Parked && ns(*reason) != 0 && rows.iter().any(|row| shows(row, *reason))
        })
        .collect();
    reasons.sort_by_key(|reason| (*reason != Reason::Idle, std::cmp::Reverse(ns(*reason))));
    reasons
}

/// A share that rounds to nothing.
const NOTHING: &str = "0.00";

/// A part of a row's budget.
fn share(row: &StatRow<'_>, ns: u64) -> String {
    units::percent(ns, row.budget_ns(), 2)
}

/// The columns, with a column of its own for each of the `shown` reasons, and one for all the `others` together.
#[must_use]
pub fn columns(rows: &[StatRow<'_>], shown: &[Reason], others: &[Reason]) -> Vec<FilledColumn> {
    let column = |head: &str, ns: &dyn Fn(&StatRow<'_>) -> Option<u64>| {
        let text = |row: &StatRow<'_>| ns(row).map_or_else(|| "-".to_owned(), |ns| share(row, ns));
        FilledColumn::of_numbers(head, rows.iter().map(text))
    };
    let mut columns = vec![
        column("on-CPU\n%", &|row| Some(row.counters.on_cpu_ns)),
        // With a quota, what is left of the wait for a CPU when it is taken off.
        column("run queue\n%", &|row| Some(row.counters.run_queue_ns - row.throttled_ns().unwrap_or(0))),
    ];
    if rows.iter().any(|row| row.throttled_ns.is_some()) {
        columns.push(column("throttled\n≤ %", &|row| row.throttled_ns()));
    }
    if has_uncounted(rows) {
        columns.push(column("uncounted\n%", &|row| Some(row.waits.uncounted_ns)));
    }
    for &reason in shown {
        let head = format!("{}\n%", reason::label(reason));
        columns.push(column(&head, &|row| row.waited_ns(reason)));
    }
    if !others.is_empty() {
        let ns = |row: &StatRow<'_>| Some(others.iter().filter_map(|reason| row.waited_ns(*reason)).sum());
        columns.push(column("others\n%", &ns));
    }
    let residual = |row: &StatRow<'_>| {
        let residual_ns = row.counters.residual_ns(&row.waits);
        units::decimal(residual_ns as f64 * 100.0 / row.budget_ns() as f64, 2)
    };
    if rows.iter().any(StatRow::does_not_close) {
        columns.push(FilledColumn::of_numbers("residual\n%", rows.iter().map(residual)));
    }
    columns
}

/// What the columns leave open, a line each.
#[must_use]
pub fn notes(fleet: &FleetDelta, rows: &[StatRow<'_>], others: &[Reason]) -> Vec<String> {
    let mut notes = Vec::new();
    if !others.is_empty() {
        let names: Vec<_> = others.iter().map(|reason| reason::label(*reason)).collect();
        notes.push(format!("others: {}", names.join(", ")));
    }
    if has_uncounted(rows) {
        notes.push(
            "uncounted: waits for a CPU that are not in the kernel's run-queue count: they began on the way to sleep"
                .to_owned(),
        );
    }
    if rows.iter().any(StatRow::does_not_close) {
        notes.push(
            "residual: what interrupts or a hypervisor took from under a thread; an edge may be off by some µs"
                .to_owned(),
        );
    }
    notes.extend(parked(fleet));
    notes
}

fn has_uncounted(rows: &[StatRow<'_>]) -> bool {
    rows.iter().any(|row| row.waits.uncounted_ns != 0)
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

impl StatRow<'_> {
    /// True if more than a thousandth is in none of its columns, or in two.
    fn does_not_close(&self) -> bool {
        self.counters.residual_ns(&self.waits).unsigned_abs() > self.budget_ns() / 1000
    }

    /// The wall time of threads that have something to do.
    fn budget_ns(&self) -> u64 {
        self.counters.wall_ns.saturating_sub(self.waits.parked_ns())
    }

    /// How long a quota held it, of the time in which it waited for a CPU.
    fn throttled_ns(&self) -> Option<u64> {
        self.throttled_ns.map(|ns| ns.min(self.counters.run_queue_ns))
    }

    /// Time blocked for a reason; absent if waits for that cannot be told.
    fn waited_ns(&self, reason: Reason) -> Option<u64> {
        (self.waits.has_gil || reason != Reason::Gil).then_some(self.waits.blocked[reason as usize].ns)
    }
}

const _: () = assert!(Reason::ALL.len() == REASONS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::fixture,
        render::{stat::rows::rows, term::grid::RowKind},
    };

    /// The texts of each row, for so many reasons of their own.
    fn texts(fleet: &FleetDelta, shown: usize) -> (Vec<String>, Vec<Vec<f64>>) {
        let rows = rows(fleet, true);
        let reasons = reasons(&rows);
        let (shown, others) = reasons.split_at(shown.min(reasons.len()));
        let columns = columns(&rows, shown, others);
        let heads = columns.iter().map(|filled| filled.column.head.replace("\n%", "")).collect();
        let number = |text: &String| if text == "-" { 0.0 } else { text.parse().unwrap() };
        let numbers = |row| columns.iter().map(|filled: &FilledColumn| number(&filled.texts[row])).collect();
        (heads, (0..rows.len()).map(numbers).collect())
    }

    #[test]
    fn each_row_adds_up_to_a_hundred_however_many_columns_there_are() {
        let mut fleet = fixture::stat().fleets.remove(0);
        fleet.workers[2].throttled_ns = Some(2_000_000);
        let ran = &mut fleet.workers[1];
        (ran.counters.run_queue_ns, ran.waits.uncounted_ns) =
            (ran.counters.run_queue_ns - 3_000_000, 3_000_000);
        for shown in 0..4 {
            let (heads, rows) = texts(&fleet, shown);
            assert_eq!(rows.len(), 10);
            for row in rows {
                let sum: f64 = row.iter().sum();
                assert!((sum - 100.0).abs() < 0.1, "{sum}: {row:?} of {heads:?}");
            }
            assert_eq!(heads.contains(&"others".to_owned()), shown < 3, "{heads:?}");
            assert!(
                heads.contains(&"uncounted".to_owned()) && !heads.contains(&"disk".to_owned()),
                "{heads:?}"
            );
        }
        assert_eq!(reasons(&rows(&fleet, false)), [Reason::Idle, Reason::Socket, Reason::Gil]);
    }

    #[test]
    fn more_than_all_is_a_negative_residual() {
        let mut fleet = fixture::stat().fleets.remove(0);
        fleet.workers.truncate(1);
        assert!(!texts(&fleet, 9).0.contains(&"residual".to_owned()));
        fleet.workers[0].counters.blocked_ns += 10_000_000;
        let (heads, numbers) = texts(&fleet, 9);
        assert_eq!((heads.last().unwrap().as_str(), numbers[0].last()), ("residual", Some(&-1.0)));
        let rows = rows(&fleet, false);
        assert!(rows[0].kind == RowKind::Process && notes(&fleet, &rows, &[])[0].starts_with("residual: "));
    }
}
