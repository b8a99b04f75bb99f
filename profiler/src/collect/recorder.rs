//! A recording: exact numbers, and the stacks that ticks find.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use anyhow::Result;
use profiler_common::{config::Process, event::Event};
use tokio::time::Instant;

use crate::{
    bpf::{SamplingClock, Sizes},
    collect::{
        session::{Edge, Session, Waited, after},
        stacks::Stacks,
    },
    fleet,
    model::{accounting::StatDelta, profile::Profile},
    python::{self, Interpreter},
    sys::memory,
};

/// How often new stacks are looked at: a code object must live that long to have a name.
const TICK: Duration = Duration::from_millis(100);
/// How long a process that called exec is given to become Python.
const PATIENCE: Duration = Duration::from_secs(10);
/// Distinct stacks between two drains.
const STACKS: u32 = 32 * 1024;

/// Sampling at work.
pub struct Recorder {
    session: Session,
    rate_hz: u64,
    clock: SamplingClock,
    stacks: Stacks,
    interpreters: HashMap<u32, Interpreter>,
    /// Processes that may yet become Python, and until when they are asked.
    starting: HashMap<u32, Instant>,
    notes: BTreeSet<String>,
    start: Edge,
    /// Stacks described since the kernel's table was last emptied.
    in_table: u32,
}

impl Recorder {
    /// Table sizes for a rate on so many CPUs: the ring holds what two ticks can bring.
    #[must_use]
    pub fn sizes(rate_hz: u64, cpus: u32) -> Sizes {
        // Up to two ticks late, every sample new, some 40 frames each.
        let bytes = rate_hz.saturating_mul(u64::from(cpus)) / 5 * 3000;
        let ring_bytes = u32::try_from(bytes.clamp(1 << 18, 1 << 26)).unwrap_or(1 << 26).next_power_of_two();
        Sizes { processes: 4096, stacks: STACKS, ring_bytes }
    }

    /// Begins the window. `launch` starts what is to be watched from its first instruction on, if there is such.
    pub fn start(
        mut session: Session,
        rate_hz: u64,
        launch: impl FnOnce(&mut Session) -> Result<()>,
    ) -> Result<Self> {
        let running = session.members();
        let mut interpreters = HashMap::new();
        let mut starting = HashMap::new();
        let mut notes = BTreeSet::new();
        for &tgid in &running {
            match Interpreter::of(tgid) {
                Ok(interpreter) => {
                    session.kernel.follow(tgid, &Process { python: interpreter.target })?;
                    interpreters.insert(tgid, interpreter);
                }
                Err(unwalkable) => {
                    notes.insert(note(tgid, &unwalkable.reason));
                    if unwalkable.transient {
                        starting.insert(tgid, after(PATIENCE));
                    }
                }
            }
        }
        let start = session.snapshot(|_| {})?;
        let clock = session.kernel.sample(rate_hz)?;
        launch(&mut session)?;
        starting.extend(
            session
                .members()
                .into_iter()
                .filter(|tgid| !running.contains(tgid))
                .map(|tgid| (tgid, after(PATIENCE))),
        );
        let stacks = Stacks::default();
        Ok(Self { session, rate_hz, clock, stacks, interpreters, starting, notes, start, in_table: 0 })
    }

    /// Records until the deadline, the user's word, or the end of all followed processes. `each_tick` says
    /// whether to go on.
    pub async fn run(
        &mut self,
        deadline: Option<Instant>,
        mut each_tick: impl FnMut() -> bool,
    ) -> Result<()> {
        loop {
            let tick = after(TICK);
            let wake = deadline.map_or(tick, |deadline| deadline.min(tick));
            let waited = self.session.wait(Some(wake)).await?;
            self.take_in()?;
            let is_last =
                waited == Waited::Stopped || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_last || self.session.is_over() || !each_tick() {
                return Ok(());
            }
        }
    }

    /// Ends the window.
    pub fn finish(mut self) -> Result<(Profile, StatDelta)> {
        self.session.kernel.stop_sampling()?;
        self.take_in()?;
        let end = self.session.snapshot(|_| {})?;
        let counts = self.session.kernel.drain_stacks()?;
        self.stacks.count(counts);
        fleet::refresh(&mut self.session.fleets);
        for tgid in self.interpreters.into_keys() {
            // Before 3.11 the full version shows only after a while.
            if let Some(version) = python::version(tgid) {
                fleet::learn_python(&mut self.session.fleets, tgid, &version);
            }
        }
        let mut stat = self.session.delta(&self.start, &end)?;
        stat.quality.notes.extend(self.notes);
        let profile = self.stacks.into_profile(self.rate_hz, self.clock.name(), &mut stat.quality)?;
        Ok((profile, stat))
    }

    /// Takes in what the kernel side sent, in its order: a child's stacks come after its fork.
    fn take_in(&mut self) -> Result<()> {
        let Self { session, stacks, interpreters, starting, in_table, .. } = self;
        session.drain(|event| match event {
            Event::Stack(head, frames) => {
                *in_table += 1;
                stacks.describe(head, frames, interpreters.get(&head.tgid));
            }
            // The child's memory is a copy of its parent's, and so is its entry in the kernel.
            Event::Fork(fork) => {
                if let Some(interpreter) = interpreters.get(&fork.parent_tgid).cloned() {
                    interpreters.insert(fork.tgid, interpreter);
                }
            }
            Event::Exec(exec) => {
                interpreters.remove(&exec.tgid);
                stacks.forget(exec.tgid);
                starting.insert(exec.tgid, after(PATIENCE));
            }
            Event::Exit(_) => {}
        });
        self.look_at_starting()?;
        if self.in_table > STACKS / 2 {
            self.in_table = 0;
            let counts = self.session.kernel.drain_stacks()?;
            self.stacks.count(counts);
        }
        Ok(())
    }

    /// Asks the processes that are starting whether they are Python by now.
    fn look_at_starting(&mut self) -> Result<()> {
        let now = Instant::now();
        for (tgid, until) in std::mem::take(&mut self.starting) {
            match Interpreter::of(tgid) {
                Ok(interpreter) => {
                    self.session.kernel.follow(tgid, &Process { python: interpreter.target })?;
                    fleet::learn_python(&mut self.session.fleets, tgid, &interpreter.version);
                    self.interpreters.insert(tgid, interpreter);
                    self.notes.retain(|known| !known.starts_with(&note(tgid, "")));
                }
                Err(unwalkable) => {
                    if let Some(version) = &unwalkable.version {
                        fleet::learn_python(&mut self.session.fleets, tgid, version);
                    }
                    let lives = memory::exists(tgid);
                    if lives && unwalkable.transient && now < until {
                        self.starting.insert(tgid, until);
                    } else if lives {
                        self.notes.insert(note(tgid, &unwalkable.reason));
                    }
                }
            }
        }
        Ok(())
    }
}

fn note(tgid: u32, reason: &str) -> String {
    format!("process {tgid} has no Python frames: {reason}")
}
