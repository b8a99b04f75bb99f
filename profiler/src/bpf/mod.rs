//! User side of the eBPF programs: loads them, attaches them, reads their maps. The only module that uses `aya`.
//!
//! Everything attached is held by file descriptors of this process, nothing is pinned: when it ends, however it
//! ends, the kernel takes all of it away.

mod batches;
#[cfg(test)]
pub mod fixture;
mod kernel_side;
#[cfg(feature = "ebpf-log")]
mod log;
mod maps;
mod misses;
mod object;
mod offsets;
mod refusal;
mod snapshot;
mod stack_sum;
mod stacks;
mod syscalls;

pub use kernel_side::KernelSide;
pub use object::{MapSizes, ProbePlan, Probes, SamplingClock};
pub use offsets::missing_kernel_features;
pub use snapshot::Snapshot;
pub use stack_sum::StackSum;
pub use stacks::Counts;
pub use syscalls::{parks, polls};
