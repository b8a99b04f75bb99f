//! A session: loads the programs, follows fleets, and takes snapshots at a window's edges.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::Result;
use profiler_common::{config::FollowedProcess, event::Event, loss_cause::LossCause, python::PyTarget};
use tokio::time::Instant;

use crate::{
    bpf::{Counts, KernelSide, ProbePlan, Probes, Snapshot},
    collect::{
        departed::{self, Departed},
        preflight, procfs_check,
        sent_threads::SentThreads,
        sleep::Clocks,
        stat::{Gone, StatSnapshot, ThreadKey},
        stop::Stop,
    },
    fleet::{self, Fleet, Member},
    model::{
        quality::{Losses, Quality},
        worker::{Death, Role},
    },
    sys::{cgroup::Groups, clock, heap, tids},
};

/// How long a process that was forked is given to show its part: titles, sockets and stacks come after the fork.
const INFANCY: Duration = Duration::from_secs(1);
/// How long processes that are forked by those that are not followed yet are looked for.
const FOLLOWING: Duration = Duration::from_secs(1);
/// Newcomers are judged again after so many times what it took the last time, on a CPU: a fleet that forks without end takes a
/// tenth of a core.
const JUDGING_SHARE: u32 = 9;
/// Attempts to catch the scheduler's clock at an edge.
const ATTEMPTS: u32 = 16;
/// How long an edge waits for threads on their way out.
const LEAVING: Duration = Duration::from_millis(100);

/// Why a wait of the session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The deadline came.
    Deadline,
    /// The user asked to stop (Ctrl-C, SIGTERM).
    Stopped,
    /// The kernel side sent a fork or an exec.
    RingReady,
}

/// The loaded programs, the fleets that they follow, and what they have sent.
pub struct Session<K = Probes> {
    /// The programs and maps.
    pub kernel: K,
    /// What the programs were loaded for.
    pub plan: ProbePlan,
    /// Followed fleets; processes that are born join them.
    pub fleets: Vec<Fleet>,
    /// What snapshots cannot list.
    sent: SentThreads,
    /// The control groups of each process that was ever seen, which remain when it is gone.
    groups: HashMap<u32, Groups>,
    /// How processes ended, by tgid; only of those that have ended.
    deaths: HashMap<u32, Death>,
    /// The last fork of a process, if its part is to be judged yet; and when that is to be done.
    infant: Option<(Instant, Instant)>,
    /// Threads gone since somebody last asked whether anyone is left.
    exits: u64,
    undecodable: u64,
    /// Processes that are not followed: the kernel side has no room for more.
    without_room: HashSet<u32>,
    /// How many more of those there were, who are not listed any more.
    gone_without_room: u64,
    /// True if processes were forked faster than they could be followed.
    outrun: bool,
    stop: Stop,
}

impl Session {
    /// Checks what is needed, loads, attaches, and follows these fleets.
    pub fn open(fleets: Vec<Fleet>, plan: ProbePlan) -> Result<Self> {
        let types = preflight::require()?;
        // Caught before anything is attached: from here on a Ctrl-C ends the window, not the process.
        let stop = Stop::listen()?;
        Self::follow_with(Probes::open(types, plan)?, fleets, plan, stop)
    }
}

impl<K: KernelSide> Session<K> {
    /// Follows these fleets with a kernel side that was made by a plan.
    pub fn follow_with(kernel: K, fleets: Vec<Fleet>, plan: ProbePlan, stop: Stop) -> Result<Self> {
        let mut session = Self {
            kernel,
            plan,
            fleets,
            sent: SentThreads::default(),
            groups: HashMap::new(),
            deaths: HashMap::new(),
            infant: None,
            exits: 0,
            undecodable: 0,
            without_room: HashSet::new(),
            gone_without_room: 0,
            outrun: false,
            stop,
        };
        session.follow_all()?;
        Ok(session)
    }

    /// Follows every member, and those that were forked before their parents were followed. The children of those that are
    /// followed are, so only they are left who were forked by others meanwhile.
    fn follow_all(&mut self) -> Result<()> {
        let deadline = Instant::now() + FOLLOWING;
        loop {
            let mut anyone = false;
            for tgid in self.members() {
                if !self.without_room.contains(&tgid) && !self.kernel.follows(tgid)? {
                    self.follow(tgid, PyTarget::default())?;
                    anyone = true;
                }
            }
            if !anyone {
                return Ok(());
            }
            if Instant::now() >= deadline {
                self.outrun = true;
                return Ok(());
            }
            fleet::adopt(&mut self.fleets);
        }
    }

