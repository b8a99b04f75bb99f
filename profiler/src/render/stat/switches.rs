//! Context switches: how often threads left a CPU, moved, and were woken.

use crate::{
    model::accounting::Counters,
    render::{stat::rows::StatRow, term::grid::FilledColumn},
    units,
};

/// A count: its head above the counts of a window, and above rates alone.
struct Counted {
    head: &'static str,
    rate_head: &'static str,
    count: fn(&Counters) -> u64,
}

const COUNTED: [Counted; 4] = [
    Counted {
        head: "voluntary\nswitches",
        rate_head: "voluntary\n/s",
        count: |counters| counters.voluntary_switches,
    },
    Counted {
        head: "preempted\nswitches",
        rate_head: "preempted\n/s",
        count: |counters| counters.preempted_switches,
    },
    Counted { head: "\nmigrations", rate_head: "migrations\n/s", count: |counters| counters.migrations },
    Counted { head: "\nwake-ups", rate_head: "wake-ups\n/s", count: |counters| counters.wakeups },
];

/// Counts of the window, each beside its rate.
#[must_use]
pub fn counts_and_rates(rows: &[StatRow<'_>], duration_ns: u64) -> Vec<FilledColumn> {
    let columns = COUNTED.iter().flat_map(|counted| {
        let counts = rows.iter().map(|row| units::grouped((counted.count)(&row.counters)));
        let rates = counted.rates(rows, duration_ns);
        [FilledColumn::of_numbers(counted.head, counts).close(), FilledColumn::of_numbers("\n/s", rates)]
    });
    columns.collect()
}

/// Rates alone.
#[must_use]
pub fn rates(rows: &[StatRow<'_>], duration_ns: u64) -> Vec<FilledColumn> {
    let column =
        |counted: &Counted| FilledColumn::of_numbers(counted.rate_head, counted.rates(rows, duration_ns));
    COUNTED.iter().map(column).collect()
}

impl Counted {
    fn rates(&self, rows: &[StatRow<'_>], duration_ns: u64) -> impl Iterator<Item = String> {
        rows.iter().map(move |row| units::per_second((self.count)(&row.counters), duration_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::fixture, render::stat::rows};

    #[test]
    fn counts_are_of_the_window_and_rates_of_a_second() {
        let stat = fixture::stat();
        let rows = rows::rows(&stat.fleets[0], false);
        let worker = |columns: Vec<FilledColumn>| -> Vec<String> {
            columns.into_iter().map(|filled| filled.texts[1].clone()).collect()
        };
        let both = worker(counts_and_rates(&rows, 2_000_000_000));
        assert_eq!(both, ["1,500", "750", "12", "6.0", "3", "1.5", "1,501", "750"]);
        assert_eq!(worker(rates(&rows, 2_000_000_000)), ["750", "6.0", "1.5", "750"]);
        assert_eq!(worker(rates(&rows, 0)), ["-", "-", "-", "-"]);
    }
}
