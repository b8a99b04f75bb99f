//! What a process uses itself: CPU time and memory.

use std::{fs, time::Duration};

use anyhow::Result;

use super::interrupt::pause;

/// What a process had used when last seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// On-CPU time of its threads that are alive, ns.
    pub cpu_ns: u64,
    /// The most that was ever resident, bytes.
    pub peak_bytes: u64,
}

impl Usage {
    /// What a running process has used; `None` if it is gone or a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kib = peak.trim().strip_suffix(" kB")?.parse::<u64>().ok()?;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let on_cpu = threads.filter_map(|thread| {
            let books = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            books.split(' ').next()?.parse::<u64>().ok()
        });
        Some(Self { cpu_ns: on_cpu.sum(), peak_bytes: peak_kib * 1024 })
    }

    /// Watches a process that is about to end, until it has. Its last two milliseconds can escape.
    pub fn to_the_end(self, pid: u32) -> Result<Self> {
        let mut last = self;
        while let Some(now) = Self::of(pid) {
            // Threads that ended are missing from it, so it may fall.
            last.cpu_ns = last.cpu_ns.max(now.cpu_ns);
            last.peak_bytes = last.peak_bytes.max(now.peak_bytes);
            pause(Duration::from_millis(2))?;
        }
        Ok(last)
    }
}
