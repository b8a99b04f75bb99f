//! The kernel's own books of a thread, from `/proc`: the truth that punchclock is compared with.

use std::{collections::BTreeMap, fs};

/// One thread's cumulative books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// On-CPU ns (`schedstat`).
    pub on_cpu_ns: u64,
    /// Run-queue ns (`schedstat`).
    pub run_queue_ns: u64,
    /// Voluntary switches (`status`).
    pub voluntary: u64,
    /// Preempted switches (`status`).
    pub preempted: u64,
    /// Moves between CPUs (`sched`).
    pub migrations: u64,
}

impl Books {
    /// The counters of one thread, if it lives.
    #[must_use]
    pub fn of_thread(tgid: u32, tid: u32) -> Option<Self> {
        // The thread's name in it need not be UTF-8.
        let read = |file: &str| {
            let bytes = fs::read(format!("/proc/{tgid}/task/{tid}/{file}")).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (schedstat, status, sched) =
            (read("schedstat")?, read("status")?, read("sched").unwrap_or_default());
        let mut words = schedstat.split_whitespace().map(|word| word.parse().ok());
        let number = |text: &str, key: &str| {
            text.lines().find(|line| line.starts_with(key))?.rsplit([':', ' ', '\t']).next()?.parse().ok()
        };
        Some(Self {
            on_cpu_ns: words.next()??,
            run_queue_ns: words.next()??,
            voluntary: number(&status, "voluntary_ctxt_switches")?,
            preempted: number(&status, "nonvoluntary_ctxt_switches")?,
            migrations: number(&sched, "se.nr_migrations").unwrap_or(0),
        })
    }

    /// The counters of all threads of a process, by tid.
    #[must_use]
    pub fn of_process(tgid: u32) -> BTreeMap<u32, Self> {
        let entries = fs::read_dir(format!("/proc/{tgid}/task")).into_iter().flatten().flatten();
        let tids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        tids.filter_map(|tid| Some((tid, Self::of_thread(tgid, tid)?))).collect()
    }
}

/// The one-letter state of a process (`T` is stopped, `S` asleep, `Z` a zombie); `None` once it is gone.
#[must_use]
pub fn state(tgid: u32) -> Option<char> {
    state_in(&format!("/proc/{tgid}/stat"))
}

/// The states of all threads of a process.
#[must_use]
pub fn states(tgid: u32) -> Vec<char> {
    let entries = fs::read_dir(format!("/proc/{tgid}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| state_in(entry.path().join("stat").to_str()?)).collect()
}

fn state_in(path: &str) -> Option<char> {
    String::from_utf8_lossy(&fs::read(path).ok()?).rsplit(") ").next()?.chars().next()
}
