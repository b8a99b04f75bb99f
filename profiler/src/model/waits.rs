//! What threads waited for while they were off the CPU, who ended it, and how long it took.

use std::collections::BTreeMap;

use profiler_common::wait::{self, REASONS, Reason, WAKERS, WaitSum, Waker};
use serde::{Deserialize, Serialize};

/// The waits of a thread, or of several, in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "NamedWaits", into = "NamedWaits")]
pub struct Waits {
    /// False if they were not looked at: then all else is empty, and left out of JSON.
    pub are_measured: bool,
    /// By [`Reason`].
    pub blocked: [Blocked; REASONS],
    /// False where there is no GIL, or none that is known: then waits for one cannot be told, and are left out.
    pub has_gil: bool,
    /// Ends of waits, by [`Waker`].
    pub wakeups: [u64; WAKERS],
    /// Times from being runnable to running.
    pub run_queue: Histogram,
    /// Time runnable but waiting for a CPU that is not in the kernel's own count
    /// ([`Counters::run_queue_ns`](crate::model::accounting::Counters::run_queue_ns)): of threads that were preempted on their
    /// way to sleep, between setting their state and leaving the CPU.
    pub uncounted_ns: u64,
}

/// Waits for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// How long they took inside the window.
    pub ns: u64,
    /// How many ended in it.
    pub count: u64,
    /// The lengths of those, from beginning to end.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub histogram: Histogram,
}

/// Waits of a thread on one stack, and what they were for.
#[derive(Clone, Debug)]
pub struct Reclassified {
    /// The thread.
    pub tid: u32,
    /// What the kernel says.
    pub from: Reason,
    /// What the stack says.
    pub to: Reason,
    /// The waits.
    pub waits: Blocked,
}

/// Times by length: entry `n` counts those of 2^(n−1) to 2^n − 1 ns, the last of [`wait::BUCKETS`] all longer ones.
/// Zeros at the end are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(Vec<u64>);

impl Waits {
    /// What happened between two readings of a thread's cumulative waits.
    #[must_use]
    pub fn between(start: &wait::Waits, end: &wait::Waits, has_gil: bool) -> Self {
        let blocked = |reason: usize| {
            // What the kernel side does not tell apart is settled later.
            let Some(ended) = end.blocked.get(reason) else { return Blocked::default() };
            Blocked {
                ns: ended.ns.saturating_sub(start.blocked[reason].ns),
                count: ended.count.saturating_sub(start.blocked[reason].count),
                histogram: Histogram::between(&start.lengths[reason], &end.lengths[reason]),
            }
        };
        Self {
            are_measured: true,
            blocked: std::array::from_fn(blocked),
            has_gil,
            wakeups: std::array::from_fn(|waker| end.wakers[waker].saturating_sub(start.wakers[waker])),
            run_queue: Histogram::between(&start.run_queue, &end.run_queue),
            uncounted_ns: end.unqueued_ns.saturating_sub(start.unqueued_ns),
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.blocked.iter_mut().zip(&other.blocked) {
            mine.ns += theirs.ns;
            mine.count += theirs.count;
            mine.histogram.add(&theirs.histogram);
        }
        for (mine, theirs) in self.wakeups.iter_mut().zip(other.wakeups) {
            *mine += theirs;
        }
        self.run_queue.add(&other.run_queue);
        self.uncounted_ns += other.uncounted_ns;
        self.are_measured |= other.are_measured;
        self.has_gil |= other.has_gil;
    }

    /// Counts some waits for another reason, now that more is known of them.
    pub fn reclassify(&mut self, from: Reason, to: Reason, waits: &Blocked) {
        let source = &mut self.blocked[from as usize];
        let moved = WaitSum { ns: waits.ns.min(source.ns), count: waits.count.min(source.count) };
        source.ns -= moved.ns;
        source.count -= moved.count;
        let histogram = source.histogram.take(&waits.histogram);
        let target = &mut self.blocked[to as usize];
        target.ns += moved.ns;
        target.count += moved.count;
        target.histogram.add(&histogram);
    }

    /// Keeps the sums, but not how long each wait was.
    pub fn forget_lengths(&mut self) {
        self.run_queue = Histogram::default();
        for blocked in &mut self.blocked {
            blocked.histogram = Histogram::default();
        }
    }

    /// All sums, in a fixed order.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.blocked
            .iter()
            .flat_map(|blocked| [blocked.ns, blocked.count])
            .chain(self.wakeups)
            .chain([self.uncounted_ns])
    }

