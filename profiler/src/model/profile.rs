//! A profile: which stacks each thread was sampled on, and how often.

use std::collections::{BTreeMap, HashMap};

use profiler_common::wait::{Reason, WaitSum};
use serde::{Deserialize, Serialize};

use crate::model::{
    accounting::StatDelta,
    tables::{Binary, Frame, InternTable, MappedBinary, Stack, StackId, StringId},
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
    /// How long inside the window, exactly.
    pub ns: u64,
    /// How many waits ended in it.
    pub count: u64,
    /// Length of the longest of these waits, from its beginning to its end or that of the window, ns; absent if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_ns: Option<u64>,
}

impl BlockedSample {
    /// Adds waits on the same stack. The longest is known only if it is of both.
    pub fn add(&mut self, other: &Self) {
        self.ns += other.ns;
        self.count += other.count;
        self.longest_ns = self.longest_ns.zip(other.longest_ns).map(|(mine, theirs)| mine.max(theirs));
    }
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
        let mut books: BTreeMap<_, WaitSum> = BTreeMap::new();
        let workers = stat.processes();
        let threads = workers.flat_map(|worker| worker.threads.iter().map(|thread| (worker.tgid, thread)));
        for (tgid, thread) in threads {
            for (reason, blocked) in Reason::ALL.into_iter().zip(&thread.waits.blocked) {
                // One TID may have been that of several threads.
                let sum = books.entry((tgid, thread.tid, reason)).or_default();
                (sum.ns, sum.count) = (sum.ns + blocked.ns, sum.count + blocked.count);
            }
        }
        // So that it is the longest which gives.
        self.blocked.sort_by_key(|row| row.ns);
        for row in &mut self.blocked {
            let left = books.entry((row.tgid, row.tid, row.reason)).or_default();
            (row.ns, row.count) = (row.ns.min(left.ns), row.count.min(left.count));
            (left.ns, left.count) = (left.ns - row.ns, left.count - row.count);
        }
        self.blocked.extend(books.into_iter().map(|((tgid, tid, reason), WaitSum { ns, count })| {
            BlockedSample { tgid, tid, stack: None, reason, ns, count, longest_ns: None }
        }));
        self.blocked.retain(|row| row.ns != 0 || row.count != 0);
        self.blocked.sort_by_key(|row| (row.tgid, row.tid, row.stack, row.reason));
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
