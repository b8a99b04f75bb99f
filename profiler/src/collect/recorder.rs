//! Records a window: exact numbers, sampled stacks, and the stacks on which threads wait.

use std::{collections::HashMap, time::Duration};

use anyhow::Result;
use profiler_common::{event::ThreadRecord, wait::BEFORE_US};
use tokio::time::Instant;

use crate::{
    bpf::{Counts, KernelSide, Probes, SamplingClock, Snapshot},
    collect::{
        counts,
        departed_sums::DepartedSums,
        event_handler::EventHandler,
        memory::MemoryWatch,
        open_windows::{OpenWindows, RecorderEdge},
        session::{Session, Waited, after},
        sleepers::Sleepers,
        stat::ThreadDeltas,
        windows::WindowEdges,
    },
    fleet::Newcomers,
    model::{
        accounting::StatDelta,
        waits::{Blocked, Histogram},
    },
    sys::{clock, heap, thread},
};

mod outcome;
#[cfg(test)]
mod tests;

pub use self::outcome::Recorded;

/// How often new stacks are looked at: a code object must live that long to have a name.
const TICK: Duration = Duration::from_millis(100);
/// A window that begins so long after it was asked for says so.
const NOTICEABLE: Duration = Duration::from_secs(1);
/// Threads that are looked at from outside before what the kernel side sent meanwhile is taken in.
const MEANWHILE: usize = 64;

/// A recording under way.
pub struct Recorder<K = Probes> {
    session: Session<K>,
    handler: EventHandler,
    sampling: Option<(u64, SamplingClock)>,
    open: OpenWindows,
    began: Instant,
    notes: Vec<String>,
    windows: Option<WindowEdges>,
    memory: Option<MemoryWatch>,
    /// Who may be of fleets that are started meanwhile.
    newcomers: Option<Newcomers>,
    /// Counts the requests answered so far; `None` if that is not known now.
    requests: Option<Box<dyn FnMut() -> Option<u64>>>,
    /// True once something failed while it ran.
    has_failed: bool,
}

impl<K: KernelSide> Recorder<K> {
    /// Begins the window, with samples at a rate or without any. `launch` starts what is to be watched from its first
    /// instruction on, if there is such.
    pub fn start(
        mut session: Session<K>,
        rate_hz: Option<u64>,
        launch: impl FnOnce(&mut Session<K>) -> Result<()>,
    ) -> Result<Self> {
        let running = session.members();
        let mut handler = EventHandler::of_running(&mut session)?;
        let sleepers = look_at_threads(&mut session, &mut handler)?;
        let began = Instant::now();
        let (edge, snapshot, counts) = session.edge(|event| handler.handle(event))?;
        let is_late =
            |thread: &&ThreadRecord| thread.waits.open.hash == BEFORE_US && !sleepers.contains(thread);
        let mut late: Vec<_> = snapshot.threads.iter().filter(is_late).copied().collect();
        look_at_sleepers(&session, &mut handler, &mut late);
        let stacks = known(counts, &snapshot, &handler);
        let start = RecorderEdge {
            edge,
            stacks,
            losses: handler.stacks.losses(),
            requests: None,
            departed: DepartedSums::default(),
        };
        heap::begin();
        let sampling = match rate_hz {
            Some(rate_hz) => Some((rate_hz, session.kernel.sample(rate_hz)?)),
            None => None,
        };
        launch(&mut session)?;
        handler.expect(session.members().into_iter().filter(|tgid| !running.contains(tgid)));
        Ok(Self {
            session,
            handler,
            sampling,
            open: OpenWindows { whole: start, interval: None },
            began,
            notes: Vec::new(),
            windows: None,
            memory: None,
            newcomers: None,
            requests: None,
            has_failed: false,
        })
    }

    /// Says in the quality how long after it was asked for the window began, if anybody would notice.
    pub fn note_delay(&mut self, asked: Instant) {
        let delay = self.began - asked;
        if delay > NOTICEABLE {
            self.notes.push(format!("the window began {:.1} s after it was asked for", delay.as_secs_f64()));
        }
    }

    /// When the window began.
    #[must_use]
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// Keeps windows of such a length apart from now on.
    pub fn keep_windows(&mut self, interval: Duration) {
        self.windows = Some(WindowEdges::begin(interval, self.session.gone().len()));
    }

    /// Follows fleets that are started from now on, too.
    pub fn welcome(&mut self, newcomers: Newcomers) {
        self.newcomers = Some(newcomers);
    }

    /// Watches memory and disks from now on.
    pub fn watch_memory(&mut self) {
        self.memory = Some(MemoryWatch::begin(self.session.members()));
    }

