//! Counts of stacks: up to an edge, and between two edges.

use profiler_common::{config::StackKey, wait::NO_SYSCALL};

use crate::{
    bpf::{Counts, Snapshot},
    collect::{
        departed::{JoinedKeys, UNKNOWN},
        thread_times,
    },
    sys::heap,
};

/// Counts with the waits that are under way at an edge, as far as they have lasted.
#[must_use]
pub fn with_open(mut counts: Counts, snapshot: &Snapshot) -> Counts {
    for thread in &snapshot.threads {
        let open = thread.waits.open;
        let on_stack = thread_times::open_wait_on_stack(thread, snapshot.clock_offset_ns);
        if let Some((ns, is_over)) = on_stack.filter(|_| open.hash != 0) {
            let key = StackKey::of_wait(thread.task.tgid, thread.task.tid, &open);
            let sum = counts.entry(key).or_default();
            sum.ns += ns;
            sum.longest = sum.longest.max(ns);
            sum.count += u64::from(is_over);
        }
    }
    counts
}

/// Makes those one, for each thread and reason, that are of no known stack: there is no end of them in a process that has
/// more stacks than are kept. Nor is there of threads that come and go: without room they are thread 0.
pub fn join_unknown(counts: &mut Counts, is_known: impl Fn(&StackKey) -> bool) {
    let unknown: Vec<_> = counts.extract_if(|key, _| key.hash != UNKNOWN && !is_known(key)).collect();
    for (key, count) in unknown {
        let mut key = StackKey { hash: UNKNOWN, syscall: NO_SYSCALL, ..key };
        if !counts.contains_key(&key) && heap::room() == 0 {
            key.tid = 0;
        }
        counts.entry(key).or_default().add(&count);
    }
}

/// Takes out the counts of threads that are not listed any more.
#[must_use]
pub fn take(counts: &mut Counts, joined: &JoinedKeys<'_>) -> Counts {
    counts.extract_if(|key, _| joined.of(key).is_some()).collect()
}

/// Puts counts back, by the keys that several threads have together.
pub fn put(counts: &mut Counts, taken: Counts, joined: &JoinedKeys<'_>) {
    for (old, count) in taken {
        counts.entry(joined.of(&old).unwrap_or(old)).or_default().add(&count);
    }
}

/// What was counted between two instants.
#[must_use]
pub fn between(start: &Counts, mut end: Counts) -> Counts {
    end.retain(|key, count| {
        if let Some(start) = start.get(key) {
            count.subtract(start);
        }
        count.count != 0 || count.ns != 0
    });
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::StackSum;

    fn key(tid: u32, hash: u64, reason: u32) -> StackKey {
        StackKey { hash, tgid: 7, tid, reason, syscall: 3 }
    }

    fn counted(count: u64, ns: u64) -> StackSum {
        StackSum { count, ns, ..StackSum::default() }
    }

    #[test]
    fn stacks_that_are_not_known_are_one_for_each_thread_and_reason() {
        let known = (key(8, 100, 1), counted(1, 10));
        let mut counts = Counts::from([
            known.clone(),
            (key(8, 101, 1), counted(2, 20)),
            (key(8, 102, 1), counted(3, 30)),
            (key(8, 103, 2), counted(4, 40)),
            (key(9, 104, 1), counted(5, 50)),
        ]);
        join_unknown(&mut counts, |key| key.hash == 100);
        let unknown = |tid, reason| StackKey { syscall: NO_SYSCALL, ..key(tid, UNKNOWN, reason) };
        let joined = Counts::from([
            known,
            (unknown(8, 1), counted(5, 50)),
            (unknown(8, 2), counted(4, 40)),
            (unknown(9, 1), counted(5, 50)),
        ]);
        assert_eq!(counts, joined);
        // Again, with more: what was joined stays.
        counts.insert(key(8, 105, 1), counted(1, 1));
        join_unknown(&mut counts, |key| key.hash == 100);
        assert_eq!(counts[&unknown(8, 1)], counted(6, 51));
    }

    #[test]
    fn between_two_edges_is_what_grew() {
        let start = Counts::from([(key(8, 1, 1), counted(2, 20)), (key(8, 2, 1), counted(1, 5))]);
        let end = Counts::from([
            (key(8, 1, 1), counted(3, 50)),
            (key(8, 2, 1), counted(1, 5)),
            (key(8, 3, 1), counted(1, 1)),
        ]);
        let grew = Counts::from([(key(8, 1, 1), counted(1, 30)), (key(8, 3, 1), counted(1, 1))]);
        assert_eq!(between(&start, end), grew);
    }
}
