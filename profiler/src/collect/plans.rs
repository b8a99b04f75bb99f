//! Plans of the kernel side: what its programs do for a verb, and how large its tables are.

use profiler_common::config::BlockedStacks;

use crate::bpf::{MapSizes, ProbePlan};

/// Distinct stacks between two looks that a CPU's threads are expected to have at most.
const STACKS_PER_CPU: u32 = 8 * 1024;

/// The plan of a window with exact numbers alone: Python stacks are read only to tell what waits are for.
///
/// Without `waits` the programs look at nothing but exits, and a switch costs a followed thread what it costs any other.
#[must_use]
pub fn for_stat(cpus: u32, waits: bool) -> ProbePlan {
    let sizes = MapSizes { processes: 16_384, stacks: stacks_for(cpus), ring_bytes: 1 << 22 };
    ProbePlan {
        sizes,
        waits,
        blocked: BlockedStacks::Python,
        min_block_ns: 0,
        native: false,
        is_for_stacks: false,
    }
}

/// Kernel memory is taken for all of them at once, some 430 bytes each.
fn stacks_for(cpus: u32) -> u32 {
    cpus.saturating_mul(STACKS_PER_CPU).clamp(2 * STACKS_PER_CPU, 32 * STACKS_PER_CPU)
}

/// The plan of a recording at a rate on so many CPUs: the ring holds what two ticks can bring. Without `stacks` the number of
/// CPUs says how many distinct stacks there is room for.
#[must_use]
pub fn for_record(rate_hz: u64, cpus: u32, min_block_ns: u64, stacks: Option<u32>) -> ProbePlan {
    // Up to two ticks late, every sample new, some 40 frames each.
    let bytes = rate_hz.saturating_mul(u64::from(cpus)) / 5 * 3000;
    let ring_bytes = u32::try_from(bytes.clamp(1 << 22, 1 << 26)).unwrap_or(1 << 26).next_power_of_two();
    let sizes = MapSizes { processes: 4096, stacks: stacks.unwrap_or_else(|| stacks_for(cpus)), ring_bytes };
    ProbePlan {
        sizes,
        waits: true,
        blocked: BlockedStacks::All,
        min_block_ns,
        native: false,
        is_for_stacks: true,
    }
}
