//! The maps: what is told to the kernel side, and what it counted.

use anyhow::{Context, Result};
use aya::maps::{HashMap, Map, MapError, PerCpuArray};
use profiler_common::{
    config::{Process, StackCount, StackKey},
    counter::Counter,
};

use crate::bpf::Kernel;

/// aya reads and writes plain arrays; the wire types are cast to and from these.
type RawProcess = [u8; size_of::<Process>()];
type RawStackKey = [u8; size_of::<StackKey>()];
type RawStackCount = [u8; size_of::<StackCount>()];

impl Kernel {
    /// Follows a process, or changes how.
    pub fn follow(&mut self, tgid: u32, process: &Process) -> Result<()> {
        let mut processes = HashMap::<_, u32, RawProcess>::try_from(self.map_mut("PROCESSES")?)?;
        processes
            .insert(tgid, bytemuck::cast::<Process, RawProcess>(*process), 0)
            .with_context(|| format!("failed to follow process {tgid}"))
    }

    /// Stops following a process.
    pub fn forget(&mut self, tgid: u32) -> Result<()> {
        let mut processes = HashMap::<_, u32, RawProcess>::try_from(self.map_mut("PROCESSES")?)?;
        match processes.remove(&tgid) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("failed to forget process {tgid}")),
        }
    }

    /// The counts of all stacks since the table was last emptied.
    pub fn read_stacks(&mut self) -> Result<Vec<(StackKey, StackCount)>> {
        let stacks = HashMap::<_, RawStackKey, RawStackCount>::try_from(self.map_mut("STACKS")?)?;
        let mut counts = Vec::new();
        for entry in &stacks {
            let (key, count) = entry.context("failed to read the stacks")?;
            counts.push((bytemuck::cast(key), bytemuck::cast(count)));
        }
        Ok(counts)
    }

    /// The count of one stack since the table was last emptied.
    pub fn stack_count(&mut self, key: &StackKey) -> Result<StackCount> {
        let stacks = HashMap::<_, RawStackKey, RawStackCount>::try_from(self.map_mut("STACKS")?)?;
        match stacks.get(&bytemuck::cast(*key), 0) {
            Ok(count) => Ok(bytemuck::cast(count)),
            Err(MapError::KeyNotFound) => Ok(StackCount::default()),
            Err(error) => Err(error).context("failed to read a stack's count"),
        }
    }

    /// Empties the table of stacks; what it held.
    pub fn drain_stacks(&mut self) -> Result<Vec<(StackKey, StackCount)>> {
        let counts = self.read_stacks()?;
        let mut stacks = HashMap::<_, RawStackKey, RawStackCount>::try_from(self.map_mut("STACKS")?)?;
        for (key, _) in &counts {
            stacks.remove(&bytemuck::cast(*key)).context("failed to remove a stack")?;
        }
        Ok(counts)
    }

    /// What the kernel side lost so far, by cause.
    pub fn losses(&mut self) -> Result<Vec<(Counter, u64)>> {
        let counters = PerCpuArray::<_, u64>::try_from(self.map_mut("COUNTERS")?)?;
        let mut losses = Vec::new();
        for cause in Counter::ALL.into_iter().filter(|cause| (*cause as u32) < Counter::KERNEL) {
            let counts = counters.get(&(cause as u32), 0).context("failed to read a counter")?;
            losses.push((cause, counts.iter().sum()));
        }
        losses.push((Counter::RunSkipped, self.skipped_runs()?));
        Ok(losses)
    }

    fn map_mut(&mut self, name: &str) -> Result<&mut Map> {
        self.ebpf.map_mut(name).with_context(|| format!("the object has no map {name}"))
    }
}
