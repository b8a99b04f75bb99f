//! Counts of interned stacks: how often each was sampled, or how long a thread waited on it.
//!
//! A key has its thread in it. A thread runs, and is switched, on one CPU at a time, so no two programs change a count at once.
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value a count would be copied to the program's stack"
)]

use aya_ebpf::{bindings::BPF_NOEXIST, macros::map, maps::HashMap};
use profiler_common::{
    config::{READS_STACKS, StackCount, StackKey},
    loss_cause::LossCause,
    wait::{BUCKETS, bucket},
};

use crate::{
    map_cell::{MapCell, field},
    maps::edge,
};

/// Distinct stack of a thread → times sampled, or blocked. This file adds; the loader reads and empties.
#[map]
static STACKS: HashMap<StackKey, StackCount> = HashMap::with_max_entries(65536, 0);

/// Stack → count, while `STACKS` is read: this file adds; the loader reads and empties.
#[map]
static LATE: HashMap<StackKey, StackCount> = HashMap::with_max_entries(65536, 0);

/// Count of a stack that is new.
static EMPTY: StackCount = StackCount {
    count: 0,
    ns: 0,
    received: 0,
    reserved: 0,
    empty: 0,
    lengths: [0; BUCKETS],
    longest: 0,
    identity: 0,
    generation: 0,
    sure_count: 0,
    sure_ns: 0,
    lookups: 0,
};

/// The count of a stack, if it is interned.
#[inline(always)]
pub fn find(key: &StackKey) -> Option<&'static MapCell<StackCount>> {
    MapCell::find(&STACKS, key)
}

/// Interns a stack that was described.
#[inline(always)]
pub fn intern(key: &StackKey) -> Result<(), LossCause> {
    STACKS.insert(key, &EMPTY, u64::from(BPF_NOEXIST)).map_err(|_| LossCause::StacksFull)
}

/// Notes that a wait begins on a stack, and whether anything was received since the last one there.
#[inline(always)]
pub fn begin_wait(key: &StackKey, received: u32, is_first: bool) {
    if let Some(sum) = find(key) {
        let is_empty = !is_first && field!(sum.received).get() == received;
        field!(sum.empty).add(u64::from(is_empty));
        field!(sum.received).set(received);
    }
}

/// Counts a tick.
#[inline(always)]
pub fn add_tick(key: &StackKey) -> Result<(), LossCause> {
    let sum = sum_at(key, edge())?;
    field!(sum.count).add(1);
    Ok(())
}

/// Counts a wait that is over, on the same side of an edge as its thread's waits do.
#[inline(always)]
pub fn add_wait(key: &StackKey, ns: u64, edge: u32) -> Result<(), LossCause> {
    let sum = sum_at(key, edge)?;
    field!(sum.count).add(1);
    field!(sum.ns).add(ns);
    field!(sum.lengths[bucket(ns)]).add(1);
    if field!(sum.longest).get() < ns {
        field!(sum.longest).set(ns);
    }
    Ok(())
}

/// The count of a stack. The stack was described before, though the map may have been emptied since.
#[inline(always)]
fn sum_at(key: &StackKey, edge: u32) -> Result<&'static MapCell<StackCount>, LossCause> {
    let table = if edge & READS_STACKS == 0 { &STACKS } else { &LATE };
    if table.get_ptr(key).is_none() {
        table.insert(key, &EMPTY, u64::from(BPF_NOEXIST)).map_err(|_| LossCause::StacksFull)?;
    }
    MapCell::find(table, key).ok_or(LossCause::StacksFull)
}
