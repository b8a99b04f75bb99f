//! Waits as stacks: where threads were blocked, with the reason at the leaf. What has no stack is there too, so that all
//! of it is the budget's blocked time.

use std::collections::BTreeMap;

use profiler_common::wait::Reason;

use crate::{
    model::{accounting::WorkerDelta, mark::Mark, wait_times::WaitTimes},
    render::graph::{
        fold::{Folding, Weight, Who},
        label::Label,
        wait_times::add,
    },
};

impl Folding<'_> {
    /// Adds the waits.
    pub(super) fn blocked(&mut self) {
        let mut told: BTreeMap<(u32, Reason), (u64, u64)> = BTreeMap::new();
        let waits = &self.recording.profile.blocked;
        for sample in waits.iter().filter(|sample| sample.stack.is_some()) {
            let sums = told.entry((sample.tgid, sample.reason)).or_default();
            *sums = (sums.0 + sample.times.ns, sums.1 + sample.times.count);
            if self.hides(sample.reason) {
                continue;
            }
            let value = self.value(sample.times.ns, sample.times.count);
            let who = Who { thread: Some(sample.tid), task: None };
            let leaf = Some(Label::wait(sample.reason));
            let stack = self.add_stack(sample.tgid, who, sample.stack, leaf, value);
            add(&mut self.waits, stack, &sample.times);
        }
        let workers: Vec<_> = self.processes.values().map(|process| process.worker).collect();
        for worker in workers {
            for reason in Reason::ALL {
                if self.hides(reason) {
                    continue;
                }
                let all = &worker.waits.blocked[reason as usize];
                let (ns, count) = told.get(&(worker.tgid, reason)).copied().unwrap_or_default();
                let (ns, count) = (all.ns.saturating_sub(ns), all.count.saturating_sub(count));
                let marks = [Label::mark(Mark::NoStackKept), Label::wait(reason)];
                let stack = self.add_marks(worker.tgid, Who::default(), marks, self.value(ns, count));
                add(&mut self.waits, stack, &WaitTimes { ns, count, longest_ns: None });
            }
        }
    }

    /// Adds the waits for a CPU: of those that were preempted on their stacks, the others, which follow a wake-up, below their
    /// threads, and what no thread is known for below its process.
    pub(super) fn run_queue(&mut self) {
        let workers: Vec<_> = self.processes.values().map(|process| process.worker).collect();
        // In a file of a stranger only the numbers of processes are known to add up.
        let whole = |worker: &WorkerDelta| worker.counters.run_queue_ns + worker.waits.uncounted_ns;
        let mut left: BTreeMap<_, _> = workers.iter().map(|worker| (worker.tgid, whole(worker))).collect();
        let mut take = |tgid: u32, ns: u64| {
            let left = left.entry(tgid).or_default();
            let taken = ns.min(*left);
            *left -= taken;
            taken
        };
        let mut on_stacks: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for row in &self.recording.profile.preempted {
            let ns = take(row.tgid, row.times.ns);
            *on_stacks.entry((row.tgid, row.tid)).or_default() += ns;
            let who = Who { thread: Some(row.tid), task: None };
            let stack = self.add_stack(row.tgid, who, row.stack, Some(Label::mark(Mark::RunQueue)), ns);
            add(&mut self.waits, stack, &row.times);
        }
        for worker in workers {
            for thread in &worker.threads {
                let all = thread.counters.run_queue_ns.saturating_add(thread.waits.uncounted_ns);
                let on_stacks = on_stacks.get(&(worker.tgid, thread.tid)).copied().unwrap_or_default();
                let ns = take(worker.tgid, all.saturating_sub(on_stacks));
                let who = Who { thread: Some(thread.tid), task: None };
                self.add_marks(worker.tgid, who, [Label::mark(Mark::RunQueue)], ns);
            }
            let rest = take(worker.tgid, u64::MAX);
            self.add_marks(worker.tgid, Who::default(), [Label::mark(Mark::RunQueue)], rest);
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

#[cfg(test)]
mod tests {
    use crate::{
        model::{fixture, profile::PreemptedSample, recording::Recording, wait_times::WaitTimes},
        render::graph::{
            fold::{By, GraphOptions, TimeKind, Weight, fold, fold_with_waits},
            folded, wait_times,
        },
    };

    fn lines(recording: &Recording, graph: GraphOptions) -> Vec<String> {
        folded::text(&fold(recording, graph)).lines().map(str::to_owned).collect()
    }

    #[test]
    fn boxes_of_waits_tell_how_many_and_how_long() {
        let recording = fixture::recording();
        let graph = GraphOptions { time: TimeKind::OffCpu, idle: true, ..GraphOptions::default() };
        let (folded, waits) = fold_with_waits(&recording, graph);
        let counted = wait_times::told(folded, &waits);
        assert_eq!(counted.values().sum::<u64>(), total(&recording, graph));
        let text = folded::text(&counted);
        for end in [
            "wsgi_app.py:21);[socket] 90 waits, mean 500 µs, longest 5.00 ms 45000000",
            "wsgi_app.py:21);[gil] 40 waits, mean 500 µs, longest 5.00 ms 20000000",
        ] {
            assert!(text.contains(end), "{end}\n{text}");
        }
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
    fn waits_for_a_cpu_stand_below_their_threads() {
        let mut recording = fixture::recording();
        let worker = &mut recording.stat.fleets[0].workers[1];
        // Two milliseconds more in a thread, and one of which no thread is known.
        worker.counters.run_queue_ns += 3_000_000;
        worker.threads[1].counters.run_queue_ns += 2_000_000;
        let graph = GraphOptions { by: By::Thread, time: TimeKind::Wall, ..GraphOptions::default() };
        let lines = lines(&recording, graph);
        for line in [
            "worker 1234 thread gunicorn/1234;[run queue] 5000000",
            "worker 1234 thread watch/1240;[run queue] 2000000",
            "worker 1234;[run queue] 1000000",
        ] {
            assert!(lines.iter().any(|seen| seen == line), "{line}\n{lines:#?}");
        }
        assert!(
            self::lines(&recording, GraphOptions { by: By::Worker, ..graph })
                .contains(&"worker 1234;[run queue] 8000000".to_owned())
        );
    }

    #[test]
    fn waits_of_the_preempted_stand_on_their_stacks() {
        let mut recording = fixture::recording();
        let stack = recording.profile.blocked[1].stack;
        let times = WaitTimes { ns: 2_000_000, count: 4, longest_ns: Some(900_000) };
        let row = |tgid, times| PreemptedSample { tgid, tid: tgid, stack, times };
        // The second claims more than its process waited for a CPU.
        let too_much = WaitTimes { ns: 1 << 40, ..times };
        recording.profile.preempted = vec![row(1234, times), row(1235, too_much)];
        let graph = GraphOptions { time: TimeKind::Wall, ..GraphOptions::default() };
        let before = total(&fixture::recording(), graph);
        let lines = lines(&recording, graph);
        for line in [
            "worker 1234;SyncWorker.run (gunicorn/workers/sync.py:130);SyncWorker.handle (gunicorn/workers/sync.py:177);\
             application (shop/wsgi_app.py:21);[run queue] 2000000",
            "worker 1234;[run queue] 3000000",
        ] {
            assert!(lines.iter().any(|seen| seen == line), "{line}\n{lines:#?}");
        }
        assert_eq!(total(&recording, graph), before);
        let (folded, waits) = fold_with_waits(&recording, graph);
        let text = folded::text(&wait_times::told(folded, &waits));
        assert!(text.contains("[run queue] 4 waits, mean 500 µs, longest 900 µs 2000000"), "{text}");
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
