//! Splits a recording into windows of a second.
//!
//! What is kept of an edge is what each process has done since the recording began. A window is the difference of
//! two edges, and the last edge is the recording's own sums: so the windows add up to these, whatever was estimated
//! at an edge, and two neighbours become one by forgetting the edge between them.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    collect::{
        departed::Departed,
        stat::{Gone, ThreadDeltas},
    },
    model::{
        accounting::StatDelta,
        window::{Window, WorkerWindow},
    },
};

/// Most windows of a recording.
const MOST: usize = 600;
/// Edges take no larger part of a core than one in so many.
const PART: u32 = 20;
/// Most processes in all windows together: of a large fleet there are fewer windows.
const MOST_ROWS: usize = 1 << 16;

/// What each process has done, by tgid.
type Sums = BTreeMap<u32, WorkerWindow>;

/// The edges between the windows so far.
#[derive(Clone, Debug)]
pub struct WindowEdges {
    edges: Vec<WindowEdge>,
    interval: Duration,
    next: Instant,
    /// How many threads are gone that were looked at.
    seen: usize,
    /// Those of them that no edge has shown yet.
    recent: Vec<Gone>,
    /// What those did that are gone for longer.
    gone: Sums,
}

/// Work done up to an instant.
#[derive(Clone, Debug, Default)]
struct WindowEdge {
    /// Since the recording began.
    at_ns: u64,
    requests: Option<u64>,
    sums: Sums,
}

impl WindowEdges {
    /// The first one begins now, when so many threads are gone; each is so long, as long as there are not too many.
    #[must_use]
    pub fn begin(interval: Duration, gone: usize) -> Self {
        let next = Instant::now() + interval;
        Self { edges: Vec::new(), interval, next, seen: gone, recent: Vec::new(), gone: Sums::new() }
    }

    /// Forgets what was, and begins now.
    #[must_use]
    pub fn begin_anew(self, gone: usize) -> Self {
        Self::begin(self.interval, gone)
    }

    /// How many threads are gone that an edge has shown: they come first.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.seen - self.recent.len()
    }

    /// Makes those one who are not listed any more.
    pub fn join(&mut self, departed: &Departed) {
        self.seen -= departed.threads.len();
        for sums in self.edges.iter_mut().map(|edge| &mut edge.sums).chain([&mut self.gone]) {
            for (_, member) in &departed.processes {
                if let Some(sum) = sums.remove(&member.tgid) {
                    let tgid = departed.tgid_of(member.tgid);
                    sums.entry(tgid).or_insert_with(|| WorkerWindow::of(tgid)).add(&sum.counters, &sum.waits);
                }
            }
        }
    }

    /// True if an edge is due.
    #[must_use]
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    /// Threads that are gone since the last edge, of all that are gone so far.
    pub fn recent(&mut self, gone: &[Gone]) -> &[Gone] {
        self.recent.extend_from_slice(&gone[self.seen..]);
        self.seen = gone.len();
        &self.recent
    }

    /// An edge: what the threads have done since the recording began that live, or are gone since the last edge.
    pub fn push(&mut self, at_ns: u64, requests: Option<u64>, threads: &ThreadDeltas) {
        let mut sums = self.gone.clone();
        let mut shown = HashSet::new();
        for (&tgid, threads) in threads {
            for (key, thread) in threads {
                let add = |to: &mut Sums| {
                    let sum = to.entry(tgid).or_insert_with(|| WorkerWindow::of(tgid));
                    sum.add(&thread.counters, &thread.waits);
                };
                add(&mut sums);
                if thread.exited {
                    add(&mut self.gone);
                    shown.insert(*key);
                }
            }
        }
        self.recent.retain(|gone| !shown.contains(&gone.key()));
        let rows = self.edges.iter().map(|edge| edge.sums.len()).sum::<usize>() + sums.len();
        if self.edges.len() + 1 == MOST || rows > MOST_ROWS {
            self.make_fewer();
        }
        self.edges.push(WindowEdge { at_ns, requests, sums });
        self.next += self.interval;
    }

    /// Notes how long the last edge took on a CPU: where that is much, there are fewer from now on.
    pub fn spend(&mut self, took: Duration) {
        if took * PART > self.interval {
            if self.edges.len().is_multiple_of(2) {
                // The last edge stays, and the next one is as far from it as it is from the one before.
                self.next += self.interval;
            }
            self.make_fewer();
        }
    }

    /// Forgets every other edge, from the first on, and makes windows twice as long.
    fn make_fewer(&mut self) {
        let mut forget = false;
        self.edges.retain(|_| {
            forget = !forget;
            !forget
        });
        self.interval *= 2;
    }

    /// The windows up to now, when there are these sums.
    #[must_use]
    pub fn end(mut self, stat: &StatDelta, requests: Option<u64>) -> Vec<Window> {
        let mut sums = Sums::new();
        for worker in stat.processes() {
            let sum = sums.entry(worker.tgid).or_insert_with(|| WorkerWindow::of(worker.tgid));
            sum.add(&worker.counters, &worker.waits);
        }
        let least = self.interval.as_nanos() as u64 / 2;
        // A rest that is too short to tell anything is a part of the one before.
        self.edges.pop_if(|edge| edge.at_ns + least > stat.duration_ns);
        let mut end = WindowEdge { at_ns: stat.duration_ns, requests, sums };
        let mut windows = Vec::with_capacity(self.edges.len() + 1);
        while let Some(start) = self.edges.pop() {
            let start = start.no_later_than(&end);
            windows.push(start.until(&end));
            end = start;
        }
        windows.push(WindowEdge { requests: end.requests.map(|_| 0), ..WindowEdge::default() }.until(&end));
        windows.reverse();
        windows
    }
}

