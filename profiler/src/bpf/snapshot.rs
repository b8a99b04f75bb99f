//! Snapshots: the counters of every followed thread, read in one pass over the tasks.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    mem::size_of,
};

use anyhow::{Context, Result, ensure};
use aya::programs::Iter;
use profiler_common::event::ThreadRecord;

use crate::{
    bpf::{Probes, object::program},
    sys::clock,
};

/// How exactly the clocks are compared.
const EXACT_NS: u64 = 100_000;
/// How far the two readings of the monotonic clock around the thread's own are apart at most where nothing comes in between: six µs
/// here, and ten times as much where the machine is emulated.
const CLOSE_NS: u64 = 20_000;
/// How often the clocks are read until nothing comes in between: a hypervisor may take the CPU away at any instant.
const READINGS: u32 = 8;

/// Counters and waits of all followed threads at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When the edge began, `CLOCK_MONOTONIC` ns.
    pub began_ns: u64,
    /// When the last thread's words were read, `CLOCK_MONOTONIC` ns; the others', which say their own instant, µs
    /// before.
    pub at_ns: u64,
    /// Wall clock at `at_ns`, ns since the epoch.
    pub unix_ns: u64,
    /// `CLOCK_MONOTONIC` less the scheduler's clock: closes the slices that are open at this instant.
    pub clock_offset_ns: u64,
    /// False if the clocks could not be compared exactly; open slices may then be off by a tick.
    pub exact: bool,
    /// The value of `EDGE`: threads that have it in `waits.edge` changed after the edge, and first sent how they stood.
    pub edge: u32,
    /// All followed threads that live.
    pub threads: Vec<ThreadRecord>,
}

impl Probes {
    /// The words of every followed thread that lives.
    ///
    /// The kernel dates a running thread's counters in the scheduler's own clock, which user space
    /// cannot read. But asking for this thread's CPU time makes the kernel bring this thread's counters up to now and
    /// date them in that clock, and the words of the same thread, the first ones that are read, show it.
    ///
    /// It is not exact when this thread is switched out in between, or when a hypervisor keeps the CPU for itself, which is no
    /// switch: the thread's counters leave out what that or an interrupt takes.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        let mut tasks = self.tasks()?;
        let switches = clock::thread_switches();
        let clocks = ClockReadings::read();
        let mut threads =
            read_records(&mut tasks, || self.hold_records()).context("failed to read snapshot")?;
        let is_own = threads.first().is_some_and(|thread| thread.task.tid == clock::tid());
        ensure!(is_own, "the snapshot lacks its own thread");
        let own = threads.swap_remove(0).task;
        let since_ns = own.sum_exec_runtime.saturating_sub(clocks.own_cpu_ns);
        // Who wakes up on this CPU brings the counters up to date once more. What had been taken by then is not more than they lack.
        let lacking_ns = match since_ns {
            0 => 0,
            _ => own.read_ns.saturating_sub(clocks.after_ns + since_ns),
        };
        let exact =
            own.voluntary + own.preempted == switches && clocks.apart_ns() / 2 + lacking_ns <= EXACT_NS;
        let dated_ns = clocks.before_ns.midpoint(clocks.after_ns) + since_ns;
        let dated_clock = own.rq_clock - own.rq_clock_task.saturating_sub(own.exec_start);
        let clock_offset_ns = dated_ns.wrapping_sub(dated_clock);
        let at_ns = threads.iter().map(|thread| thread.task.read_ns).max().unwrap_or(clocks.after_ns);
        let unix_ns = clocks.unix_ns + (at_ns - clocks.after_ns);
        let (edge, began_ns) = self.edge();
        Ok(Snapshot { began_ns, at_ns, unix_ns, clock_offset_ns, exact, edge, threads })
    }

    /// An iterator over all tasks, ready to be read.
    fn tasks(&mut self) -> Result<File> {
        let snapshot: &mut Iter = program(&mut self.ebpf, "snapshot")?;
        let link = snapshot.attach().context("failed to attach snapshot")?;
        let link = snapshot.take_link(link).context("failed to take the link of snapshot")?;
        link.into_file().context("failed to start snapshot")
    }
}

/// This thread's CPU time and the wall clock, between two readings of `CLOCK_MONOTONIC`.
#[expect(clippy::struct_field_names, reason = "each says its unit")]
struct ClockReadings {
    before_ns: u64,
    own_cpu_ns: u64,
    unix_ns: u64,
    after_ns: u64,
}

impl ClockReadings {
    /// Reads them until nothing comes in between.
    fn read() -> Self {
        let mut clocks = Self::read_once();
        for _ in 1..READINGS {
            if clocks.apart_ns() <= CLOSE_NS {
                break;
            }
            clocks = Self::read_once();
        }
        clocks
    }

    fn read_once() -> Self {
        Self {
            before_ns: clock::monotonic_ns(),
            own_cpu_ns: clock::thread_cpu_ns(),
            unix_ns: clock::unix_ns(),
            after_ns: clock::monotonic_ns(),
        }
    }

    fn apart_ns(&self) -> u64 {
        self.after_ns - self.before_ns
    }
}

/// Reads records to the end, some at a time: all of them as bytes would take as much again. In between `meanwhile` is called.
fn read_records(from: &mut impl Read, mut meanwhile: impl FnMut()) -> Result<Vec<ThreadRecord>> {
    const SIZE: usize = size_of::<ThreadRecord>();
    let (mut buffer, mut filled) = (vec![0; 64 * SIZE], 0);
    let mut records = Vec::new();
    loop {
        let read = match from.read(&mut buffer[filled..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            ensure!(filled == 0, "it ends inside a record");
            return Ok(records);
        }
        filled += read;
        let whole = filled - filled % SIZE;
        records.extend(buffer[..whole].chunks_exact(SIZE).map(bytemuck::pod_read_unaligned::<ThreadRecord>));
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
        meanwhile();
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable as _;

    use super::*;

    /// Gives a few bytes at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let some = buffer.len().min(1000);
            self.0.read(&mut buffer[..some])
        }
    }

    #[test]
    fn records_are_read_whatever_comes_at_a_time() {
        let mut records = vec![ThreadRecord::zeroed(); 200];
        for (tid, record) in (1..).zip(&mut records) {
            record.task.tid = tid;
        }
        let bytes = bytemuck::cast_slice(&records);
        for read in [read_records(&mut Drops(bytes), || ()), read_records(&mut &*bytes, || ())] {
            assert!(read.unwrap().iter().map(|record| record.task.tid).eq(1..=200));
        }
        assert!(read_records(&mut &bytes[..bytes.len() - 1], || ()).is_err());
    }
}
