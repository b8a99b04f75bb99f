//! Memory and disk traffic of a process, as the kernel counts them.

use std::fs;

use crate::sys::tids;

/// Counts of a process since it was forked, over all its threads, those that ended too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessTraffic {
    /// When it was forked, in the kernel's clock ticks since boot.
    pub started_ticks: u64,
    /// Page faults that had to wait for a disk.
    pub major_faults: u64,
    /// Bytes that disks read for it.
    pub read_bytes: u64,
    /// Bytes that it has made disks write, now or later.
    pub written_bytes: u64,
}

impl ProcessTraffic {
    /// What `/proc/PID/stat` and `/proc/PID/io` say; `None` if it is gone, or its files may not be read.
    #[must_use]
    pub fn of(tgid: u32) -> Option<Self> {
        if !tids::exists(tgid) {
            return None;
        }
        let process = procfs::process::Process::new(tgid.cast_signed()).ok()?;
        let (stat, io) = (process.stat().ok()?, process.io().ok()?);
        Some(Self {
            started_ticks: stat.starttime,
            major_faults: stat.majflt,
            read_bytes: io.read_bytes,
            written_bytes: io.write_bytes,
        })
    }
}

/// Memory that a process has now, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResidentMemory {
    /// Resident set size: pages of its own and shared ones.
    pub rss_bytes: u64,
    /// Proportional set size: a page that several processes map counts for each by its part.
    pub pss_bytes: u64,
}

impl ResidentMemory {
    /// What `/proc/PID/smaps_rollup` says; `None` if it is gone, or that may not be read. The kernel walks the process's page tables
    /// to answer.
    #[must_use]
    pub fn of(tgid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", tids::seen_by(tgid))).ok()?;
        let bytes = |key: &str| -> Option<u64> {
            let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
            Some(rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
        };
        Some(Self { rss_bytes: bytes("Rss:")?, pss_bytes: bytes("Pss:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_is_resident() {
        let own = std::process::id();
        let before = ResidentMemory::of(own).unwrap();
        let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = ResidentMemory::of(own).unwrap();
        for (before, after) in [(before.rss_bytes, after.rss_bytes), (before.pss_bytes, after.pss_bytes)] {
            assert!(after - before >= memory.len() as u64 * 9 / 10, "{before} to {after}");
        }
        assert!(ProcessTraffic::of(own).is_some_and(|traffic| traffic.started_ticks != 0));
        assert_eq!((ResidentMemory::of(u32::MAX), ProcessTraffic::of(u32::MAX)), (None, None));
    }
}
