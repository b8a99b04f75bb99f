//! Counts what followed threads receive from sockets, so that a wake-up without work can be told.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{map_cell::field, task::Task, thread};

/// Counts what a followed thread receives from sockets; the end of a connection counts, a read that finds nothing does not.
///
/// Kernel: ≥ 6.3 (the tracepoint).
#[btf_tracepoint(function = "sock_recv_length")]
pub fn sock_recv_length(ctx: BtfTracePointContext) -> i32 {
    let result: i32 = ctx.arg(1);
    let current = Task::current();
    if result >= 0
        && thread::may_be_followed(current.tgid())
        && let Some(waits) = thread::waits(current)
    {
        field!(waits.received).add(1);
    }
    0
}
