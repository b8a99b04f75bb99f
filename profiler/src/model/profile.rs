//! A profile: which stacks each thread was sampled on, and how often.

use std::collections::{BTreeMap, HashMap};

use profiler_common::wait::Reason;
use serde::{Deserialize, Serialize};

use crate::model::{
    accounting::StatDelta,
    tables::{Binary, Frame, InternTable, MappedBinary, Stack, StackId, StringId},
    wait_times::WaitTimes,
};

/// Sampled stacks with everything needed to show them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Samples per second and CPU that were asked for.
    pub rate_hz: u64,
    /// Names and paths.
    pub strings: InternTable<String>,
    /// Files of native code.
    #[serde(default)]
    pub binaries: InternTable<Binary>,
    /// Where processes have mapped them.
    #[serde(default)]
    pub mappings: InternTable<MappedBinary>,
    /// Lines of stacks.
    pub frames: InternTable<Frame>,
    /// Chains of frames, callers before their leaves.
    pub stacks: InternTable<Stack>,
    /// What was sampled.
    pub samples: Vec<Sample>,
    /// What threads were blocked on.
    #[serde(default)]
    pub blocked: Vec<BlockedSample>,
    /// What threads were preempted on. Run-queue time that is in none of these rows followed a wake-up, or has no stack.
    #[serde(default)]
    pub preempted: Vec<PreemptedSample>,
}

/// One distinct stack on which one thread was blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedSample {
    /// Process id: a `WorkerDelta` of the same recording.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// The stack; absent if none was kept: it was lost, or the wait was too short for one to be wanted.
    pub stack: Option<StackId>,
    /// What the thread waits for.
    #[serde(with = "reason_name")]
    pub reason: Reason,
    /// How many waits these were, and how long.
    #[serde(flatten)]
    pub times: WaitTimes,
}

/// One distinct stack on which one thread was preempted: it wanted to run on, and waited in a run queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreemptedSample {
    /// Process id: a `WorkerDelta` of the same recording.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// The stack; absent if its description was lost.
    pub stack: Option<StackId>,
    /// How often the thread then waited for a CPU, and how long.
    #[serde(flatten)]
    pub times: WaitTimes,
}

/// A reason by its name.
pub(crate) mod reason_name {
    use profiler_common::wait::Reason;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub fn serialize<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(reason.name())
    }

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub fn serialize_some<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_some(&reason.map(Reason::name))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reason, D::Error> {
        let name = String::deserialize(deserializer)?;
        parse(&name).ok_or_else(|| de::Error::custom("unknown reason"))
    }

    /// The reason of a name.
    pub fn parse(name: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// One distinct stack of one thread, with the GIL or without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// Process id: a `WorkerDelta` of the same recording.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// The stack; absent if its description was lost.
    pub stack: Option<StackId>,
    /// Times sampled.
    pub count: u64,
    /// True if it held the GIL; absent if that is not known, or there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gil: Option<bool>,
    /// The name of the asyncio task that ran; absent if none did, or it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<StringId>,
}

impl Profile {
    /// The frames of a stack, root first.
    #[must_use]
    pub fn frames_of(&self, stack: Option<StackId>) -> Vec<&Frame> {
        let mut frames = Vec::new();
        let mut next = stack;
        // A caller comes before its leaf in the table, so a damaged file cannot make this run in circles.
        while let Some((id, stack)) = next.and_then(|id| Some((id, self.stacks.get(id)?))) {
            frames.extend(self.frames.get(stack.frame));
            next = stack.caller.filter(|caller| *caller < id);
        }
        frames.reverse();
        frames
    }

    /// The string with an id, or a question mark.
    #[must_use]
    pub fn string(&self, id: StringId) -> &str {
        self.strings.get(id).map_or("?", String::as_str)
    }

    /// Makes the waits on a thread's stacks add up to what its books say of the same window, reason by reason. What has no
    /// stack gets rows without one. And at an edge a wait under way is as long as two clocks tell that are compared to some
    /// 100 ns, so what is left of it after the edge may be less than nothing, which only a sum can take.
    pub fn agree_with(&mut self, stat: &StatDelta) {
        let mut books: BTreeMap<_, WaitTimes> = BTreeMap::new();
        let mut queued: BTreeMap<_, WaitTimes> = BTreeMap::new();
        let workers = stat.processes();
        let threads = workers.flat_map(|worker| worker.threads.iter().map(|thread| (worker.tgid, thread)));
        // One TID may have been that of several threads.
        for (tgid, thread) in threads {
            for (reason, blocked) in Reason::ALL.into_iter().zip(&thread.waits.blocked) {
                let times = WaitTimes { ns: blocked.ns, count: blocked.count, longest_ns: None };
                books.entry((tgid, thread.tid, reason)).or_default().add(&times);
            }
            let ns = thread.counters.run_queue_ns + thread.waits.uncounted_ns;
            let times = WaitTimes { ns, count: u64::MAX, longest_ns: None };
            queued.entry((tgid, thread.tid)).and_modify(|sum| sum.ns += ns).or_insert(times);
        }
        // So that it is the longest which gives.
        self.blocked.sort_by_key(|row| row.times.ns);
        for row in &mut self.blocked {
            row.times.take_from(books.entry((row.tgid, row.tid, row.reason)).or_default());
        }
        self.blocked.extend(books.into_iter().map(|((tgid, tid, reason), times)| BlockedSample {
            tgid,
            tid,
            stack: None,
            reason,
            times,
        }));
        self.blocked.retain(|row| row.times.is_any());
        self.blocked.sort_by_key(|row| (row.tgid, row.tid, row.stack, row.reason));
        self.preempted.sort_by_key(|row| row.times.ns);
        for row in &mut self.preempted {
            row.times.take_from(queued.entry((row.tgid, row.tid)).or_default());
        }
        self.preempted.retain(|row| row.times.is_any());
        self.preempted.sort_by_key(|row| (row.tgid, row.tid, row.stack));
    }

    /// Samples by process.
    #[must_use]
    pub fn counts_by_tgid(&self) -> HashMap<u32, u64> {
        let mut counts = HashMap::new();
        for sample in &self.samples {
            *counts.entry(sample.tgid).or_default() += sample.count;
        }
        counts
    }
}
