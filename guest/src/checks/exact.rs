//! `stat` against the kernel's books: all threads are stopped at both edges, so there is one truth.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{
    books::Books,
    bounded::Punchclock,
    checks::document::{counter, threads},
    report::Numbers,
    tree::Tree,
};

/// How long the tree works in a window.
pub const WORK: Duration = Duration::from_secs(2);

/// A tick, as `/proc` counts (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// What one `stat` said, and the books at its edges.
pub struct Window {
    document: Value,
    /// How much a hypervisor may have taken from any of its threads.
    stolen: Duration,
    before: BTreeMap<u32, Books>,
    after: BTreeMap<u32, Books>,
}

impl Window {
    /// Watches a tree work for a while.
    pub fn watch(punchclock: &Punchclock, tree: &Tree, more: &[&str]) -> Result<Self> {
        Self::watch_while(punchclock, tree, more, || {
            thread::sleep(WORK);
            Ok(())
        })
    }

    /// Watches a tree work while something is done.
    pub fn watch_while(
        punchclock: &Punchclock,
        tree: &Tree,
        more: &[&str],
        done: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let pid = tree.pid();
        let arguments = ["stat", "--json", "-t", "-d", "300", "-i", "0.1", "-p", &pid];
        let stopped = tree.stop()?;
        let before = tree.books();
        let stolen_before = stolen_so_far()?;
        let mut stat = punchclock.start(&[&arguments, more].concat())?;
        stat.wait_until("the first interval", |stat| Ok(stat.said()?.contains('\n')))?;
        drop(stopped);
        done()?;
        let _stopped = tree.stop()?;
        let after = tree.books();
        let document = stat.interrupt()?.well()?.json()?;
        let stolen = match stolen_so_far()? {
            Duration::ZERO => Duration::ZERO,
            // It is told in whole ticks, CPU by CPU.
            now => {
                now.saturating_sub(stolen_before)
                    + TICK * thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32)
            }
        };
        Ok(Self { document, stolen, before, after })
    }

    /// A window from a `stat` document that was made elsewhere.
    pub fn of(document: Value, before: BTreeMap<u32, Books>, after: BTreeMap<u32, Books>) -> Self {
        Self { document, stolen: Duration::ZERO, before, after }
    }

    /// Every thread's numbers are the kernel's, to the nanosecond and the switch.
    pub fn is_exact(&self, numbers: &mut Numbers) -> Result<()> {
        let mut wrong = Vec::new();
        for thread in self.threads()? {
            let tid = thread["tid"].as_u64().context("failed to find a TID")? as u32;
            let [before, after] = [&self.before, &self.after].map(|books| books.get(&tid).copied());
            let before = before.with_context(|| format!("thread {tid} was not there"))?;
            let after = after.with_context(|| format!("thread {tid} is gone"))?;
            for (name, truth) in [
                ("on_cpu_ns", after.on_cpu_ns - before.on_cpu_ns),
                ("run_queue_ns", after.run_queue_ns - before.run_queue_ns),
                ("voluntary_switches", after.voluntary - before.voluntary),
                ("preempted_switches", after.preempted - before.preempted),
                ("migrations", after.migrations - before.migrations),
            ] {
                let said = counter(thread, name)?;
                if said != truth {
                    wrong.push(format!("{tid} {name} {said} instead of {truth}"));
                }
            }
        }
        numbers.set("wrong", wrong.len());
        numbers.set("threads", self.threads()?.len());
        ensure!(self.threads()?.len() == Tree::THREADS, "{} threads", self.threads()?.len());
        ensure!(wrong.is_empty(), "{}", wrong.join(", "));
        Ok(())
    }

    /// On-CPU time, over all threads.
    pub fn on_cpu_ns(&self) -> Result<u64> {
        self.threads()?.into_iter().map(|thread| counter(thread, "on_cpu_ns")).sum()
    }

    /// What a hypervisor may have stolen from a thread; nothing where none tells.
    pub const fn stolen(&self) -> Duration {
        self.stolen
    }

    /// What it said of how exact it is.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.document["quality"]["notes"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// The threads' rows.
    pub fn threads(&self) -> Result<Vec<&Value>> {
        threads(&self.document)
    }
}

/// What the kernel tells of stolen time, over all CPUs (`/proc/stat`).
fn stolen_so_far() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("failed to read /proc/stat")?;
    let steal = stat.lines().next().and_then(|line| line.split_whitespace().nth(8));
    let ticks: u32 = steal.and_then(|ticks| ticks.parse().ok()).context("failed to find stolen time")?;
    Ok(TICK * ticks)
}