    /// All numbers, in the order of [`Self::numbers`], to be changed.
    pub fn numbers_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        let blocked = self.blocked.iter_mut().flat_map(|blocked| [&mut blocked.ns, &mut blocked.count]);
        blocked.chain(&mut self.wakeups).chain([&mut self.uncounted_ns])
    }

    /// What all its histograms count.
    pub fn lengths(&self) -> impl Iterator<Item = u64> {
        let histograms = self.blocked.iter().map(|blocked| &blocked.histogram).chain([&self.run_queue]);
        histograms.flat_map(|histogram| &histogram.0).copied()
    }

    /// Time in which threads of native code had nothing to do: no part of what their process does.
    #[must_use]
    pub const fn parked_ns(&self) -> u64 {
        self.blocked[Reason::Parked as usize].ns
    }

    /// Time blocked, for any reason.
    #[must_use]
    pub fn blocked_ns(&self) -> u64 {
        self.blocked.iter().map(|blocked| blocked.ns).sum()
    }
}

impl Histogram {
    /// What was counted between two readings.
    #[must_use]
    pub fn between(start: &wait::Histogram, end: &wait::Histogram) -> Self {
        Self::of(start.iter().zip(end).map(|(start, end)| end.saturating_sub(*start)))
    }

    fn of(counts: impl Iterator<Item = u64>) -> Self {
        let mut counts: Vec<u64> = counts.collect();
        while counts.last() == Some(&0) {
            counts.pop();
        }
        Self(counts)
    }

    /// True if nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.0
    }

    fn add(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Takes out what is there of another's counts.
    fn take(&mut self, other: &Self) -> Self {
        let taken = Self::of(self.0.iter().zip(&other.0).map(|(mine, theirs)| *mine.min(theirs)));
        for (mine, taken) in self.0.iter_mut().zip(&taken.0) {
            *mine -= taken;
        }
        *self = Self::of(self.0.iter().copied());
        taken
    }

    /// The length below which so many per cent are: the upper end of a bucket, ns; `None` if nothing was counted.
    #[must_use]
    pub fn percentile_ns(&self, percent: u64) -> Option<u64> {
        let total: u64 = self.0.iter().sum();
        let mut left = (total * percent).div_ceil(100);
        let bucket = self.0.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0
        });
        bucket.filter(|_| total != 0).map(|bucket| (1 << bucket) - 1)
    }
}

/// Waits as JSON has them: reasons and wakers by name.
#[derive(Serialize, Deserialize)]
struct NamedWaits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blocked_by: Option<BTreeMap<String, Blocked>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wakeups_by: Option<BTreeMap<String, u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_queue_histogram: Option<Histogram>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_queue_uncounted_ns: Option<u64>,
}

impl From<Waits> for NamedWaits {
    fn from(waits: Waits) -> Self {
        let Waits { are_measured, blocked, has_gil, wakeups, run_queue, uncounted_ns } = waits;
        let told = |reason: &Reason| has_gil || *reason != Reason::Gil;
        let blocked = Reason::ALL.into_iter().zip(blocked).filter(|(reason, _)| told(reason));
        let blocked_by = blocked.map(|(reason, blocked)| (reason.name().to_owned(), blocked)).collect();
        let wakeups_by = Waker::ALL.into_iter().map(|waker| waker.name().to_owned()).zip(wakeups).collect();
        Self {
            blocked_by: Some(blocked_by).filter(|_| are_measured),
            wakeups_by: Some(wakeups_by).filter(|_| are_measured),
            run_queue_histogram: Some(run_queue).filter(|_| are_measured),
            run_queue_uncounted_ns: Some(uncounted_ns).filter(|_| are_measured),
        }
    }
}