    /// Follows a process, or changes how its Python is walked. The kernel side knows fleets by their places here.
    pub fn follow(&mut self, tgid: u32, python: PyTarget) -> Result<()> {
        let place = self.fleets.iter().position(|fleet| fleet.member(tgid).is_some());
        let member = place.and_then(|place| self.fleets[place].member(tgid));
        let is_master = member.is_some_and(|member| member.role == Role::Master);
        let fleet = place.map_or(0, |place| place as u32 + 1);
        let process =
            FollowedProcess { python, fleet, is_master: u32::from(is_master), ..FollowedProcess::default() };
        if !self.kernel.follow(tgid, &process)? {
            self.without_room.insert(tgid);
        }
        Ok(())
    }

    /// Follows more fleets, and returns their processes.
    pub fn add(&mut self, fleets: Vec<Fleet>) -> Result<HashSet<u32>> {
        let before: HashSet<u32> = self.members().into_iter().collect();
        fleet::add(&mut self.fleets, fleets);
        self.follow_all()?;
        Ok(self.members().into_iter().filter(|tgid| !before.contains(tgid)).collect())
    }

    /// The processes of all fleets.
    #[must_use]
    pub fn members(&self) -> Vec<u32> {
        fleet::tgids(&self.fleets).collect()
    }

    /// The processes of all fleets that were not seen to end.
    fn living(&self) -> Vec<u32> {
        self.fleets.iter().flat_map(Fleet::living).map(|member| member.tgid).collect()
    }

    /// True of a worker whose fleet listens on sockets, where it is looked at what these receive.
    #[must_use]
    pub fn work_comes_by_sockets(&self, tgid: u32) -> bool {
        let fleet = self.fleets.iter().find(|fleet| fleet.member(tgid).is_some());
        self.kernel.counts_receives()
            && fleet.is_some_and(|fleet| {
                !fleet.listening.is_empty() && fleet.with(Role::Worker).any(|worker| worker.tgid == tgid)
            })
    }

