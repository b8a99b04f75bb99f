//! Waits as stacks: where threads were blocked, with the reason at the leaf. What has no stack is there too, so that all
//! of it is the budget's blocked time.

use std::collections::BTreeMap;

use profiler_common::wait::Reason;

use crate::{
    model::mark::Mark,
    render::{
        graph::fold::{Folding, Weight, Who},
        reason,
    },
};

impl Folding<'_> {
    /// Adds the waits.
    pub(super) fn blocked(&mut self) {
        let mut told: BTreeMap<(u32, Reason), (u64, u64)> = BTreeMap::new();
        let waits = &self.recording.profile.blocked;
        for sample in waits.iter().filter(|sample| sample.stack.is_some()) {
            let sums = told.entry((sample.tgid, sample.reason)).or_default();
            *sums = (sums.0 + sample.ns, sums.1 + sample.count);
            if self.hides(sample.reason) {
                continue;
            }
            let value = self.value(sample.ns, sample.count);
            let who = Who { thread: Some(sample.tid), task: None };
            self.add_stack(sample.tgid, who, sample.stack, Some(&leaf(sample.reason)), value);
        }
        let workers: Vec<_> = self.processes.values().map(|process| process.worker).collect();
        for worker in workers {
            for reason in Reason::ALL {
                if self.hides(reason) {
                    continue;
                }
                let all = &worker.waits.blocked[reason as usize];
                let (ns, count) = told.get(&(worker.tgid, reason)).copied().unwrap_or_default();
                let value = self.value(all.ns.saturating_sub(ns), all.count.saturating_sub(count));
                self.add_mark(worker.tgid, &[Mark::NoStackKept.text(), &leaf(reason)], value);
            }
        }
    }

    /// Adds the waits for a CPU, which have no stacks.
    pub(super) fn run_queue(&mut self) {
        let waits: Vec<_> = self.processes.values().map(|process| process.worker).collect();
        for worker in waits {
            let ns = worker.counters.run_queue_ns + worker.waits.uncounted_ns;
            self.add_mark(worker.tgid, &[Mark::RunQueue.text()], ns);
        }
    }

    fn hides(&self, reason: Reason) -> bool {
        matches!(reason, Reason::Idle | Reason::Parked) && !self.graph.idle
    }

    fn value(&self, ns: u64, count: u64) -> u64 {
        match self.graph.weight {
            Weight::Time => ns,
            Weight::Samples => count,
        }
    }
}

fn leaf(reason: Reason) -> String {
    format!("[{}]", reason::label(reason))
}

#[cfg(test)]
mod tests {
    use crate::{
        model::{fixture, recording::Recording},
        render::graph::{
            fold::{By, GraphOptions, TimeKind, Weight, fold},
            folded,
        },
    };

    fn lines(recording: &Recording, graph: GraphOptions) -> Vec<String> {
        folded::text(&fold(recording, graph)).lines().map(str::to_owned).collect()
    }

    fn total(recording: &Recording, graph: GraphOptions) -> u64 {
        fold(recording, graph).values().sum()
    }

    #[test]
    fn waits_stand_under_their_stacks_and_what_has_none_is_told() {
        let graph = GraphOptions { time: TimeKind::OffCpu, kernel: true, ..GraphOptions::default() };
        let lines = lines(&fixture::recording(), graph);
        let request = "SyncWorker.run (gunicorn/workers/sync.py:130);SyncWorker.handle (gunicorn/workers/sync.py:177);\
                       application (shop/wsgi_app.py:21)";
        for line in [
            format!("worker 1234;{request};schedule_[k];[socket] 45000000"),
            format!("worker 1234;{request};[gil] 20000000"),
            "worker 1234;[no stack was kept];[socket] 5000000".to_owned(),
            format!("worker 1235;{request};schedule_[k];[socket] 50000000"),
            "master 1230;[no stack was kept];[gil] 20000000".to_owned(),
        ] {
            assert!(lines.contains(&line), "{line}\n{lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.contains("[idle]")), "{lines:#?}");
    }

    #[test]
    fn all_of_it_is_the_budget() {
        let recording = fixture::recording();
        let workers = || recording.stat.processes();
        let blocked_ns: u64 = workers().map(|worker| worker.counters.blocked_ns).sum();
        let idle_ns: u64 = workers().map(|worker| worker.waits.blocked[0].ns).sum();
        for by in [By::Fleet, By::Worker, By::Thread, By::Task, By::Class] {
            let off_cpu = GraphOptions { by, time: TimeKind::OffCpu, ..GraphOptions::default() };
            assert_eq!(total(&recording, off_cpu), blocked_ns - idle_ns);
            assert_eq!(total(&recording, GraphOptions { idle: true, ..off_cpu }), blocked_ns);
            let wall_ns: u64 = workers().map(|worker| worker.counters.wall_ns).sum();
            assert_eq!(
                total(&recording, GraphOptions { idle: true, time: TimeKind::Wall, ..off_cpu }),
                wall_ns
            );
            let waits: u64 = workers().flat_map(|worker| &worker.waits.blocked).map(|wait| wait.count).sum();
            let counted = GraphOptions { idle: true, weight: Weight::Samples, ..off_cpu };
            assert_eq!(total(&recording, counted), waits);
        }
    }

    #[test]
    fn wall_time_tells_running_from_waiting() {
        let lines =
            lines(&fixture::recording(), GraphOptions { time: TimeKind::Wall, ..GraphOptions::default() });
        let ends =
            |end: &str| lines.iter().any(|line| line.split(' ').rev().nth(1).is_some() && line.contains(end));
        assert!(ends(";[on CPU] ") && ends(";[socket] ") && ends(";[run queue] 5000000"), "{lines:#?}");
    }
}