impl WindowEdge {
    /// An edge with what there is of this one in a later one: of what was estimated here, less may have come true.
    fn no_later_than(mut self, end: &Self) -> Self {
        let bounded = end.sums.values().map(|end| {
            let mut sum = self.sums.remove(&end.tgid).unwrap_or_else(|| WorkerWindow::of(end.tgid));
            (sum.waits.are_measured, sum.waits.has_gil) = (end.waits.are_measured, end.waits.has_gil);
            sum.numbers_mut().zip(end.numbers()).for_each(|(number, end)| *number = end.min(*number));
            (end.tgid, sum)
        });
        let sums = bounded.collect();
        let requests = end.requests.zip(self.requests).map(|(end, start)| end.min(start));
        Self { at_ns: self.at_ns.min(end.at_ns), requests, sums }
    }

    /// The window from here to a later edge, with who lived in it.
    fn until(&self, end: &Self) -> Window {
        let difference = |end: &WorkerWindow| {
            let mut worker = end.clone();
            if let Some(start) = self.sums.get(&end.tgid) {
                worker.numbers_mut().zip(start.numbers()).for_each(|(number, start)| *number -= start);
            }
            worker
        };
        let workers = end.sums.values().map(difference);
        Window {
            duration_ns: end.at_ns - self.at_ns,
            requests: end.requests.zip(self.requests).map(|(end, start)| end - start),
            workers: workers.filter(|worker| worker.numbers().any(|number| number != 0)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use profiler_common::{event::ThreadRecord, sched::TaskCounters, wait};

    use super::*;
    use crate::{
        collect::stat::ThreadKey,
        model::{
            accounting::{Counters, ThreadDelta},
            fixture,
            waits::Waits,
        },
    };

    const SECOND: Duration = Duration::from_secs(1);

    const MS: u64 = 1_000_000;

    /// The master of the fixture, its only thread with so much on-CPU time.
    fn threads(on_cpu_ns: u64) -> ThreadDeltas {
        let counters = Counters { on_cpu_ns, ..Counters::default() };
        let (name, waits, exited) = (String::new(), Waits::default(), false);
        ThreadDeltas::from([(
            1230,
            vec![(key(1230), ThreadDelta { tid: 1230, name, counters, waits, exited })],
        )])
    }

    fn key(tid: u32) -> ThreadKey {
        let task = TaskCounters { tid, ..Default::default() };
        ThreadKey::of(&ThreadRecord { task, waits: wait::Waits::default() })
    }

    fn on_cpu(windows: &[Window], tgid: u32) -> Vec<u64> {
        let of = |window: &Window| window.workers.iter().find(|worker| worker.tgid == tgid).cloned();
        windows.iter().map(|window| of(window).map_or(0, |worker| worker.counters.on_cpu_ns)).collect()
    }

    #[test]
    fn they_add_up_whatever_was_estimated() {
        let mut windows = WindowEdges::begin(SECOND, 0);
        // The fixture's second has 2 ms of it: the second edge had thought of more.
        for (at_ms, cpu_ms, requests) in [(250, 1, 10), (500, 3, 30), (650, 2, 31)] {
            windows.push(at_ms * MS, Some(requests), &threads(cpu_ms * MS));
        }
        windows.edges.last_mut().unwrap().at_ns = 400 * MS;
        let mut windows = windows.end(&fixture::stat(), Some(70));
        assert_eq!(on_cpu(&windows, 1230), [MS, MS, 0, 0]);
        assert_eq!(on_cpu(&windows, 1234), [0, 0, 0, 400 * MS + 3]);
        let requests: Vec<_> = windows.iter().filter_map(|window| window.requests).collect();
        assert_eq!(requests, [10, 20, 1, 39]);
        assert_eq!(windows.iter().map(|window| window.duration_ns).sum::<u64>(), 1_000_000_000);
        let last = windows.pop().unwrap().workers;
        assert_eq!(last[0].waits.blocked_ns(), last[0].counters.blocked_ns);
        assert!(last.iter().all(|worker| worker.waits.run_queue.is_empty()), "no histograms");
    }

    #[test]
    fn a_short_rest_is_a_part_of_the_last() {
        let mut windows = WindowEdges::begin(SECOND, 0);
        windows.push(300 * MS, None, &threads(MS));
        windows.push(900 * MS, None, &threads(MS));
        let windows = windows.end(&fixture::stat(), None);
        assert_eq!(windows.iter().map(|window| window.duration_ns).collect::<Vec<_>>(), [300 * MS, 700 * MS]);
        assert_eq!(windows[0].requests, None);
    }

    #[test]
    fn who_is_gone_still_counts() {
        let mut windows = WindowEdges::begin(SECOND, 0);
        let mut gone = threads(MS);
        gone.get_mut(&1230).unwrap()[0].1.exited = true;
        windows.push(100 * MS, None, &gone);
        windows.push(200 * MS, None, &ThreadDeltas::new());
        let sums = |edge: usize| windows.edges[edge].sums[&1230].counters.on_cpu_ns;
        assert_eq!((sums(0), sums(1)), (MS, MS));
    }

    #[test]
    fn a_large_fleet_stays_small() {
        let mut windows = WindowEdges::begin(SECOND, 0);
        let many: ThreadDeltas = (0..1000).map(|tgid| (tgid, threads(MS).remove(&1230).unwrap())).collect();
        for second in 1..150 {
            windows.push(second * 1000 * MS, None, &many);
        }
        let rows = windows.edges.iter().map(|edge| edge.sums.len()).sum::<usize>();
        assert!(rows > MOST_ROWS / 4 && rows <= MOST_ROWS, "{rows}");
    }

    #[test]
    fn edges_that_take_long_are_few() {
        let began = Instant::now();
        let mut windows = WindowEdges::begin(SECOND, 0);
        while windows.next < began + 32 * SECOND {
            let second = (windows.next - began).as_secs();
            windows.push(second * 1000 * MS, None, &threads(second));
            windows.spend(Duration::from_millis(if second < 8 { 90 } else { 190 }));
        }
        let at: Vec<_> = windows.edges.iter().map(|edge| edge.at_ns / 1000 / MS).collect();
        assert_eq!(at, [4, 8, 12, 16, 20, 24, 28], "a twentieth of four seconds is 200 ms");
    }

    #[test]
    fn an_hour_stays_small() {
        let mut windows = WindowEdges::begin(SECOND, 0);
        let mut second = 0;
        while second < 3600 {
            second += windows.interval.as_secs();
            windows.push(second * 1000 * MS, None, &threads(second));
        }
        let stat = StatDelta { duration_ns: 3601 * 1000 * MS, ..fixture::stat() };
        let windows = windows.end(&stat, None);
        assert!(windows.len() > MOST / 2 && windows.len() <= MOST, "{}", windows.len());
        assert_eq!(windows.iter().map(|window| window.duration_ns).sum::<u64>(), stat.duration_ns);
    }
}
