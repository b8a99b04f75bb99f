//! Reads the counts of stacks, at the same edges as the counters of threads.
//!
//! All threads and the counts of all stacks cannot be read at one instant. So a reading has a number. While it is under way,
//! each thread that changes first sends how it stood, and what is counted on a stack is counted apart. A wait is before an
//! edge in its thread and on its stack, or after it in both.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use aya::maps::{self, Array, MapError};
use profiler_common::config::{READS_STACKS, READS_THREADS, StackCount, StackKey};

use crate::{
    bpf::{Probes, StackSum, batches::Batches},
    sys::clock,
};

/// Counts of stacks, cumulative up to an instant.
pub type Counts = HashMap<StackKey, StackSum>;

/// aya reads and writes plain arrays; the wire types are cast to and from these.
type RawKey = [u8; size_of::<StackKey>()];
type RawCount = [u8; size_of::<StackCount>()];
type StackMap<'a> = maps::HashMap<&'a mut maps::MapData, RawKey, RawCount>;

/// Stacks that are looked up one by one.
const FEW: usize = 256;

/// The number of a reading, in the value of `EDGE`, above what it reads.
const ONE_READING: u32 = 4;

/// State of the edge that is being read.
#[derive(Debug, Default)]
pub(super) struct EdgeState {
    /// The value of `EDGE`.
    edge: u32,
    /// When `edge` was set, `CLOCK_MONOTONIC` ns.
    began_ns: u64,
    /// Counts that are not in the map `STACKS` any more, or never were.
    counted: Counts,
}

impl Probes {
    /// Begins an edge: what is counted from now on is after it, in threads and on stacks, until it ends.
    pub fn begin_edge(&mut self) -> Result<()> {
        self.begin_reading(READS_THREADS | READS_STACKS)
    }

    /// Ends an edge, or the reading of stacks alone: what was counted after it is a part of all that is counted from now on.
    pub fn end_edge(&mut self) -> Result<()> {
        let edge = self.edge_state.edge & !(READS_THREADS | READS_STACKS);
        self.set_edge(edge)
    }

    /// The value of `EDGE`, and since when it holds, `CLOCK_MONOTONIC` ns.
    pub(super) const fn edge(&self) -> (u32, u64) {
        (self.edge_state.edge, self.edge_state.began_ns)
    }

    /// All counts, up to the edge that has begun.
    pub fn stacks(&mut self) -> Result<Counts> {
        let mut counts = self.edge_state.counted.clone();
        self.each_stack(|key, more| counts.entry(*key).or_default().add(&StackSum::from(more)))?;
        Ok(counts)
    }

    /// The counts of some stacks, up to the edge that has begun: of few each by itself, of many out of all.
    pub fn stacks_of(&mut self, keys: &HashSet<StackKey>) -> Result<Counts> {
        let counted = |key| self.edge_state.counted.get(key).cloned().unwrap_or_default();
        let mut counts: Counts = keys.iter().map(|key| (*key, counted(key))).collect();
        if keys.len() <= FEW {
            let table = self.table("STACKS")?;
            for (key, count) in &mut counts {
                match table.get(&bytemuck::cast(*key), 0) {
                    Ok(more) => count.add(&sum_of(&more)),
                    Err(MapError::KeyNotFound) => {}
                    Err(error) => return Err(error).context("failed to read a stack's count"),
                }
            }
            return Ok(counts);
        }
        self.each_stack(|key, more| {
            if let Some(count) = counts.get_mut(key) {
                count.add(&StackSum::from(more));
            }
        })?;
        Ok(counts)
    }

    /// Empties the kernel's table of stacks before it is full.
    pub fn empty_stacks(&mut self) -> Result<()> {
        self.begin_reading(READS_STACKS)?;
        self.take_out("STACKS")?;
        self.end_edge()
    }

    /// What was counted on stacks that are not in the kernel's table any more.
    pub fn emptied(&mut self) -> &mut Counts {
        &mut self.edge_state.counted
    }

    /// Forgets what was counted: nobody reads it again.
    pub fn forget_stacks(&mut self) {
        self.edge_state.counted = Counts::new();
    }

    /// What was counted late is not counted on any more, since no reading is under way, and so can be taken out.
    fn begin_reading(&mut self, what: u32) -> Result<()> {
        self.take_out("LATE")?;
        let number = self.edge_state.edge.wrapping_add(ONE_READING);
        self.set_edge(number | what)
    }

    fn set_edge(&mut self, edge: u32) -> Result<()> {
        let mut word = Array::<_, u32>::try_from(self.map_mut("EDGE")?)?;
        word.set(0, edge, 0).context("failed to tell the kernel side of an edge")?;
        (self.edge_state.edge, self.edge_state.began_ns) = (edge, clock::monotonic_ns());
        Ok(())
    }

    /// Removes all counts from a map in which nothing is counted meanwhile, and keeps them. The map is read twice, because a
    /// program that began to count just before has ended only when the first reading is over.
    fn take_out(&mut self, name: &str) -> Result<()> {
        let mut keys = Vec::new();
        let mut batches = self.batches(name)?;
        while batches.read_next(self.map_mut(name)?)? {
            keys.extend(batches.entries().map(|(key, _)| *key));
        }
        let mut counted = std::mem::take(&mut self.edge_state.counted);
        let mut table = self.table(name)?;
        for key in keys {
            let raw_key = bytemuck::cast(key);
            let more = table.get(&raw_key, 0).context("failed to read a stack's count")?;
            table.remove(&raw_key).context("failed to remove a stack")?;
            counted.entry(key).or_default().add(&sum_of(&more));
        }
        self.edge_state.counted = counted;
        Ok(())
    }

    /// Shows what is in the kernel's table of stacks. Records that come meanwhile are held.
    fn each_stack(&mut self, mut see: impl FnMut(&StackKey, &StackCount)) -> Result<()> {
        let mut batches = self.batches("STACKS")?;
        while batches.read_next(self.map_mut("STACKS")?)? {
            batches.entries().for_each(|(key, count)| see(key, count));
            self.hold_records();
        }
        Ok(())
    }

    /// A reading of a map of this shape.
    fn batches(&mut self, name: &str) -> Result<Batches<StackKey, StackCount>> {
        self.table(name).map(|_| Batches::new())
    }

    fn table(&mut self, name: &str) -> Result<StackMap<'_>> {
        StackMap::try_from(self.map_mut(name)?).with_context(|| format!("the map {name} has another shape"))
    }
}

fn sum_of(count: &RawCount) -> StackSum {
    StackSum::from(&bytemuck::pod_read_unaligned::<StackCount>(count))
}
