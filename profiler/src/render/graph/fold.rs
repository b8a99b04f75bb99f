//! Folds a recording into merged stacks with a value each, from which every picture is drawn.
//!
//! Which process, thread or class a stack belongs to becomes its root here, and only here: the model knows
//! nothing of it. All values together are the workers' exact on-CPU time, their blocked time, or both; or the number of
//! samples.

use std::collections::{BTreeMap, HashSet};

use crate::{
    model::{
        accounting::{FleetDelta, WorkerDelta},
        mark::Mark,
        profile::Profile,
        recording::Recording,
        sample::Weights,
        tables::{FrameKind, StackId, StringId},
        worker::Role,
    },
    render::graph::{
        label::{Label, Labels, Tint},
        wait_times::FoldedWaits,
    },
};

/// Options of a flame graph, or of folded stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch on the command line")]
pub struct GraphOptions {
    /// What stands at the root of each stack.
    pub by: By,
    /// Which time is shown.
    pub time: TimeKind,
    /// What is counted.
    pub weight: Weight,
    /// True if time spent waiting for work is shown too.
    pub idle: bool,
    /// True if only those samples are shown whose threads held the GIL.
    pub gil: bool,
    /// True if native frames of Python processes are shown too.
    pub native: bool,
    /// True if kernel frames of Python processes are shown too.
    pub kernel: bool,
    /// True if the root is drawn at the bottom, not on top.
    pub inverted: bool,
}

/// What stands at the root of each stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Server and application.
    Fleet,
    /// Role and process id.
    #[default]
    Worker,
    /// Role, process id, and the thread's name and id.
    Thread,
    /// Role, process id, and the name of the asyncio task, where one runs.
    Task,
    /// The worker class; the role of what is not a worker, or of no known class.
    Class,
}

/// Kind of time that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeKind {
    /// On a CPU.
    #[default]
    OnCpu,
    /// Blocked, with the reason at the leaf.
    OffCpu,
    /// Both, and the wait for a CPU.
    Wall,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// Nanoseconds. On-CPU: each process's exact time, dealt out over its samples. Off-CPU: measured.
    #[default]
    Time,
    /// Samples, raw; waits.
    Samples,
}

/// Distinct stacks, root first, in order, with their values. None is zero.
pub type Folded = BTreeMap<Vec<Label>, u64>;

/// Merges a recording's stacks.
#[must_use]
pub fn fold(recording: &Recording, graph: GraphOptions) -> Folded {
    fold_with_waits(recording, graph).0
}

/// Merges a recording's stacks, with what is known of the waits on those that end in one.
#[must_use]
pub(super) fn fold_with_waits(recording: &Recording, graph: GraphOptions) -> (Folded, FoldedWaits) {
    let mut folding = Folding::new(recording, graph);
    if graph.time != TimeKind::OffCpu {
        folding.on_cpu();
    }
    if graph.time != TimeKind::OnCpu {
        folding.blocked();
    }
    if graph.time == TimeKind::Wall && graph.weight == Weight::Time {
        folding.run_queue();
    }
    folding.folded.retain(|_, value| *value != 0);
    (folding.folded, folding.waits)
}

/// Merging under way.
pub(super) struct Folding<'a> {
    pub(super) recording: &'a Recording,
    pub(super) graph: GraphOptions,
    pub(super) processes: BTreeMap<u32, FoldedProcess<'a>>,
    labels: Labels<'a>,
    folded: Folded,
    pub(super) waits: FoldedWaits,
}

impl<'a> Folding<'a> {
    fn new(recording: &'a Recording, graph: GraphOptions) -> Self {
        let walked = walked(&recording.profile);
        let mut processes = BTreeMap::new();
        for fleet in &recording.stat.fleets {
            for worker in &fleet.workers {
                let walked = walked.contains(&worker.tgid);
                processes.insert(worker.tgid, FoldedProcess { fleet, worker, walked });
            }
        }
        let labels = Labels::new(&recording.profile);
        Self { recording, graph, processes, labels, folded: Folded::new(), waits: FoldedWaits::new() }
    }

    fn on_cpu(&mut self) {
        let Recording { profile, stat, .. } = self.recording;
        let weights = Weights::new(profile, stat);
        let leaf = (self.graph.time == TimeKind::Wall).then(|| Label::mark(Mark::OnCpu));
        let held_only = self.graph.gil;
        let weighted = profile.samples.iter().zip(&weights.on_cpu_ns);
        for (sample, on_cpu_ns) in weighted.filter(|(sample, _)| !held_only || sample.gil == Some(true)) {
            let value = match self.graph.weight {
                Weight::Time => *on_cpu_ns,
                Weight::Samples => sample.count,
            };
            let who = Who { thread: Some(sample.tid), task: sample.task };
            self.add_stack(sample.tgid, who, sample.stack, leaf.clone(), value);
        }
        if self.graph.weight == Weight::Time && !held_only {
            for (tgid, ns) in weights.unsampled_ns {
                self.add_marks(tgid, Who::default(), [Label::mark(Mark::NotSampled)], ns);
            }
        }
    }

