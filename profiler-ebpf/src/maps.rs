//! The maps, and the two ways the programs write to user space: counters and ring records.

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_RB_NO_WAKEUP,
    macros::map,
    maps::{HashMap, PerCpuArray, RingBuf},
};
use bytemuck::Pod;
use profiler_common::{
    config::{Process, StackKey},
    counter::Counter,
};

use crate::sample::Scratch;

/// tgid → how to follow it. The loader adds; `process` copies it at fork and removes it at the end.
#[map]
pub static PROCESSES: HashMap<u32, Process> = HashMap::with_max_entries(4096, 0);

/// Distinct stack of a thread → times sampled. `sample` adds; the loader drains.
#[map]
pub static STACKS: HashMap<StackKey, u64> = HashMap::with_max_entries(65536, 0);

/// Records of `event`: new stacks, forks, execs, exits. The programs write; the loader reads.
#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// `Counter` → count, per CPU. The programs write; the loader reads.
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::KERNEL, 0);

/// Room to build a stack in, per CPU. Used by `sample` only, which cannot interrupt itself.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// Adds one to a cause.
#[inline(always)]
pub fn count(cause: Counter) {
    if let Some(counter) = COUNTERS.get_ptr_mut(cause as u32) {
        // SAFETY: the pointer is this CPU's own slot, checked by the verifier.
        unsafe { *counter += 1 };
    }
}

/// Ends a program with a cause: counts it, and in a debugging build tells it at once.
#[inline(always)]
pub fn lose(ctx: &impl EbpfContext, cause: Counter) {
    count(cause);
    #[cfg(feature = "log")]
    aya_log_ebpf::warn!(ctx, "cause {}", cause as u32);
    #[cfg(not(feature = "log"))]
    let _ = ctx;
}

/// When user space hears of a record.
#[derive(Clone, Copy)]
pub enum Wake {
    /// Now, if it waits.
    Now,
    /// At its next look.
    Later,
}

/// Sends a record, or says that there was no room.
#[inline(always)]
pub fn send<T: Pod>(record: &T, wake: Wake, lost: Counter) -> Result<(), Counter> {
    let flags = match wake {
        Wake::Now => 0,
        Wake::Later => u64::from(BPF_RB_NO_WAKEUP),
    };
    RING.output::<T>(record, flags).map_err(|_| lost)
}
