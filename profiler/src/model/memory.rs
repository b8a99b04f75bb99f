//! Memory of a process, and what it made disks do.

use serde::{Deserialize, Serialize};

/// Memory of a process at the end of a window, and its traffic with disks inside of it, by the kernel's own counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerMemory {
    /// Resident set size at the end, bytes; absent if it may not be read.
    pub rss_bytes: Option<u64>,
    /// Proportional set size at the end, bytes: a page that several processes map counts for each by its part.
    pub pss_bytes: Option<u64>,
    /// Page faults that had to wait for a disk.
    pub major_faults: u64,
    /// Bytes that disks read for it.
    pub read_bytes: u64,
    /// Bytes that it made disks write, at once or later.
    pub written_bytes: u64,
}

impl WorkerMemory {
    /// This window's and a later one's together.
    #[must_use]
    pub fn followed_by(self, later: &Self) -> Self {
        Self {
            major_faults: self.major_faults.saturating_add(later.major_faults),
            read_bytes: self.read_bytes.saturating_add(later.read_bytes),
            written_bytes: self.written_bytes.saturating_add(later.written_bytes),
            ..*later
        }
    }
}
