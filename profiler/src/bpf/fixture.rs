//! A kernel side that does what a test says.

use std::{
    cell::{RefCell, RefMut},
    collections::{HashMap, HashSet},
    future::pending,
    mem,
    rc::Rc,
};

use anyhow::{Result, bail};
use bytemuck::{Pod, Zeroable as _};
use profiler_common::{
    config::{FollowedProcess, ON_CPU, StackKey},
    event::{ExitRecord, ForkRecord, RecordKind, StackRecord, ThreadAtEdge, ThreadRecord},
    loss_cause::LossCause,
    sched::TaskCounters,
    wait::{NO_SYSCALL, Reason, Waits},
};

use crate::bpf::{Counts, KernelSide, SamplingClock, Snapshot, StackSum};

/// A millisecond, ns.
pub const MS: u64 = 1_000_000;

/// What the kernel side has, and has sent. The test changes it while a session uses it.
#[derive(Debug, Default)]
pub struct Script {
    /// The time, by all clocks, ns.
    pub now_ns: u64,
    /// The followed threads that live.
    pub threads: Vec<ThreadRecord>,
    /// Threads that change while the next snapshot is read: as they stand at its edge, and as they are when they are read, if
    /// they are listed.
    pub changes: Vec<(ThreadRecord, Option<ThreadRecord>)>,
    /// The table of stacks.
    pub counts: Counts,
    /// What was lost so far.
    pub losses: HashMap<LossCause, u64>,
    /// How many more processes can be followed.
    pub room: usize,
    /// So many snapshots cannot compare their clocks.
    pub inexact: u32,
    /// True if the table of stacks cannot be emptied.
    pub is_broken: bool,
    /// Snapshots so far.
    pub snapshots: u32,
    /// True while threads are sampled.
    pub is_sampling: bool,
    followed: HashSet<u32>,
    ring: Vec<Vec<u64>>,
    edge: u32,
}

impl Script {
    /// Sends a record.
    pub fn send(&mut self, record: &impl Pod) {
        let bytes = bytemuck::bytes_of(record);
        // The ring's records are aligned.
        let mut words = vec![0; bytes.len().div_ceil(size_of::<u64>())];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        self.ring.push(words);
    }

    /// A process of one thread ends, as it is.
    pub fn end(&mut self, tgid: u32, code: u32) {
        let ended: Vec<_> = self.threads.extract_if(.., |thread| thread.task.tgid == tgid).collect();
        for ThreadRecord { task, waits } in ended {
            let kind = RecordKind::Exit as u32;
            self.send(&ExitRecord { kind, is_last: 1, ends_process: 1, code, task, waits });
        }
    }

    /// A process is forked.
    pub fn fork(&mut self, tgid: u32, parent_tgid: u32) {
        self.send(&ForkRecord { kind: RecordKind::Fork as u32, tgid, parent_tgid, reserved: 0 });
    }

    /// A thread is on a stack that is new.
    pub fn describe(&mut self, key: StackKey) {
        self.send(&StackRecord { kind: RecordKind::Stack as u32, key, ..StackRecord::zeroed() });
    }
}

/// The kernel side of a script.
#[derive(Debug, Default)]
pub struct ScriptedKernel {
    script: Rc<RefCell<Script>>,
    emptied: Counts,
}

impl ScriptedKernel {
    /// Another one of the same script, for the session.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self { script: Rc::clone(&self.script), emptied: Counts::new() }
    }

    /// The script, to be changed.
    #[must_use]
    pub fn script(&self) -> RefMut<'_, Script> {
        self.script.borrow_mut()
    }
}

impl KernelSide for ScriptedKernel {
    fn follow(&mut self, tgid: u32, _: &FollowedProcess) -> Result<bool> {
        let mut script = self.script();
        if !script.followed.contains(&tgid) {
            let Some(room) = script.room.checked_sub(1) else { return Ok(false) };
            script.room = room;
            script.followed.insert(tgid);
        }
        Ok(true)
    }

    fn follows(&mut self, tgid: u32) -> Result<bool> {
        Ok(self.script().followed.contains(&tgid))
    }

