//! The rows of the tables of exact numbers, before they are laid out.

use std::borrow::Cow;

use crate::{
    model::{
        accounting::{Counters, FleetDelta, ThreadDelta, WorkerDelta},
        memory::WorkerMemory,
        waits::Waits,
        worker::{Role, Slot},
    },
    render::{
        stat::lifecycle,
        term::{
            escape,
            grid::{FilledColumn, RowKind},
        },
    },
};

/// A row: a process, a thread, or all workers of a fleet.
#[derive(Clone, Debug)]
pub struct StatRow<'a> {
    /// What it is of.
    pub kind: RowKind,
    /// Role and process id, or thread id and name; as the target chose it.
    pub who: String,
    slot: Option<Slot>,
    class: &'a str,
    /// What it did.
    pub counters: Counters,
    /// What it waited for.
    pub waits: Cow<'a, Waits>,
    /// Its memory, if that was looked at.
    pub memory: Option<WorkerMemory>,
    /// How long a quota held it at most; absent if there is no quota.
    pub throttled_ns: Option<u64>,
}

/// A fleet's rows: its processes, each followed by its threads if they are wanted; then the sum of the workers, if there are
/// several.
#[must_use]
pub fn rows(fleet: &FleetDelta, threads: bool) -> Vec<StatRow<'_>> {
    let mut rows = Vec::new();
    for worker in &fleet.workers {
        rows.push(StatRow::process(worker));
        if threads {
            rows.extend(worker.threads.iter().map(StatRow::thread));
        }
    }
    if fleet.with(Role::Worker).count() > 1 {
        let (counters, waits) = fleet.total();
        rows.push(StatRow {
            kind: RowKind::Sum,
            who: "all workers".to_owned(),
            slot: None,
            class: "",
            counters,
            waits: Cow::Owned(waits),
            memory: None,
            throttled_ns: None,
        });
    }
    rows
}

impl<'a> StatRow<'a> {
    fn process(worker: &'a WorkerDelta) -> Self {
        Self {
            kind: RowKind::Process,
            who: worker.label() + &lifecycle::mark(worker),
            slot: worker.slot,
            class: worker.worker_class.as_deref().unwrap_or("-"),
            counters: worker.counters,
            waits: Cow::Borrowed(&worker.waits),
            memory: worker.memory,
            throttled_ns: worker.throttled_ns,
        }
    }

    fn thread(thread: &'a ThreadDelta) -> Self {
        Self {
            kind: RowKind::Thread,
            who: format!(
                "  {} {}{}",
                thread.tid,
                escape::short(&thread.name),
                if thread.exited { " exited" } else { "" }
            ),
            slot: None,
            class: "",
            counters: thread.counters,
            waits: Cow::Borrowed(&thread.waits),
            memory: None,
            throttled_ns: None,
        }
    }
}

/// Columns that tell who a row is of, safe for a terminal.
#[must_use]
pub fn names(rows: &[StatRow<'_>], has_successors: bool, has_classes: bool) -> Vec<FilledColumn> {
    let visible = |text: &str| escape::visible(text).into_owned();
    let mut columns = vec![FilledColumn::of_words("\nprocess", rows.iter().map(|row| visible(&row.who)))];
    // Who never had a successor is told by its PID alone.
    if has_successors {
        let slot = |row: &StatRow<'_>| row.slot.map(|slot| slot.to_string()).unwrap_or_default();
        columns.push(FilledColumn::of_words("\nslot", rows.iter().map(slot)));
    }
    if has_classes {
        columns.push(FilledColumn::of_words("\nclass", rows.iter().map(|row| visible(row.class))));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn they_come_in_order() {
        let stat = fixture::stat();
        let rows = rows(&stat.fleets[0], true);
        let names: Vec<_> = rows.iter().map(|row| row.who.as_str()).collect();
        let expected = [
            "master 1230",
            "  1230 gunicorn",
            "worker 1234",
            "  1234 gunicorn",
            "  1240 watch",
            "worker 1235 SIGKILL",
            "  1235 gunicorn",
            "helper 1250",
            "  1250 sh",
            "all workers",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_sum_is_of_the_workers_alone() {
        let mut stat = fixture::stat();
        let sum = rows(&stat.fleets[0], false).pop().unwrap();
        assert_eq!((sum.counters.on_cpu_ns, sum.counters.wakeups), (600_000_003, 3002));
        stat.fleets[0].workers.truncate(2);
        assert_eq!(rows(&stat.fleets[0], false).len(), 2);
    }
}
