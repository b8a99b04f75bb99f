//! Watches the memory of the followed processes and their traffic with disks, over a window.
//!
//! The kernel's counts are read in `/proc` beside the edges of the window, so they may be off by what happens in the some
//! hundred µs between.

use std::collections::HashMap;

use crate::{
    model::{
        accounting::{StatDelta, WorkerDelta},
        memory::WorkerMemory,
    },
    sys::process_memory::{ProcessTraffic, ResidentMemory},
};

/// What the processes had done by the beginning of the window.
#[derive(Clone, Debug, Default)]
pub struct MemoryWatch(HashMap<u32, ProcessTraffic>);

impl MemoryWatch {
    /// Begins the window of these processes.
    #[must_use]
    pub fn begin(tgids: impl IntoIterator<Item = u32>) -> Self {
        Self(tgids.into_iter().filter_map(|tgid| Some((tgid, ProcessTraffic::of(tgid)?))).collect())
    }

    /// Ends the window: tells of each process that is still there what it did in it.
    pub fn end(&self, stat: &mut StatDelta) {
        for worker in stat.processes_mut().filter(|worker| !worker.exited) {
            worker.memory = self.of(worker);
        }
    }

    /// `None` of a process that cannot be read, or could not when the window began.
    fn of(&self, worker: &WorkerDelta) -> Option<WorkerMemory> {
        let end = ProcessTraffic::of(worker.tgid)?;
        let known = self.0.get(&worker.tgid).filter(|start| start.started_ticks == end.started_ticks);
        let start = known.copied().or_else(|| worker.born.then(ProcessTraffic::default))?;
        let resident = ResidentMemory::of(worker.tgid);
        Some(WorkerMemory {
            rss_bytes: resident.map(|memory| memory.rss_bytes),
            pss_bytes: resident.map(|memory| memory.pss_bytes),
            major_faults: end.major_faults.saturating_sub(start.major_faults),
            read_bytes: end.read_bytes.saturating_sub(start.read_bytes),
            written_bytes: end.written_bytes.saturating_sub(start.written_bytes),
        })
    }
}