impl From<NamedWaits> for Waits {
    fn from(named: NamedWaits) -> Self {
        let NamedWaits { blocked_by, wakeups_by, run_queue_histogram, run_queue_uncounted_ns } = named;
        let are_measured = blocked_by.is_some();
        let (mut blocked_by, wakeups_by) = (blocked_by.unwrap_or_default(), wakeups_by.unwrap_or_default());
        Self {
            are_measured,
            has_gil: blocked_by.contains_key(Reason::Gil.name()),
            blocked: Reason::ALL.map(|reason| blocked_by.remove(reason.name()).unwrap_or_default()),
            wakeups: Waker::ALL.map(|waker| wakeups_by.get(waker.name()).copied().unwrap_or(0)),
            run_queue: run_queue_histogram.unwrap_or_default(),
            uncounted_ns: run_queue_uncounted_ns.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(reason: Reason, lengths: &[u64]) -> wait::Waits {
        let mut waits = wait::Waits::default();
        for length in lengths {
            waits.blocked[reason as usize].ns += length;
            waits.blocked[reason as usize].count += 1;
            waits.lengths[reason as usize][wait::bucket(*length)] += 1;
        }
        waits
    }

    #[test]
    fn a_window_has_what_was_added_in_it() {
        let (start, end) = (waits(Reason::Socket, &[5]), waits(Reason::Socket, &[5, 9, 1000]));
        let between = Waits::between(&start, &end, true);
        let socket = &between.blocked[Reason::Socket as usize];
        assert_eq!((socket.ns, socket.count), (1009, 2));
        assert_eq!(socket.histogram.counts(), [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(between.blocked_ns(), 1009);
    }

    #[test]
    fn settling_moves_and_loses_nothing() {
        let all = Waits::between(&wait::Waits::default(), &waits(Reason::Socket, &[9, 1000]), true);
        let part = Waits::between(&wait::Waits::default(), &waits(Reason::Socket, &[1000]), true);
        let mut reclassified = all.clone();
        reclassified.reclassify(Reason::Socket, Reason::Idle, &part.blocked[Reason::Socket as usize]);
        assert_eq!(reclassified.blocked_ns(), all.blocked_ns());
        assert_eq!(reclassified.blocked[Reason::Idle as usize], part.blocked[Reason::Socket as usize]);
        assert_eq!(reclassified.blocked[Reason::Socket as usize].histogram.counts(), [0, 0, 0, 0, 1]);
        // More than there is cannot be moved.
        reclassified.reclassify(Reason::Socket, Reason::Idle, &all.blocked[Reason::Socket as usize]);
        assert_eq!(reclassified.blocked_ns(), all.blocked_ns());
    }

    #[test]
    fn json_names_the_reasons_and_leaves_out_a_gil_that_is_not_known() {
        let mut waits = Waits::between(&wait::Waits::default(), &waits(Reason::Pipe, &[7]), false);
        waits.wakeups[Waker::Master as usize] = 3;
        let json = serde_json::to_value(&waits).unwrap();
        assert_eq!(json["blocked_by"]["pipe"]["ns"], 7);
        assert_eq!(json["blocked_by"]["disk"]["ns"], 0);
        assert_eq!(json["blocked_by"].get("gil"), None);
        assert_eq!(json["wakeups_by"]["master"], 3);
        assert_eq!(json["run_queue_uncounted_ns"], 0);
        assert_eq!(serde_json::from_value::<Waits>(json).unwrap(), waits);
        waits.has_gil = true;
        assert_eq!(serde_json::to_value(&waits).unwrap()["blocked_by"]["gil"]["count"], 0);
        let none = serde_json::to_value(Waits::default()).unwrap();
        assert_eq!(none, serde_json::json!({}));
        assert_eq!(serde_json::from_value::<Waits>(none).unwrap(), Waits::default());
    }

    #[test]
    fn percentiles_are_upper_ends() {
        let histogram = Histogram::of([0, 0, 90, 0, 10].into_iter());
        assert_eq!((histogram.percentile_ns(50), histogram.percentile_ns(99)), (Some(3), Some(15)));
        assert_eq!(Histogram::default().percentile_ns(50), None);
    }
}