    /// Begins the window anew, now, and asks somebody at each edge how many requests have been answered so far; `None` if that
    /// cannot be told now.
    pub fn count_requests_with(&mut self, count: Box<dyn FnMut() -> Option<u64>>) -> Result<()> {
        self.requests = Some(count);
        self.began = Instant::now();
        self.open.whole = self.edge()?;
        let gone = self.session.gone().len();
        self.windows = self.windows.take().map(|windows| windows.begin_anew(gone));
        Ok(())
    }

    /// Runs until the deadline, until the user asks to stop, until all followed processes have ended, or until `each_tick`
    /// returns false. Returns true only at the deadline. After a failure the window can still be ended, and says so.
    pub async fn run(&mut self, deadline: Option<Instant>, each_tick: impl FnMut() -> bool) -> Result<bool> {
        let ended = self.run_until(deadline, each_tick).await;
        if let Err(error) = &ended {
            self.notes.push(format!("the window ended early: {error:#}"));
            self.has_failed = true;
        }
        ended
    }

    async fn run_until(
        &mut self,
        deadline: Option<Instant>,
        mut each_tick: impl FnMut() -> bool,
    ) -> Result<bool> {
        loop {
            let tick = after(TICK);
            let wake = deadline.map_or(tick, |deadline| deadline.min(tick));
            let waited = self.session.wait(Some(wake)).await?;
            self.handle_events()?;
            if self.windows.as_ref().is_some_and(WindowEdges::is_due) {
                self.end_second()?;
            }
            self.let_go()?;
            self.let_in()?;
            if waited == Waited::Stopped || self.session.is_over() || !each_tick() {
                return Ok(false);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(true);
            }
        }
    }

    /// Ends an interval, now: what happened since the last one ended.
    pub fn end_interval(&mut self) -> Result<StatDelta> {
        let edge = self.edge()?;
        let stat = self.delta(self.open.interval.as_ref().unwrap_or(&self.open.whole), &edge);
        self.open.interval = Some(edge);
        Ok(stat)
    }

    /// An edge, now.
    fn edge(&mut self) -> Result<RecorderEdge> {
        let Self { session, handler, requests, .. } = self;
        let (mut edge, snapshot, counts) = session.edge(|event| handler.handle(event))?;
        handler.learn_names(&snapshot.threads);
        edge.stat.rename_threads(|thread| handler.name(thread));
        let requests = requests.as_mut().and_then(|count| count());
        let stacks = known(counts, &snapshot, handler);
        let losses = handler.stacks.losses();
        Ok(RecorderEdge { edge, stacks, losses, requests, departed: DepartedSums::default() })
    }

    /// Follows fleets that were started meanwhile. They are in all windows that are open, from now on.
    fn let_in(&mut self) -> Result<()> {
        let Self { session, handler, open, newcomers, .. } = self;
        let found = newcomers.as_mut().map(|newcomers| newcomers.find(&session.fleets)).unwrap_or_default();
        if found.is_empty() {
            return Ok(());
        }
        let new = session.add(found)?;
        handler.meet(session, new.iter().copied())?;
        let (edge, mut snapshot, counts) = session.edge(|event| handler.handle(event))?;
        snapshot.threads.retain(|thread| new.contains(&thread.task.tgid));
        look_at_sleepers(session, handler, &mut snapshot.threads);
        let mut counts = known(counts, &snapshot, handler);
        counts.retain(|key, _| new.contains(&key.tgid));
        open.let_in(&new, &edge, &counts);
        Ok(())
    }

    /// Makes sums of those who ended first, once many have, in all windows that are open.
    fn let_go(&mut self) -> Result<()> {
        let shown = self.windows.as_ref().map_or(usize::MAX, WindowEdges::shown);
        let Self { session, handler, open, windows, .. } = self;
        let Some(departed) = session.take_departed(shown) else { return Ok(()) };
        empty_table(session, handler)?;
        open.let_go(&departed, session, handler);
        handler.forget(&departed);
        session.forget(&departed);
        if let Some(windows) = windows {
            windows.join(&departed);
        }
        Ok(())
    }