    /// Adds to a thread's stack, with a mark at its leaf; gives its lines.
    pub(super) fn add_stack(
        &mut self,
        tgid: u32,
        who: Who,
        stack: Option<StackId>,
        leaf: Option<Label>,
        value: u64,
    ) -> Vec<Label> {
        let process = self.processes.get(&tgid);
        let frames = self.recording.profile.frames_of(stack);
        let graph = self.graph;
        let shown = frames.into_iter().filter(|frame| graph.shows(frame.kind, process));
        let mut labels = vec![graph.root(&self.recording.profile, process, tgid, who)];
        labels.extend(shown.map(|frame| self.labels.of(frame)));
        if labels.len() == 1 {
            labels.push(Label::mark(absence(stack, process)));
        }
        labels.extend(leaf);
        *self.folded.entry(labels.clone()).or_default() += value;
        labels
    }

    /// Adds to what a process, or one of its threads, has no stack for.
    pub(super) fn add_marks<const N: usize>(
        &mut self,
        tgid: u32,
        who: Who,
        marks: [Label; N],
        value: u64,
    ) -> Vec<Label> {
        let process = self.processes.get(&tgid);
        let mut labels = vec![self.graph.root(&self.recording.profile, process, tgid, who)];
        labels.extend(marks);
        *self.folded.entry(labels.clone()).or_default() += value;
        labels
    }
}

/// A process and the fleet it belongs to.
pub(super) struct FoldedProcess<'a> {
    fleet: &'a FleetDelta,
    pub(super) worker: &'a WorkerDelta,
    /// True if any of its samples has Python frames.
    walked: bool,
}

/// Thread and asyncio task of a stack.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Who {
    /// The thread's id.
    pub(super) thread: Option<u32>,
    /// Name of the asyncio task.
    pub(super) task: Option<StringId>,
}

/// The processes whose Python stacks could be walked.
fn walked(profile: &Profile) -> HashSet<u32> {
    let is_python =
        |stack: Option<StackId>| profile.frames_of(stack).iter().any(|frame| frame.kind == FrameKind::Python);
    let sampled = profile.samples.iter().map(|sample| (sample.tgid, sample.stack));
    let blocked = profile.blocked.iter().map(|sample| (sample.tgid, sample.stack));
    sampled.chain(blocked).filter(|(_, stack)| is_python(*stack)).map(|(tgid, _)| tgid).collect()
}

impl GraphOptions {
    /// Whether frames of a kind are shown. What has no Python frames would be empty without its native ones.
    fn shows(self, kind: FrameKind, process: Option<&FoldedProcess>) -> bool {
        let walked = process.is_some_and(|process| process.walked);
        match kind {
            FrameKind::Python | FrameKind::Mark => true,
            FrameKind::Native => self.native || !walked,
            FrameKind::Kernel => self.kernel || !walked,
        }
    }

    /// The root of a process's stacks, or of those of one of its threads.
    fn root(self, profile: &Profile, process: Option<&FoldedProcess>, tgid: u32, who: Who) -> Label {
        let Some(FoldedProcess { fleet, worker, .. }) = process else {
            return Label::new(&format!("process {tgid}"), Tint::Root);
        };
        let label = worker.label();
        let text = match (self.by, who.thread) {
            (By::Fleet, _) => format!("{} {}", fleet.server, fleet.name),
            (By::Thread, Some(id)) => {
                let thread = worker.threads.iter().find(|thread| thread.tid == id);
                format!("{label} thread {}/{id}", thread.map_or("?", |thread| &thread.name))
            }
            (By::Task, _) => match who.task {
                Some(task) => format!("{label} task {}", profile.string(task)),
                None => format!("{label} no task"),
            },
            (By::Worker | By::Thread, _) => label,
            (By::Class, _) => match &worker.worker_class {
                Some(class) if worker.role == Role::Worker => class.clone(),
                _ => worker.role.name().to_owned(),
            },
        };
        Label::new(&text, Tint::Root)
    }
}

