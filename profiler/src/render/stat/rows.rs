//! The rows of the table, before they are laid out.
//!
//! Counts and milliseconds are of the window; `CPU %` is on-CPU time of the window's length, of one core;
//! `user %` and `sys %` are parts of on-CPU time; `blocked %` is a part of the time that the threads lived.

use crate::{
    model::{
        accounting::{Counters, FleetDelta, ThreadDelta, WorkerDelta},
        worker::{Role, Slot},
    },
    render::{
        stat::lifecycle,
        term::{escape, grid::RowKind},
    },
    units,
};

/// A row of the table of exact numbers.
#[derive(Clone, Debug)]
pub struct StatRow<'a> {
    /// What it is of.
    pub kind: RowKind,
    /// Role and process id, or thread id and name; as the target chose it.
    who: String,
    slot: Option<Slot>,
    class: &'a str,
    counters: Counters,
    /// How many share `counters`: one but for a mean.
    among: u64,
}

/// A fleet's rows: its processes, each followed by its threads if they are wanted; then the sum and the mean of
/// the workers, if there are several.
#[must_use]
pub fn rows(fleet: &FleetDelta, threads: bool) -> Vec<StatRow<'_>> {
    let mut rows = Vec::new();
    for worker in &fleet.workers {
        rows.push(StatRow::process(worker));
        if threads {
            rows.extend(worker.threads.iter().map(StatRow::thread));
        }
    }
    let workers = fleet.with(Role::Worker).count() as u64;
    if workers > 1 {
        let sum = |who: &str, among| StatRow {
            kind: RowKind::Sum,
            who: who.to_owned(),
            slot: None,
            class: "",
            counters: fleet.total().0,
            among,
        };
        rows.extend([sum("all workers", 1), sum("mean worker", workers)]);
    }
    rows
}

impl<'a> StatRow<'a> {
    fn process(worker: &'a WorkerDelta) -> Self {
        Self {
            kind: RowKind::Process,
            who: format!("{} {}{}", worker.role.name(), worker.tgid, lifecycle::mark(worker)),
            slot: worker.slot,
            class: worker.worker_class.as_deref().unwrap_or("-"),
            counters: worker.counters,
            among: 1,
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
            among: 1,
        }
    }

    /// The row's texts, safe for a terminal, a column each.
    #[must_use]
    pub fn texts(&self, duration_ns: u64) -> Vec<String> {
        let Counters { on_cpu_ns, user_ns, system_ns, run_queue_ns, wall_ns, blocked_ns, .. } = self.counters;
        let window_ns = duration_ns.saturating_mul(self.among);
        let mut texts = vec![
            escape::visible(&self.who).into_owned(),
            self.slot.map(|slot| slot.to_string()).unwrap_or_default(),
            escape::visible(self.class).into_owned(),
            units::percent(on_cpu_ns, window_ns, 2),
            units::ms(on_cpu_ns / self.among),
            units::percent(user_ns, on_cpu_ns, 0),
            units::percent(system_ns, on_cpu_ns, 0),
            units::ms(run_queue_ns / self.among),
            units::percent(blocked_ns, wall_ns, 1),
        ];
        let Counters { voluntary_switches, preempted_switches, migrations, wakeups, .. } = self.counters;
        for count in [voluntary_switches, preempted_switches, migrations, wakeups] {
            texts.push(match self.among {
                1 => units::grouped(count),
                among => units::average(count as f64 / among as f64),
            });
            texts.push(units::per_second(count, window_ns));
        }
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{accounting::StatDelta, fixture};

    /// The texts of all rows, blanks between the columns.
    fn lines(stat: &StatDelta) -> Vec<String> {
        rows(&stat.fleets[0], true).iter().map(|row| row.texts(stat.duration_ns).join(" ")).collect()
    }

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
            "mean worker",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn they_hold_the_numbers_of_the_window() {
        let mut stat = fixture::stat();
        stat.duration_ns = 2_000_000_000;
        let worker = &mut stat.fleets[0].workers[1].counters;
        worker.run_queue_ns = 1_234_567_890;
        worker.voluntary_switches = 50_001;
        worker.preempted_switches = 7;
        let expected =
            "worker 1234 1 sync 20.00 400.00 75 25 1,234.57 79.7 50,001 25,000 7 3.5 3 1.5 1,501 750";
        assert_eq!(lines(&stat)[2], expected);
    }

    #[test]
    fn sum_and_mean_are_of_the_workers_alone() {
        let mut stat = fixture::stat();
        let lines = lines(&stat);
        let all = "all workers   60.00 600.00 75 25 10.00 79.7 3,000 3,000 24 24.0 6 6.0 3,002 3,002";
        let mean = "mean worker   30.00 300.00 75 25 5.00 79.7 1,500 1,500 12.0 12.0 3.0 3.0 1,501 1,501";
        assert_eq!(lines[9..], [all, mean]);
        stat.fleets[0].workers.truncate(2);
        assert_eq!(rows(&stat.fleets[0], false).len(), 2);
    }

    #[test]
    fn an_idle_window_divides_by_nothing() {
        let mut stat = fixture::stat();
        stat.duration_ns = 0;
        stat.fleets[0].workers[1].counters = Counters::default();
        assert_eq!(lines(&stat)[2], "worker 1234 1 sync - 0.00 - - 0.00 - 0 - 0 - 0 - 0 -");
    }
}