    fn counts_receives(&self) -> bool {
        false
    }

    fn without_stacks(&self) -> Option<&str> {
        None
    }

    fn readable(&self) -> impl Future<Output = Result<()>> {
        pending()
    }

    fn drain_ring(&mut self, mut take: impl FnMut(&[u8])) {
        let ring = mem::take(&mut self.script().ring);
        for record in &ring {
            take(bytemuck::cast_slice(record));
        }
    }

    fn begin_edge(&mut self) -> Result<()> {
        self.script().edge += 1;
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot> {
        let mut script = self.script();
        script.snapshots += 1;
        let exact = script.inexact == 0;
        script.inexact = script.inexact.saturating_sub(1);
        let (edge, now_ns) = (script.edge, script.now_ns);
        let mut threads = script.threads.clone();
        for (mut living, now) in mem::take(&mut script.changes) {
            living.waits.edge = edge;
            script.send(&ThreadAtEdge { kind: RecordKind::ThreadAtEdge as u32, reserved: 0, living });
            threads.extend(now.map(|mut now| {
                now.waits.edge = edge;
                now
            }));
        }
        Ok(Snapshot {
            began_ns: now_ns,
            at_ns: now_ns,
            unix_ns: now_ns,
            clock_offset_ns: 0,
            exact,
            edge,
            threads,
        })
    }

    fn stacks(&mut self) -> Result<Counts> {
        let mut counts = self.emptied.clone();
        for (key, more) in &self.script().counts {
            counts.entry(*key).or_default().add(more);
        }
        Ok(counts)
    }

    fn stacks_of(&mut self, keys: &HashSet<StackKey>) -> Result<Counts> {
        let mut counts = self.stacks()?;
        counts.retain(|key, _| keys.contains(key));
        Ok(counts)
    }

    fn end_edge(&mut self) -> Result<()> {
        Ok(())
    }

    fn empty_stacks(&mut self) -> Result<()> {
        if self.script().is_broken {
            bail!("failed to read the stacks");
        }
        self.emptied = self.stacks()?;
        self.script().counts.clear();
        Ok(())
    }

    fn emptied(&mut self) -> &mut Counts {
        &mut self.emptied
    }

    fn forget_stacks(&mut self) {
        self.emptied.clear();
    }

    fn losses(&mut self) -> Result<Vec<(LossCause, u64)>> {
        Ok(self.script().losses.iter().map(|(cause, count)| (*cause, *count)).collect())
    }

    fn sample(&mut self, _: u64) -> Result<SamplingClock> {
        self.script().is_sampling = true;
        Ok(SamplingClock::CpuClock)
    }

    fn stop_sampling(&mut self) -> Result<()> {
        self.script().is_sampling = false;
        Ok(())
    }
}

/// A thread that sleeps, and has run and slept for so long; it waited once, on a socket, for all of its sleep.
#[must_use]
pub fn thread(tgid: u32, tid: u32, birth_ns: u64, on_cpu_ns: u64, slept_ns: u64) -> ThreadRecord {
    let mut waits = Waits { tid, birth: birth_ns, made_ns: birth_ns, ..Waits::default() };
    let socket = Reason::Socket as usize;
    (waits.blocked[socket].ns, waits.blocked[socket].count) = (slept_ns, 1);
    let task = TaskCounters {
        tgid,
        tid,
        start_time: birth_ns,
        sum_exec_runtime: on_cpu_ns,
        read_ns: birth_ns + on_cpu_ns + slept_ns,
        state: 1,
        ..TaskCounters::default()
    };
    ThreadRecord { task, waits }
}

/// The key of a stack on which a process's first thread is sampled.
#[must_use]
pub fn sampled(tgid: u32, hash: u64) -> StackKey {
    StackKey { hash, tgid, tid: tgid, reason: ON_CPU, syscall: NO_SYSCALL }
}

/// So many samples.
#[must_use]
pub fn samples(count: u64) -> StackSum {
    StackSum { count, ..StackSum::default() }
}