    /// Waits for a time, for the user to stop, or for news from the kernel side.
    pub async fn wait(&mut self, deadline: Option<Instant>) -> Result<Waited> {
        let time = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // News without end must not keep the others from being heard.
            biased;
            () = self.stop.asked() => Ok(Waited::Stopped),
            () = time => Ok(Waited::Deadline),
            ready = self.kernel.readable() => ready.map(|()| Waited::RingReady),
        }
    }

    /// Handles what the kernel side sent: keeps the counters of threads that are gone, and lets newly forked processes join
    /// their fleets. `each` sees every event, in order.
    pub fn drain(&mut self, mut each: impl FnMut(&Event<'_>)) {
        let Self { kernel, fleets, sent, deaths, infant, exits, undecodable, without_room, .. } = self;
        kernel.drain_ring(|record| {
            let Some(event) = Event::decode(record) else {
                *undecodable += 1;
                return;
            };
            match &event {
                Event::Fork(fork) => {
                    deaths.remove(&fork.tgid);
                    if heap::room() > 0 {
                        fleet::join(fleets, fork.tgid, fork.parent_tgid);
                    } else {
                        without_room.insert(fork.tgid);
                    }
                    let now = Instant::now();
                    *infant = Some((now, infant.map_or(now + INFANCY, |(_, due)| due)));
                }
                Event::Exit(exit) => {
                    // Its parent learns of its end later, and may only then fork a successor.
                    if exit.ends_process == 1 {
                        fleet::leave(fleets, exit.task.tgid);
                        deaths.insert(exit.task.tgid, Death::of(exit.code));
                    }
                    *exits += u64::from(exit.is_last);
                }
                Event::Exec(exec) => fleet::renew(fleets, exec.tgid),
                Event::ThreadAtEdge(_) | Event::Stack(..) | Event::KnownStack(_) | Event::Code(..) => {}
            }
            sent.handle(&event);
            each(&event);
        });
    }

    /// Judges by their servers' rules those that joined, once they are old enough; while others go on to join, again and
    /// again.
    pub fn judge_newcomers(&mut self) {
        let now = Instant::now();
        if let Some((last, _)) = self.infant.filter(|(_, due)| *due <= now) {
            let began_ns = clock::thread_cpu_ns();
            fleet::refresh(&mut self.fleets);
            let pause = Duration::from_nanos(clock::thread_cpu_ns() - began_ns) * JUDGING_SHARE;
            let due = (last + INFANCY > now).then(|| (last + INFANCY).max(now + pause));
            self.infant = due.map(|due| (last, due));
        }
    }

    /// True once every followed process has ended. Looks only when a thread ended since the last look.
    pub fn is_over(&mut self) -> bool {
        if std::mem::take(&mut self.exits) == 0 {
            return false;
        }
        // One whose end was not heard may be gone, and a zombie, which waits for its parent only, exists.
        let over = !self.living().into_iter().any(tids::exists);
        // A process that is still on its way out gets another look.
        self.exits = u64::from(!over);
        over
    }

    /// Takes a snapshot and reads the counts of all stacks, at one edge. `each` sees what the kernel side sent meanwhile: a stack
    /// that is new is described before it is counted.
    pub fn edge(&mut self, mut each: impl FnMut(&Event<'_>)) -> Result<(SessionEdge, Snapshot, Counts)> {
        let compared = procfs_check::choose(self.living());
        let before = procfs_check::read(&compared);
        let mut snapshot = self.begin_edge(&mut each)?;
        let counts = self.kernel.stacks()?;
        let after = procfs_check::read(&compared);
        self.complete(&mut snapshot, &mut each);
        // While an edge is open each thread that changes says how it stood: there may be thousands of them.
        self.kernel.end_edge()?;
        let mut quality = Quality::default();
        procfs_check::compare(&mut quality, &before, &snapshot.threads, &after);
        if !snapshot.exact {
            quality.notes.push("the scheduler's clock could not be caught exactly at an edge: running threads may be off by one tick there".to_owned());
        }
        let edge = SessionEdge {
            stat: self.stat_snapshot(&snapshot, self.sent.gone()),
            unix_ns: snapshot.unix_ns,
            clocks: Clocks::now(snapshot.clock_offset_ns),
            own_cpu_ns: clock::process_cpu_ns(),
            throttled_ns: self.throttled_ns(),
            losses: self.losses()?,
            quality,
        };
        Ok((edge, snapshot, counts))
    }

    /// Takes a snapshot that is not compared with `/proc`, at an edge that stays open for stacks to be read until
    /// [`KernelSide::end_edge`]. `each` sees what the kernel side sent meanwhile.
    pub fn threads(&mut self, mut each: impl FnMut(&Event<'_>)) -> Result<Snapshot> {
        let mut snapshot = self.begin_edge(&mut each)?;
        self.complete(&mut snapshot, &mut each);
        Ok(snapshot)
    }

    fn begin_edge(&mut self, mut each: impl FnMut(&Event<'_>)) -> Result<Snapshot> {
        self.sent.begin_edge();
        self.kernel.begin_edge()?;
        let mut snapshot = self.kernel.snapshot()?;
        for _ in 1..ATTEMPTS {
            // Each thread may have sent how it stood, more than the ring has room for.
            self.drain(&mut each);
            if snapshot.exact {
                break;
            }
            snapshot = self.kernel.snapshot()?;
        }
        Ok(snapshot)
    }

    /// What was lost so far, by cause.
    fn losses(&mut self) -> Result<Losses> {
        let mut losses: Losses = self.kernel.losses()?.into_iter().collect();
        losses.insert(LossCause::Undecodable, self.undecodable);
        losses.insert(LossCause::ExitNotKept, self.sent.exits_not_kept());
        Ok(losses)
    }

    /// Cumulative times and waits of the threads of a snapshot, and of some that are gone.
    #[must_use]
    pub fn stat_snapshot(&self, snapshot: &Snapshot, gone: &[Gone]) -> StatSnapshot {
        StatSnapshot::new(snapshot, gone, self.plan.waits)
    }

    /// How long each process's quota has held it, by the kernel's count; without a quota it is absent.
    fn throttled_ns(&mut self) -> HashMap<u32, u64> {
        for tgid in self.living() {
            self.groups.entry(tgid).or_insert_with(|| Groups::of(tgid));
        }
        // Most processes share theirs.
        let (mut by_groups, mut throttled) = (HashMap::new(), HashMap::new());
        for (tgid, groups) in &self.groups {
            if let Some(ns) = *by_groups.entry(groups).or_insert_with(|| groups.throttled_ns()) {
                throttled.insert(*tgid, ns);
            }
        }
        throttled
    }

    /// Completes a snapshot with what was sent since its edge began. Threads that the kernel lists no more have to run for the
    /// last time: that takes them µs, unless they wait for a CPU. Those that take longer are shown as they were when they began
    /// to exit.
    fn complete(&mut self, snapshot: &mut Snapshot, mut each: impl FnMut(&Event<'_>)) {
        // After the reading: a thread that exits meanwhile is in one or the other then.
        self.drain(&mut each);
        let listed: HashSet<_> = snapshot.threads.iter().map(ThreadKey::of).collect();
        let deadline = Instant::now() + LEAVING;
        while self.sent.lack(&listed) && Instant::now() < deadline {
            std::thread::yield_now();
            self.drain(&mut each);
        }
        self.sent.complete(snapshot, &listed);
    }

    /// Takes out of the lists who ended first, once many have: no threads but of the first so many.
    pub fn take_departed(&mut self, shown: usize) -> Option<Departed> {
        if self.sent.gone().len() <= departed::MOST_THREADS {
            return None;
        }
        let count = (self.sent.gone().len() - departed::LEFT_THREADS).min(shown);
        let threads = self.sent.take_first(count);
        if threads.is_empty() {
            return None;
        }
        let listed = self.sent.tgids();
        let is_listed = |member: &Member| listed.contains(&member.tgid);
        let processes = fleet::remove_ended(&mut self.fleets, departed::MOST_PROCESSES, is_listed);
        Some(Departed::new(threads, processes))
    }

    /// Forgets processes that are not listed any more.
    pub fn forget(&mut self, departed: &Departed) {
        for (_, Member { tgid, .. }) in &departed.processes {
            self.deaths.remove(tgid);
            self.groups.remove(tgid);
            self.gone_without_room += u64::from(self.without_room.remove(tgid));
        }
    }

    /// Threads that are gone, in the order of their ends.
    #[must_use]
    pub fn gone(&self) -> &[Gone] {
        self.sent.gone()
    }

    /// How exact and complete the counters between two edges are.
    #[must_use]
    pub fn quality(&self, start: &SessionEdge, end: &SessionEdge) -> Quality {
        let mut quality = Quality {
            user_system_split: "by the kernel's ticks, scaled to the exact on-CPU time".to_owned(),
            tick_ns: clock::tick_ns(),
            own_cpu_ns: end.own_cpu_ns.saturating_sub(start.own_cpu_ns),
            ..Quality::default()
        };
        for edge in [&start.quality, &end.quality] {
            quality.largest_on_cpu_difference_ns =
                quality.largest_on_cpu_difference_ns.max(edge.largest_on_cpu_difference_ns);
            quality.largest_switch_difference =
                quality.largest_switch_difference.max(edge.largest_switch_difference);
            quality.threads_compared = quality.threads_compared.max(edge.threads_compared);
            quality.notes.extend(edge.notes.iter().cloned());
        }
        quality.notes.extend(end.clocks.sleep_since(start.clocks));
        if let Some(why) = self.kernel.without_stacks() {
            quality
                .notes
                .push(format!("waits have no stacks, so those for work are not told from others: {why}"));
        }
        if self.outrun {
            quality.notes.push(
                "processes were forked faster than they could be followed: some are missing".to_owned(),
            );
        }
        quality.count_losses_between(&start.losses, &end.losses);
        let without_room = self.without_room.len() as u64 + self.gone_without_room;
        quality.count_loss(LossCause::ProcessesFull, without_room);
        quality
    }

    /// How processes ended, by tgid.
    #[must_use]
    pub const fn deaths(&self) -> &HashMap<u32, Death> {
        &self.deaths
    }
}

/// How long quotas held a process between two edges, ns; `None` without a quota.
#[must_use]
pub fn throttled_between(start: &SessionEdge, end: &SessionEdge, tgid: u32) -> Option<u64> {
    let end = end.throttled_ns.get(&tgid)?;
    Some(end - start.throttled_ns.get(&tgid).unwrap_or(&0))
}

/// One edge of a window: all threads, and what was lost by then.
#[derive(Clone, Debug)]
pub struct SessionEdge {
    /// Cumulative times and waits of all threads.
    pub stat: StatSnapshot,
    /// Wall clock at the edge, ns since the epoch.
    pub unix_ns: u64,
    /// Clocks that tell whether the machine slept between two edges.
    pub clocks: Clocks,
    /// CPU time that this process had used by then, ns.
    pub own_cpu_ns: u64,
    /// How long quotas had held processes by then, ns, by tgid; only of those that have a quota.
    pub throttled_ns: HashMap<u32, u64>,
    /// Losses so far, by cause.
    pub losses: Losses,
    /// How the counters compare with `/proc`.
    pub quality: Quality,
}

/// A deadline so far from now.
#[must_use]
pub fn after(duration: Duration) -> Instant {
    Instant::now() + duration
}
