//! The snapshot of every followed thread that lives, at an edge of the window.

use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_seq_write, macros::map, maps::PerCpuArray};
use profiler_common::{event::ThreadRecord, loss_cause::LossCause, wait::Waits};

use crate::{
    map_cell::{MapCell, field},
    maps::count,
    process::Followed,
    seqlock,
    task::Task,
    thread, wait,
};

/// Room for one thread of a snapshot, which is more than a program's stack holds.
#[map]
static RECORD: PerCpuArray<ThreadRecord> = PerCpuArray::with_max_entries(1, 0);

/// `struct bpf_iter_meta` (include/linux/bpf.h).
#[repr(C)]
struct IterMeta {
    seq: *mut c_void,
    session_id: u64,
    seq_num: u64,
}

/// Writes the counters and waits of every followed thread that lives, one after the other, for the loader to read. A thread
/// that is new is followed from now on. The first one written is the one that reads: by its own counters user space relates
/// the scheduler's clock to the others, which takes that little happens in between.
///
/// Kernel: ≥ 5.15 (`bpf_task_pt_regs`).
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn snapshot(ctx: *mut c_void) -> i32 {
    // struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; }
    // SAFETY: the verifier knows both words of the context, and what the first one points to.
    let (seq, seq_num, task) = unsafe {
        let meta = *ctx.cast::<*const IterMeta>();
        ((*meta).seq, (*meta).seq_num, Task::new(*ctx.cast::<*const c_void>().add(1)))
    };
    if task.is_null() {
        return 0;
    }
    let Some(record) = RECORD.get_ptr_mut(0) else { return 0 };
    // SAFETY: this CPU's own slot; an iterator is read by one thread.
    let record = unsafe { &mut *record };
    if seq_num == 0 {
        without_waits(Task::current(), record);
        write(seq, record);
    }
    let Some(process) = Followed::by_tgid(task.tgid()) else { return 0 };
    if task.is_gone() {
        return 0;
    }
    match waits_of(task, process) {
        Some(waits) => seqlock::read(task, waits, record),
        None => without_waits(task, record),
    }
    write(seq, record);
    0
}

#[inline(always)]
fn without_waits(task: Task, record: &mut ThreadRecord) {
    task.read_counters(&mut record.task);
    thread::copy(None, &mut record.waits);
}

/// Writes a record. When the buffer is full the kernel drops what was written for this task and calls again, so the result needs
/// no look.
#[inline(always)]
fn write(seq: *mut c_void, record: &mut ThreadRecord) {
    // SAFETY: the context's; as many bytes as the record has.
    unsafe { bpf_seq_write(seq.cast(), (&raw mut *record).cast(), size_of::<ThreadRecord>() as u32) };
}

/// The waits of a followed process's thread, which is enlisted first if it is new.
#[inline(always)]
fn waits_of(task: Task, process: &Followed) -> Option<&'static MapCell<Waits>> {
    if let Some(waits) = thread::waits(task) {
        return Some(waits);
    }
    let waits = thread::enlist(task, field!(process.fleet).get(), field!(process.is_master).get());
    match waits {
        Some(waits) => wait::init_wait_state(task, process, waits),
        None => count(LossCause::NotEnlisted),
    }
    waits
}
