//! A tree of processes to watch, which can be stopped as a whole.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    books::{Books, states},
    bounded::wait_for,
    sys,
};

/// The processes of `work tree` or of `chain.py`: a master, four busy processes, one that reads from an empty pipe, and one of
/// two threads that waits for a lock. Dropping it ends all of them.
pub struct Tree {
    master: Child,
    children: Vec<u32>,
}

impl Tree {
    /// Threads, over all processes.
    pub const THREADS: usize = 8;

    /// The tree of this program.
    pub fn native() -> Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        Self::start(command.args(["work", "tree"]))
    }

    /// Starts a tree and waits until it says who is in it.
    pub fn start(command: &mut Command) -> Result<Self> {
        let line = format!("{command:?}");
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut master = started.with_context(|| format!("failed to start {line}"))?;
        let mut said = String::new();
        let stdout = master.stdout.as_mut().context("failed to hear the workload")?;
        BufReader::new(stdout).read_line(&mut said).context("failed to hear the workload")?;
        // From here on it is gone when dropped.
        let children: Result<_, _> = said.split_whitespace().skip(1).map(str::parse).collect();
        let tree = Self { master, children: children.unwrap_or_default() };
        ensure!(tree.children.len() == 6, "{line} is not ready but says {said:?}");
        Ok(tree)
    }

    /// The master's PID, as an argument.
    pub fn pid(&self) -> String {
        self.master.id().to_string()
    }

    /// All processes.
    pub fn tgids(&self) -> impl Iterator<Item = u32> {
        [self.master.id()].into_iter().chain(self.children.iter().copied())
    }

    /// The processes that work.
    pub fn busy(&self) -> &[u32] {
        &self.children[..4]
    }

    /// The one that reads, and the one whose second thread waits for a lock.
    pub fn waiting(&self) -> [u32; 2] {
        [self.children[4], self.children[5]]
    }

    /// Stops all of it, until what is returned is dropped; by then no thread is on a CPU, or will be.
    pub fn stop(&self) -> Result<Stopped<'_>> {
        let stopped = Stopped(self);
        self.tgids().for_each(|tgid| sys::signal(tgid, libc::SIGSTOP));
        wait_for("the workload to stop", || Ok(self.tgids().all(has_left_the_cpus)))?;
        Ok(stopped)
    }

    /// What the kernel has in its books of each thread, by TID.
    pub fn books(&self) -> BTreeMap<u32, Books> {
        self.tgids().flat_map(Books::of_process).collect()
    }
}

/// A tree that is stopped; it goes on when this is dropped.
pub struct Stopped<'a>(&'a Tree);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.tgids().for_each(|tgid| sys::signal(tgid, libc::SIGCONT));
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.tgids().for_each(|tgid| sys::signal(tgid, libc::SIGKILL));
        // It is dead by now; collecting it cannot fail in a way that matters.
        let _ = self.master.wait();
    }
}

/// Whether all threads are stopped and switched out. A thread is in state T before it leaves the CPU; but `syscall` waits for
/// that, or says `running`.
fn has_left_the_cpus(tgid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{tgid}/task")).into_iter().flatten().flatten();
    let mut calls = tasks.map(|task| fs::read_to_string(task.path().join("syscall")));
    states(tgid).iter().all(|state| *state == 'T')
        && calls.all(|call| call.is_ok_and(|call| !call.starts_with("running")))
}
