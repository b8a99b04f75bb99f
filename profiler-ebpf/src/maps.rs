//! What all topics share: which reading is under way, and the two ways to write to user space, counters and ring records.

use aya_ebpf::{
    EbpfContext,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE},
    macros::map,
    maps::{Array, PerCpuArray, RingBuf},
};
use bytemuck::Pod;
use profiler_common::loss_cause::LossCause;

/// 0 → which reading is under way, and of what: `READS_THREADS`, `READS_STACKS`. The loader writes.
#[map]
static EDGE: Array<u32> = Array::with_max_entries(1, 0);

/// The value of `EDGE`, which says what is being read now.
#[inline(always)]
pub fn edge() -> u32 {
    // SAFETY: a word that the loader replaces whole.
    EDGE.get_ptr(0).map_or(0, |edge| unsafe { edge.read_volatile() })
}

/// Records of `event`: new stacks, forks, execs, exits. The programs write; the loader reads.
#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Flags for a record that can wait until the loader looks by itself: it is woken only when a quarter of the ring is full.
#[inline(always)]
pub fn wake_up() -> u64 {
    let (waiting, size) = (RING.query(u64::from(BPF_RB_AVAIL_DATA)), RING.query(u64::from(BPF_RB_RING_SIZE)));
    let is_filling = waiting > size / 4;
    u64::from(if is_filling { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP })
}

/// `LossCause` → count, per CPU. The programs write; the loader reads.
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(LossCause::KERNEL, 0);

/// Adds one to a cause.
#[inline(always)]
pub fn count(cause: LossCause) {
    count_many(cause, 1);
}

/// Adds to a cause.
#[inline(always)]
pub fn count_many(cause: LossCause, many: u64) {
    if let Some(counter) = COUNTERS.get_ptr_mut(cause as u32) {
        // SAFETY: the pointer is this CPU's own slot, checked by the verifier.
        unsafe { *counter += many };
    }
}

/// Counts a cause that ends a program, and logs it in a debugging build.
#[inline(always)]
pub fn count_loss(ctx: &impl EbpfContext, cause: LossCause) {
    count(cause);
    #[cfg(feature = "log")]
    aya_log_ebpf::warn!(ctx, "cause {}", cause as u32);
    #[cfg(not(feature = "log"))]
    let _ = ctx;
}

/// Sends a record that user space should handle at once, if it waits; fails with `lost` if there is no room.
#[inline(always)]
pub fn send<T: Pod>(record: &T, lost: LossCause) -> Result<(), LossCause> {
    RING.output::<T>(record, 0).map_err(|_| lost)
}