    /// The edge between two seconds. It is not compared with `/proc`, and of the stacks only those are counted that
    /// tell what waits were for: so it costs little.
    fn end_second(&mut self) -> Result<()> {
        let Self { session, handler, open: OpenWindows { whole: start, .. }, windows, requests, .. } = self;
        let Some(windows) = windows else { return Ok(()) };
        let began_ns = clock::thread_cpu_ns();
        let snapshot = session.threads(|event| handler.handle(event))?;
        let reclassified: Vec<_> = handler.stacks.reclassified().collect();
        let counts = session.kernel.stacks_of(&reclassified.iter().map(|(key, ..)| *key).collect())?;
        session.kernel.end_edge()?;
        handler.learn_names(&snapshot.threads);
        let requests = requests.as_mut().and_then(|count| count()).zip(start.requests);
        let requests = requests.map(|(count, before)| count - before);
        let edge = session.stat_snapshot(&snapshot, windows.recent(session.gone()));
        let mut threads = edge.threads_since(&start.edge.stat, |tgid| handler.has_gil(tgid));
        let places = places_of(&threads);
        let counts = counts::between(&start.stacks, counts::with_open(counts, &snapshot));
        for (key, from, to) in reclassified {
            if let Some(place) = places.get(&(key.tgid, handler.stacks.tid_of(&key)))
                && let (Some(threads), Some(count)) = (threads.get_mut(&key.tgid), counts.get(&key))
            {
                let (ns, count, histogram) = (count.ns, count.count, Histogram::default());
                threads[*place].1.waits.reclassify(from, to, &Blocked { ns, count, histogram });
            }
        }
        windows.push(edge.at_ns.saturating_sub(start.edge.stat.at_ns), requests, &threads);
        windows.spend(Duration::from_nanos(clock::thread_cpu_ns() - began_ns));
        Ok(())
    }

    /// Handles what the kernel side sent, and empties its table of stacks before that is full.
    fn handle_events(&mut self) -> Result<()> {
        self.drain();
        let answers = self.handler.ask_starting();
        if !answers.is_empty() {
            self.drain();
        }
        let Self { session, handler, .. } = self;
        handler.follow_answered(session, answers)?;
        session.judge_newcomers();
        take_in(session, handler)
    }

    fn drain(&mut self) {
        let Self { session, handler, .. } = self;
        session.drain(|event| handler.handle(event));
    }
}

/// Looks at all threads before the window begins, which takes its time where there are many; returns who slept. What is read of one
/// that wakes meanwhile describes no stack that the window counts.
fn look_at_threads<K: KernelSide>(session: &mut Session<K>, handler: &mut EventHandler) -> Result<Sleepers> {
    let mut threads = session.threads(|event| handler.handle(event))?.threads;
    session.kernel.end_edge()?;
    threads.sort_unstable_by_key(|thread| (thread.task.tgid, thread.task.tid));
    for some in threads.chunks(MEANWHILE) {
        handler.look_at(some, session.plan.blocked, |_| true);
        take_in(session, handler)?;
    }
    Ok(Sleepers::among(&threads))
}

/// Looks at threads whose window has begun: of one that has run since, the stack is not what it was.
fn look_at_sleepers<K>(session: &Session<K>, handler: &mut EventHandler, threads: &mut [ThreadRecord]) {
    threads.sort_unstable_by_key(|thread| (thread.task.tgid, thread.task.tid));
    handler.look_at(threads, session.plan.blocked, |ThreadRecord { task, .. }| {
        thread::has_slept_since(task.tgid, task.tid, task.voluntary)
    });
}

/// Counts up to an edge, of stacks that are known.
fn known(counts: Counts, snapshot: &Snapshot, handler: &EventHandler) -> Counts {
    let mut counts = counts::with_open(counts, snapshot);
    counts::join_unknown(&mut counts, |key| handler.stacks.is_described(key));
    counts
}

/// Takes in what the kernel side sent, and empties its table of stacks before that is full.
fn take_in<K: KernelSide>(session: &mut Session<K>, handler: &mut EventHandler) -> Result<()> {
    session.drain(|event| handler.handle(event));
    if handler.in_table > session.plan.sizes.stacks / 2 { empty_table(session, handler) } else { Ok(()) }
}

/// Empties the kernel side's table of stacks.
fn empty_table<K: KernelSide>(session: &mut Session<K>, handler: &mut EventHandler) -> Result<()> {
    session.kernel.empty_stacks()?;
    handler.in_table = 0;
    // What is counted was described before, and that is taken in.
    session.drain(|event| handler.handle(event));
    counts::join_unknown(session.kernel.emptied(), |key| handler.stacks.is_described(key));
    Ok(())
}

/// Where each thread is among those of its process, by tgid and TID.
fn places_of(threads: &ThreadDeltas) -> HashMap<(u32, u32), usize> {
    let mut places = HashMap::new();
    for (tgid, threads) in threads {
        for (place, (_, thread)) in threads.iter().enumerate() {
            places.entry((*tgid, thread.tid)).or_insert(place);
        }
    }
    places
}
