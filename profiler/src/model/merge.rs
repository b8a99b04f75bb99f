//! Merges several recordings of one kind: adds up their stacks and numbers.

use std::collections::{BTreeMap, HashSet};

use crate::model::{
    accounting::{FleetDelta, StatDelta, ThreadDelta, WorkerDelta},
    profile::{BlockedSample, PreemptedSample, Profile, Sample},
    quality::{Quality, SampleQuality},
    recording::Recording,
    tables::{Binary, Frame, MappedBinary, Place, Stack, StackId},
};

impl Recording {
    /// Adds another window of the same fleets, seen in the same way. A process that is in both is one process.
    pub fn absorb(&mut self, other: &Self) {
        self.profile.absorb(&other.profile);
        self.stat.absorb(&other.stat);
        self.windows.extend(other.windows.iter().cloned());
        self.requests = self.requests.zip(other.requests).map(|(mine, theirs)| mine + theirs);
        if let Some(samples) = &mut self.stat.quality.samples {
            samples.stacks = self.profile.distinct_stacks();
        }
    }
}

impl Profile {
    fn distinct_stacks(&self) -> u64 {
        let sampled = self.samples.iter().map(|sample| sample.stack);
        let blocked = self.blocked.iter().map(|wait| wait.stack);
        let preempted = self.preempted.iter().map(|wait| wait.stack);
        sampled.chain(blocked).chain(preempted).collect::<HashSet<_>>().len() as u64
    }

    fn absorb(&mut self, other: &Self) {
        // By index in the other's table; a frame or a stack there names only what comes before it.
        let strings: Vec<_> =
            other.strings.rows().iter().map(|string| self.strings.intern(string.clone())).collect();
        let binary = |binary: &Binary| Binary { path: strings[binary.path.index()], ..binary.clone() };
        let binaries: Vec<_> =
            other.binaries.rows().iter().map(|row| self.binaries.intern(binary(row))).collect();
        for mapping in other.mappings.rows() {
            self.mappings.intern(MappedBinary { binary: binaries[mapping.binary.index()], ..*mapping });
        }
        let frame = |frame: &Frame| Frame {
            name: strings[frame.name.index()],
            file: frame.file.map(|file| strings[file.index()]),
            place: frame.place.map(|place| Place { binary: binaries[place.binary.index()], ..place }),
            ..*frame
        };
        let frames: Vec<_> = other.frames.rows().iter().map(|row| self.frames.intern(frame(row))).collect();
        let mut stacks: Vec<StackId> = Vec::with_capacity(other.stacks.rows().len());
        for stack in other.stacks.rows() {
            let caller = stack.caller.map(|caller| stacks[caller.index()]);
            stacks.push(self.stacks.intern(Stack { frame: frames[stack.frame.index()], caller }));
        }
        let mine = |stack: Option<StackId>| stack.map(|stack| stacks[stack.index()]);
        let theirs = other.samples.iter().map(|sample| Sample {
            stack: mine(sample.stack),
            task: sample.task.map(|task| self.strings.intern(other.string(task).to_owned())),
            ..*sample
        });
        let theirs: Vec<_> = theirs.collect();
        self.samples = sums(
            self.samples.iter().copied().chain(theirs),
            |sample| (sample.tgid, sample.tid, sample.stack, sample.gil, sample.task),
            |sum, sample| sum.count += sample.count,
        );
        let theirs = other.blocked.iter().map(|wait| BlockedSample { stack: mine(wait.stack), ..*wait });
        self.blocked = sums(
            self.blocked.iter().copied().chain(theirs),
            |wait| (wait.tgid, wait.tid, wait.stack, wait.reason),
            |sum, wait| sum.times.add(&wait.times),
        );
        let theirs = other.preempted.iter().map(|wait| PreemptedSample { stack: mine(wait.stack), ..*wait });
        self.preempted = sums(
            self.preempted.iter().copied().chain(theirs),
            |wait| (wait.tgid, wait.tid, wait.stack),
            |sum, wait| sum.times.add(&wait.times),
        );
    }
}

impl StatDelta {
    fn absorb(&mut self, other: &Self) {
        self.duration_ns += other.duration_ns;
        for theirs in &other.fleets {
            let same = |mine: &&mut FleetDelta| (&mine.name, &mine.server) == (&theirs.name, &theirs.server);
            match self.fleets.iter_mut().find(same) {
                Some(mine) => mine.absorb(theirs),
                None => self.fleets.push(theirs.clone()),
            }
        }
        self.quality.absorb(&other.quality);
    }
}

impl FleetDelta {
    fn absorb(&mut self, other: &Self) {
        for theirs in &other.workers {
            match self.workers.iter_mut().find(|mine| mine.tgid == theirs.tgid) {
                Some(mine) => mine.absorb(theirs),
                None => self.workers.push(theirs.clone()),
            }
        }
        self.workers.sort_by_key(|worker| (worker.role, worker.tgid));
    }
}

impl WorkerDelta {
    fn absorb(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.waits.add(&other.waits);
        self.throttled_ns = self.throttled_ns.zip(other.throttled_ns).map(|(mine, theirs)| mine + theirs);
        self.memory = self.memory.zip(other.memory).map(|(mine, theirs)| mine.followed_by(&theirs));
        self.exited |= other.exited;
        if let Some(theirs) = &other.ended {
            self.ended.get_or_insert_default().add(theirs);
        }
        for theirs in &other.threads {
            match self.threads.iter_mut().find(|mine| mine.tid == theirs.tid) {
                Some(mine) => mine.absorb(theirs),
                None => self.threads.push(theirs.clone()),
            }
        }
        self.threads.sort_by_key(|thread| thread.tid);
    }
}