/// Why a stack shows no frame.
fn absence(stack: Option<StackId>, process: Option<&FoldedProcess>) -> Mark {
    match process {
        _ if stack.is_none() => Mark::StackLost,
        Some(process) if process.walked => Mark::NoPythonFrames,
        _ => Mark::NoFrames,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{fixture, profile::Sample, sample::Weights},
        render::graph::folded,
    };

    fn lines(recording: &Recording, graph: GraphOptions) -> Vec<String> {
        folded::text(&fold(recording, graph)).lines().map(str::to_owned).collect()
    }

    #[test]
    fn python_stacks_stand_under_their_workers() {
        let run = "SyncWorker.run (gunicorn/workers/sync.py:130)";
        let handle = "SyncWorker.handle (gunicorn/workers/sync.py:177)";
        let application = "application (shop/wsgi_app.py:21)";
        let loads = "loads (json/__init__.py:346)";
        let expected = [
            "helper 1250;[stack lost] 5000000".to_owned(),
            "helper 1250;accept4 (libc.so.6);do_syscall_64_[k] 5000000".to_owned(),
            "master 1230;[ran, not sampled] 2000000".to_owned(),
            format!("worker 1234;{run} 100000001"),
            format!("worker 1234;{run};{handle};{application} 100000001"),
            format!("worker 1234;{run};{handle};{application};{loads} 200000001"),
            format!("worker 1235;{run};{handle};{application} 100000000"),
            format!("worker 1235;[stack cut short];{application} 100000000"),
        ];
        assert_eq!(lines(&fixture::recording(), GraphOptions::default()), expected);
    }

    #[test]
    fn every_shape_sums_to_the_exact_time_or_to_the_samples() {
        let recording = fixture::recording();
        for by in [By::Fleet, By::Worker, By::Thread, By::Task, By::Class] {
            for (native, kernel) in [(false, false), (true, false), (false, true), (true, true)] {
                let sum = |weight| {
                    fold(&recording, GraphOptions { by, weight, native, kernel, ..GraphOptions::default() })
                        .values()
                        .sum::<u64>()
                };
                assert_eq!(sum(Weight::Time), 612_000_003);
                assert_eq!(sum(Weight::Samples), 8);
            }
        }
    }

    #[test]
    fn roots_follow_what_was_asked_for() {
        let recording = fixture::recording();
        let roots = |by| {
            let folded = fold(&recording, GraphOptions { by, ..GraphOptions::default() });
            let mut roots: Vec<String> = folded.keys().map(|stack| stack[0].text.to_string()).collect();
            roots.dedup();
            roots
        };
        assert_eq!(roots(By::Fleet), ["gunicorn wsgi_app:application"]);
        assert_eq!(roots(By::Class), ["helper", "master", "sync"]);
        let threads = [
            "helper 1250 thread sh/1250",
            "master 1230",
            "worker 1234 thread gunicorn/1234",
            "worker 1234 thread watch/1240",
            "worker 1235 thread gunicorn/1235",
        ];
        assert_eq!(roots(By::Thread), threads);
    }

    #[test]
    fn native_and_kernel_frames_come_when_asked_for() {
        let recording = fixture::recording();
        let native = lines(&recording, GraphOptions { native: true, ..GraphOptions::default() });
        assert!(native.iter().any(|line| line.contains("main (python3.11);SyncWorker.run")), "{native:#?}");
        assert!(native.iter().any(|line| line.ends_with("accept4 (libc.so.6) 100000001")), "{native:#?}");
        let both = lines(&recording, GraphOptions { native: true, kernel: true, ..GraphOptions::default() });
        assert!(both.iter().any(|line| line.ends_with("do_syscall_64_[k] 100000001")), "{both:#?}");
    }

    #[test]
    fn what_has_no_frames_says_so() {
        let mut recording = fixture::recording();
        let native = fixture::stack(&mut recording.profile, &[(FrameKind::Native, "main", "", 0)]);
        let python = fixture::stack(&mut recording.profile, &[(FrameKind::Python, "run", "", 0)]);
        recording.profile.samples = vec![
            Sample { tgid: 1234, tid: 1234, stack: native, count: 1, ..Sample::default() },
            Sample { tgid: 1234, tid: 1234, stack: python, count: 1, ..Sample::default() },
            Sample { tgid: 1235, tid: 1235, stack: None, count: 1, ..Sample::default() },
            Sample { tgid: 1235, tid: 1235, stack: native, count: 1, ..Sample::default() },
            Sample { tgid: 99, tid: 99, stack: native, count: 1, ..Sample::default() },
        ];
        recording.profile.blocked.clear();
        let samples = GraphOptions { weight: Weight::Samples, ..GraphOptions::default() };
        let expected = [
            "process 99;main 1",
            "worker 1234;[no Python frames] 1",
            "worker 1234;run 1",
            "worker 1235;[stack lost] 1",
            "worker 1235;main 1",
        ];
        assert_eq!(lines(&recording, samples), expected);
        assert_eq!(Weights::new(&recording.profile, &recording.stat).on_cpu_ns[4], 0);
    }
}
