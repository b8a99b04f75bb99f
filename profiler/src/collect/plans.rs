//! Plans of the kernel side: what its programs do for a verb, and how large its tables are.

use profiler_common::config::BlockedStacks;

use crate::{
    bpf::{MapSizes, ProbePlan},
    fleet::Fleet,
    sys::clock,
};

/// Distinct stacks between two looks that a CPU's threads are expected to have at most.
const STACKS_PER_CPU: u32 = 8 * 1024;
/// Distinct stacks that a thread which only waits has: on few lines, and in few ways.
const STACKS_PER_THREAD: u32 = 4;
/// Most stacks for which there is room by default: 110 MB of kernel memory.
const MOST_STACKS: u32 = 1 << 18;

/// How much there is to watch.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// CPUs of the host.
    pub cpus: u32,
    /// Threads that live.
    pub threads: usize,
}

impl Extent {
    /// The extent of these fleets.
    #[must_use]
    pub fn of(fleets: &[Fleet]) -> Self {
        let threads = fleets.iter().flat_map(Fleet::living).map(|member| member.threads).sum();
        Self { cpus: clock::cpus(), threads }
    }

    /// Distinct stacks for which there is room; kernel memory is taken for all of them at once, some 430 bytes each.
    fn stacks(self) -> u32 {
        let of_threads = u32::try_from(self.threads).unwrap_or(u32::MAX).saturating_mul(STACKS_PER_THREAD);
        self.cpus.saturating_mul(STACKS_PER_CPU).max(of_threads).clamp(2 * STACKS_PER_CPU, MOST_STACKS)
    }
}

/// The plan of a window with exact numbers alone: Python stacks are read only to tell what waits are for.
///
/// Without `waits` the programs look at nothing but exits, and a switch costs a followed thread what it costs any other.
#[must_use]
pub fn for_stat(extent: Extent, waits: bool) -> ProbePlan {
    let sizes = MapSizes { processes: 16_384, stacks: extent.stacks(), ring_bytes: 1 << 22 };
    ProbePlan {
        sizes,
        waits,
        blocked: BlockedStacks::Python,
        min_block_ns: 0,
        native: false,
        is_for_stacks: false,
    }
}

/// The plan of a recording at a rate: the ring holds what two ticks can bring. Without `stacks` the extent says how many distinct
/// stacks there is room for.
#[must_use]
pub fn for_record(rate_hz: u64, extent: Extent, min_block_ns: u64, stacks: Option<u32>) -> ProbePlan {
    // Up to two ticks late, every sample new, some 40 frames each.
    let bytes = rate_hz.saturating_mul(u64::from(extent.cpus)) / 5 * 3000;
    let ring_bytes = u32::try_from(bytes.clamp(1 << 22, 1 << 26)).unwrap_or(1 << 26).next_power_of_two();
    let sizes = MapSizes { processes: 4096, stacks: stacks.unwrap_or_else(|| extent.stacks()), ring_bytes };
    ProbePlan {
        sizes,
        waits: true,
        blocked: BlockedStacks::All,
        min_block_ns,
        native: false,
        is_for_stacks: true,
    }
}