impl ThreadDelta {
    fn absorb(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.waits.add(&other.waits);
        self.exited |= other.exited;
    }
}

impl Quality {
    /// Adds another window's losses; of differences the largest remains, of equal notes one.
    pub fn absorb(&mut self, other: &Self) {
        for (cause, count) in &other.lost {
            *self.lost.entry(cause.clone()).or_default() += count;
        }
        if self.user_system_split.is_empty() {
            self.user_system_split.clone_from(&other.user_system_split);
        }
        self.tick_ns = self.tick_ns.max(other.tick_ns);
        self.largest_on_cpu_difference_ns =
            self.largest_on_cpu_difference_ns.max(other.largest_on_cpu_difference_ns);
        self.largest_switch_difference = self.largest_switch_difference.max(other.largest_switch_difference);
        self.threads_compared = self.threads_compared.max(other.threads_compared);
        self.own_cpu_ns += other.own_cpu_ns;
        for note in &other.notes {
            if !self.notes.contains(note) {
                self.notes.push(note.clone());
            }
        }
        self.samples = match (self.samples.take(), &other.samples) {
            (Some(mine), Some(theirs)) => Some(SampleQuality {
                total: mine.total + theirs.total,
                python_complete: mine.python_complete + theirs.python_complete,
                python_partial: mine.python_partial + theirs.python_partial,
                python_outside: mine.python_outside + theirs.python_outside,
                gil_held: mine.gil_held + theirs.gil_held,
                gil_released: mine.gil_released + theirs.gil_released,
                // Not a sum, for both may have the same: only the profile can tell.
                stacks: mine.stacks.max(theirs.stacks),
                event: mine.event,
            }),
            (mine, theirs) => mine.or_else(|| theirs.clone()),
        };
    }
}

/// One row for each key, in the order of keys.
fn sums<T, K: Ord>(rows: impl Iterator<Item = T>, key: impl Fn(&T) -> K, add: impl Fn(&mut T, &T)) -> Vec<T> {
    let mut by_key: BTreeMap<K, T> = BTreeMap::new();
    for row in rows {
        match by_key.get_mut(&key(&row)) {
            Some(sum) => add(sum, &row),
            None => {
                by_key.insert(key(&row), row);
            }
        }
    }
    by_key.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        fixture,
        tables::{FrameKind, Id},
    };

    fn names(recording: &Recording) -> Vec<(u32, Vec<String>, u64)> {
        let profile = &recording.profile;
        let name = |frame: &&Frame| profile.string(frame.name).to_owned();
        let row = |sample: &Sample| {
            (sample.tgid, profile.frames_of(sample.stack).iter().map(name).collect(), sample.count)
        };
        let mut rows: Vec<_> = profile.samples.iter().map(row).collect();
        rows.sort();
        rows
    }

    #[test]
    fn twice_the_same_is_twice_as_much() {
        let one = fixture::recording();
        let mut two = one.clone();
        two.absorb(&one);
        assert_eq!(two.profile.stacks, one.profile.stacks);
        assert_eq!(two.profile.mappings, one.profile.mappings);
        let doubled: Vec<_> =
            names(&one).into_iter().map(|(tgid, stack, count)| (tgid, stack, 2 * count)).collect();
        assert_eq!(names(&two), doubled);
        let (before, after) = (one.stat.fleets[0].total(), two.stat.fleets[0].total());
        assert_eq!(after.0.on_cpu_ns, 2 * before.0.on_cpu_ns);
        assert_eq!(after.1.blocked_ns(), 2 * before.1.blocked_ns());
        assert_eq!(two.stat.duration_ns, 2 * one.stat.duration_ns);
    }

    #[test]
    fn another_s_indexes_become_ours() {
        let one = fixture::recording();
        let mut other = Recording { profile: Profile::default(), ..fixture::recording() };
        let profile = &mut other.profile;
        let kind = FrameKind::Python;
        let stack = fixture::stack(profile, &[(kind, "new", "n.py", 1), (kind, "application", "n.py", 2)]);
        // Of one file that both have, and of one that only the other has.
        let native = FrameKind::Native;
        let libraries = [(native, "scan", "other.so", 0), (native, "main", "/usr/bin/python3.11", 0)];
        fixture::stack(profile, &libraries);
        let mapping = MappedBinary { tgid: 1236, binary: Id::new(0), start: 0, end: 0x1000, offset: 0 };
        profile.mappings.intern(mapping);
        profile.samples.push(Sample { tgid: 1236, tid: 1236, stack, count: 5, ..Sample::default() });
        other.stat.fleets[0].workers[1].tgid = 1236;
        let mut both = one.clone();
        both.absorb(&other);
        let new = (1236, vec!["new".to_owned(), "application".to_owned()], 5);
        let mut expected = names(&one);
        expected.push(new);
        expected.sort();
        assert_eq!(names(&both), expected);
        assert!(both.stat.fleets[0].workers.iter().any(|worker| worker.tgid == 1236));
        let path = |binary: Id<Binary>| both.profile.string(both.profile.binaries.get(binary).unwrap().path);
        for frame in both.profile.frames.rows().iter().filter(|frame| frame.kind == native) {
            assert_eq!(path(frame.place.unwrap().binary), both.profile.string(frame.file.unwrap()));
        }
        assert_eq!(both.profile.binaries.rows().len(), one.profile.binaries.rows().len() + 1);
        assert_eq!(path(both.profile.mappings.rows().last().unwrap().binary), "other.so");
    }
}
