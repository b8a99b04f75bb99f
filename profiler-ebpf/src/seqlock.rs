//! Lets a snapshot on one CPU read the waits of a thread while another CPU changes them: a seqlock.
//!
//! Who changes them makes the sequence odd and then even again. Who reads them looks at it before and after, and once more if it
//! changed or is odd. A change while a snapshot is under way sends first how the thread stood, so that all threads are read as
//! of the snapshot's begin.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use profiler_common::{
    config::READS_THREADS,
    event::{RecordKind, ThreadAtEdge, ThreadRecord},
    loss_cause::LossCause,
    wait::Waits,
};

use crate::{
    map_cell::{MapCell, field},
    maps::{RING, count, edge},
    task::Task,
    thread,
};

/// Reads a thread's counters and waits as of one moment, the window's edge if they have changed since.
#[inline(always)]
pub fn read(task: Task, waits: &MapCell<Waits>, record: &mut ThreadRecord) {
    for _ in 0..4 {
        let before = field!(waits.sequence).get();
        task.read_counters(&mut record.task);
        thread::copy(Some(waits), &mut record.waits);
        let after = field!(waits.sequence).get();
        if before == after && before & 1 == 0 {
            return;
        }
    }
    let edge = edge();
    if edge & READS_THREADS != 0 && field!(waits.edge).get() == edge {
        // It is telling how it stood before, which takes longer than these looks.
        record.waits.edge = edge;
        return;
    }
    count(LossCause::WaitsTorn);
}

/// Changes a thread's waits so that a snapshot can tell whether it read them meanwhile; returns the value of `EDGE`, which says
/// to which side of an edge the change belongs.
#[inline(always)]
pub fn change(task: Task, waits: &MapCell<Waits>, change: impl FnOnce()) -> u32 {
    // Volatile keeps the order, and so do the processors' stores (x86) as far as a snapshot needs it that looks again if
    // it saw a change.
    let sequence = field!(waits.sequence).get().wrapping_add(1);
    field!(waits.sequence).set(sequence);
    // From here on no snapshot reads it before the change is made: one that begins now finds it kept.
    let edge = edge();
    if edge & READS_THREADS != 0 && field!(waits.edge).get() != edge {
        field!(waits.edge).set(edge);
        send_before_change(task, waits);
    }
    change();
    field!(waits.sequence).set(sequence.wrapping_add(1));
    edge
}

/// Sends a thread's counters and waits as they are before the first change since an edge.
#[inline(never)]
fn send_before_change(task: Task, waits: &MapCell<Waits>) {
    let Some(mut record) = RING.reserve::<ThreadAtEdge>(0) else { return count(LossCause::KeptLost) };
    // SAFETY: all of the record's fields are set before it is submitted.
    let kept = unsafe { &mut *record.as_mut_ptr() };
    (kept.kind, kept.reserved) = (RecordKind::ThreadAtEdge as u32, 0);
    task.read_counters(&mut kept.living.task);
    thread::copy(Some(waits), &mut kept.living.waits);
    record.submit(u64::from(BPF_RB_NO_WAKEUP));
}
