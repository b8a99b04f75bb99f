//! The kernel side as a session uses it: a trait, so that a test can put a script in its place.

use std::collections::HashSet;

use anyhow::Result;
use profiler_common::{
    config::{FollowedProcess, StackKey},
    loss_cause::LossCause,
};

use crate::bpf::{Counts, Probes, SamplingClock, Snapshot};

/// What sessions and recorders ask of the kernel side. [`Probes`] says what each answer means.
pub trait KernelSide {
    /// Follows a process, or changes how; false if there is no room for more.
    fn follow(&mut self, tgid: u32, process: &FollowedProcess) -> Result<bool>;
    /// True of a process that is followed.
    fn follows(&mut self, tgid: u32) -> Result<bool>;
    /// True if it is counted what threads receive from sockets.
    fn counts_receives(&self) -> bool;
    /// Why no stacks are interned though they were planned, as a sentence.
    fn without_stacks(&self) -> Option<&str>;

    /// Waits for a record that cannot wait.
    fn readable(&self) -> impl Future<Output = Result<()>>;
    /// Takes out the records that were sent so far.
    fn drain_ring(&mut self, take: impl FnMut(&[u8]));

    /// Begins an edge.
    fn begin_edge(&mut self) -> Result<()>;
    /// Reads all followed threads that live.
    fn snapshot(&mut self) -> Result<Snapshot>;
    /// Reads the counts of all stacks up to the edge.
    fn stacks(&mut self) -> Result<Counts>;
    /// Reads the counts of some stacks up to the edge.
    fn stacks_of(&mut self, keys: &HashSet<StackKey>) -> Result<Counts>;
    /// Ends an edge.
    fn end_edge(&mut self) -> Result<()>;

    /// Empties the table of stacks.
    fn empty_stacks(&mut self) -> Result<()>;
    /// What was counted in the table before it was emptied.
    fn emptied(&mut self) -> &mut Counts;
    /// Forgets what was counted.
    fn forget_stacks(&mut self);
    /// What was lost so far, by cause.
    fn losses(&mut self) -> Result<Vec<(LossCause, u64)>>;

    /// Starts sampling, so many times a second.
    fn sample(&mut self, rate_hz: u64) -> Result<SamplingClock>;
    /// Stops sampling.
    fn stop_sampling(&mut self) -> Result<()>;
}

impl KernelSide for Probes {
    fn follow(&mut self, tgid: u32, process: &FollowedProcess) -> Result<bool> {
        Self::follow(self, tgid, process)
    }

    fn follows(&mut self, tgid: u32) -> Result<bool> {
        Self::follows(self, tgid)
    }

    fn counts_receives(&self) -> bool {
        self.has_recv_tracepoint
    }

    fn without_stacks(&self) -> Option<&str> {
        self.without_stacks.as_deref()
    }

    fn readable(&self) -> impl Future<Output = Result<()>> {
        Self::readable(self)
    }

    fn drain_ring(&mut self, take: impl FnMut(&[u8])) {
        Self::drain_ring(self, take);
    }

    fn begin_edge(&mut self) -> Result<()> {
        Self::begin_edge(self)
    }

    fn snapshot(&mut self) -> Result<Snapshot> {
        Self::snapshot(self)
    }

    fn stacks(&mut self) -> Result<Counts> {
        Self::stacks(self)
    }

    fn stacks_of(&mut self, keys: &HashSet<StackKey>) -> Result<Counts> {
        Self::stacks_of(self, keys)
    }

    fn end_edge(&mut self) -> Result<()> {
        Self::end_edge(self)
    }

    fn empty_stacks(&mut self) -> Result<()> {
        Self::empty_stacks(self)
    }

    fn emptied(&mut self) -> &mut Counts {
        Self::emptied(self)
    }

    fn forget_stacks(&mut self) {
        Self::forget_stacks(self);
    }

    fn losses(&mut self) -> Result<Vec<(LossCause, u64)>> {
        Self::losses(self)
    }

    fn sample(&mut self, rate_hz: u64) -> Result<SamplingClock> {
        Self::sample(self, rate_hz)
    }

    fn stop_sampling(&mut self) -> Result<()> {
        Self::stop_sampling(self)
    }
}
