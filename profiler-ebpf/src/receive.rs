//! Counts what followed threads receive from sockets, so that a wake-up without work can be told.

use aya_ebpf::{
    helpers::generated::bpf_get_current_task_btf, macros::btf_tracepoint, programs::BtfTracePointContext,
};

use crate::{task::Task, thread};

/// Counts what a followed thread receives from sockets; the end of a connection counts, a read that finds nothing does not.
///
/// Kernel: ≥ 6.3 (the tracepoint).
#[btf_tracepoint(function = "sock_recv_length")]
pub fn sock_recv_length(ctx: BtfTracePointContext) -> i32 {
    let result: i32 = ctx.arg(1);
    // SAFETY: no arguments.
    let current = Task(unsafe { bpf_get_current_task_btf() }.cast_const().cast());
    if result >= 0
        && thread::may_be_followed(current.tgid())
        && let Some(waits) = thread::waits(current)
    {
        waits.received = waits.received.wrapping_add(1);
    }
    0
}
